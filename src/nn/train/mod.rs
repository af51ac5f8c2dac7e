//! Training: recipes as data, the loop, and the card that tells what came out. Native only.
//!
//! [`run`] makes a shipped model again: it trains by a [`Recipe`], stores the weights as float16, measures that very file
//! with the executor, and writes weights and card. Training itself ([`fit`]) goes through candle with the operations of
//! [`crate::nn::ops`]; attacks within it go through the executor, which is many times faster at input gradients.

mod adversary;
mod augment;
mod fit;
mod measure;
mod network;
mod optimise;
mod recipe;
mod recipes;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use sha2::{Digest, Sha256};

pub use fit::{Step, fit};
pub use measure::{clean, measure, under_attack};
pub use network::{Network, NetworkError};
pub use recipe::{Adversary, Augmentation, Part, Recipe, Schedule};

use crate::data::source::{self, SourceError};
use crate::nn::weights::{Dtype, WeightsError};
use crate::nn::zoo::{self, ModelCard, Outcome, Training};
use crate::nn::{BuildError, Executor, Weights};

/// Where training reads and writes, and what it changes of the recipe.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of Fashion-MNIST's four files.
    pub data: PathBuf,
    /// The assets folder, which holds the digits.
    pub assets: PathBuf,
    /// Where weights and card are written.
    pub out: PathBuf,
    /// Passes over the training pictures, instead of the recipe's.
    pub epochs: Option<usize>,
    /// Key of every random number, instead of the recipe's.
    pub seed: Option<u64>,
    /// Train on the first so many training pictures only.
    pub examples: Option<usize>,
}

/// What [`run`] tells on its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// A training step is done.
    Step(Step),
    /// An accuracy is measured.
    Measured(Outcome),
}

/// Why a model cannot be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// No such recipe.
    #[error("there is no recipe “{name}”: choose one of {known}")]
    Recipe {
        /// What was given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// No pictures, no epochs or empty batches.
    #[error("there is nothing to train on: choose at least one epoch, one picture and a batch of one")]
    Nothing,
    /// The loss is no longer a number.
    #[error("training diverged at step {step} in epoch {epoch}: lower the recipe's learning rate")]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// The epoch, from 1.
        epoch: usize,
    },
    /// A data set cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The network cannot be made.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The weights cannot be stored.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The trained network cannot be run.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// candle refuses.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
    /// A card or its weights cannot be read.
    #[error("cannot read {}: {source}. Train the model first", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// A result cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

/// Trains by the named recipe, measures, and writes `<name>.safetensors` and `<name>.json` to `options.out`.
///
/// Nothing is chosen by looking at the test pictures: the weights are those after the last epoch.
///
/// # Errors
/// If there is no such recipe, or data, training or writing fail.
pub fn run(name: &str, options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<ModelCard, TrainError> {
    let mut recipe = find(name)?;
    recipe.epochs = options.epochs.unwrap_or(recipe.epochs);
    recipe.seed = options.seed.unwrap_or(recipe.seed);
    let mut split = source::load(recipe.dataset, &options.data, &options.assets)?;
    if let Some(part) = recipe.part {
        split.train = split.train.select(&part.indices(split.train.len()));
    }
    if let Some(examples) = options.examples {
        split.train = split.train.first(examples);
    }
    let begun = Instant::now();
    let weights = fit(&recipe, &split.train, |step| progress(Progress::Step(step)))?;
    let seconds = begun.elapsed().as_secs_f64();

    let dtype = Dtype::Float16;
    let file = weights.write(dtype)?;
    let architecture = (recipe.architecture)();
    let shipped = Executor::new(&architecture, &Weights::read(&file)?)?;
    let card = ModelCard {
        name: recipe.model.into(),
        dataset: recipe.dataset,
        title: recipe.title.into(),
        summary: recipe.summary.into(),
        architecture,
        weights: zoo::Weights {
            file: format!("{}.safetensors", recipe.name),
            bytes: file.len() as u64,
            sha256: Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect(),
            dtype: dtype.name().into(),
        },
        training: Training {
            recipe: recipe.name.into(),
            method: recipe.method(),
            examples: split.train.len(),
            epochs: recipe.epochs,
            batch: recipe.batch,
            seed: recipe.seed,
            adversarial: recipe.adversary.map(|adversary| adversary.threat),
            seconds: seconds.round(),
        },
        results: measure(recipe.dataset, &shipped, &split.test, |outcome| {
            progress(Progress::Measured(outcome.clone()))
        }),
    };
    write(options.out.join(&card.weights.file), &file)?;
    write(options.out.join(format!("{}.json", recipe.name)), &json(&card))?;
    Ok(card)
}

/// Measures the model of the named recipe that lies in `options.out` again and writes what it reaches into its card; no
/// training. For when attacks have become stronger.
///
/// # Errors
/// If there is no such recipe, or card, weights or data cannot be read.
pub fn measure_again(
    name: &str,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<ModelCard, TrainError> {
    let recipe = find(name)?;
    let read = |path: PathBuf| fs::read(&path).map_err(|source| TrainError::Read { path, source });
    let path = options.out.join(format!("{}.json", recipe.name));
    let mut card: ModelCard = serde_json::from_slice(&read(path.clone())?)
        .map_err(|source| TrainError::Read { path: path.clone(), source: source.into() })?;
    let weights = Weights::read(&read(options.out.join(&card.weights.file))?)?;
    let network = Executor::new(&card.architecture, &weights)?;
    let test = source::load(recipe.dataset, &options.data, &options.assets)?.test;
    card.results = measure(recipe.dataset, &network, &test, |outcome| progress(Progress::Measured(outcome.clone())));
    write(path, &json(&card))?;
    Ok(card)
}

fn find(name: &str) -> Result<Recipe, TrainError> {
    Recipe::find(name).ok_or_else(|| TrainError::Recipe {
        name: name.into(),
        known: Recipe::all().map(|recipe| recipe.name).collect::<Vec<_>>().join(", "),
    })
}

fn json(card: &ModelCard) -> Vec<u8> {
    (serde_json::to_string_pretty(card).expect("a card is plain values") + "\n").into_bytes()
}

fn write(path: PathBuf, bytes: &[u8]) -> Result<(), TrainError> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder.and_then(|()| fs::write(&path, bytes)).map_err(|source| TrainError::Write { path, source })
}
