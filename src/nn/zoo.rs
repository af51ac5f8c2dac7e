//! The models there are: those that are shipped, with one card each embedded here and the file of weights beside it in
//! `assets/models`, and those that are added while the program runs ([`add`]).
//!
//! To ship a model, train it (`epsilon-lab train`, which writes both files) and add its card to [`CARDS`].

use std::sync::{LazyLock, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::architecture::Misfit;
use super::{Architecture, Shape};
use crate::data::{Dataset, SIDE};
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
    /// The recipe: `epsilon-lab train <recipe>` makes the model again. Empty for a model that is not shipped.
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
    /// How long it took, in seconds, on the machine that made it; 0 where nobody has taken the time.
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

/// The models of a data set: the shipped ones, then those that were added.
pub fn of(dataset: Dataset) -> impl Iterator<Item = &'static ModelCard> {
    all().iter().chain(added()).filter(move |card| card.dataset == dataset)
}

/// The model of this name.
pub fn find(dataset: Dataset, name: &str) -> Option<&'static ModelCard> {
    of(dataset).find(|card| card.name == name)
}

/// Most models that can be added: their cards are kept for as long as the program runs.
pub const MOST_ADDED: usize = 4096;
/// How the name of an added model begins. The first [`DIGITS`] hexadecimal digits of its weights' SHA-256 follow.
pub const TRAINED: &str = "trained-";
/// How many digits follow [`TRAINED`].
pub const DIGITS: usize = 10;

static ADDED: RwLock<Vec<&'static ModelCard>> = RwLock::new(Vec::new());

/// Why a model cannot be added; each message says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AddError {
    /// Its name does not follow from its weights.
    #[error(
        "“{0}” cannot be added under this name: call it {TRAINED} and the first {DIGITS} digits of its weights' SHA-256"
    )]
    Name(String),
    /// Its layers do not fit together.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// It is for other pictures or other classes.
    #[error("“{name}” takes pictures or gives classes that are not those of {dataset}: train it on {dataset}")]
    Shape {
        /// The model.
        name: String,
        /// What it should have been for.
        dataset: Dataset,
    },
    /// Another model has the name.
    #[error("there is another model “{0}”: train this one with another seed")]
    Taken(String),
    /// There are too many.
    #[error("{MOST_ADDED} models have been added, and no more can be: start the program again")]
    Full,
}

/// The name of a model that was trained while the program runs, from the SHA-256 of its weights in hexadecimal.
pub fn trained_name(sha256: &str) -> String {
    format!("{TRAINED}{}", sha256.get(..DIGITS).unwrap_or(sha256))
}

/// The models that were added, in the order in which they were.
pub fn added() -> Vec<&'static ModelCard> {
    ADDED.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Adds a model, which [`of`] and [`find`] then know as if it were shipped. To add it a second time changes nothing.
///
/// # Errors
/// If the name does not follow from the weights or is taken, the model is for other pictures or classes, or there are
/// too many.
pub fn add(card: ModelCard) -> Result<&'static ModelCard, AddError> {
    let hexadecimal = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let sha256 = &card.weights.sha256;
    if sha256.len() != 64 || !hexadecimal(sha256) || card.name != trained_name(sha256) {
        return Err(AddError::Name(card.name));
    }
    let output = card.architecture.costs()?.last().map_or(0, |cost| cost.output.len());
    let input = Shape { channels: 1, height: SIDE, width: SIDE };
    if card.architecture.input != input || output != card.dataset.classes().len() {
        return Err(AddError::Shape { name: card.name, dataset: card.dataset });
    }
    let mut added = ADDED.write().unwrap_or_else(PoisonError::into_inner);
    let known = added.iter().find(|known| (known.dataset, &known.name) == (card.dataset, &card.name));
    match known {
        Some(known) if known.weights.sha256 == card.weights.sha256 => Ok(known),
        Some(_) => Err(AddError::Taken(card.name)),
        None if added.len() >= MOST_ADDED => Err(AddError::Full),
        None => {
            let card: &'static ModelCard = Box::leak(Box::new(card));
            added.push(card);
            Ok(card)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Classifier, Executor, Weights, reference, softmax};

    /// A card of a model that was trained here, as if its weights began with these digits.
    fn trained(digits: &str) -> ModelCard {
        let mut card = find(Dataset::Digits, "mlp").unwrap().clone();
        card.weights.sha256 = format!("{digits:0<64}");
        card.name = trained_name(&card.weights.sha256);
        card
    }

    #[test]
    fn an_added_model_is_found_like_a_shipped_one_and_experiments_may_name_it() {
        use crate::experiment::Experiment;

        let card = trained("abcdef0123");
        let experiment = |dataset| Experiment { dataset, model: card.name.clone(), ..Experiment::default() };
        assert!(experiment(Dataset::Digits).validate().is_err());
        let kept = add(card.clone()).unwrap();
        assert_eq!((kept, find(Dataset::Digits, "trained-abcdef0123")), (&card, Some(kept)));
        assert_eq!(experiment(Dataset::Digits).validate(), Ok(()));
        assert!(experiment(Dataset::Fashion).validate().is_err(), "it belongs to one data set");
        assert_eq!(of(Dataset::Digits).filter(|known| **known == card).count(), 1);
        // A second time it is the same one, and it is none of the shipped.
        assert!(std::ptr::eq(add(card.clone()).unwrap(), kept));
        assert!(!all().contains(&card));
    }

    #[test]
    fn what_cannot_be_a_trained_model_is_not_added() {
        let refused = |change: &dyn Fn(&mut ModelCard)| {
            let mut card = trained("0000000001");
            change(&mut card);
            add(card).unwrap_err().to_string()
        };
        for name in ["standard", "trained-", "trained-0000000002", "trained-../../..", "trained-00000000010"] {
            assert!(refused(&|card| card.name = name.into()).contains("first 10 digits"), "{name}");
        }
        assert!(refused(&|card| card.weights.sha256 = "A".repeat(64)).contains("first 10 digits"));
        assert!(refused(&|card| card.weights.sha256.truncate(12)).contains("first 10 digits"));
        assert!(refused(&|card| card.architecture.input.width = 14).contains("not those of"));
        assert!(refused(&|card| drop(card.architecture.layers.pop())).contains("not those of"));
        assert!(refused(&|card| card.architecture.layers.truncate(0)).contains("not those of"));
        assert!(refused(&|card| drop(card.architecture.layers.remove(0))).contains("flatten"));
        let other = |card: &mut ModelCard| card.weights.sha256 = format!("{:0<63}1", "0000000003");
        add(trained("0000000003")).unwrap();
        assert!(
            refused(&|card| {
                other(card);
                card.name = trained_name(&card.weights.sha256);
            })
            .contains("another seed")
        );
    }

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
