//! Attacks: searches for a perturbation that changes what a classifier says.
//!
//! An attack is a value that says what it is (its [`Attack`] trait: title, paper, norms, parameters) and searches for one
//! picture. [`Run`] does the rest for any number of pictures: it asks the classifier what the searches want to know,
//! all of them in one batch, judges what they propose ([`verify()`]: no attack grades itself) and keeps the accounts.
//!
//! To add an attack, write a file like `fgsm.rs` and give it a line in [`ATTACKS`]. Its parameters are declared there,
//! once: links, the command line, the page's controls and the checks all follow from the declaration.
//!
//! A search is a plain `async` function over one picture. It waits for the classifier with [`Oracle::logits`] and
//! [`Oracle::gradient`], and reads like the algorithm in its paper; the batch, and the stopping between any two calls of
//! the classifier, are [`Run`]'s.

mod adam;
mod apgd;
mod boundary;
mod composed;
mod cw;
mod declared;
mod deepfool;
mod fgsm;
mod lbfgs;
mod method;
mod mi_fgsm;
mod noise;
mod objective;
mod oracle;
mod parameter;
mod pgd;
mod run;
mod spatial;
mod square;
mod story;
mod subject;
#[cfg(test)]
mod tests;
mod verify;
mod weight;

use std::pin::Pin;

pub use method::Method;
pub use objective::{Goal, Objective};
pub use oracle::{Answer, Oracle};
pub use parameter::{Kind, Parameter};
pub use run::{Item, Outcome, Record, Run, Task, Trace, run};
pub use story::{Checkpoint, Grid, Linearised, Measure, Story, Transform, Weighing};
pub use subject::{Found, Subject};
pub use verify::{Proposal, Verdict, verify};

use self::declared::registered;
use crate::experiment::AttackSettings;
use crate::threat::{Norm, Threat};

/// The registered attacks, in the order in which they are offered.
pub static ATTACKS: &[&dyn Attack] = &[
    registered!(fgsm::Fgsm),
    registered!(pgd::Pgd),
    registered!(mi_fgsm::MiFgsm),
    registered!(apgd::Apgd),
    registered!(noise::Noise),
    registered!(deepfool::DeepFool),
    registered!(cw::CarliniWagner),
    registered!(lbfgs::Lbfgs),
    registered!(spatial::affine::Affine),
    registered!(spatial::flow::Flow),
    registered!(square::Square),
    registered!(boundary::Boundary),
];

/// A search under way for one picture.
pub type Searching = Pin<Box<dyn Future<Output = Found> + Send>>;

/// An attack: what it is, and how it searches. What has a default here is passed on in `declared.rs`, too.
pub trait Attack: Sync {
    /// The name in links, files and commands.
    fn key(&self) -> &'static str;
    /// The name for people.
    fn title(&self) -> &'static str;
    /// One or two sentences for a student: what the attack does.
    fn summary(&self) -> &'static str;
    /// Who published it, where.
    fn paper(&self) -> &'static str;
    /// What the attacker must know of the model.
    fn access(&self) -> Access;
    /// What the attack tries to do.
    fn aim(&self) -> Aim;

    /// The norms under which it is defined; none if no norm measures what it does.
    fn norms(&self) -> &'static [Norm] {
        &Norm::ALL
    }

    /// Which of the settings that attacks have in common it uses.
    fn uses(&self) -> Uses;

    /// The settings that are its own.
    fn parameters(&self) -> &'static [&'static Parameter] {
        &[]
    }

    /// The length of its steps, in the unit of ε.
    fn alpha(&self, settings: &AttackSettings, epsilon: f32) -> f32 {
        settings.alpha.unwrap_or(2.5 * epsilon / settings.steps.max(1) as f32)
    }

    /// How α follows ε when it is not set, as a formula for people.
    fn alpha_rule(&self) -> &'static str {
        "2.5 · ε / steps"
    }

    /// How many pictures the classifier is asked about for one attacked picture, at most, roughly.
    fn cost(&self, settings: &AttackSettings) -> u32;

    /// The attack in Python, from x to x_adv, in terms of what [`crate::experiment::snippet`] has defined before; none if
    /// it is not written out.
    fn pytorch(&self, settings: &AttackSettings, threat: &Threat) -> Option<String> {
        let _ = (settings, threat);
        None
    }

    /// Begins a search.
    fn search(&self, subject: Subject, oracle: Oracle) -> Searching;
}

/// What an attacker must know of the model, the most demanding first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The network itself: gradients with respect to the picture.
    Gradients,
    /// The logits or probabilities of pictures of its choice.
    Scores,
    /// Only which class a picture of its choice is given.
    Label,
    /// Nothing.
    Nothing,
}

/// What an attack tries to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The strongest perturbation with ‖δ‖ ≤ ε.
    Strongest,
    /// The smallest perturbation that reaches the goal. ε only decides whether it is small enough.
    Smallest,
    /// A transformation that no norm measures: rotation, shift, flow. ε does not matter.
    Transformation,
}

/// Which of the settings that attacks have in common an attack uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// The number of steps.
    pub steps: bool,
    /// The step size.
    pub alpha: bool,
    /// The random start.
    pub random_start: bool,
    /// The number of restarts.
    pub restarts: bool,
}
