//! AdamW and the running average of the weights, in one pass over the numbers.
//!
//! candle-nn's AdamW takes thirteen passes, each into a new tensor and, for large tensors, over threads that wait by
//! spinning: more work than the rest of a training step of these small networks.

use serde::{Deserialize, Serialize};

/// The numbers of a network in training, with what the optimiser remembers of them.
#[derive(Serialize, Deserialize)]
pub(super) struct Optimiser {
    weight_decay: f64,
    average_decay: f64,
    steps: u32,
    /// The decays to the power of the number of steps.
    powers: [f64; 2],
    numbers: Vec<Vec<f32>>,
    first_moments: Vec<Vec<f32>>,
    second_moments: Vec<Vec<f32>>,
    averages: Vec<Vec<f32>>,
}

/// Decay of the mean gradient.
const FIRST_DECAY: f32 = 0.9;
/// Decay of the mean squared gradient.
const SECOND_DECAY: f32 = 0.999;
/// Keeps the quotient finite where gradients vanish.
const TINY: f32 = 1e-8;

impl Optimiser {
    /// Starts from `numbers`, one list for each tensor.
    pub fn new(numbers: Vec<Vec<f32>>, weight_decay: f64, average_decay: f64) -> Self {
        let zeros: Vec<Vec<f32>> = numbers.iter().map(|tensor| vec![0.0; tensor.len()]).collect();
        Self {
            weight_decay,
            average_decay,
            steps: 0,
            powers: [1.0; 2],
            first_moments: zeros.clone(),
            second_moments: zeros,
            averages: numbers.clone(),
            numbers,
        }
    }

    /// Whether it has taken so many steps of the training that `new` begins: with the same decays, and numbers of the same
    /// shapes.
    pub fn continues(&self, new: &Self, steps: u32) -> bool {
        let shapes = |tensors: &[Vec<f32>]| tensors.iter().map(Vec::len).collect::<Vec<_>>();
        let all = [&self.numbers, &self.first_moments, &self.second_moments, &self.averages];
        self.steps == steps
            && (self.weight_decay, self.average_decay) == (new.weight_decay, new.average_decay)
            && all.into_iter().all(|tensors| shapes(tensors) == shapes(&new.numbers))
    }

    /// The numbers now.
    pub fn numbers(&self) -> &[Vec<f32>] {
        &self.numbers
    }

    /// The running average of the numbers after each step.
    pub fn averages(&self) -> &[Vec<f32>] {
        &self.averages
    }

    /// One step of AdamW (Loshchilov and Hutter 2019) at learning rate `rate` along `gradients`, laid out as the numbers.
    pub fn step(&mut self, rate: f64, gradients: &[Vec<f32>]) {
        self.steps += 1;
        // The moments start at zero: their bias is corrected.
        for (power, decay) in self.powers.iter_mut().zip([FIRST_DECAY, SECOND_DECAY]) {
            *power *= f64::from(decay);
        }
        let [first_scale, second_scale] = self.powers.map(|power| (1.0 / (1.0 - power)) as f32);
        let (kept, rate) = ((1.0 - rate * self.weight_decay) as f32, rate as f32);
        // Early on the average must forget the initial weights sooner.
        let steps = self.steps as f64;
        let average_decay = self.average_decay.min((1.0 + steps) / (10.0 + steps)) as f32;
        let moments = self.first_moments.iter_mut().zip(&mut self.second_moments);
        let tensors = self.numbers.iter_mut().zip(&mut self.averages).zip(moments).zip(gradients);
        for (((numbers, averages), (first_moments, second_moments)), gradients) in tensors {
            let moments = first_moments.iter_mut().zip(second_moments);
            let all = numbers.iter_mut().zip(averages).zip(moments).zip(gradients);
            for (((number, average), (first, second)), &gradient) in all {
                *first = FIRST_DECAY * *first + (1.0 - FIRST_DECAY) * gradient;
                *second = SECOND_DECAY * *second + (1.0 - SECOND_DECAY) * gradient * gradient;
                let direction = *first * first_scale / ((*second * second_scale).sqrt() + TINY);
                *number = *number * kept - rate * direction;
                *average = average_decay * *average + (1.0 - average_decay) * *number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_as_long_as_the_learning_rate_whatever_the_gradients_scale() {
        for scale in [1e-3, 1.0, 1e3] {
            let mut optimiser = Optimiser::new(vec![vec![1.0, 1.0, 1.0]], 0.0, 0.9);
            optimiser.step(0.1, &[vec![scale, -scale, 0.0]]);
            for (number, expected) in optimiser.numbers()[0].iter().zip([0.9, 1.1, 1.0]) {
                assert!((number - expected).abs() < 1e-5, "{number}");
            }
        }
    }

    #[test]
    fn weights_without_gradient_decay_by_rate_times_decay() {
        let mut optimiser = Optimiser::new(vec![vec![2.0]], 0.5, 0.9);
        optimiser.step(0.1, &[vec![0.0]]);
        assert!((optimiser.numbers()[0][0] - 2.0 * 0.95).abs() < 1e-6);
    }

    #[test]
    fn a_quadratic_is_minimised_and_the_average_follows() {
        let mut optimiser = Optimiser::new(vec![vec![3.0], vec![-2.0]], 0.0, 0.9);
        for step in 0..600 {
            let gradients: Vec<Vec<f32>> =
                optimiser.numbers().iter().map(|tensor| vec![2.0 * (tensor[0] - 1.0)]).collect();
            optimiser.step(0.05 * (1.0 - step as f64 / 600.0), &gradients);
        }
        for tensor in optimiser.averages() {
            assert!((tensor[0] - 1.0).abs() < 0.02, "{tensor:?}");
        }
    }
}
