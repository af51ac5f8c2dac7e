//! Robust accuracy: how many pictures are still classified correctly under attack.

use super::{Count, Pictures, Tally};
use crate::attack::{Record, Run, Task};
use crate::experiment::AttackSettings;
use crate::nn::{Classifier, Shape};
use crate::threat::Threat;

/// Pictures that are attacked together. It changes no count.
const CHUNK: usize = 64;

/// Attacks pictures chunk by chunk and counts. A chunk is some steps of work; a worker can turn to other work between
/// any two. The counts of pictures depend neither on the chunks nor on what else is counted.
///
/// An already misclassified picture counts as not robust and is left alone. In a targeted attack, pictures of the
/// target class are not counted at all: they have nowhere to be brought.
pub struct Accuracy {
    input: Shape,
    classes: usize,
    tasks: std::vec::IntoIter<Task>,
    run: Option<(Vec<u8>, Run)>,
    tally: Tally,
}

impl Accuracy {
    /// Prepares the count for a classifier of this shape.
    ///
    /// # Panics
    /// If there are not as many images as labels, or a label or the target is not a class.
    pub fn new(
        input: Shape,
        classes: usize,
        pictures: Pictures,
        threat: Threat,
        settings: &AttackSettings,
        seed: u32,
    ) -> Self {
        let tasks = pictures.tasks(input.len(), threat, settings, seed, CHUNK);
        let tally = Tally { classes: vec![Count::default(); classes], gradients: 0 };
        Self { input, classes, tasks, run: None, tally }
    }

    /// Does the next piece of work, at most one call of the classifier. Says whether everything is counted.
    pub fn step(&mut self, classifier: &mut dyn Classifier) -> bool {
        if self.run.is_none() {
            let Some(task) = self.tasks.next() else { return true };
            let labels = task.items.iter().map(|item| item.label).collect();
            self.run = Some((labels, Run::new(self.input, self.classes, task, Record::FirstSuccess)));
        }
        if let Some((labels, mut run)) = self.run.take() {
            if run.step(classifier) {
                for (label, outcome) in labels.into_iter().zip(run.finish()) {
                    let count = &mut self.tally.classes[label as usize];
                    let clean = !outcome.already_wrong;
                    count.pictures += 1;
                    count.clean += clean as u32;
                    count.robust += (clean && !outcome.success) as u32;
                    self.tally.gradients += outcome.gradients as u64;
                }
            } else {
                self.run = Some((labels, run));
            }
        }
        self.run.is_none() && self.tasks.as_slice().is_empty()
    }

    /// What has been counted so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// Counts to the end.
///
/// # Panics
/// As [`Accuracy::new`].
pub fn robust_accuracy(
    classifier: &mut dyn Classifier,
    pictures: Pictures,
    threat: Threat,
    settings: &AttackSettings,
    seed: u32,
) -> Tally {
    let mut count = Accuracy::new(classifier.input(), classifier.classes(), pictures, threat, settings, seed);
    while !count.step(classifier) {}
    count.tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Architecture, Executor, Weights, weights::needed};
    use crate::random::{Random, Stream};
    use crate::threat::Norm;

    /// An untrained network with the labels it gives to random pictures, every seventh label wrong.
    fn set() -> (Executor, Vec<f32>, Vec<u8>) {
        let network = Architecture::small_cnn();
        let mut random = Random::new(1, Stream::Weights, 0);
        let mut weights = Weights::default();
        for (name, shape) in needed(&network).unwrap() {
            let inputs = shape[1..].iter().product::<usize>();
            let scale = if shape.len() == 1 { 0.0 } else { 1.0 / (inputs as f32).sqrt() };
            let data = (0..shape.iter().product()).map(|_| scale * random.normal()).collect();
            weights.insert(&name, shape, data).unwrap();
        }
        let mut executor = Executor::new(&network, &weights).unwrap();
        let n = 150;
        let images: Vec<f32> = (0..n * 784).map(|_| random.uniform()).collect();
        let mut logits = vec![0.0; n * 10];
        executor.logits(&images, &mut logits);
        let labels = logits
            .chunks(10)
            .enumerate()
            .map(|(i, logits)| (crate::nn::softmax::predicted(logits) as u8 + (i % 7 == 0) as u8) % 10)
            .collect();
        (executor, images, labels)
    }

    #[test]
    fn counts_do_not_depend_on_how_the_pictures_are_cut_up() {
        let (mut executor, images, labels) = set();
        let threat = Threat { norm: Norm::L2, epsilon: 0.1 };
        let settings = AttackSettings { steps: 4, random_start: true, restarts: 2, ..Default::default() };
        let mut count = |from: usize, to: usize| {
            let images = &images[from * 784..to * 784];
            let pictures = Pictures { images, labels: &labels[from..to], first: from as u32 };
            robust_accuracy(&mut executor, pictures, threat, &settings, 5)
        };
        let whole = count(0, 150);
        let total = whole.total();
        assert_eq!((total.pictures, total.clean), (150, 150 - 22));
        assert!(total.robust > 0 && total.robust < total.clean, "{total:?}: nothing is tested");
        for cuts in [vec![0, 1, 150], vec![0, 64, 100, 149, 150]] {
            let mut sum = Tally::default();
            for cut in cuts.windows(2) {
                sum.add(&count(cut[0], cut[1]));
            }
            assert_eq!(sum, whole);
        }
    }

    #[test]
    fn pictures_of_the_target_class_are_not_counted() {
        let (mut executor, images, labels) = set();
        let settings = AttackSettings { steps: 2, target: Some(labels[1]), ..Default::default() };
        let pictures = Pictures { images: &images, labels: &labels, first: 0 };
        let threat = Threat { norm: Norm::Linf, epsilon: 0.01 };
        let total = robust_accuracy(&mut executor, pictures, threat, &settings, 0).total();
        assert_eq!(total.pictures as usize, labels.iter().filter(|label| **label != labels[1]).count());
    }

    #[test]
    fn no_pictures_are_counted_at_once() {
        let (mut executor, _, _) = set();
        let pictures = Pictures { images: &[], labels: &[], first: 0 };
        let threat = Threat { norm: Norm::Linf, epsilon: 0.01 };
        let tally = robust_accuracy(&mut executor, pictures, threat, &AttackSettings::default(), 0);
        assert_eq!(tally.total(), Count::default());
    }
}
