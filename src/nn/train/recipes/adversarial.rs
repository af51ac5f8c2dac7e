//! Adversarial training (Madry, Makelov, Schmidt, Tsipras, Vladu 2018): the network learns from attacked pictures.

use crate::data::Dataset;
use crate::nn::Architecture;
use crate::nn::train::recipe::{Adversary, Augmentation, Recipe, Schedule};
use crate::threat::{Norm, Threat};

pub(super) fn recipes() -> Vec<Recipe> {
    let fashion = Recipe {
        name: "fashion-adversarial",
        dataset: Dataset::Fashion,
        model: "adversarial",
        title: "Adversarial training",
        summary: "Trained on pictures that PGD had attacked first. It pays for its robustness with some accuracy, and it \
                  is less sure of itself.",
        architecture: Architecture::small_cnn,
        part: None,
        epochs: 6,
        batch: 128,
        seed: 1,
        schedule: Schedule { peak: 2e-3, rise: 0.1 },
        weight_decay: 0.01,
        average: 0.999,
        smoothing: 0.0,
        augmentation: Augmentation::default(),
        adversary: Some(Adversary { threat: Threat { norm: Norm::Linf, epsilon: 0.1 }, steps: 7, rise: 0.1 }),
    };
    let digits = Recipe {
        name: "digits-adversarial",
        dataset: Dataset::Digits,
        epochs: 50,
        batch: 64,
        augmentation: Augmentation { flip: false, shift: 2.0, rotate: 12.0, scale: 0.12 },
        adversary: Some(Adversary { threat: Threat { norm: Norm::Linf, epsilon: 0.2 }, steps: 7, rise: 0.3 }),
        ..fashion.clone()
    };
    vec![fashion, digits]
}
