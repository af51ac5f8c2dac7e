//! The models that are shipped: one card each, embedded here, and the file of weights beside it in `assets/models`.
//!
//! To add a model, train it (`epsilon-lab train`, which writes both files) and add its card to [`CARDS`].

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Architecture;
use crate::data::Dataset;
use crate::threat::Threat;

const CARDS: [&str; 4] = [
    include_str!("../../assets/models/fashion-standard.json"),
    include_str!("../../assets/models/fashion-adversarial.json"),
    include_str!("../../assets/models/digits-standard.json"),
    include_str!("../../assets/models/digits-adversarial.json"),
];

/// What a person should know about a model, and what it takes to load it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Its name within the data set: "standard".
    pub name: String,
    /// The data set it was trained on.
    pub dataset: Dataset,
    /// Its name for people: "Standard training".
    pub title: String,
    /// One or two sentences: what it is for and how it behaves.
    pub summary: String,
    /// Its layers.
    pub architecture: Architecture,
    /// Where its weights are.
    pub weights: Weights,
    /// How it was made.
    pub training: Training,
    /// What it reaches, in the order in which it is told.
    pub results: Vec<Outcome>,
}

/// The file of weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Its name in `assets/models`.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// The type of the numbers in it: "float16" or "float32".
    pub dtype: String,
}

/// How a model was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The recipe: `epsilon-lab train <recipe>` makes the model again.
    pub recipe: String,
    /// The recipe in words: optimiser, learning rate, augmentation.
    pub method: String,
    /// Training pictures.
    pub examples: usize,
    /// Passes over them.
    pub epochs: usize,
    /// Pictures in a step.
    pub batch: usize,
    /// Key of every random number.
    pub seed: u64,
    /// The perturbations it was trained against, if any.
    pub adversarial: Option<Threat>,
    /// How long it took, in seconds, on the machine that made it.
    pub seconds: f64,
}

/// One measured accuracy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was measured: "clean", or the attack with its parameters.
    pub what: String,
    /// On which pictures.
    pub pictures: String,
    /// How many it got right.
    pub correct: usize,
    /// Of how many.
    pub of: usize,
}

/// All shipped models.
pub fn all() -> &'static [ModelCard] {
    static ALL: LazyLock<Vec<ModelCard>> = LazyLock::new(|| {
        CARDS.iter().map(|card| serde_json::from_str(card).expect("a test reads every shipped card")).collect()
    });
    &ALL
}

/// The shipped models of a data set.
pub fn of(dataset: Dataset) -> impl Iterator<Item = &'static ModelCard> {
    all().iter().filter(move |card| card.dataset == dataset)
}

/// The shipped model of this name.
pub fn find(dataset: Dataset, name: &str) -> Option<&'static ModelCard> {
    of(dataset).find(|card| card.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_card_fits_its_architecture_and_every_data_set_has_a_standard_and_an_adversarial_model() {
        for card in all() {
            card.architecture.costs().unwrap();
        }
        for dataset in Dataset::ALL {
            assert!(find(dataset, "standard").is_some_and(|card| card.training.adversarial.is_none()));
            assert!(find(dataset, "adversarial").is_some_and(|card| card.training.adversarial.is_some()));
        }
    }
}
