//! Robust accuracy: how many pictures are still classified correctly under attack.

use super::{Count, Tally};
use crate::attack::{Item, Record, Run, Task};
use crate::experiment::AttackSettings;
use crate::nn::{Classifier, Shape};
use crate::threat::Threat;

/// Pictures that are attacked together. It changes no count.
const CHUNK: usize = 64;

/// Pictures to count over.
#[derive(Clone, Copy, Debug)]
pub struct Pictures<'a> {
    /// (N, C, H, W), in [0, 1].
    pub images: &'a [f32],
    /// N true classes.
    pub labels: &'a [u8],
    /// The index of the first in its data set, from which each picture's random numbers follow.
    pub first: u32,
}

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
        let pixels = input.len();
        assert_eq!(pictures.images.len(), pictures.labels.len() * pixels, "one label for each image");
        let counted: Vec<(Item, &[f32])> = pictures
            .labels
            .iter()
            .zip(pictures.images.chunks_exact(pixels))
            .zip(pictures.first..)
            .filter(|((label, _), _)| settings.target != Some(**label))
            .map(|((&label, image), id)| (Item { id, label, target: settings.target, epsilon: threat.epsilon }, image))
            .collect();
        let tasks: Vec<Task> = counted
            .chunks(CHUNK)
            .map(|chunk| Task {
                images: chunk.iter().flat_map(|(_, image)| *image).copied().collect(),
                items: chunk.iter().map(|(item, _)| *item).collect(),
                norm: threat.norm,
                settings: settings.clone(),
                seed,
            })
            .collect();
        let tally = Tally { classes: vec![Count::default(); classes], gradients: 0 };
        Self { input, classes, tasks: tasks.into_iter(), run: None, tally }
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
