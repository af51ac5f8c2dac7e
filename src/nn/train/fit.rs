//! The training loop.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::TrainError;
use super::adversary::Pgd;
use super::network::Network;
use super::optimise::Optimiser;
use super::recipe::Recipe;
use crate::data::{Examples, PIXELS};
use crate::nn::{Executor, Weights, ops};
use crate::random::{Random, Stream};
use crate::threat::Threat;

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The step that was just done, from 1.
    pub step: usize,
    /// All steps there will be.
    pub steps: usize,
    /// The epoch it belongs to, from 1.
    pub epoch: usize,
    /// The mean loss on its batch, attacked where the recipe attacks.
    pub loss: f32,
}

/// Trains a network on `examples` and returns the averaged weights after the last epoch.
///
/// # Errors
/// If the recipe's network does not fit together, there are no examples, or the loss stops being a number.
pub fn fit(recipe: &Recipe, examples: &Examples, mut progress: impl FnMut(Step)) -> Result<Weights, TrainError> {
    if examples.is_empty() || recipe.epochs == 0 || recipe.batch == 0 {
        return Err(TrainError::Nothing);
    }
    let architecture = (recipe.architecture)();
    let input = architecture.input;
    let network = Network::new(architecture.clone(), recipe.seed)?;
    let mut optimiser = Optimiser::new(network.numbers()?, recipe.weight_decay, recipe.average);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let steps = recipe.epochs * examples.len().div_ceil(recipe.batch);
    let mut step = 0;
    for epoch in 0..recipe.epochs {
        Random::new(recipe.seed, Stream::Order, epoch as u64).shuffle(&mut order);
        for batch in order.chunks(recipe.batch) {
            let done = step as f64 / steps as f64;
            // No two pictures of the whole training share random numbers.
            let item = |index: usize| (epoch * examples.len() + index) as u64;
            let mut images = vec![0.0; batch.len() * PIXELS];
            images.par_chunks_exact_mut(PIXELS).zip(batch).for_each(|(image, &index)| {
                let mut random = Random::new(recipe.seed, Stream::Augmentation, item(index));
                recipe.augmentation.apply(examples.picture(index), &mut random, image);
            });
            let labels: Vec<u8> = batch.iter().map(|&index| examples.labels[index]).collect();
            if let Some(adversary) = &recipe.adversary {
                let executor = Executor::new(&architecture, &network.weights(optimiser.numbers().to_vec())?)?;
                let epsilon = adversary.threat.epsilon * (done / adversary.rise.max(1e-9)).min(1.0) as f32;
                Pgd {
                    threat: Threat { epsilon, ..adversary.threat },
                    alpha: 2.5 * epsilon / adversary.steps as f32,
                    steps: adversary.steps,
                    seed: recipe.seed,
                    first: (step * recipe.batch) as u64,
                }
                .attack(&executor, &mut images, &labels);
            }
            let shape = (batch.len(), input.channels, input.height, input.width);
            let images = Tensor::from_vec(images, shape, &Device::Cpu)?;
            let loss = ops::cross_entropy(&network.forward(&images)?, &labels, recipe.smoothing)?;
            optimiser.step(recipe.schedule.rate(done), &network.gradients(&loss)?);
            network.set(optimiser.numbers())?;
            step += 1;
            let loss = loss.to_vec0::<f32>()?;
            if !loss.is_finite() {
                return Err(TrainError::Diverged { step, epoch: epoch + 1 });
            }
            progress(Step { step, steps, epoch: epoch + 1, loss });
        }
    }
    Ok(network.weights(optimiser.into_averages())?)
}
