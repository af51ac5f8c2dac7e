//! Weighted sums of gradients at several points: what most maps consist of.

use super::Subject;
use super::score::Score;
use crate::nn::{Classifier, Shape};

/// Values that a classifier is given at once.
const CHUNK: usize = 16 * 784;

/// Writes the point with an index.
type Points = Box<dyn Fn(usize, &mut [f32])>;

/// Σ wᵢ · ∇score(pointᵢ) under way, in double precision and in the order of the points.
pub(super) struct Weighted {
    input: Shape,
    classes: usize,
    class: u8,
    score: Score,
    weights: Vec<f64>,
    point: Points,
    done: usize,
    sum: Vec<f64>,
    images: Vec<f32>,
    logits: Vec<f32>,
    gradient: Vec<f32>,
}

impl Weighted {
    /// As many points as weights.
    pub(super) fn new(subject: &Subject, score: Score, weights: Vec<f64>, point: Points) -> Self {
        let &Subject { image, input, classes, class, .. } = subject;
        assert_eq!(image.len(), input.len(), "a picture of the input's shape");
        assert!(usize::from(class) < classes, "class {class} of {classes}");
        Self {
            input,
            classes,
            class,
            score,
            weights,
            point,
            done: 0,
            sum: vec![0.0; image.len()],
            images: Vec::new(),
            logits: Vec::new(),
            gradient: Vec::new(),
        }
    }

    /// The next points, in one call of the classifier. Says whether all are done.
    pub(super) fn step(&mut self, classifier: &mut dyn Classifier) -> bool {
        assert_eq!((classifier.input(), classifier.classes()), (self.input, self.classes), "another classifier");
        let pixels = self.input.len();
        let from = self.done;
        let to = (from + points_at_once(pixels)).min(self.weights.len());
        self.images.resize((to - from) * pixels, 0.0);
        self.gradient.resize((to - from) * pixels, 0.0);
        self.logits.resize((to - from) * self.classes, 0.0);
        for (index, image) in (from..to).zip(self.images.chunks_exact_mut(pixels)) {
            (self.point)(index, image);
        }
        let (score, class, classes) = (self.score, self.class, self.classes);
        let mut cotangent = |logits: &[f32], cotangents: &mut [f32]| {
            let rows = logits.chunks_exact(classes).zip(cotangents.chunks_exact_mut(classes));
            rows.for_each(|(logits, cotangent)| score.cotangent(logits, class, cotangent));
        };
        classifier.input_gradient(&self.images, &mut self.logits, &mut cotangent, &mut self.gradient);
        for (weight, gradient) in self.weights[from..to].iter().zip(self.gradient.chunks_exact(pixels)) {
            self.sum.iter_mut().zip(gradient).for_each(|(sum, &g)| *sum += weight * f64::from(g));
        }
        self.done = to;
        to == self.weights.len()
    }

    /// Points done, and all.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.done, self.weights.len())
    }

    /// The sum of the points that are done.
    pub(super) fn sum(&self) -> &[f64] {
        &self.sum
    }
}

/// How many pictures of a size are given to a classifier at once.
pub(super) fn points_at_once(pixels: usize) -> usize {
    (CHUNK / pixels.max(1)).clamp(1, 64)
}
