//! What an attacker may change: norms, balls, projections onto them, and the steepest steps within them.

mod norms;
mod project;
mod step;

pub use norms::{Norms, length, rounding_slack};
pub use project::{onto_ball, onto_ball_and_box};
pub use step::{SPARSE_SHARE, add_fast, add_steepest, random_start, sign};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::data::Dataset;

/// The norm that measures a perturbation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// The greatest change of any pixel.
    #[default]
    Linf,
    /// The Euclidean length.
    L2,
    /// The sum of the changes.
    L1,
}

impl Norm {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Linf, Self::L2, Self::L1];

    /// The name in links, files and commands.
    pub fn key(self) -> &'static str {
        match self {
            Self::Linf => "linf",
            Self::L2 => "l2",
            Self::L1 => "l1",
        }
    }

    /// The inverse of [`Self::key`].
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|norm| norm.key() == key)
    }

    /// The greatest ε that is offered and accepted. Beyond it pictures of any class can be reached.
    pub fn greatest_epsilon(self) -> f32 {
        match self {
            Self::Linf => 0.4,
            Self::L2 => 6.0,
            Self::L1 => 40.0,
        }
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linf => "L∞",
            Self::L2 => "L2",
            Self::L1 => "L1",
        })
    }
}

/// The allowed perturbations: ‖δ‖ ≤ ε, with x + δ in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threat {
    /// How δ is measured.
    pub norm: Norm,
    /// The greatest ‖δ‖, for pixels in [0, 1].
    pub epsilon: f32,
}

impl Threat {
    /// A budget at which a standard model of the data set fails and an adversarially trained one mostly holds.
    pub fn usual(dataset: Dataset, norm: Norm) -> Self {
        let epsilon = match (dataset, norm) {
            (Dataset::Fashion, Norm::Linf) => 0.1,
            (Dataset::Fashion, Norm::L2) => 1.5,
            (Dataset::Fashion, Norm::L1) => 10.0,
            (Dataset::Digits, Norm::Linf) => 0.2,
            (Dataset::Digits, Norm::L2) => 2.0,
            (Dataset::Digits, Norm::L1) => 12.0,
        };
        Self { norm, epsilon }
    }
}

impl Default for Threat {
    fn default() -> Self {
        Self::usual(Dataset::default(), Norm::default())
    }
}
