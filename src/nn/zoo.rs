//! The models that are shipped: one card each, embedded here, and the file of weights beside it in `assets/models`.
//!
//! To add a model, train it (`epsilon-lab train`, which writes both files) and add its card to [`CARDS`].

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Architecture;
use crate::data::Dataset;
use crate::threat::Threat;

const CARDS: [&str; 14] = [
    include_str!("../../assets/models/fashion-standard.json"),
    include_str!("../../assets/models/fashion-adversarial.json"),
    include_str!("../../assets/models/fashion-residual.json"),
    include_str!("../../assets/models/fashion-tanh.json"),
    include_str!("../../assets/models/fashion-mlp.json"),
    include_str!("../../assets/models/fashion-half-a.json"),
    include_str!("../../assets/models/fashion-half-b.json"),
    include_str!("../../assets/models/digits-standard.json"),
    include_str!("../../assets/models/digits-adversarial.json"),
    include_str!("../../assets/models/digits-residual.json"),
    include_str!("../../assets/models/digits-tanh.json"),
    include_str!("../../assets/models/digits-mlp.json"),
    include_str!("../../assets/models/digits-half-a.json"),
    include_str!("../../assets/models/digits-half-b.json"),
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
    use crate::nn::{Classifier, Executor, Weights, reference, softmax};

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

    /// What the Lab shows of a shipped network is its true gradient: within 1e-5 of that in double precision, in length and
    /// direction (‖difference‖ / ‖gradient‖, of the margin between the two greatest logits).
    ///
    /// The gradient jumps at kinks, and rounding may put a value on the other side of one: pictures within 1e-6 of a kink
    /// (see [`reference::distance_to_kink`]) are passed over until three have been compared.
    #[test]
    fn the_gradient_of_every_shipped_network_is_that_in_double_precision() {
        let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        for card in all() {
            let file = std::fs::read(assets.join("models").join(&card.weights.file)).unwrap();
            let (network, weights) = (&card.architecture, Weights::read(&file).unwrap());
            let mut executor = Executor::new(network, &weights).unwrap();
            let pictures = crate::data::test_pictures(&assets, card.dataset).unwrap().first(30).images();
            let mut compared = 0;
            for picture in pictures.chunks(network.input.len()) {
                let exact: Vec<f64> = picture.iter().map(|&x| x as f64).collect();
                if compared == 3 {
                    break;
                }
                if reference::distance_to_kink(network, &weights, &exact) < 1e-6 {
                    continue;
                }
                compared += 1;
                let mut logits = vec![0.0; executor.classes()];
                executor.logits(picture, &mut logits);
                let first = softmax::predicted(&logits);
                logits[first] = f32::NEG_INFINITY;
                let second = softmax::predicted(&logits);
                let mut margin = vec![0.0; logits.len()];
                (margin[first], margin[second]) = (1.0, -1.0);
                let mut found = vec![0.0; picture.len()];
                let mut given = |_: &[f32], cotangent: &mut [f32]| cotangent.copy_from_slice(&margin);
                executor.input_gradient(picture, &mut logits, &mut given, &mut found);
                let margin: Vec<f64> = margin.iter().map(|&c| c as f64).collect();
                let (_, expected) = reference::run(network, &weights, &exact, &margin);
                let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
                let difference = square(&mut found.iter().zip(&expected).map(|(&f, e)| f as f64 - e));
                let error = (difference / square(&mut expected.iter().copied())).sqrt();
                assert!(error < 1e-5, "{}: {error}", card.weights.file);
            }
            assert_eq!(compared, 3, "{}: hardly a picture is far enough from a kink", card.weights.file);
        }
    }
}
