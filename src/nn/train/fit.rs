//! The training loop.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::adversary::Pgd;
use super::network::{Network, NetworkError};
use super::optimise::Optimiser;
use super::recipe::{Adversary, Schedule};
use crate::nn::weights::WeightsError;
use crate::nn::{Architecture, Arithmetic, BuildError, Executor, Weights, ops};
use crate::random::{Random, Stream};
use crate::threat::Threat;

/// How a network is trained, whatever it learns from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The network.
    pub architecture: Architecture,
    /// Passes over the examples.
    pub epochs: usize,
    /// Examples in a step.
    pub batch: usize,
    /// Key of every random number.
    pub seed: u64,
    /// Learning rate over time.
    pub schedule: Schedule,
    /// AdamW's decay of the weights per unit of learning rate (Loshchilov and Hutter 2019).
    pub weight_decay: f64,
    /// Decay per step of the running average of the weights, which is what comes out; 0 for the weights themselves.
    pub average: f64,
    /// Share of the target that is spread over all classes.
    pub smoothing: f32,
    /// The attacker to train against, if any.
    pub adversary: Option<Adversary>,
    /// How products are summed. Exact, the same plan gives the same weights on every platform.
    pub arithmetic: Arithmetic,
}

/// What a network learns from.
pub trait Lessons: Sync {
    /// Number of examples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of an example.
    fn label(&self, index: usize) -> u8;

    /// Writes an example as it is seen this time, which may depend on random numbers.
    fn show(&self, index: usize, random: &mut Random, picture: &mut [f32]);
}

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The step that was just done, from 1.
    pub step: usize,
    /// All steps there will be.
    pub steps: usize,
    /// The epoch it belongs to, from 1.
    pub epoch: usize,
    /// The mean loss on its batch, attacked where the plan attacks.
    pub loss: f32,
}

/// Why a network cannot be trained.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// No examples, no epochs or empty batches.
    #[error("there is nothing to train on: choose at least one epoch, one picture and a batch of one")]
    Nothing,
    /// The loss is no longer a number.
    #[error("training diverged at step {step} in epoch {epoch}: lower the learning rate")]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// The epoch, from 1.
        epoch: usize,
    },
    /// The network cannot be made.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The weights cannot be taken out.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The network in training cannot be run.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// candle refuses.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
}

/// Training under way: a batch at each step, so that a worker can show what has been learnt or turn to other work.
pub struct Fit<L> {
    plan: Plan,
    lessons: L,
    network: Network,
    optimiser: Optimiser,
    /// The examples in the order of this epoch.
    order: Vec<usize>,
    /// Steps that are done, and all.
    step: usize,
    steps: usize,
}

impl<L: Lessons> Fit<L> {
    /// Prepares to train a network on `lessons`.
    ///
    /// # Errors
    /// If the network does not fit together, or there is nothing to learn.
    pub fn new(plan: Plan, lessons: L) -> Result<Self, FitError> {
        if lessons.is_empty() || plan.epochs == 0 || plan.batch == 0 {
            return Err(FitError::Nothing);
        }
        let network = Network::with(plan.architecture.clone(), plan.seed, plan.arithmetic)?;
        let optimiser = Optimiser::new(network.numbers()?, plan.weight_decay, plan.average);
        let order: Vec<usize> = (0..lessons.len()).collect();
        let steps = plan.epochs * lessons.len().div_ceil(plan.batch);
        Ok(Self { plan, lessons, network, optimiser, order, step: 0, steps })
    }

    /// Learns from the next batch. None when all is done.
    ///
    /// # Errors
    /// If the loss stops being a number, or the examples do not fit the network.
    pub fn step(&mut self) -> Result<Option<Step>, FitError> {
        if self.step == self.steps {
            return Ok(None);
        }
        let Self { plan, lessons, network, optimiser, order, .. } = self;
        let batches = order.len().div_ceil(plan.batch);
        let (epoch, within) = (self.step / batches, self.step % batches);
        if within == 0 {
            Random::new(plan.seed, Stream::Order, epoch as u64).shuffle(order);
        }
        let batch = &order[within * plan.batch..((within + 1) * plan.batch).min(order.len())];
        let done = self.step as f64 / self.steps as f64;
        let input = plan.architecture.input;
        let mut images = vec![0.0; batch.len() * input.len()];
        images.par_chunks_exact_mut(input.len()).zip(batch).for_each(|(image, &index)| {
            // No two pictures of the whole training share random numbers.
            let item = (epoch * lessons.len() + index) as u64;
            lessons.show(index, &mut Random::new(plan.seed, Stream::Augmentation, item), image);
        });
        let labels: Vec<u8> = batch.iter().map(|&index| lessons.label(index)).collect();
        if let Some(adversary) = &plan.adversary {
            let executor = Executor::new(&plan.architecture, &network.weights(optimiser.numbers().to_vec())?)?;
            let epsilon = adversary.threat.epsilon * (done / adversary.rise.max(1e-9)).min(1.0) as f32;
            Pgd {
                threat: Threat { epsilon, ..adversary.threat },
                alpha: 2.5 * epsilon / adversary.steps as f32,
                steps: adversary.steps,
                seed: plan.seed,
                first: (self.step * plan.batch) as u64,
            }
            .attack(&executor, &mut images, &labels);
        }
        let shape = (batch.len(), input.channels, input.height, input.width);
        let images = Tensor::from_vec(images, shape, &Device::Cpu)?;
        let loss = ops::cross_entropy(&network.forward(&images)?, &labels, plan.smoothing)?;
        optimiser.step(plan.schedule.rate(done), &network.gradients(&loss)?);
        network.set(optimiser.numbers())?;
        self.step += 1;
        let loss = loss.to_vec0::<f32>()?;
        if !loss.is_finite() {
            return Err(FitError::Diverged { step: self.step, epoch: epoch + 1 });
        }
        Ok(Some(Step { step: self.step, steps: self.steps, epoch: epoch + 1, loss }))
    }

    /// What has been learnt so far: the running average of the weights.
    ///
    /// # Errors
    /// If a weight is no longer a number.
    pub fn weights(&self) -> Result<Weights, FitError> {
        self.network.weights(self.optimiser.averages().to_vec()).map_err(|error| match error {
            WeightsError::NotFinite { .. } => {
                let batches = self.order.len().div_ceil(self.plan.batch);
                FitError::Diverged { step: self.step, epoch: self.step.div_ceil(batches) }
            }
            other => other.into(),
        })
    }
}

/// Trains to the end and returns the averaged weights after the last step.
///
/// # Errors
/// As [`Fit::new`] and [`Fit::step`].
pub fn fit<L: Lessons>(plan: Plan, lessons: L, mut progress: impl FnMut(Step)) -> Result<Weights, FitError> {
    let mut fit = Fit::new(plan, lessons)?;
    while let Some(step) = fit.step()? {
        progress(step);
    }
    fit.weights()
}
