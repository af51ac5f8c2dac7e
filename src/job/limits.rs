//! What a client may ask for at once.

use super::training::Network;
use crate::attack::Method;
use crate::data::Dataset;
use crate::experiment::{AttackSettings, Experiment, Invalid};
use crate::nn::zoo;
use crate::threat::Threat;

/// Most models in a question.
pub const MODELS: usize = 8;
/// Most attacks in a question.
pub const ATTACKS: usize = 8;
/// Most values of ε in a question.
pub const EPSILONS: usize = 16;

/// The size of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Gradient evaluations of a small network, over all chunks.
    pub gradients: u64,
}

impl Limits {
    /// For everyone: some minutes of a core.
    pub const USUAL: Self = Self { gradients: 6_000_000 };
    /// With the instructor's key.
    pub const RAISED: Self = Self { gradients: 400_000_000 };
    /// For what has been checked before.
    pub const UNLIMITED: Self = Self { gradients: u64::MAX };
    /// In the workers of a page.
    pub const PAGE: Self = Self { gradients: 1_500_000 };
}

/// Why a job is refused; each message says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// A number of the experiment is out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A list is too long.
    #[error("{asked} {what} are too many: choose at most {most}")]
    TooMany {
        /// What is in the list.
        what: &'static str,
        /// How many there are.
        asked: usize,
        /// How many there may be.
        most: usize,
    },
    /// A number is out of range.
    #[error("{asked} {what} are out of range: choose {least} to {most}")]
    Range {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        asked: u64,
        /// How few there may be.
        least: u64,
        /// How many there may be.
        most: u64,
    },
    /// A number that need not be whole is out of range.
    #[error("{what} = {asked} is out of range: choose {least} to {most}")]
    Number {
        /// Which.
        what: &'static str,
        /// What was asked for.
        asked: f32,
        /// The least that is allowed.
        least: f32,
        /// The most that is allowed.
        most: f32,
    },
    /// Something is in a list twice.
    #[error("{what} {which} is there twice: leave one out")]
    Twice {
        /// What is in the list.
        what: &'static str,
        /// The one.
        which: String,
    },
    /// A value that is not allowed, in a sentence.
    #[error("{0}")]
    Other(String),
    /// The whole is too much work.
    #[error(
        "this batch takes about {asked} gradients and at most {most} are allowed: choose fewer pictures, models, \
         attacks, steps or values of ε"
    )]
    TooMuch {
        /// What it costs.
        asked: u64,
        /// What it may cost.
        most: u64,
    },
}

/// Checks the work of all chunks together.
pub(super) fn affordable(chunks: &[u64], limits: &Limits) -> Result<(), Refusal> {
    let asked = chunks.iter().fold(0u64, |sum, cost| sum.saturating_add(*cost));
    if asked > limits.gradients { Err(Refusal::TooMuch { asked, most: limits.gradients }) } else { Ok(()) }
}

/// Checks a number of test pictures.
pub(super) fn pictures(dataset: Dataset, asked: u32) -> Result<(), Refusal> {
    range("test pictures", asked, 1, dataset.pictures())
}

/// Checks a whole number.
pub(super) fn range(what: &'static str, asked: u32, least: u32, most: u32) -> Result<(), Refusal> {
    if (least..=most).contains(&asked) {
        Ok(())
    } else {
        Err(Refusal::Range { what, asked: asked.into(), least: least.into(), most: most.into() })
    }
}

/// Checks a number that need not be whole.
pub(super) fn number(what: &'static str, asked: f32, least: f32, most: f32) -> Result<(), Refusal> {
    // NaN is in no range.
    if (least..=most).contains(&asked) { Ok(()) } else { Err(Refusal::Number { what, asked, least, most }) }
}

/// Checks the length of a list, and that nothing is in it twice.
pub(super) fn list<T: PartialEq>(
    what: &'static str,
    list: &[T],
    most: usize,
    name: impl Fn(&T) -> String,
) -> Result<(), Refusal> {
    if list.len() > most {
        return Err(Refusal::TooMany { what, asked: list.len(), most });
    }
    match list.iter().enumerate().find(|(i, item)| list[..*i].contains(item)) {
        Some((_, item)) => Err(Refusal::Twice { what, which: name(item) }),
        None => Ok(()),
    }
}

/// Checks every combination of models, attacks and ε against the ranges of an experiment.
pub(super) fn grid(
    experiment: &Experiment,
    models: &[String],
    attacks: &[AttackSettings],
    epsilons: &[f32],
) -> Result<(), Refusal> {
    list("models", models, MODELS, Clone::clone)?;
    list("attacks", attacks, ATTACKS, |attack| attack.method.title().into())?;
    list("values of ε", epsilons, EPSILONS, f32::to_string)?;
    for model in models {
        for attack in attacks {
            for &epsilon in epsilons {
                let threat = Threat { epsilon, ..experiment.threat };
                Experiment { model: model.clone(), attack: attack.clone(), threat, ..experiment.clone() }.validate()?;
            }
        }
    }
    Ok(())
}

/// What an attack costs on a picture at so many values of ε: one that looks for the smallest perturbation runs once.
pub(super) fn cost(method: Method, settings: &AttackSettings, epsilons: usize) -> u64 {
    let once = u64::from(method.cost(settings)).max(1);
    if super::slices::runs_once(method) { once } else { once * epsilons as u64 }
}

/// What a gradient of a model costs, in tenths of one of the small CNN. It is for estimates only: how a job is cut must not
/// depend on which models have been added where.
pub(super) fn tenths(dataset: Dataset, model: &str) -> u64 {
    let card = zoo::find(dataset, model);
    let of = |network: &Network| card.is_some_and(|card| network.architecture()() == card.architecture);
    Network::ALL.into_iter().find(of).unwrap_or_default().costs()[1]
}
