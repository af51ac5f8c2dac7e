//! What an explanation of a decision is: a value for every pixel, and how one is asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{MAPS, Score};
use crate::attack::Parameter;
use crate::nn::{Architecture, BuildError, Classifier, Shape, Weights};

/// A kind of map: what it is, and how it is computed. What has a default here is passed on in `declared.rs`, too.
pub trait Map: Sync {
    /// The name in links, files and commands.
    fn key(&self) -> &'static str;
    /// The name for people.
    fn title(&self) -> &'static str;
    /// One or two sentences for a student: what the map shows.
    fn summary(&self) -> &'static str;
    /// Who published it, where.
    fn paper(&self) -> &'static str;

    /// The settings that are its own.
    fn parameters(&self) -> &'static [&'static Parameter] {
        &[]
    }

    /// Whether it can be computed for networks of this architecture.
    fn suits(&self, _network: &Architecture) -> bool {
        true
    }

    /// Begins to compute the map.
    ///
    /// # Errors
    /// If it cannot be computed for this network.
    fn begin(&self, subject: &Subject, settings: &MapSettings) -> Result<Box<dyn Work>, Unavailable>;
}

/// What is to be explained.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The picture, (C, H, W).
    pub image: &'a [f32],
    /// Its shape.
    pub input: Shape,
    /// The number of classes.
    pub classes: usize,
    /// The class whose score is explained.
    pub class: u8,
    /// The key of the picture's random numbers, such as its index in the data set.
    pub id: u32,
    /// Key of all random numbers.
    pub seed: u32,
    /// The network behind the classifier, if there is one, for maps that look inside.
    pub network: Option<(&'a Architecture, &'a Weights)>,
}

/// Which map, of what, with which parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MapSettings {
    /// The map.
    pub map: Method,
    /// What is explained.
    pub score: Score,
    /// The map's own parameters by their keys, only those that differ from their defaults. [`Self::get`] reads one.
    pub values: BTreeMap<String, f32>,
}

impl MapSettings {
    /// A map with all its defaults.
    pub fn of(map: Method) -> Self {
        Self { map, ..Self::default() }
    }

    /// The value of one of the map's own parameters.
    pub fn get(&self, parameter: &Parameter) -> f32 {
        self.values.get(parameter.key).copied().unwrap_or(parameter.default())
    }

    /// Sets one of the map's own parameters.
    pub fn set(&mut self, parameter: &Parameter, value: f32) {
        if value == parameter.default() {
            self.values.remove(parameter.key);
        } else {
            self.values.insert(parameter.key.into(), value);
        }
    }

    /// Checks every parameter against its range. What comes from a link or a client is checked before use.
    ///
    /// # Errors
    /// The first that is out of range, with the range.
    pub fn validate(&self) -> Result<(), Invalid> {
        for (key, &value) in &self.values {
            let parameters = self.map.parameters();
            let parameter = parameters
                .iter()
                .find(|parameter| parameter.key == key)
                .ok_or_else(|| Invalid::Unknown { map: self.map, key: key.clone() })?;
            if !parameter.allows(value) {
                return Err(Invalid::Value { label: parameter.label, value, range: parameter.range() });
            }
        }
        Ok(())
    }
}

/// What is wrong with the settings of a map; each message says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// The map has no such parameter.
    #[error("{map} has no parameter “{key}”: leave it out")]
    Unknown {
        /// The map.
        map: Method,
        /// What was given.
        key: String,
    },
    /// A parameter is out of its range.
    #[error("{label} = {value} is out of range: choose {range}")]
    Value {
        /// The parameter.
        label: &'static str,
        /// What was given.
        value: f32,
        /// What is allowed.
        range: String,
    },
}

/// Why a map cannot be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// It looks inside a network, and there is none.
    #[error("this map looks inside a network: choose a plain network, or a map that only asks for its answers")]
    NoNetwork,
    /// It needs a convolution.
    #[error("this map shows where a convolution looks, and the network has none: choose a network with convolutions")]
    NoConvolution,
    /// The parts of the network cannot be made ready to run.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// A map under way.
pub trait Work {
    /// Does the next piece of work, at most one call of the classifier. Says whether the map is done.
    ///
    /// # Panics
    /// If the classifier is of another shape than the subject.
    fn step(&mut self, classifier: &mut dyn Classifier) -> bool;

    /// How many pieces of how many have been done.
    fn progress(&self) -> (usize, usize);

    /// The map; complete when the work is done.
    fn finish(self: Box<Self>) -> Explanation;
}

/// A value for every pixel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// As long as the picture, (C, H, W). Where it is positive, the pixel speaks for the class (for the loss: against).
    pub values: Vec<f32>,
    /// Whether negative values may occur and mean the opposite of positive ones.
    pub signed: bool,
    /// How many pictures the classifier was asked about, with and without gradient.
    pub evaluations: u32,
    /// What else there is to say.
    pub detail: Detail,
}

/// What only some maps have to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Detail {
    /// Nothing.
    #[default]
    None,
    /// The values of integrated gradients sum up to the difference of scores, but for an error of the numerical integral.
    Completeness(Completeness),
    /// The map before it was spread over the pixels, row by row.
    Coarse {
        /// Its height.
        rows: u32,
        /// Its width.
        columns: u32,
        /// Its values.
        values: Vec<f32>,
    },
}

/// The completeness of integrated gradients: Σ values = F(x) − F(x₀).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Completeness {
    /// Σ values.
    pub sum: f64,
    /// F(x), the score of the picture.
    pub score: f64,
    /// F(x₀), the score of the baseline.
    pub baseline: f64,
}

impl Completeness {
    /// Σ values − (F(x) − F(x₀)).
    pub fn error(&self) -> f64 {
        self.sum - (self.score - self.baseline)
    }
}

/// Computes a map to its end.
///
/// # Errors
/// If it cannot be computed for this network.
///
/// # Panics
/// If lengths do not fit or the class is none.
pub fn explain(
    classifier: &mut dyn Classifier,
    subject: &Subject,
    settings: &MapSettings,
) -> Result<Explanation, Unavailable> {
    let mut work = settings.map.begin(subject, settings)?;
    while !work.step(classifier) {}
    Ok(work.finish())
}

/// A handle to a registered [`Map`]: copied freely, equal if the maps are, written as the map's key.
#[derive(Clone, Copy)]
pub struct Method(&'static dyn Map);

impl Method {
    /// All of them, in the order in which they are offered.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        MAPS.iter().map(|map| Self(*map))
    }

    /// The map with this [`Map::key`].
    pub fn from_key(key: &str) -> Option<Self> {
        Self::all().find(|map| map.key() == key)
    }
}

impl Default for Method {
    fn default() -> Self {
        Self(MAPS[0])
    }
}

impl Deref for Method {
    type Target = dyn Map;
    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Method {}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        let known = || Self::all().map(|map| map.key()).collect::<Vec<_>>().join(", ");
        Self::from_key(&key)
            .ok_or_else(|| serde::de::Error::custom(format_args!("there is no map “{key}”: choose one of {}", known())))
    }
}
