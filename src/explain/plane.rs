//! The decision boundary on a plane: a classifier's decisions at x + a·u + b·v for orthonormal u and v.

use std::ops::Range;

use crate::nn::{Classifier, softmax};
use crate::random::{Random, Stream};
use crate::threat::{Norm, length};

/// Points of the plane that are classified at once.
const BATCH: usize = 64;
/// Below this length a direction is taken as none.
const NO_LENGTH: f64 = 1e-6;
/// How much larger than its contents the view is.
const MARGIN: f32 = 1.2;

/// A plane through a picture. Its coordinates are L2 lengths; it is not cut to the box.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    origin: Vec<f32>,
    u: Vec<f32>,
    v: Vec<f32>,
}

impl Plane {
    /// The plane through `image` along the attack's direction and a random direction orthogonal to it. Without an
    /// attack (`adversarial` is `image`) it is along the gradient, and if that vanishes too, along a second random
    /// direction. The random directions depend on the seed alone.
    pub fn along_attack(image: &[f32], adversarial: &[f32], gradient: &[f32], seed: u32) -> Self {
        let attack = difference(adversarial, image);
        let gradient = gradient.iter().map(|&g| g as f64).collect();
        Self::spanned(image, [vec![attack, gradient], vec![]], seed)
    }

    /// The plane through three pictures. u points from `image` to the first; pictures on one line are replaced by
    /// random directions.
    pub fn through(image: &[f32], first: &[f32], second: &[f32], seed: u32) -> Self {
        Self::spanned(image, [vec![difference(first, image)], vec![difference(second, image)]], seed)
    }

    /// Takes for each axis the first direction that has a length, orthogonalised (Gram–Schmidt, twice for accuracy).
    fn spanned(image: &[f32], candidates: [Vec<Vec<f64>>; 2], seed: u32) -> Self {
        let mut axes: Vec<Vec<f64>> = Vec::with_capacity(2);
        for (item, candidates) in candidates.into_iter().enumerate() {
            let mut random = Random::new(seed.into(), Stream::Plane, item as u64);
            let drawn: Vec<f64> = image.iter().map(|_| random.normal() as f64).collect();
            let mut axis = vec![0.0; image.len()];
            for candidate in candidates.into_iter().chain([drawn]) {
                // Unit length first, so that the remainder is judged relative to it; gradients may be tiny.
                let Some(mut direction) = unit(candidate, 0.0) else { continue };
                for _ in 0..2 {
                    for other in &axes {
                        let along = dot(&direction, other);
                        direction.iter_mut().zip(other).for_each(|(d, o)| *d -= along * o);
                    }
                }
                if let Some(direction) = unit(direction, NO_LENGTH) {
                    axis = direction;
                    break;
                }
            }
            axes.push(axis);
        }
        let single = |axis: &[f64]| axis.iter().map(|&a| a as f32).collect();
        Self { origin: image.to_vec(), u: single(&axes[0]), v: single(&axes[1]) }
    }

    /// The two axes u and v.
    pub fn axes(&self) -> [&[f32]; 2] {
        [&self.u, &self.v]
    }

    /// Writes the picture at (a, b).
    pub fn at(&self, a: f32, b: f32, picture: &mut [f32]) {
        for (((p, &x), &u), &v) in picture.iter_mut().zip(&self.origin).zip(&self.u).zip(&self.v) {
            *p = x + a * u + b * v;
        }
    }

    /// The coordinates (a, b) of the point of the plane nearest to a picture, and the picture's L2 distance from it.
    pub fn project(&self, picture: &[f32]) -> (f32, f32, f32) {
        let delta = difference(picture, &self.origin);
        let along = |axis: &[f32]| delta.iter().zip(axis).map(|(d, &axis)| d * axis as f64).sum::<f64>();
        let (a, b) = (along(&self.u), along(&self.v));
        let rest =
            delta.iter().zip(&self.u).zip(&self.v).map(|((d, &u), &v)| d - a * u as f64 - b * v as f64).map(|r| r * r);
        (a as f32, b as f32, rest.sum::<f64>().sqrt() as f32)
    }

    /// The outline of the section of the ball ‖δ‖ ≤ ε with the plane: `points` pairs (a, b), counter-clockwise from the
    /// a axis. In direction θ it is at ε / ‖cos θ · u + sin θ · v‖.
    pub fn ball(&self, norm: Norm, epsilon: f32, points: usize) -> Vec<f32> {
        (0..points)
            .flat_map(|i| {
                let angle = std::f64::consts::TAU * i as f64 / points as f64;
                let (cos, sin) = (libm::cos(angle), libm::sin(angle));
                let direction = self.u.iter().zip(&self.v).map(|(&u, &v)| (cos * u as f64 + sin * v as f64) as f32);
                let size = length(norm, direction);
                let radius = if size > 0.0 { epsilon as f64 / size } else { 0.0 };
                [(radius * cos) as f32, (radius * sin) as f32]
            })
            .collect()
    }

    /// A square that shows all of these points (pairs a, b) and x with a margin: least and greatest a, then b. Points
    /// that are not finite are left out; where there is nothing but x, it is 2 wide.
    pub fn extent<'a>(&self, points: impl IntoIterator<Item = &'a [f32]>) -> [f32; 4] {
        let mut bounds = [[0.0f32; 2]; 2];
        for pair in points.into_iter().flat_map(|points| points.as_chunks::<2>().0) {
            if pair.iter().all(|c| c.is_finite()) {
                for ([least, greatest], &c) in bounds.iter_mut().zip(pair) {
                    (*least, *greatest) = (least.min(c), greatest.max(c));
                }
            }
        }
        let size = bounds.iter().map(|[least, greatest]| greatest - least).fold(0.0, f32::max);
        let half = if size > 0.0 { 0.5 * MARGIN * size } else { 1.0 };
        let [[a0, a1], [b0, b1]] = bounds.map(|[least, greatest]| {
            let middle = 0.5 * (least + greatest);
            [middle - half, middle + half]
        });
        [a0, a1, b0, b1]
    }

    /// Classifies the `rows` of a grid of `side` × `side` points, the centres of equal cells of `extent` (least and
    /// greatest a, then b). Rows go from greatest b to least, a increases along a row. Appends each point's predicted
    /// class and that class's probability, 0 to 255.
    ///
    /// # Panics
    /// If the plane's pictures are not the classifier's.
    pub fn sample(
        &self,
        classifier: &mut dyn Classifier,
        extent: [f32; 4],
        side: usize,
        rows: Range<usize>,
        sampled: &mut Sampled,
    ) {
        let pixels = self.origin.len();
        let classes = classifier.classes();
        let [a0, a1, b0, b1] = extent;
        let mut pictures = vec![0.0; BATCH * pixels];
        let mut logits = vec![0.0; BATCH * classes];
        let points: Vec<(f32, f32)> = rows
            .flat_map(|row| (0..side).map(move |column| (row, column)))
            .map(|(row, column)| {
                let share = |i: usize| (i as f32 + 0.5) / side as f32;
                (a0 + share(column) * (a1 - a0), b1 - share(row) * (b1 - b0))
            })
            .collect();
        for points in points.chunks(BATCH) {
            for (&(a, b), picture) in points.iter().zip(pictures.chunks_exact_mut(pixels)) {
                self.at(a, b, picture);
            }
            let logits = &mut logits[..points.len() * classes];
            classifier.logits(&pictures[..points.len() * pixels], logits);
            for logits in logits.chunks_exact(classes) {
                let (class, probability) = softmax::confidence(logits);
                sampled.classes.push(class as u8);
                sampled.confidence.push((probability * 255.0 + 0.5) as u8);
            }
        }
    }
}

/// Sampled points of a plane, row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sampled {
    /// The predicted class.
    pub classes: Vec<u8>,
    /// Its probability, 0 to 255.
    pub confidence: Vec<u8>,
}

fn difference(to: &[f32], from: &[f32]) -> Vec<f64> {
    to.iter().zip(from).map(|(&to, &from)| to as f64 - from as f64).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The direction scaled to length 1, if it is finite and longer than `least`.
fn unit(direction: Vec<f64>, least: f64) -> Option<Vec<f64>> {
    let size = dot(&direction, &direction).sqrt();
    (size.is_finite() && size > least).then(|| direction.into_iter().map(|d| d / size).collect())
}
