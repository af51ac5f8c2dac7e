//! Projected gradient descent: x ← Π(x + α · steepest(∇ₓ L)), where Π is the projection onto the ball and the box.
//!
//! The steepest step and the projection are those of the norm ([`crate::threat::add_steepest`],
//! [`crate::threat::onto_ball_and_box`]). Restarts after the first, and the first too if asked for, begin at a random
//! point of the ball. With its own parameters PGD becomes other attacks: with momentum 1 and α = ε / T it is MI-FGSM,
//! with an adaptive step size APGD.
//!
//! Madry, Makelov, Schmidt, Tsipras, Vladu, "Towards deep learning models resistant to adversarial attacks", ICLR 2018.

use super::composed::{Composed, Pace, Rule};
use super::objective::OBJECTIVE;
use super::parameter::{Kind, Parameter};
use super::{Access, Aim, Attack, Objective, Oracle, Searching, Subject, Uses};
use crate::experiment::AttackSettings;
use crate::threat::Threat;

/// Projected gradient descent.
pub(super) struct Pgd;

/// μ.
pub(super) const MOMENTUM: Parameter = Parameter {
    key: "momentum",
    label: "Momentum μ",
    unit: "",
    help: "How much of the directions of earlier steps is kept. With 0 each step follows the gradient alone.",
    kind: Kind::Number { default: 0.0, least: 0.0, greatest: 2.0, step: 0.1, whole: false },
};

/// Whether all steps are of length α.
pub(super) const PACE: Parameter = Parameter {
    key: "pace",
    label: "Step size",
    unit: "",
    help: "Constant: every step has length α. Adaptive: steps begin at 2ε and are halved when the objective no longer \
           grows, as in APGD; α is not used.",
    kind: Kind::Choice { options: &[("constant", "constant α"), ("adaptive", "adaptive")], default: 0 },
};

impl Attack for Pgd {
    fn key(&self) -> &'static str {
        "pgd"
    }

    fn title(&self) -> &'static str {
        "PGD"
    }

    fn summary(&self) -> &'static str {
        "Many small steps in the direction in which the loss grows fastest, each followed by the way back to the nearest \
         picture that is allowed."
    }

    fn paper(&self) -> &'static str {
        "Madry, Makelov, Schmidt, Tsipras, Vladu: Towards deep learning models resistant to adversarial attacks. ICLR 2018"
    }

    fn access(&self) -> Access {
        Access::Gradients
    }

    fn aim(&self) -> Aim {
        Aim::Strongest
    }

    fn uses(&self) -> Uses {
        Uses { steps: true, alpha: true, random_start: true, restarts: true }
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&OBJECTIVE, &MOMENTUM, &PACE]
    }

    fn cost(&self, settings: &AttackSettings) -> u32 {
        settings.steps * settings.restarts
    }

    fn pytorch(&self, settings: &AttackSettings, threat: &Threat) -> Option<String> {
        Some(composed(settings, threat.epsilon).pytorch())
    }

    fn search(&self, subject: Subject, oracle: Oracle) -> Searching {
        Box::pin(composed(&subject.settings, subject.epsilon()).climb(subject, oracle))
    }
}

/// The loop with these settings.
fn composed(settings: &AttackSettings, epsilon: f32) -> Composed {
    Composed {
        objective: Objective::from_value(settings.get(&OBJECTIVE)),
        rule: Rule::Steepest,
        momentum: settings.get(&MOMENTUM),
        pace: match settings.get(&PACE) {
            0.0 => Pace::Constant(settings.alpha_for(epsilon)),
            _ => Pace::Adaptive,
        },
        steps: settings.steps,
        restarts: settings.restarts,
        random_start: settings.random_start,
    }
}
