//! The fast gradient sign method: one step of length ε along the gradient, cut to the box.
//!
//! L∞: x′ = clip(x + ε · sign(∇ₓ L)). L2: the gradient scaled to length ε. L1: the whole budget on the steepest
//! coordinates. Targeted, the sign is flipped. There is one step from x itself: α, steps, random start and restarts do
//! not matter.
//!
//! Goodfellow, Shlens, Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015.

use super::{Advance, Iterative, Schedule};
use crate::experiment::AttackSettings;
use crate::threat;

/// The fast gradient sign method.
pub(super) struct Fgsm;

impl Iterative for Fgsm {
    fn key(&self) -> &'static str {
        "fgsm"
    }

    fn title(&self) -> &'static str {
        "FGSM"
    }

    fn schedule(&self, _: &AttackSettings) -> Schedule {
        Schedule { steps: 1, restarts: 1, random_start: false }
    }

    fn alpha(&self, _: &AttackSettings, epsilon: f32) -> f32 {
        epsilon
    }

    fn advance(&self, Advance { norm, epsilon, gradient, point, .. }: Advance) {
        threat::add_fast(norm, epsilon, gradient, point);
    }
}
