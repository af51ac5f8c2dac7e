//! Standard training: the pictures as they are, slightly moved.

use crate::data::Dataset;
use crate::nn::Architecture;
use crate::nn::train::recipe::{Augmentation, Recipe, Schedule};

pub(super) fn recipes() -> Vec<Recipe> {
    Dataset::ALL.map(recipe).into()
}

/// The recipe that others vary.
pub(super) fn recipe(dataset: Dataset) -> Recipe {
    let fashion = Recipe {
        name: "fashion-standard",
        dataset: Dataset::Fashion,
        model: "standard",
        title: "Standard training",
        summary: "Trained in the usual way, on unchanged pictures. Accurate and confident, and easily fooled.",
        architecture: Architecture::small_cnn,
        part: None,
        epochs: 16,
        batch: 128,
        seed: 1,
        schedule: Schedule { peak: 3e-3, rise: 0.1 },
        weight_decay: 0.05,
        average: 0.999,
        smoothing: 0.0,
        augmentation: Augmentation { flip: true, shift: 1.0, ..Augmentation::default() },
        adversary: None,
    };
    match dataset {
        Dataset::Fashion => fashion,
        Dataset::Digits => Recipe {
            name: "digits-standard",
            dataset: Dataset::Digits,
            epochs: 60,
            batch: 64,
            augmentation: Augmentation { flip: false, shift: 2.0, rotate: 12.0, scale: 0.12 },
            ..fashion
        },
    }
}
