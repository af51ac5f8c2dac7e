//! Making the shipped models: from a recipe to weights and a card.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::fit::{FitError, Lessons, Step, fit};
use super::measure::measure;
use super::recipe::{Augmentation, Recipe};
use crate::data::Examples;
use crate::data::source::{self, SourceError};
use crate::nn::weights::{Dtype, WeightsError};
use crate::nn::zoo::{self, ModelCard, Outcome, Training};
use crate::nn::{BuildError, Executor, Weights};
use crate::random::Random;

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

/// Why a model cannot be made.
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
    /// A data set cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It cannot be trained.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The weights cannot be stored.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The trained network cannot be run.
    #[error(transparent)]
    Build(#[from] BuildError),
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

/// Training pictures, each changed at random every time it is seen.
pub(crate) struct Changed<'a> {
    /// The pictures.
    pub examples: &'a Examples,
    /// How they are changed.
    pub augmentation: Augmentation,
}

impl Lessons for Changed<'_> {
    fn len(&self) -> usize {
        self.examples.len()
    }

    fn label(&self, index: usize) -> u8 {
        self.examples.labels[index]
    }

    fn show(&self, index: usize, random: &mut Random, picture: &mut [f32]) {
        self.augmentation.apply(self.examples.picture(index), random, picture);
    }
}

/// Trains a network by a recipe on `examples`, whatever part of the pictures the recipe names, and returns its weights.
///
/// # Errors
/// If the recipe's network does not fit together, there are no examples, or the loss stops being a number.
pub fn learn(recipe: &Recipe, examples: &Examples, progress: impl FnMut(Step)) -> Result<Weights, FitError> {
    fit(recipe.plan(), Changed { examples, augmentation: recipe.augmentation }, progress)
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
    let weights = learn(&recipe, &split.train, |step| progress(Progress::Step(step)))?;
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
