//! What a classifier says of one attacked picture against ε, and the smallest ε that suffices.

use crate::attack::{Item, Outcome, Record, Run, Task};
use crate::experiment::AttackSettings;
use crate::nn::{Classifier, Shape, softmax};
use crate::threat::Norm;

/// Values of ε that are tried at once to narrow down the smallest.
const BETWEEN: usize = 7;
/// How many times it is narrowed down, each time to an eighth.
const ROUNDS: u32 = 2;

/// The curve of one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CurvePoints {
    /// Class probabilities at the attack's result for each ε, (E, K).
    pub probabilities: Vec<f32>,
    /// Whether the attack succeeded at each ε.
    pub success: Vec<bool>,
    /// The smallest ε found at which it did.
    pub smallest: Option<f32>,
}

/// A curve under way. All values of ε are attacked as one batch, α following ε if it is not set; then the gap before
/// the first success is narrowed down. A worker can turn to other work between any two steps.
pub struct Curve {
    input: Shape,
    classes: usize,
    image: Vec<f32>,
    item: Item,
    norm: Norm,
    settings: AttackSettings,
    seed: u32,
    /// The values of ε under attack, increasing.
    epsilon: Vec<f32>,
    run: Option<Run>,
    /// Narrowing rounds left, and the ε known not to suffice.
    rounds: u32,
    below: f32,
    points: CurvePoints,
    first: bool,
}

impl Curve {
    /// Prepares the curve over increasing values of ε. The item's own ε does not matter.
    ///
    /// # Panics
    /// If the picture's length, label or target do not fit.
    #[expect(clippy::too_many_arguments, reason = "an experiment, taken apart")]
    pub fn new(
        input: Shape,
        classes: usize,
        image: &[f32],
        item: Item,
        norm: Norm,
        epsilon: Vec<f32>,
        settings: &AttackSettings,
        seed: u32,
    ) -> Self {
        let mut curve = Self {
            input,
            classes,
            image: image.to_vec(),
            item,
            norm,
            settings: settings.clone(),
            seed,
            epsilon: Vec::new(),
            run: None,
            rounds: ROUNDS,
            below: 0.0,
            points: CurvePoints::default(),
            first: true,
        };
        curve.begin(epsilon, Record::Strongest);
        curve
    }

    fn begin(&mut self, epsilon: Vec<f32>, record: Record) {
        let task = Task {
            images: self.image.repeat(epsilon.len()),
            items: epsilon.iter().map(|&epsilon| Item { epsilon, ..self.item }).collect(),
            norm: self.norm,
            settings: self.settings.clone(),
            seed: self.seed,
            others: Vec::new(),
        };
        self.epsilon = epsilon;
        self.run = Some(Run::new(self.input, self.classes, task, record));
    }

    /// Does the next piece of work, at most one call of the classifier. Says whether the curve is done.
    pub fn step(&mut self, classifier: &mut dyn Classifier) -> bool {
        let Some(mut run) = self.run.take() else { return true };
        if run.step(classifier) {
            self.take_in(&run.finish());
        } else {
            self.run = Some(run);
        }
        self.run.is_none()
    }

    fn take_in(&mut self, outcomes: &[Outcome]) {
        if self.first {
            self.first = false;
            let logits: Vec<f32> = outcomes.iter().flat_map(|outcome| &outcome.adversarial_logits).copied().collect();
            self.points.probabilities = softmax::probabilities(&logits, self.classes);
            self.points.success = outcomes.iter().map(|outcome| outcome.success).collect();
        }
        let first = outcomes.iter().position(|outcome| outcome.success);
        if let Some(first) = first {
            self.points.smallest = Some(self.epsilon[first]);
        }
        // The last ε before the first success that was tried and did not suffice.
        let failed = first.unwrap_or(outcomes.len());
        if failed > 0 {
            self.below = self.epsilon[failed - 1];
        }
        let Some(smallest) = self.points.smallest else { return };
        if self.rounds > 0 && smallest > self.below {
            self.rounds -= 1;
            let step = (smallest - self.below) / (BETWEEN + 1) as f32;
            let between = (1..=BETWEEN).map(|i| self.below + step * i as f32).collect();
            self.begin(between, Record::FirstSuccess);
        }
    }

    /// Whether all values of ε have been attacked and only the smallest is still narrowed down.
    pub fn drawn(&self) -> bool {
        !self.first
    }

    /// What is known so far; all of it when the curve is done.
    pub fn points(&self) -> &CurvePoints {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::Method;

    /// Two classes; the first pixel decides: class 1 from 0.6 on.
    pub(super) struct Threshold;

    impl Classifier for Threshold {
        fn input(&self) -> Shape {
            Shape { channels: 1, height: 1, width: 2 }
        }

        fn classes(&self) -> usize {
            2
        }

        fn logits(&mut self, images: &[f32], logits: &mut [f32]) {
            for (image, logits) in images.chunks(2).zip(logits.chunks_mut(2)) {
                logits.copy_from_slice(&[0.0, 10.0 * (image[0] - 0.6)]);
            }
        }

        fn input_gradient(
            &mut self,
            images: &[f32],
            logits: &mut [f32],
            cotangent: &mut dyn FnMut(&[f32], &mut [f32]),
            gradient: &mut [f32],
        ) {
            self.logits(images, logits);
            let mut cotangents = vec![0.0; logits.len()];
            cotangent(logits, &mut cotangents);
            for (gradient, cotangent) in gradient.chunks_mut(2).zip(cotangents.chunks(2)) {
                gradient.copy_from_slice(&[10.0 * cotangent[1], 0.0]);
            }
        }
    }

    fn curve(image: &[f32], label: u8, epsilon: Vec<f32>) -> CurvePoints {
        let item = Item { id: 0, label, target: None, epsilon: 0.0 };
        let settings = AttackSettings { method: Method::PGD, ..Default::default() };
        let mut classifier = Threshold;
        let shape = classifier.input();
        let mut curve = Curve::new(shape, 2, image, item, Norm::Linf, epsilon, &settings, 0);
        while !curve.step(&mut classifier) {}
        assert!(curve.drawn());
        curve.points().clone()
    }

    #[test]
    fn the_smallest_epsilon_is_found_between_those_of_the_curve() {
        let epsilon: Vec<f32> = (0..=8).map(|i| i as f32 * 0.05).collect();
        let found = curve(&[0.37, 0.0], 0, epsilon);
        // Needed: a little more than 0.23, between 0.2 and 0.25, narrowed down to 0.05 / 64.
        assert_eq!(found.success, [false, false, false, false, false, true, true, true, true]);
        let smallest = found.smallest.unwrap();
        assert!((0.23..0.2309).contains(&smallest), "{smallest}");
        for (i, p) in found.probabilities.chunks(2).enumerate() {
            let logit = 10.0 * (0.37 + 0.05 * i as f64 - 0.6);
            assert!((p[1] as f64 - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-4, "{i}: {p:?}");
        }
    }

    #[test]
    fn a_picture_that_is_wrong_already_needs_no_epsilon_and_one_that_holds_has_none() {
        assert_eq!(curve(&[0.9, 0.0], 0, vec![0.0, 0.1, 0.2]).smallest, Some(0.0));
        assert_eq!(curve(&[0.1, 0.0], 0, vec![0.0, 0.1, 0.2]).smallest, None);
        assert_eq!(curve(&[0.1, 0.0], 0, vec![]).smallest, None);
    }

    #[test]
    fn a_curve_that_begins_above_zero_is_narrowed_down_from_zero() {
        let smallest = curve(&[0.5, 0.0], 0, vec![0.2, 0.4]).smallest.unwrap();
        assert!((0.1..0.104).contains(&smallest), "{smallest}");
    }
}
