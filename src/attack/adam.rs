//! Adam, for attacks that minimise.
//!
//! Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.

/// The moments of one minimisation.
pub(super) struct Adam {
    first: Vec<f32>,
    second: Vec<f32>,
    /// β₁ and β₂ to the power of the steps taken.
    powers: (f64, f64),
}

const BETA: (f32, f32) = (0.9, 0.999);
const TINY: f64 = 1e-8;

impl Adam {
    /// At rest, for `n` numbers.
    pub(super) fn new(n: usize) -> Self {
        Self { first: vec![0.0; n], second: vec![0.0; n], powers: (1.0, 1.0) }
    }

    /// Moves `point` one step of size `rate` against the gradient.
    pub(super) fn descend(&mut self, rate: f32, gradient: &[f32], point: &mut [f32]) {
        self.powers = (self.powers.0 * BETA.0 as f64, self.powers.1 * BETA.1 as f64);
        let (first, second) = (1.0 - self.powers.0, 1.0 - self.powers.1);
        for (((p, &g), m), v) in point.iter_mut().zip(gradient).zip(&mut self.first).zip(&mut self.second) {
            *m = BETA.0 * *m + (1.0 - BETA.0) * g;
            *v = BETA.1 * *v + (1.0 - BETA.1) * (g * g);
            *p -= (rate as f64 * (*m as f64 / first) / ((*v as f64 / second).sqrt() + TINY)) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_have_the_rates_length_and_a_bowls_bottom_is_found() {
        let mut adam = Adam::new(2);
        let mut point = [1.0, -3.0];
        for step in 0..500 {
            let gradient = [2.0 * (point[0] - 0.5), 20.0 * point[1]];
            adam.descend(0.05, &gradient, &mut point);
            if step == 0 {
                assert!((point[0] - 0.95).abs() < 1e-6 && (point[1] + 2.95).abs() < 1e-6, "{point:?}");
            }
        }
        assert!((point[0] - 0.5).abs() < 1e-2 && point[1].abs() < 1e-2, "{point:?}");
    }
}
