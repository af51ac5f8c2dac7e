//! Projected gradient descent: x ← Π(x + α · steepest(∇ₓ L)), where Π is the projection onto the ball and the box.
//!
//! The steepest step and the projection are those of the norm ([`threat::add_steepest`],
//! [`threat::onto_ball_and_box`]). Restarts after the first, and the first too if asked for, begin at a random point of
//! the ball.
//!
//! Madry, Makelov, Schmidt, Tsipras, Vladu, "Towards deep learning models resistant to adversarial attacks", ICLR 2018.

use super::{Advance, Iterative, Schedule};
use crate::experiment::AttackSettings;
use crate::threat;

/// Projected gradient descent.
pub(super) struct Pgd;

impl Iterative for Pgd {
    fn key(&self) -> &'static str {
        "pgd"
    }

    fn title(&self) -> &'static str {
        "PGD"
    }

    fn schedule(&self, settings: &AttackSettings) -> Schedule {
        Schedule { steps: settings.steps, restarts: settings.restarts, random_start: settings.random_start }
    }

    fn alpha(&self, settings: &AttackSettings, epsilon: f32) -> f32 {
        settings.alpha_for(epsilon)
    }

    fn advance(&self, Advance { norm, epsilon, alpha, image, gradient, point }: Advance) {
        threat::add_steepest(norm, alpha, gradient, point);
        threat::onto_ball_and_box(norm, epsilon, image, point);
    }
}
