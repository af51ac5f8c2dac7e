//! Attacks: searches for a perturbation that changes what a classifier says.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The named attacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The fast gradient sign method (Goodfellow, Shlens, Szegedy 2015): one steepest step of length ε.
    Fgsm,
    /// Projected gradient descent (Madry et al. 2018): many steepest steps, each projected back into the ball.
    #[default]
    Pgd,
}

impl Method {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Fgsm, Self::Pgd];

    /// The name in links and commands.
    pub fn key(self) -> &'static str {
        match self {
            Self::Fgsm => "fgsm",
            Self::Pgd => "pgd",
        }
    }

    /// The inverse of [`Self::key`].
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.key() == key)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fgsm => "FGSM",
            Self::Pgd => "PGD",
        })
    }
}
