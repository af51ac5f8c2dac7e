//! Auto-PGD: projected gradient descent that chooses its own step size.
//!
//! It begins with steps of 2ε, each averaged with the one before (0.75 to 0.25), and at checkpoints, at 22 %, 41 %, 57 %
//! … of the steps, halves the step size and goes back to its best picture if progress was too slow. There is no α to be
//! chosen wrongly. With the cross-entropy or the difference-of-logits ratio it is part of AutoAttack.
//!
//! Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
//! ICML 2020.

use super::composed::{Composed, Pace, Rule};
use super::objective::OBJECTIVE;
use super::parameter::Parameter;
use super::{Access, Aim, Attack, Objective, Oracle, Searching, Subject, Uses};
use crate::experiment::AttackSettings;
use crate::threat::{Norm, Threat};

/// APGD.
pub(super) struct Apgd;

impl Attack for Apgd {
    fn key(&self) -> &'static str {
        "apgd"
    }

    fn title(&self) -> &'static str {
        "Auto-PGD"
    }

    fn summary(&self) -> &'static str {
        "PGD that finds its step size by itself: large steps at first, half as large whenever the loss grows too seldom. \
         It has nothing to be tuned, so it is the usual test of a defence."
    }

    fn paper(&self) -> &'static str {
        "Croce, Hein: Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks. \
         ICML 2020"
    }

    fn access(&self) -> Access {
        Access::Gradients
    }

    fn aim(&self) -> Aim {
        Aim::Strongest
    }

    /// Under L1 the published method takes other steps, of another sparsity each.
    fn norms(&self) -> &'static [Norm] {
        &[Norm::Linf, Norm::L2]
    }

    fn uses(&self) -> Uses {
        Uses { steps: true, random_start: true, restarts: true, ..Uses::default() }
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&OBJECTIVE]
    }

    fn alpha(&self, _: &AttackSettings, epsilon: f32) -> f32 {
        2.0 * epsilon
    }

    fn alpha_rule(&self) -> &'static str {
        "at first 2ε"
    }

    fn cost(&self, settings: &AttackSettings) -> u32 {
        settings.steps * settings.restarts
    }

    fn pytorch(&self, settings: &AttackSettings, _: &Threat) -> Option<String> {
        Some(composed(settings).pytorch())
    }

    fn search(&self, subject: Subject, oracle: Oracle) -> Searching {
        Box::pin(composed(&subject.settings).climb(subject, oracle))
    }
}

/// The loop with these settings.
fn composed(settings: &AttackSettings) -> Composed {
    Composed {
        objective: Objective::from_value(settings.get(&OBJECTIVE)),
        rule: Rule::Steepest,
        momentum: 0.0,
        pace: Pace::Adaptive,
        steps: settings.steps,
        restarts: settings.restarts,
        random_start: settings.random_start,
    }
}
