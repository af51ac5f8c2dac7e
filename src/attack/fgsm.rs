//! The fast gradient sign method: one step of length ε along the gradient, cut to the box.
//!
//! L∞: x′ = clip(x + ε · sign(∇ₓ L)). L2: the gradient scaled to length ε. L1: the whole budget on the steepest
//! coordinates. Targeted, the sign is flipped. There is one step from x itself: α, steps, random start and restarts do
//! not matter.
//!
//! Goodfellow, Shlens, Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015.

use super::composed::{Composed, Pace, Rule};
use super::{Access, Aim, Attack, Objective, Oracle, Searching, Subject, Uses};
use crate::experiment::AttackSettings;
use crate::threat::{Norm, Threat};

/// The fast gradient sign method.
pub(super) struct Fgsm;

impl Attack for Fgsm {
    fn key(&self) -> &'static str {
        "fgsm"
    }

    fn title(&self) -> &'static str {
        "FGSM"
    }

    fn summary(&self) -> &'static str {
        "One step of length ε in the direction in which the loss grows fastest. Under L∞ every pixel moves by ε, up or \
         down as the sign of its gradient says."
    }

    fn paper(&self) -> &'static str {
        "Goodfellow, Shlens, Szegedy: Explaining and harnessing adversarial examples. ICLR 2015"
    }

    fn access(&self) -> Access {
        Access::Gradients
    }

    fn aim(&self) -> Aim {
        Aim::Strongest
    }

    fn uses(&self) -> Uses {
        Uses::default()
    }

    fn alpha(&self, _: &AttackSettings, epsilon: f32) -> f32 {
        epsilon
    }

    fn alpha_rule(&self) -> &'static str {
        "ε"
    }

    fn cost(&self, _: &AttackSettings) -> u32 {
        1
    }

    fn pytorch(&self, _: &AttackSettings, threat: &Threat) -> Option<String> {
        Some(if threat.norm == Norm::L1 { PYTORCH_L1 } else { PYTORCH }.into())
    }

    fn search(&self, subject: Subject, oracle: Oracle) -> Searching {
        let composed = Composed {
            objective: Objective::CrossEntropy,
            rule: Rule::Fast,
            momentum: 0.0,
            pace: Pace::Constant(subject.epsilon()),
            steps: 1,
            restarts: 1,
            random_start: false,
        };
        Box::pin(composed.climb(subject, oracle))
    }
}

const PYTORCH: &str = "x_adv = (x + steepest(x, gradient(x), epsilon)).clamp(0, 1)\n";

const PYTORCH_L1: &str = "g = gradient(x)
room = torch.where(g > 0, 1 - x, torch.where(g < 0, x, 0.0)).flatten()
order = g.abs().flatten().argsort(descending=True)  # the steepest pixel first, as far as the box lets it
spent = (epsilon - (room[order].cumsum(0) - room[order])).clamp_min(0).minimum(room[order])
delta = torch.zeros(x.numel())
delta[order] = spent
x_adv = x + delta.view_as(x) * g.sign()
";
