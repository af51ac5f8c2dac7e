//! The decision boundary on a plane: a classifier's decisions at x + a·u + b·v for orthonormal u and v.

use serde::{Deserialize, Serialize};

use crate::nn::{Classifier, softmax};
use crate::random::{Random, Stream};
use crate::threat::{Norm, length};

/// Below this length a direction is taken as none.
const NO_LENGTH: f64 = 1e-6;
/// How much larger than its contents the view is.
const MARGIN: f32 = 1.2;

/// A plane through a picture. Its coordinates are L2 lengths; it is not cut to the box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

    /// Classifies the centres of some `cells` (row, column) of the `side` × `side` equal ones of `extent` (least and
    /// greatest a, then b). Rows go from greatest b to least, a increases along a row. Each point's result depends on
    /// nothing but that point.
    ///
    /// # Panics
    /// If the plane's pictures are not the classifier's.
    pub fn sample(
        &self,
        classifier: &mut dyn Classifier,
        extent: [f32; 4],
        side: usize,
        cells: &[(usize, usize)],
    ) -> Sampled {
        let classes = classifier.classes();
        let [a0, a1, b0, b1] = extent;
        let share = |i: usize| (i as f32 + 0.5) / side as f32;
        let point = |&(row, column): &_| [a0 + share(column) * (a1 - a0), b1 - share(row) * (b1 - b0)];
        let points: Vec<[f32; 2]> = cells.iter().map(point).collect();
        let mut logits = vec![0.0; points.len() * classes];
        classifier.logits_on_plane([&self.origin, &self.u, &self.v], &points, &mut logits);
        let mut sampled = Sampled::default();
        for logits in logits.chunks_exact(classes) {
            let (class, probability) = softmax::confidence(logits);
            sampled.classes.push(class as u8);
            sampled.confidence.push((probability * 255.0 + 0.5) as u8);
        }
        sampled
    }
}

/// Sampled points of a plane, in the order they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Shape;
    use crate::threat::Norms;

    fn image(key: u64) -> Vec<f32> {
        let mut random = Random::new(key, Stream::Order, 0);
        (0..784).map(|_| random.uniform()).collect()
    }

    fn assert_orthonormal(plane: &Plane) {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum::<f64>();
        let [u, v] = plane.axes();
        assert!((dot(u, u) - 1.0).abs() < 1e-6 && (dot(v, v) - 1.0).abs() < 1e-6 && dot(u, v).abs() < 1e-6);
    }

    #[test]
    fn axes_are_orthonormal_whatever_spans_the_plane() {
        let (x, zero) = (image(0), vec![0.0; 784]);
        let tiny: Vec<f32> = image(1).iter().map(|g| g * 1e-30).collect();
        for plane in [
            Plane::along_attack(&x, &image(1), &zero, 5),
            Plane::along_attack(&x, &x, &tiny, 5),
            Plane::along_attack(&x, &x, &zero, 5),
            Plane::through(&x, &image(1), &image(2), 5),
            Plane::through(&x, &image(1), &image(1), 5),
            Plane::through(&x, &x, &x, 5),
        ] {
            assert_orthonormal(&plane);
        }
    }

    #[test]
    fn the_attack_lies_on_the_first_axis_and_pictures_on_the_plane() {
        let (x, y, z) = (image(0), image(1), image(2));
        let (a, b, off) = Plane::along_attack(&x, &y, &[0.0; 784], 1).project(&y);
        assert!((a - Norms::between(&x, &y).l2).abs() < 1e-4 && b.abs() < 1e-4 && off < 1e-4);
        let plane = Plane::through(&x, &y, &z, 1);
        assert!(plane.project(&z).2 < 1e-4);
        // What is at (a, b) is projected to (a, b).
        let mut there = x.clone();
        plane.at(0.75, -0.5, &mut there);
        let (a, b, off) = plane.project(&there);
        assert!((a - 0.75).abs() < 1e-5 && (b + 0.5).abs() < 1e-5 && off < 1e-5);
        assert_eq!(plane.project(&x), (0.0, 0.0, 0.0));
    }

    #[test]
    fn every_point_of_the_outline_is_epsilon_away() {
        let x = image(0);
        let plane = Plane::along_attack(&x, &image(1), &[0.0; 784], 1);
        for norm in Norm::ALL {
            let epsilon = norm.greatest_epsilon();
            for pair in plane.ball(norm, epsilon, 90).chunks(2) {
                let mut there = x.clone();
                plane.at(pair[0], pair[1], &mut there);
                let size = Norms::between(&x, &there).of(norm);
                assert!((size - epsilon).abs() < 1e-3 * epsilon, "{norm}: {size}");
            }
        }
    }

    #[test]
    fn the_view_is_a_square_that_holds_everything() {
        let plane = Plane::through(&image(0), &image(1), &image(2), 0);
        let [a0, a1, b0, b1] = plane.extent([&[3.0, 0.5, -1.0, 0.0][..], &[f32::NAN, 9.0]]);
        assert!(a0 < -1.0 && a1 > 3.0 && b0 < 0.0 && b1 > 0.5);
        assert!(((a1 - a0) - (b1 - b0)).abs() < 1e-5);
        assert_eq!(plane.extent([]), [-1.0, 1.0, -1.0, 1.0]);
    }

    /// Three classes by the first two pixels.
    struct Corner;

    impl Classifier for Corner {
        fn input(&self) -> Shape {
            Shape { channels: 1, height: 28, width: 28 }
        }

        fn classes(&self) -> usize {
            3
        }

        fn logits(&mut self, images: &[f32], logits: &mut [f32]) {
            for (image, logits) in images.chunks(784).zip(logits.chunks_mut(3)) {
                logits.copy_from_slice(&[0.0, 4.0 * image[0], 4.0 * image[1]]);
            }
        }

        fn input_gradient(
            &mut self,
            images: &[f32],
            logits: &mut [f32],
            _: &mut dyn FnMut(&[f32], &mut [f32]),
            gradient: &mut [f32],
        ) {
            self.logits(images, logits);
            gradient.fill(0.0);
        }
    }

    #[test]
    fn samples_are_the_decisions_at_the_cells_centres_from_the_top() {
        let x = vec![0.0; 784];
        let (mut first, mut second) = (x.clone(), x.clone());
        (first[0], second[1]) = (1.0, 1.0);
        let plane = Plane::through(&x, &first, &second, 0);
        let cells: Vec<_> = (0..16).map(|i| (i / 4, i % 4)).collect();
        let sampled = plane.sample(&mut Corner, [-1.0, 1.0, -1.0, 1.0], 4, &cells);
        assert_eq!(sampled.classes, [2, 2, 2, 1, 2, 2, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]);
        // At (−0.75, 0.75): softmax of (0, −3, 3).
        let p = 3f64.exp() / (1.0 + (-3f64).exp() + 3f64.exp());
        assert_eq!(sampled.confidence[0], (p * 255.0).round() as u8);
    }
}
