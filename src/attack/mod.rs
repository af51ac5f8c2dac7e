//! Attacks: searches for a perturbation that changes what a classifier says.
//!
//! An attack proposes, [`verify()`] decides. Iterative attacks share one loop ([`Run`]) and say only what differs: how
//! many steps, from where, how long, and how an iterate follows the gradient. To add one, write a file like `pgd.rs`,
//! and give it a variant of [`Method`] and a line in [`Method::iterative`].

mod fgsm;
mod objective;
mod pgd;
mod run;
#[cfg(test)]
mod tests;
mod verify;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use objective::Goal;
pub use run::{Item, Outcome, Record, Run, Task, Trace, run};
pub use verify::{Proposal, Verdict, verify};

use crate::experiment::AttackSettings;
use crate::threat::Norm;

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

    /// What the attack does in the loop.
    fn iterative(self) -> &'static dyn Iterative {
        match self {
            Self::Fgsm => &fgsm::Fgsm,
            Self::Pgd => &pgd::Pgd,
        }
    }

    /// The name in links and commands.
    pub fn key(self) -> &'static str {
        self.iterative().key()
    }

    /// The inverse of [`Self::key`].
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.key() == key)
    }

    /// How many steps, restarts and which start the attack makes of its settings.
    pub fn schedule(self, settings: &AttackSettings) -> Schedule {
        self.iterative().schedule(settings)
    }

    /// The length of the attack's steps, in the unit of ε.
    pub fn alpha(self, settings: &AttackSettings, epsilon: f32) -> f32 {
        self.iterative().alpha(settings, epsilon)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.iterative().title())
    }
}

/// How the loop is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Number of steps T; there are T + 1 iterates.
    pub steps: u32,
    /// How many times the loop is run.
    pub restarts: u32,
    /// Whether the first run starts at a random point too; the others always do.
    pub random_start: bool,
}

/// One iterate on its way to the next.
struct Advance<'a> {
    norm: Norm,
    epsilon: f32,
    alpha: f32,
    /// x.
    image: &'a [f32],
    /// The gradient of the objective at the iterate; the objective is to grow.
    gradient: &'a [f32],
    /// The iterate, to be moved. It must stay in the ball and the box.
    point: &'a mut [f32],
}

/// What differs between iterative attacks.
trait Iterative: Sync {
    /// The name in links and commands.
    fn key(&self) -> &'static str;
    /// The name for people.
    fn title(&self) -> &'static str;
    /// How the loop is run.
    fn schedule(&self, settings: &AttackSettings) -> Schedule;
    /// The length of a step, in the unit of ε.
    fn alpha(&self, settings: &AttackSettings, epsilon: f32) -> f32;
    /// Moves one picture's iterate.
    fn advance(&self, step: Advance);
}
