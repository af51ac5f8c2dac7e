//! The smallest perturbation of one picture with which an attack reaches its goal.
//!
//! An attack that looks for the smallest perturbation is run once. One that looks for the strongest perturbation within
//! ε is run at several ε; the gap before the first success is narrowed down, each round to an eighth.

use serde::{Deserialize, Serialize};

use crate::attack::{Aim, Item, Outcome, Record, Run, Task};
use crate::experiment::AttackSettings;
use crate::nn::{Classifier, Shape};
use crate::threat::{Norm, Norms};

/// A round divides its range into so many parts.
const PARTS: usize = 8;
/// Rounds, the first over the whole range of ε: the last gap is 1/4096 of it.
const ROUNDS: u32 = 4;

/// What the search came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Minimum {
    /// The smallest perturbation that reached the goal; none if none did.
    pub found: Option<Minimal>,
    /// How many times the attack was run.
    pub runs: u32,
    /// Gradient evaluations of all runs.
    pub gradients: u32,
    /// Forward evaluations of all runs beyond those within gradients.
    pub forwards: u32,
}

/// A perturbation that reaches the goal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Minimal {
    /// The picture, C·H·W values.
    pub adversarial: Vec<f32>,
    /// Its K logits.
    pub logits: Vec<f32>,
    /// Norms of the perturbation.
    pub norms: Norms,
    /// The ε of the run that found it, if the attack needs one.
    pub epsilon: Option<f32>,
}

/// The search for one picture and attack under way. A worker can turn to other work between any two steps.
pub struct Smallest {
    input: Shape,
    classes: usize,
    image: Vec<f32>,
    item: Item,
    norm: Norm,
    settings: AttackSettings,
    seed: u32,
    /// Whether the attack itself looks for the smallest perturbation.
    direct: bool,
    /// The values of ε under attack, increasing.
    epsilon: Vec<f32>,
    run: Option<Run>,
    /// Rounds that are done.
    rounds: u32,
    /// The greatest ε below the first success that was tried in vain, and the first success.
    below: f32,
    smallest: Option<f32>,
    minimum: Minimum,
}

impl Smallest {
    /// Prepares the search. The item's ε does not matter, nor does the settings' α: it follows ε.
    ///
    /// # Panics
    /// If the picture's length, label or target do not fit.
    pub fn new(
        input: Shape,
        classes: usize,
        image: &[f32],
        item: Item,
        norm: Norm,
        settings: &AttackSettings,
        seed: u32,
    ) -> Self {
        let greatest = norm.greatest_epsilon();
        let direct = settings.method.aim() == Aim::Smallest;
        let mut search = Self {
            input,
            classes,
            image: image.to_vec(),
            item,
            norm,
            settings: AttackSettings { alpha: None, ..settings.clone() },
            seed,
            direct,
            epsilon: Vec::new(),
            run: None,
            rounds: 0,
            below: 0.0,
            smallest: None,
            minimum: Minimum::default(),
        };
        let first = (1..=PARTS).map(|i| greatest * i as f32 / PARTS as f32).collect();
        search.begin(if direct { vec![greatest] } else { first });
        search
    }

    fn begin(&mut self, epsilon: Vec<f32>) {
        let task = Task {
            images: self.image.repeat(epsilon.len()),
            items: epsilon.iter().map(|&epsilon| Item { epsilon, ..self.item }).collect(),
            norm: self.norm,
            settings: self.settings.clone(),
            seed: self.seed,
            others: Vec::new(),
        };
        self.minimum.runs += epsilon.len() as u32;
        self.epsilon = epsilon;
        // Whoever looks for the smallest goes on after the first success.
        let record = if self.direct { Record::Strongest } else { Record::FirstSuccess };
        self.run = Some(Run::new(self.input, self.classes, task, record));
    }

    /// Does the next piece of work, at most one call of the classifier. Says whether the search is done.
    ///
    /// # Panics
    /// If the classifier is of another shape than the search was prepared for.
    pub fn step(&mut self, classifier: &mut dyn Classifier) -> bool {
        let Some(mut run) = self.run.take() else { return true };
        if run.step(classifier) {
            self.take_in(run.finish());
        } else {
            self.run = Some(run);
        }
        self.run.is_none()
    }

    fn take_in(&mut self, outcomes: Vec<Outcome>) {
        self.rounds += 1;
        let works = |outcome: &Outcome| if self.direct { outcome.reached } else { outcome.success };
        let first = outcomes.iter().position(works);
        if let Some(first) = first {
            self.smallest = Some(self.epsilon[first]);
        }
        // The last ε before the first success that was tried and did not suffice.
        let failed = first.unwrap_or(outcomes.len());
        if failed > 0 {
            self.below = self.epsilon[failed - 1];
        }
        for (outcome, &epsilon) in outcomes.into_iter().zip(&self.epsilon) {
            self.minimum.gradients += outcome.gradients;
            self.minimum.forwards += outcome.forwards;
            let works = if self.direct { outcome.reached } else { outcome.success };
            let known = self.minimum.found.as_ref().map(|found| found.norms.of(self.norm));
            if works && known.is_none_or(|known| outcome.norms.of(self.norm) < known) {
                self.minimum.found = Some(Minimal {
                    adversarial: outcome.adversarial,
                    logits: outcome.adversarial_logits,
                    norms: outcome.norms,
                    epsilon: (!self.direct).then_some(epsilon),
                });
            }
        }
        let Some(smallest) = self.smallest.filter(|_| !self.direct && self.rounds < ROUNDS) else { return };
        // Nothing is smaller than nothing: the picture needed no attack.
        if self.minimum.found.as_ref().is_some_and(|found| found.norms.l0 == 0) {
            return;
        }
        let step = (smallest - self.below) / PARTS as f32;
        self.begin((1..PARTS).map(|i| self.below + step * i as f32).collect());
    }

    /// The share that is done, roughly: 0 to 1.
    pub fn progress(&self) -> f32 {
        let rounds = if self.direct { 1 } else { ROUNDS };
        let Some(run) = &self.run else { return 1.0 };
        let (done, all) = run.progress();
        (self.rounds as f32 + done as f32 / all.max(1) as f32) / rounds as f32
    }

    /// What has been found so far; all of it when the search is done.
    pub fn minimum(&self) -> &Minimum {
        &self.minimum
    }
}

/// Searches to the end.
///
/// # Panics
/// As [`Smallest::new`] and [`Smallest::step`].
pub fn smallest(
    classifier: &mut dyn Classifier,
    image: &[f32],
    item: Item,
    norm: Norm,
    settings: &AttackSettings,
    seed: u32,
) -> Minimum {
    let (input, classes) = (classifier.input(), classifier.classes());
    let mut search = Smallest::new(input, classes, image, item, norm, settings, seed);
    while !search.step(classifier) {}
    search.minimum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::Method;
    use crate::nn::{Architecture, Executor, Layer, Weights};
    use crate::random::{Random, Stream};

    /// Two classes on 4 × 4 pixels; the picture, of class 0, is grey, so that no perturbation below is cut to the box.
    fn linear() -> (Executor, Vec<f32>, Vec<f32>) {
        let input = Shape { channels: 1, height: 4, width: 4 };
        let head = Layer::Linear { name: "a".into(), out: 2 };
        let architecture = Architecture { input, layers: vec![Layer::Flatten, head] };
        let mut random = Random::new(3, Stream::Weights, 0);
        let rows: Vec<f32> = (0..32).map(|_| random.normal()).collect();
        let mut weights = Weights::default();
        let difference: Vec<f32> = rows[16..].iter().zip(&rows[..16]).map(|(b, a)| b - a).collect();
        // The margin at the grey picture is −1.
        let middle: f32 = difference.iter().sum::<f32>() * 0.5;
        weights.insert("a.weight", vec![2, 16], rows).unwrap();
        weights.insert("a.bias", vec![2], vec![0.0, -1.0 - middle]).unwrap();
        (Executor::new(&architecture, &weights).unwrap(), vec![0.5; 16], difference)
    }

    fn item() -> Item {
        Item { id: 0, label: 0, target: None, epsilon: 0.0 }
    }

    fn settings(key: &str) -> AttackSettings {
        AttackSettings { method: Method::from_key(key).unwrap(), ..AttackSettings::default() }
    }

    #[test]
    fn the_smallest_perturbation_of_a_linear_classifier_is_its_distance_to_the_boundary() {
        let (mut classifier, image, difference) = linear();
        let sum: f32 = difference.iter().map(|d| d.abs()).sum();
        let square: f32 = difference.iter().map(|d| d * d).sum();
        for (norm, distance) in [(Norm::Linf, 1.0 / sum), (Norm::L2, 1.0 / square.sqrt())] {
            for key in ["fgsm", "pgd", "deepfool"] {
                let minimum = smallest(&mut classifier, &image, item(), norm, &settings(key), 0);
                let found = minimum.found.unwrap().norms.of(norm);
                let gap = norm.greatest_epsilon() / 4096.0 + 0.025 * distance;
                assert!((distance - 1e-5..distance + gap).contains(&found), "{key}, {norm}: {found}, {distance}");
            }
        }
    }

    #[test]
    fn what_is_found_reaches_the_goal_and_the_accounts_are_kept() {
        let (mut classifier, image, _) = linear();
        let direct = smallest(&mut classifier, &image, item(), Norm::L2, &settings("deepfool"), 0);
        assert_eq!(direct.runs, 1);
        assert_eq!(direct.found.as_ref().unwrap().epsilon, None);
        let minimum = smallest(&mut classifier, &image, item(), Norm::L2, &settings("pgd"), 0);
        assert_eq!(minimum.runs, 8 + 3 * 7);
        let found = minimum.found.unwrap();
        assert!(found.logits[1] > found.logits[0]);
        assert!(found.norms.l2 <= found.epsilon.unwrap() * 1.000_01);
        assert_eq!(found.norms, Norms::between(&image, &found.adversarial));
        assert!(minimum.gradients > 8 && minimum.forwards > 8);
    }

    #[test]
    fn a_picture_that_is_wrong_already_needs_nothing() {
        let (mut classifier, image, _) = linear();
        let wrong = Item { label: 1, ..item() };
        let minimum = smallest(&mut classifier, &image, wrong, Norm::Linf, &settings("pgd"), 0);
        assert_eq!(minimum.found.unwrap().norms, Norms::default());
        assert_eq!(minimum.runs, 8);
    }

    #[test]
    fn where_no_picture_is_fooled_nothing_is_found_and_the_search_ends() {
        let input = Shape { channels: 1, height: 4, width: 4 };
        let head = Layer::Linear { name: "a".into(), out: 2 };
        let architecture = Architecture { input, layers: vec![Layer::Flatten, head] };
        let mut weights = Weights::default();
        weights.insert("a.weight", vec![2, 16], vec![0.0; 32]).unwrap();
        weights.insert("a.bias", vec![2], vec![1.0, 0.0]).unwrap();
        let mut constant = Executor::new(&architecture, &weights).unwrap();
        for (key, runs) in [("pgd", 8), ("noise", 8), ("deepfool", 1)] {
            let minimum = smallest(&mut constant, &[0.5; 16], item(), Norm::L2, &settings(key), 0);
            assert_eq!((minimum.found, minimum.runs), (None, runs), "{key}");
        }
    }

    #[test]
    fn progress_only_grows_and_ends_at_one() {
        let (mut classifier, image, _) = linear();
        let (input, classes) = (classifier.input(), classifier.classes());
        let mut search = Smallest::new(input, classes, &image, item(), Norm::L2, &settings("pgd"), 0);
        let mut last = search.progress();
        while !search.step(&mut classifier) {
            assert!(search.progress() >= last - 1e-6, "{} after {last}", search.progress());
            last = search.progress();
        }
        assert_eq!(search.progress(), 1.0);
    }
}
