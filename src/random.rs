//! Randomness that is the same on every platform.
//!
//! A counter-based generator (ChaCha8) is keyed by the experiment's seed; every use has a [`Stream`] of its own, and
//! every item of a batch its own sub-stream. So a picture's draws depend neither on the batch it is in nor on the
//! number of threads, and WebAssembly and native code draw the same numbers.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// What the numbers are for. Two purposes never share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// Random starts of iterative attacks.
    Start = 1,
    /// The random direction of the decision-boundary plane.
    Plane = 2,
    /// Initial weights of a network.
    Weights = 3,
    /// The order of the training examples.
    Order = 4,
    /// Random shifts and flips of training examples, and dropout.
    Augmentation = 5,
    /// Which examples are held out for testing.
    Split = 6,
    /// What an attack draws as it searches.
    Search = 20,
    /// The noise that maps of a classifier's view are averaged over.
    Explain = 40,
    /// The points of a two-dimensional task.
    Scene = 41,
}

/// A generator of numbers for one purpose and one item.
#[derive(Clone, Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The numbers that `seed` gives to `item` (a picture's index, a restart, an epoch) of `stream`.
    pub fn new(seed: u64, stream: Stream, item: u64) -> Self {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..12].copy_from_slice(&(stream as u32).to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(item);
        Self(rng)
    }

    /// Uniform in [0, 1), a multiple of 2⁻²⁴.
    pub fn uniform(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Uniform in `low..high`.
    pub fn uniform_in(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Standard normal (Box–Muller, in double precision through `libm`, so every platform agrees).
    pub fn normal(&mut self) -> f32 {
        // 1 − u lies in (0, 1]: the logarithm is finite.
        let u = 1.0 - self.uniform() as f64;
        let v = self.uniform() as f64;
        (f64::sqrt(-2.0 * libm::log(u)) * libm::cos(core::f64::consts::TAU * v)) as f32
    }

    /// Standard exponential.
    pub fn exponential(&mut self) -> f32 {
        -libm::log(1.0 - self.uniform() as f64) as f32
    }

    /// A whole number in `0..n`. `n` must be at least 1.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.0.next_u32() as u64 * n as u64) >> 32) as usize
    }

    /// Shuffles in place (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_item_others() {
        let draw = |seed, stream, item| {
            let mut random = Random::new(seed, stream, item);
            std::array::from_fn::<f32, 8, _>(|_| random.uniform())
        };
        assert_eq!(draw(1, Stream::Start, 0), draw(1, Stream::Start, 0));
        assert_ne!(draw(1, Stream::Start, 0), draw(1, Stream::Start, 1));
        assert_ne!(draw(1, Stream::Start, 0), draw(1, Stream::Plane, 0));
        assert_ne!(draw(1, Stream::Start, 0), draw(2, Stream::Start, 0));
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut random = Random::new(3, Stream::Plane, 0);
        let draws: Vec<f64> = (0..20_000).map(|_| random.normal() as f64).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.03, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.05, "variance {variance}");
    }
}
