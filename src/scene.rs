//! A task that can be seen whole: points of a square in two classes, with a boundary that is known.
//!
//! A network that learns it from some points draws a boundary of its own. Between the two lie the points that the network
//! gets wrong, and there adversarial examples are found, by the same attacks as on pictures: a point is a picture of one
//! row and two columns, x and y in [0, 1].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::nn::{Architecture, Classifier, Layer, Shape, softmax};
use crate::random::{Random, Stream};

/// The shape of a point.
pub const INPUT: Shape = Shape { channels: 1, height: 1, width: 2 };
/// Points that are classified at once.
const BATCH: usize = 256;

/// The tasks, by the curve that separates their classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scene {
    /// Class 1 lies above y = ½ + 0.22 · sin(2πx).
    #[default]
    Wave,
    /// Class 1 lies within a closed curve around the middle, r(θ) = 0.32 + 0.08 · cos 3θ.
    Island,
}

impl Scene {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Wave, Self::Island];

    /// The name in links.
    pub fn key(self) -> &'static str {
        match self {
            Self::Wave => "wave",
            Self::Island => "island",
        }
    }

    /// The inverse of [`Self::key`].
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scene| scene.key() == key)
    }

    /// The true class of a point.
    pub fn class(self, [x, y]: [f32; 2]) -> u8 {
        let (x, y) = (f64::from(x), f64::from(y));
        u8::from(match self {
            Self::Wave => y > wave(x),
            Self::Island => {
                let (x, y) = (x - 0.5, y - 0.5);
                libm::hypot(x, y) < island(libm::atan2(y, x))
            }
        })
    }

    /// The boundary, as `points` points one after the other; whether it is closed: then the first follows the last.
    pub fn boundary(self, points: usize) -> (Vec<[f32; 2]>, bool) {
        match self {
            Self::Wave => {
                let at = |i: usize| i as f64 / (points.max(2) - 1) as f64;
                ((0..points).map(|i| [at(i) as f32, wave(at(i)) as f32]).collect(), false)
            }
            Self::Island => {
                let angle = |i: usize| core::f64::consts::TAU * i as f64 / points as f64;
                let at = |angle: f64| {
                    let r = island(angle);
                    [(0.5 + r * libm::cos(angle)) as f32, (0.5 + r * libm::sin(angle)) as f32]
                };
                ((0..points).map(|i| at(angle(i))).collect(), true)
            }
        }
    }

    /// Points drawn evenly from the square, (N, 2), and their true classes.
    pub fn sample(self, points: usize, seed: u32) -> (Vec<f32>, Vec<u8>) {
        let mut random = Random::new(seed.into(), Stream::Scene, 0);
        let positions: Vec<[f32; 2]> = (0..points).map(|_| [random.uniform(), random.uniform()]).collect();
        let labels = positions.iter().map(|&point| self.class(point)).collect();
        (positions.concat(), labels)
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wave => "wave",
            Self::Island => "island",
        })
    }
}

fn wave(x: f64) -> f64 {
    0.5 + 0.22 * libm::sin(core::f64::consts::TAU * x)
}

fn island(angle: f64) -> f64 {
    0.32 + 0.08 * libm::cos(3.0 * angle)
}

/// A network for points: hidden layers of these sizes with an activation function, two classes. The first layer takes the
/// square as −1 to 1.
pub fn network(hidden: &[usize], activation: Layer) -> Architecture {
    let linear = |name: String, out| Layer::Linear { name, out };
    let mut layers = vec![Layer::Normalize { mean: vec![0.5], std: vec![0.5] }, Layer::Flatten];
    for (i, &units) in hidden.iter().enumerate() {
        layers.extend([linear(format!("fc{}", i + 1), units), activation.clone()]);
    }
    layers.push(linear(format!("fc{}", hidden.len() + 1), 2));
    Architecture { input: INPUT, layers }
}

/// The square in n × n cells: what is true at the middle of each and what a classifier says. Rows go from the greatest y
/// to the least, x increases along a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cells {
    /// n.
    pub side: u32,
    /// The true class.
    pub truth: Vec<u8>,
    /// The predicted class.
    pub predicted: Vec<u8>,
    /// Its probability, 0 to 255.
    pub confidence: Vec<u8>,
}

impl Cells {
    /// The share of the square that is classified wrongly: the gap between the two boundaries.
    pub fn wrong(&self) -> f64 {
        let wrong = self.truth.iter().zip(&self.predicted).filter(|(truth, predicted)| truth != predicted).count();
        wrong as f64 / self.truth.len().max(1) as f64
    }
}

/// Classifies the middle of each of `side` × `side` cells.
///
/// # Panics
/// If the classifier does not take points.
pub fn survey(scene: Scene, classifier: &mut dyn Classifier, side: usize) -> Cells {
    assert_eq!(classifier.input(), INPUT, "a classifier of points");
    let middle = |i: usize| (i as f32 + 0.5) / side as f32;
    let points: Vec<[f32; 2]> = (0..side * side).map(|cell| [middle(cell % side), 1.0 - middle(cell / side)]).collect();
    let mut cells = Cells { side: side as u32, ..Cells::default() };
    for points in points.chunks(BATCH) {
        let mut logits = vec![0.0; points.len() * classifier.classes()];
        classifier.logits(points.as_flattened(), &mut logits);
        for (&point, logits) in points.iter().zip(logits.chunks_exact(classifier.classes())) {
            let (class, probability) = softmax::confidence(logits);
            cells.truth.push(scene.class(point));
            cells.predicted.push(class as u8);
            cells.confidence.push((probability * 255.0 + 0.5) as u8);
        }
    }
    cells
}

/// What a moved point is an example of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The classifier still says what is true.
    Right,
    /// The classifier is wrong, and what is true has not changed: an adversarial example, in the gap.
    Adversarial,
    /// The point has crossed the task's own boundary, and the classifier says so: not an error.
    Changed,
    /// The point has crossed the task's own boundary, and the classifier has not noticed.
    Unnoticed,
}

/// What became of a point that was `label` when it was moved to `point` and is now classified as `predicted`.
pub fn fate(scene: Scene, label: u8, point: [f32; 2], predicted: u8) -> Fate {
    match (scene.class(point) == label, predicted == label) {
        (true, true) => Fate::Right,
        (true, false) => Fate::Adversarial,
        (false, false) => Fate::Changed,
        (false, true) => Fate::Unnoticed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_lies_between_the_classes() {
        for scene in Scene::ALL {
            let (boundary, closed) = scene.boundary(200);
            assert_eq!((boundary.len(), closed), (200, scene == Scene::Island));
            for pair in boundary.windows(2) {
                let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
                let (dx, dy) = (x1 - x0, y1 - y0);
                let across = 0.01 / dx.hypot(dy);
                let beside = |sign: f32| [x0 - sign * dy * across, y0 + sign * dx * across];
                assert_eq!(
                    (scene.class(beside(1.0)), scene.class(beside(-1.0))),
                    (1, 0),
                    "{scene} at ({x0}, {y0}): class 1 is to the left"
                );
            }
        }
    }

    #[test]
    fn both_classes_take_a_fair_share_of_the_points() {
        for scene in Scene::ALL {
            let (positions, labels) = scene.sample(500, 2);
            assert_eq!(positions.len(), 1000);
            assert!(positions.iter().all(|p| (0.0..1.0).contains(p)));
            let ones = labels.iter().filter(|label| **label == 1).count();
            assert!((100..400).contains(&ones), "{scene}: {ones}");
            assert_eq!(scene.sample(20, 2).0, positions[..40], "a larger sample begins with a smaller one");
            assert!(scene.sample(500, 3).0 != positions);
        }
    }

    #[test]
    fn names_lead_back() {
        for scene in Scene::ALL {
            assert_eq!(Scene::from_key(scene.key()), Some(scene));
        }
    }

    #[test]
    fn a_moved_point_is_adversarial_only_if_the_truth_has_not_moved_with_it() {
        let (above, below) = ([0.5, 0.9], [0.5, 0.1]);
        assert_eq!(fate(Scene::Wave, 1, above, 1), Fate::Right);
        assert_eq!(fate(Scene::Wave, 1, above, 0), Fate::Adversarial);
        assert_eq!(fate(Scene::Wave, 1, below, 0), Fate::Changed);
        assert_eq!(fate(Scene::Wave, 1, below, 1), Fate::Unnoticed);
    }
}
