//! The search over the weight c that minimal attacks give the goal against the length of δ.

/// Finds the smallest c that reaches the goal: tenfold until the first success, then bisection.
pub(super) struct Weight {
    /// The one to try.
    pub(super) c: f32,
    /// The greatest that is known not to reach the goal.
    low: f32,
    /// The smallest that is known to; infinite if there is none.
    high: f32,
}

impl Weight {
    /// Begins at `c`.
    pub(super) fn new(c: f32) -> Self {
        Self { c, low: 0.0, high: f32::INFINITY }
    }

    /// Goes on to the next c, knowing how the present one did.
    pub(super) fn advance(&mut self, reached: bool) {
        if reached {
            self.high = self.high.min(self.c);
        } else {
            self.low = self.low.max(self.c);
        }
        self.c = if self.high < f32::INFINITY { 0.5 * (self.low + self.high) } else { (10.0 * self.c).min(1e10) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_grows_until_it_suffices_and_is_then_bisected() {
        let mut weight = Weight::new(0.001);
        let mut tried = Vec::new();
        for _ in 0..7 {
            tried.push(weight.c);
            weight.advance(weight.c >= 0.07);
        }
        let expected = [0.001, 0.01, 0.1, 0.055, 0.0775, 0.06625, 0.071875];
        assert!(tried.iter().zip(expected).all(|(tried, expected)| (tried - expected).abs() < 1e-6), "{tried:?}");
    }
}
