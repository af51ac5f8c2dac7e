//! Test pictures as tasks for attacks.

use crate::attack::{Item, Task};
use crate::experiment::AttackSettings;
use crate::threat::Threat;

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

impl Pictures<'_> {
    /// Tasks of at most `chunk` pictures of `pixels` values each. In a targeted attack, pictures of the target class are
    /// left out: they have nowhere to be brought.
    ///
    /// # Panics
    /// If there are not as many images as labels.
    pub(super) fn tasks(
        &self,
        pixels: usize,
        threat: Threat,
        settings: &AttackSettings,
        seed: u32,
        chunk: usize,
    ) -> std::vec::IntoIter<Task> {
        assert_eq!(self.images.len(), self.labels.len() * pixels, "one label for each image");
        let counted: Vec<(Item, &[f32])> = self
            .labels
            .iter()
            .zip(self.images.chunks_exact(pixels))
            .zip(self.first..)
            .filter(|((label, _), _)| settings.target != Some(**label))
            .map(|((&label, image), id)| (Item { id, label, target: settings.target, epsilon: threat.epsilon }, image))
            .collect();
        let task = |chunk: &[(Item, &[f32])]| Task {
            images: chunk.iter().flat_map(|(_, image)| *image).copied().collect(),
            items: chunk.iter().map(|(item, _)| *item).collect(),
            norm: threat.norm,
            settings: settings.clone(),
            seed,
            others: Vec::new(),
        };
        counted.chunks(chunk).map(task).collect::<Vec<_>>().into_iter()
    }
}
