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
        if self.rounds > 0 && first != Some(0).filter(|_| self.rounds == ROUNDS) && smallest > self.below {
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
