//! The attacker within adversarial training.
//!
//! It differs from [`crate::attack`], which looks for the smallest success and leaves misclassified pictures alone: here
//! every picture takes every step, as training wants.

use rayon::prelude::*;

use crate::nn::softmax::cross_entropy_gradient;
use crate::nn::{Classifier, Executor};
use crate::random::{Random, Stream};
use crate::threat::{Threat, add_steepest, onto_ball_and_box, random_start};

/// Pictures that one thread attacks at a time.
const CHUNK: usize = 16;

/// Projected gradient descent on the cross-entropy, for many pictures at once.
pub(super) struct Pgd {
    /// What it may change.
    pub threat: Threat,
    /// The length of a step, in the unit of ε.
    pub alpha: f32,
    /// How many steps.
    pub steps: usize,
    /// Seed of the random starts.
    pub seed: u64,
    /// The item of the first picture among the seed's random numbers; each picture has one of its own.
    pub first: u64,
}

impl Pgd {
    /// Replaces each picture by an attacked one.
    pub fn attack(&self, network: &Executor, images: &mut [f32], labels: &[u8]) {
        let (Threat { norm, epsilon }, classes) = (self.threat, network.classes());
        let pixels = network.input().len();
        images.par_chunks_mut(CHUNK * pixels).zip(labels.par_chunks(CHUNK)).enumerate().for_each(
            |(chunk, (images, labels))| {
                let mut network = network.clone();
                let clean = images.to_vec();
                let starts = clean.chunks_exact(pixels).zip(images.chunks_exact_mut(pixels));
                for (item, (image, start)) in (self.first + (chunk * CHUNK) as u64..).zip(starts) {
                    random_start(norm, epsilon, image, &mut Random::new(self.seed, Stream::Start, item), start);
                }
                let (mut logits, mut gradient) = (vec![0.0; labels.len() * classes], vec![0.0; images.len()]);
                for _ in 0..self.steps {
                    let mut cotangent = |logits: &[f32], cotangent: &mut [f32]| {
                        let rows = logits.chunks_exact(classes).zip(cotangent.chunks_exact_mut(classes));
                        for ((logits, cotangent), &label) in rows.zip(labels) {
                            cross_entropy_gradient(logits, label as usize, 1.0, cotangent);
                        }
                    };
                    network.input_gradient(images, &mut logits, &mut cotangent, &mut gradient);
                    let points = images.chunks_exact_mut(pixels).zip(gradient.chunks_exact(pixels));
                    for ((point, gradient), image) in points.zip(clean.chunks_exact(pixels)) {
                        add_steepest(norm, self.alpha, gradient, point);
                        onto_ball_and_box(norm, epsilon, image, point);
                    }
                }
            },
        );
    }
}
