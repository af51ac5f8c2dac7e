//! The momentum iterative fast gradient sign method: m ← μ · m + g / ‖g‖₁, x ← Π(x + α · steepest(m)).
//!
//! What is accumulated are gradients divided by their L1 length, not their signs: a step whose gradient is larger has
//! no more say than one whose gradient is smaller, and a zero gradient adds nothing. α is ε / T if it is not set, as in
//! the paper. The directions that persist over steps are those that other networks share, so its results transfer.
//!
//! Dong, Liao, Pang, Su, Zhu, Hu, Li, "Boosting adversarial attacks with momentum", CVPR 2018.

use super::composed::{Composed, Pace, Rule};
use super::objective::OBJECTIVE;
use super::parameter::{Kind, Parameter};
use super::{Access, Aim, Attack, Objective, Oracle, Searching, Subject, Uses};
use crate::experiment::AttackSettings;
use crate::threat::Threat;

/// MI-FGSM.
pub(super) struct MiFgsm;

const DECAY: Parameter = Parameter {
    key: "momentum",
    label: "Momentum μ",
    unit: "",
    help: "How much of the accumulated direction each step keeps.",
    kind: Kind::Number { default: 1.0, least: 0.0, greatest: 2.0, step: 0.1, whole: false },
};

impl Attack for MiFgsm {
    fn key(&self) -> &'static str {
        "mi-fgsm"
    }

    fn title(&self) -> &'static str {
        "MI-FGSM"
    }

    fn summary(&self) -> &'static str {
        "Many small steps along a direction in which the gradients of all steps so far are accumulated. It swerves less \
         than PGD, and its pictures fool other networks more often."
    }

    fn paper(&self) -> &'static str {
        "Dong, Liao, Pang, Su, Zhu, Hu, Li: Boosting adversarial attacks with momentum. CVPR 2018"
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
        &[&DECAY, &OBJECTIVE]
    }

    fn alpha(&self, settings: &AttackSettings, epsilon: f32) -> f32 {
        settings.alpha.unwrap_or(epsilon / settings.steps.max(1) as f32)
    }

    fn alpha_rule(&self) -> &'static str {
        "ε / steps"
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
        momentum: settings.get(&DECAY),
        pace: Pace::Constant(settings.alpha_for(epsilon)),
        steps: settings.steps,
        restarts: settings.restarts,
        random_start: settings.random_start,
    }
}
