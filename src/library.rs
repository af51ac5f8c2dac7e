//! The shipped models and test pictures, read from a folder of assets: what the server and the command line work on.
//! Models that are trained meanwhile are added.
//!
//! The folder is `assets` in the project, or `dist/assets` in a built page: nothing is embedded in the program but the
//! model cards, and the files must be the very ones that the cards describe.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sha2::{Digest, Sha256};

use crate::attack::{self, Item, Outcome, Record, Task};
use crate::data::source::{self, SourceError};
use crate::data::{Dataset, Examples, PIXELS, test_pictures};
use crate::evaluate::{self, Tally};
use crate::experiment::Experiment;
use crate::job::Materials;
use crate::nn::weights::WeightsError;
use crate::nn::zoo::{self, AddError, ModelCard};
use crate::nn::{BuildError, Executor, Weights};
#[cfg(feature = "cuda")]
use crate::nn::{Candle, Classifier};

/// Why a folder of assets cannot be used; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file of weights cannot be read.
    #[error("cannot read {} ({reason}): build the page, or name the folder of models and pictures with --assets", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What reading it gave.
        reason: std::io::Error,
    },
    /// A file of weights is another one than its card says.
    #[error("{} is not the file that its model card describes: build the page again", file.display())]
    Other {
        /// The file.
        file: PathBuf,
    },
    /// A file is no file of weights.
    #[error("{}: {reason}", file.display())]
    Weights {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: WeightsError,
    },
    /// Weights that do not fit their model's architecture.
    #[error("{}: {reason}", file.display())]
    Build {
        /// The file.
        file: PathBuf,
        /// What does not fit.
        reason: BuildError,
    },
    /// Test pictures cannot be read.
    #[error(transparent)]
    Pictures(#[from] SourceError),
    /// A model cannot be added.
    #[error(transparent)]
    Add(#[from] AddError),
}

/// Models that are ready to run, pictures to attack, and pictures to train with.
pub struct Library {
    models: RwLock<Vec<(&'static ModelCard, Executor)>>,
    pictures: Vec<(Dataset, Pictures)>,
    assets: PathBuf,
    fashion: PathBuf,
    /// The pictures to train with that have been read, for each of [`Dataset::ALL`].
    lessons: Mutex<[Option<Arc<Examples>>; Dataset::ALL.len()]>,
    /// The models that have been put on a graphics processor.
    #[cfg(feature = "cuda")]
    uploaded: Mutex<Vec<(&'static ModelCard, Candle)>>,
}

struct Pictures {
    /// N · [`PIXELS`] values in [0, 1].
    images: Vec<f32>,
    /// N class indices.
    labels: Vec<u8>,
}

impl Library {
    /// Reads all models and all test pictures.
    ///
    /// # Errors
    /// If a file is missing, damaged, or not the one that its card describes.
    pub fn open(assets: &Path) -> Result<Self, LibraryError> {
        let models = zoo::all().iter().map(|card| Ok((card, executor(assets, card)?)));
        let pictures = Dataset::ALL.into_iter().map(|dataset| {
            let examples = test_pictures(assets, dataset)?;
            Ok((dataset, Pictures { images: examples.images(), labels: examples.labels }))
        });
        Ok(Self {
            models: RwLock::new(models.collect::<Result<_, LibraryError>>()?),
            pictures: pictures.collect::<Result<_, LibraryError>>()?,
            assets: assets.into(),
            fashion: source::FASHION_DIR.into(),
            lessons: Mutex::default(),
            #[cfg(feature = "cuda")]
            uploaded: Mutex::default(),
        })
    }

    /// The same with the training pictures of Fashion-MNIST in this folder instead of [`source::FASHION_DIR`]. They are
    /// read when they are first needed, and so are those of the digits, which lie below the assets.
    #[must_use]
    pub fn with_fashion(self, folder: &Path) -> Self {
        Self { fashion: folder.into(), ..self }
    }

    /// Adds a model that was trained here, with the bytes of its file of weights: from then on it is known to
    /// [`zoo::find`] and can be used like a shipped one. To add it a second time changes nothing.
    ///
    /// # Errors
    /// If the weights are not those that the card describes, or as [`zoo::add`].
    pub fn add(&self, card: ModelCard, weights: &[u8]) -> Result<&'static ModelCard, LibraryError> {
        let executor = built(&card, card.weights.file.clone().into(), weights)?;
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        let card = zoo::add(card)?;
        if !models.iter().any(|(known, _)| std::ptr::eq(*known, card)) {
            models.push((card, executor));
        }
        Ok(card)
    }

    /// Attacks the test pictures in `pictures` as a valid experiment says, and counts; the parts of any division of the
    /// pictures add up to the same. May be called from many threads at once.
    ///
    /// # Panics
    /// If the experiment is not valid, or there are not so many pictures.
    pub fn count(&self, experiment: &Experiment, pictures: Range<u32>) -> Tally {
        let Experiment { dataset, threat, attack, seed, .. } = experiment;
        let (mut executor, all) = (self.executor(experiment), self.pictures(*dataset));
        let range = pictures.start as usize..pictures.end as usize;
        let chosen = evaluate::Pictures {
            images: &all.images[range.start * PIXELS..range.end * PIXELS],
            labels: &all.labels[range],
            first: pictures.start,
        };
        evaluate::robust_accuracy(&mut executor, chosen, *threat, attack, *seed)
    }

    /// Attacks one test picture as a valid experiment says. May be called from many threads at once.
    ///
    /// # Panics
    /// As [`Self::count`].
    pub fn attack(&self, experiment: &Experiment, index: u32, record: Record) -> Outcome {
        let Experiment { dataset, threat, attack, seed, .. } = experiment;
        let (image, label) = self.picture(*dataset, index);
        let task = Task {
            images: image.to_vec(),
            items: vec![Item { id: index, label, target: attack.target, epsilon: threat.epsilon }],
            norm: threat.norm,
            settings: attack.clone(),
            seed: *seed,
            others: Vec::new(),
        };
        attack::run(&mut self.executor(experiment), task, record).remove(0)
    }

    /// A test picture, [`PIXELS`] values in [0, 1], and its class.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn picture(&self, dataset: Dataset, index: u32) -> (&[f32], u8) {
        let (all, index) = (self.pictures(dataset), index as usize);
        (&all.images[index * PIXELS..(index + 1) * PIXELS], all.labels[index])
    }

    fn executor(&self, experiment: &Experiment) -> Executor {
        let found = self.find(experiment.dataset, &experiment.model);
        found.expect("a valid experiment names a model that is shipped or was added")
    }

    fn find(&self, dataset: Dataset, name: &str) -> Option<Executor> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        let found = models.iter().find(|(card, _)| card.dataset == dataset && card.name == name);
        found.map(|(_, executor)| executor.clone())
    }

    /// A shipped model on the graphics processor; none if there is no such processor.
    #[cfg(feature = "cuda")]
    fn uploaded(&self, dataset: Dataset, name: &str) -> Option<Candle> {
        let (card, device) = (zoo::find(dataset, name)?, Candle::device()?);
        let mut uploaded = self.uploaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, candle)) = uploaded.iter().find(|(known, _)| std::ptr::eq(*known, card)) {
            return Some(candle.clone());
        }
        let weights = Weights::read(&fs::read(self.assets.join("models").join(&card.weights.file)).ok()?).ok()?;
        let candle = Candle::new(&card.architecture, &weights, &device).ok()?;
        uploaded.push((card, candle.clone()));
        Some(candle)
    }

    fn pictures(&self, dataset: Dataset) -> &Pictures {
        &self.pictures.iter().find(|(of, _)| *of == dataset).expect("every data set has pictures").1
    }
}

impl Materials for Library {
    fn model(&self, dataset: Dataset, name: &str) -> Result<Executor, String> {
        self.find(dataset, name).ok_or_else(|| format!("there is no model “{name}” for {dataset}"))
    }

    #[cfg(feature = "cuda")]
    fn classifier(&self, dataset: Dataset, name: &str) -> Result<Box<dyn Classifier>, String> {
        match self.uploaded(dataset, name) {
            Some(candle) => Ok(Box::new(candle)),
            None => self.model(dataset, name).map(|model| Box::new(model) as Box<dyn Classifier>),
        }
    }

    fn pictures(&self, dataset: Dataset, range: Range<u32>) -> Result<(Vec<f32>, Vec<u8>), String> {
        let all = self.pictures(dataset);
        let range = range.start as usize..range.end as usize;
        let labels = all.labels.get(range.clone()).ok_or_else(|| format!("{dataset} has not so many test pictures"))?;
        Ok((all.images[range.start * PIXELS..range.end * PIXELS].to_vec(), labels.to_vec()))
    }

    fn lessons(&self, dataset: Dataset) -> Result<Arc<Examples>, String> {
        let mut read = self.lessons.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut read[Dataset::ALL.into_iter().position(|other| other == dataset).unwrap_or_default()];
        if let Some(lessons) = place {
            return Ok(lessons.clone());
        }
        let lessons = source::lessons(dataset, &self.fashion, &self.assets)
            .map_err(|error| format!("the training pictures of {dataset} are not here: {error}"))?;
        Ok(place.insert(Arc::new(lessons)).clone())
    }
}

fn executor(assets: &Path, card: &ModelCard) -> Result<Executor, LibraryError> {
    let file = assets.join("models").join(&card.weights.file);
    let bytes = fs::read(&file).map_err(|reason| LibraryError::Read { file: file.clone(), reason })?;
    built(card, file, &bytes)
}

/// The model of a card from the bytes of its file.
fn built(card: &ModelCard, file: PathBuf, bytes: &[u8]) -> Result<Executor, LibraryError> {
    let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if sum != card.weights.sha256 {
        return Err(LibraryError::Other { file });
    }
    let weights = Weights::read(bytes).map_err(|reason| LibraryError::Weights { file: file.clone(), reason })?;
    Executor::new(&card.architecture, &weights).map_err(|reason| LibraryError::Build { file, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_are_not_those_of_the_card_are_not_added() {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let library = Library::open(&assets).unwrap();
        let mut card = zoo::find(Dataset::Digits, "mlp").unwrap().clone();
        let mut weights = fs::read(assets.join("models").join(&card.weights.file)).unwrap();
        assert!(matches!(library.add(card.clone(), &weights), Err(LibraryError::Add(AddError::Name(_)))));
        card.name = zoo::trained_name(&card.weights.sha256);
        weights.pop();
        assert!(matches!(library.add(card.clone(), &weights), Err(LibraryError::Other { .. })));
        assert!(
            zoo::find(Dataset::Digits, &card.name).is_none() && library.model(Dataset::Digits, &card.name).is_err()
        );
    }

    #[test]
    fn training_pictures_are_read_once_and_missing_ones_are_named_with_what_to_do() {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let library = Library::open(&assets).unwrap().with_fashion(Path::new("nowhere"));
        let digits = library.lessons(Dataset::Digits).unwrap();
        assert_eq!(digits.len(), Dataset::Digits.lessons() as usize);
        assert!(Arc::ptr_eq(&digits, &library.lessons(Dataset::Digits).unwrap()));
        let missing = library.lessons(Dataset::Fashion).unwrap_err();
        assert!(missing.contains("nowhere") && missing.contains("dataset-fashion-mnist"), "{missing}");
    }

    #[test]
    fn a_missing_or_exchanged_file_is_named() {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let [first, second] = [0, 1].map(|k| zoo::all()[k].weights.file.as_str());
        let folder = tempfile::tempdir().unwrap();
        let refusal = || Library::open(folder.path()).err().unwrap().to_string();
        assert!(refusal().contains(first) && refusal().contains("--assets"), "{}", refusal());
        fs::create_dir(folder.path().join("models")).unwrap();
        fs::copy(assets.join("models").join(second), folder.path().join("models").join(first)).unwrap();
        assert!(refusal().contains("is not the file that its model card describes"), "{}", refusal());
    }
}
