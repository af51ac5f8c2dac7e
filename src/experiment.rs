//! The [`Experiment`]: one small value that says what is being looked at.
//!
//! It is the state of the page and its link ([`Experiment::to_query`]), the request to the Web Worker, and the job
//! for the server. The same experiment gives the same numbers on WebAssembly and natively.

mod query;
pub mod snippet;

pub use query::{Broken, Parsed};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::attack::{Method, Parameter};
use crate::data::{Dataset, PIXELS};
use crate::threat::{Norm, Threat};

/// Everything that determines what the Lab shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Experiment {
    /// The data set that picture and models belong to.
    pub dataset: Dataset,
    /// The picture under attack.
    pub picture: Picture,
    /// The attacked model: a name within the data set, as in `nn::zoo`.
    pub model: String,
    /// A second model beside it, attacked with the same settings.
    pub compare: Option<String>,
    /// The perturbations that are allowed.
    pub threat: Threat,
    /// How the perturbation is searched.
    pub attack: AttackSettings,
    /// Key of every random number.
    pub seed: u32,
    /// What of the result is looked at; it changes no number.
    pub view: View,
}

/// A picture: one of the shipped test pictures, or a person's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Picture {
    /// The test picture with this index.
    Test(u32),
    /// A person's own picture.
    Own {
        /// 28 × 28 grey values, row by row, 0 (black) to 255 (white).
        pixels: Vec<u8>,
        /// The class its owner says it shows; without one the first model's prediction stands in for it.
        label: Option<u8>,
    },
}

/// Settings of the attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttackSettings {
    /// Which attack.
    pub method: Method,
    /// Step size α of iterative attacks, in the unit of ε; `None` follows ε as 2.5 · ε / steps.
    pub alpha: Option<f32>,
    /// Number of steps T of iterative attacks.
    pub steps: u32,
    /// Whether iterative attacks start at a random point of the ball instead of at x.
    pub random_start: bool,
    /// How many times the attack is run, each from a start of its own; the strongest result counts.
    pub restarts: u32,
    /// The class to reach; `None` is an untargeted attack, away from the true class.
    pub target: Option<u8>,
    /// The attack's own parameters by their keys, only those that differ from their defaults. [`Self::get`] reads one.
    pub values: BTreeMap<String, f32>,
}

/// What of the result is looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct View {
    /// The step of the attack on screen; `None` is the result.
    pub step: Option<u32>,
    /// The axes of the decision-boundary plane.
    pub plane: PlaneAxes,
    /// How perturbations and gradients are scaled to colours.
    pub scale: Scale,
}

/// The two axes of the decision-boundary plane through the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaneAxes {
    /// The direction of the attack and a random direction orthogonal to it.
    #[default]
    AttackAndRandom,
    /// The directions to two other test pictures.
    Pictures(u32, u32),
}

/// How signed pictures are scaled to colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Each picture by its own greatest magnitude.
    #[default]
    Own,
    /// All by the same: the perturbation on the scale of the pixels, gradients on one common scale.
    Same,
}

/// The key of random numbers of a person's own picture; no test picture has it.
pub const OWN_ID: u32 = u32::MAX;
/// Greatest number of attack steps.
pub const MAX_STEPS: u32 = 100;
/// Greatest number of restarts.
pub const MAX_RESTARTS: u32 = 20;

impl Default for Experiment {
    fn default() -> Self {
        let dataset = Dataset::Fashion;
        Self {
            dataset,
            picture: Picture::Test(0),
            model: "standard".into(),
            compare: None,
            threat: Threat::usual(dataset, Norm::Linf),
            attack: AttackSettings::default(),
            seed: 0,
            view: View::default(),
        }
    }
}

impl Default for AttackSettings {
    fn default() -> Self {
        Self {
            method: Method::default(),
            alpha: None,
            steps: 20,
            random_start: false,
            restarts: 1,
            target: None,
            values: BTreeMap::new(),
        }
    }
}

impl AttackSettings {
    /// The step size α that is used for a given ε, in the unit of ε.
    pub fn alpha_for(&self, epsilon: f32) -> f32 {
        self.method.alpha(self, epsilon)
    }

    /// The value of one of the attack's own parameters.
    pub fn get(&self, parameter: &Parameter) -> f32 {
        self.values.get(parameter.key).copied().unwrap_or(parameter.default())
    }

    /// Sets one of the attack's own parameters. The value is checked by [`Experiment::validate`].
    pub fn set(&mut self, parameter: &Parameter, value: f32) {
        if value == parameter.default() {
            self.values.remove(parameter.key);
        } else {
            self.values.insert(parameter.key.into(), value);
        }
    }

    /// The declaration of one of the attack's own parameters.
    ///
    /// # Errors
    /// If it has no parameter of this name.
    pub fn parameter(&self, key: &str) -> Result<&'static Parameter, Invalid> {
        let parameters = self.method.parameters();
        parameters.iter().copied().find(|parameter| parameter.key == key).ok_or_else(|| {
            let keys: Vec<_> = parameters.iter().map(|parameter| parameter.key).collect();
            let known =
                if keys.is_empty() { "it has none".into() } else { format!("choose one of {}", keys.join(", ")) };
            Invalid::UnknownParameter { method: self.method, key: key.into(), known }
        })
    }

    /// These settings with one of the attack's own parameters set.
    ///
    /// # Panics
    /// If the attack has no parameter `key`.
    #[must_use]
    pub fn with(mut self, key: &str, value: f32) -> Self {
        let parameter = self.parameter(key).unwrap_or_else(|unknown| panic!("{unknown}"));
        self.set(parameter, value);
        self
    }
}

impl Experiment {
    /// Takes another attack. Parameters that it does not have are dropped, and if it is not defined under the present
    /// norm the first of its own is taken, at its usual ε.
    pub fn choose_attack(&mut self, method: Method) {
        let attack = &mut self.attack;
        attack.method = method;
        attack.values.retain(|key, value| {
            let mut parameters = method.parameters().iter();
            parameters
                .any(|parameter| parameter.key == key && parameter.allows(*value) && parameter.default() != *value)
        });
        let norms = method.norms();
        if !norms.is_empty() && !norms.contains(&self.threat.norm) {
            self.threat = Threat::usual(self.dataset, norms[0]);
            attack.alpha = None;
        }
    }
}

impl View {
    /// Whether two views need the same numbers to be computed.
    pub fn computes_as(&self, other: &Self) -> bool {
        self.plane == other.plane
    }
}

/// What is wrong with an experiment; each message says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// ε is not a number, negative, or beyond the norm's limit.
    #[error("ε = {value} is out of range: choose 0 to {greatest} for {norm}")]
    Epsilon {
        /// What was given.
        value: f32,
        /// The norm it was given for.
        norm: Norm,
        /// The greatest ε of that norm.
        greatest: f32,
    },
    /// α is not a number, not positive, or beyond the norm's limit.
    #[error("step size α = {value} is out of range: choose more than 0 and at most {greatest}")]
    Alpha {
        /// What was given.
        value: f32,
        /// The greatest α of the norm.
        greatest: f32,
    },
    /// Too few or too many steps.
    #[error("{0} steps are out of range: choose 1 to {MAX_STEPS}")]
    Steps(u32),
    /// Too few or too many restarts.
    #[error("{0} restarts are out of range: choose 1 to {MAX_RESTARTS}")]
    Restarts(u32),
    /// A norm under which the attack is not defined.
    #[error("{method} is not defined for {norm}: choose {known}")]
    Norm {
        /// The attack.
        method: Method,
        /// What was given.
        norm: Norm,
        /// The norms that it knows.
        known: String,
    },
    /// Not a parameter of the attack.
    #[error("{method} has no parameter “{key}”: {known}")]
    UnknownParameter {
        /// The attack.
        method: Method,
        /// What was given.
        key: String,
        /// What there is to choose from.
        known: String,
    },
    /// A value that a parameter cannot have.
    #[error("{label} = {value} is out of range: choose {range}")]
    Parameter {
        /// The parameter.
        label: &'static str,
        /// What was given.
        value: f32,
        /// What is allowed.
        range: String,
    },
    /// No such test picture.
    #[error("there is no test picture {index} in {dataset}: choose 0 to {last}")]
    PictureIndex {
        /// What was given.
        index: u32,
        /// The data set.
        dataset: Dataset,
        /// The last picture there is.
        last: u32,
    },
    /// An own picture of the wrong size.
    #[error("a picture must have 28 × 28 = {PIXELS} pixels, this one has {0}")]
    PictureSize(usize),
    /// No such class.
    #[error("there is no class {class} in {dataset}: choose 0 to {last}")]
    Class {
        /// What was given.
        class: u8,
        /// The data set.
        dataset: Dataset,
        /// The last class there is.
        last: u8,
    },
    /// No such model.
    #[error("there is no model “{name}” for {dataset}: choose one of {known}")]
    Model {
        /// What was given.
        name: String,
        /// The data set.
        dataset: Dataset,
        /// The names there are.
        known: String,
    },
}

impl Experiment {
    /// Checks every number against its range. What comes from a link, a student or a client is checked before use.
    ///
    /// # Errors
    /// The first thing that is out of range, with the range.
    pub fn validate(&self) -> Result<(), Invalid> {
        let dataset = self.dataset;
        let Threat { norm, epsilon } = self.threat;
        // NaN fails every comparison, so ranges are tested positively.
        if !(epsilon >= 0.0 && epsilon <= norm.greatest_epsilon()) {
            return Err(Invalid::Epsilon { value: epsilon, norm, greatest: norm.greatest_epsilon() });
        }
        let attack = &self.attack;
        if let Some(alpha) = attack.alpha
            && !(alpha > 0.0 && alpha <= norm.greatest_epsilon())
        {
            return Err(Invalid::Alpha { value: alpha, greatest: norm.greatest_epsilon() });
        }
        if !(1..=MAX_STEPS).contains(&attack.steps) {
            return Err(Invalid::Steps(attack.steps));
        }
        if !(1..=MAX_RESTARTS).contains(&attack.restarts) {
            return Err(Invalid::Restarts(attack.restarts));
        }
        let norms = attack.method.norms();
        if !norms.is_empty() && !norms.contains(&norm) {
            let known = norms.iter().map(Norm::to_string).collect::<Vec<_>>().join(" or ");
            return Err(Invalid::Norm { method: attack.method, norm, known });
        }
        for (key, &value) in &attack.values {
            let parameter = attack.parameter(key)?;
            if !parameter.allows(value) {
                return Err(Invalid::Parameter { label: parameter.label, value, range: parameter.range() });
            }
        }
        let class = |class: Option<u8>| match class {
            Some(class) if class as usize >= dataset.classes().len() => {
                Err(Invalid::Class { class, dataset, last: dataset.classes().len() as u8 - 1 })
            }
            _ => Ok(()),
        };
        let test_picture = |index: u32| {
            let last = dataset.pictures() - 1;
            if index > last { Err(Invalid::PictureIndex { index, dataset, last }) } else { Ok(()) }
        };
        class(attack.target)?;
        match &self.picture {
            Picture::Test(index) => test_picture(*index)?,
            Picture::Own { pixels, label } => {
                if pixels.len() != PIXELS {
                    return Err(Invalid::PictureSize(pixels.len()));
                }
                class(*label)?;
            }
        }
        if let PlaneAxes::Pictures(first, second) = self.view.plane {
            test_picture(first)?;
            test_picture(second)?;
        }
        for name in std::iter::once(&self.model).chain(&self.compare) {
            if crate::nn::zoo::find(dataset, name).is_none() {
                let shipped = crate::nn::zoo::all().iter().filter(|card| card.dataset == dataset);
                let known = shipped.map(|card| card.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(Invalid::Model { name: name.clone(), dataset, known });
            }
        }
        Ok(())
    }
}
