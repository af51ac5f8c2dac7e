//! The training loop.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

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

/// Why training cannot be taken up where it was left; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The bytes are no checkpoint, or not all of one.
    #[error("the checkpoint of the training is damaged: train from the beginning")]
    Damaged,
    /// The checkpoint of a training with another plan, or on other examples.
    #[error(
        "the checkpoint belongs to another training: take it up with the plan and the examples that it was saved with"
    )]
    Other,
    /// The plan itself does not work.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// Training as it is saved; the optimiser is owned or borrowed. All else follows from the plan and the examples.
#[derive(Serialize, Deserialize)]
struct Checkpoint<O> {
    /// Which training it is of.
    training: Mark,
    step: usize,
    optimiser: O,
}

/// What tells trainings of equally large networks apart.
#[derive(PartialEq, Serialize, Deserialize)]
struct Mark {
    examples: usize,
    steps: usize,
    seed: u64,
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

    /// Training as it stands, some 16 bytes for each trained number.
    pub fn save(&self) -> Vec<u8> {
        let checkpoint = Checkpoint { training: self.mark(), step: self.step, optimiser: &self.optimiser };
        postcard::to_allocvec(&checkpoint).expect("numbers are written to memory")
    }

    /// Takes up training where it was saved, with the same plan and the same examples: what comes out is the same to the bit
    /// as if it had never been left.
    ///
    /// # Errors
    /// If the bytes are no checkpoint, or one of another training; or as [`Self::new`].
    pub fn restore(plan: Plan, lessons: L, checkpoint: &[u8]) -> Result<Self, RestoreError> {
        let (saved, rest): (Checkpoint<Optimiser>, _) =
            postcard::take_from_bytes(checkpoint).map_err(|_| RestoreError::Damaged)?;
        if !rest.is_empty() {
            return Err(RestoreError::Damaged);
        }
        let mut fit = Self::new(plan, lessons)?;
        let continues = saved.step <= fit.steps && saved.optimiser.continues(&fit.optimiser, saved.step as u32);
        if saved.training != fit.mark() || !continues {
            return Err(RestoreError::Other);
        }
        fit.network.set(saved.optimiser.numbers()).map_err(FitError::from)?;
        (fit.optimiser, fit.step) = (saved.optimiser, saved.step);
        // Each epoch shuffles the order of the one before.
        for epoch in 0..fit.step.div_ceil(fit.order.len().div_ceil(fit.plan.batch)) {
            Random::new(fit.plan.seed, Stream::Order, epoch as u64).shuffle(&mut fit.order);
        }
        Ok(fit)
    }

    fn mark(&self) -> Mark {
        Mark { examples: self.lessons.len(), steps: self.steps, seed: self.plan.seed }
    }

    /// Steps that are done.
    pub fn done(&self) -> usize {
        self.step
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

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nn::{Layer, Shape};
    use crate::threat::Norm;

    /// Noise, shown with more noise, with classes that can be learnt.
    struct Noise;

    impl Lessons for Noise {
        fn len(&self) -> usize {
            23
        }

        fn label(&self, index: usize) -> u8 {
            (index % 3) as u8
        }

        fn show(&self, index: usize, random: &mut Random, picture: &mut [f32]) {
            let mut own = Random::new(9, Stream::Scene, index as u64);
            picture.iter_mut().for_each(|value| *value = 0.5 * (own.uniform() + random.uniform()));
        }
    }

    fn plan() -> Plan {
        let layers = vec![
            Layer::Flatten,
            Layer::Linear { name: "a".into(), out: 6 },
            Layer::Relu,
            Layer::Linear { name: "b".into(), out: 3 },
        ];
        Plan {
            architecture: Architecture { input: Shape { channels: 1, height: 3, width: 3 }, layers },
            epochs: 4,
            batch: 5,
            seed: 2,
            schedule: Schedule { peak: 0.02, rise: 0.1 },
            weight_decay: 0.01,
            average: 0.9,
            smoothing: 0.0,
            adversary: Some(Adversary { threat: Threat { norm: Norm::L2, epsilon: 0.1 }, steps: 2, rise: 0.5 }),
            arithmetic: Arithmetic::Exact,
        }
    }

    /// The weights and the losses when training is left and taken up after these steps.
    fn trained(mut left: Vec<usize>) -> (Weights, Vec<f32>) {
        let mut fit = Fit::new(plan(), Noise).unwrap();
        let mut losses = Vec::new();
        left.sort_unstable();
        loop {
            while left.first() == Some(&losses.len()) {
                left.remove(0);
                fit = Fit::restore(plan(), Noise, &fit.save()).unwrap();
            }
            match fit.step().unwrap() {
                Some(step) => losses.push(step.loss),
                None => return (fit.weights().unwrap(), losses),
            }
        }
    }

    fn checkpoint() -> Vec<u8> {
        let mut fit = Fit::new(plan(), Noise).unwrap();
        for _ in 0..7 {
            fit.step().unwrap();
        }
        fit.save()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn training_that_is_left_and_taken_up_gives_the_same_to_the_bit(left in prop::collection::vec(0..21usize, 0..5)) {
            static WHOLE: std::sync::LazyLock<(Weights, Vec<f32>)> = std::sync::LazyLock::new(|| trained(vec![]));
            prop_assert_eq!(WHOLE.1.len(), 20);
            prop_assert!(trained(left) == *WHOLE);
        }

        #[test]
        fn a_checkpoint_that_is_cut_short_or_has_more_behind_it_is_refused(cut in 0..2000usize, more in any::<u8>()) {
            let mut bytes = checkpoint();
            let cut = cut.min(bytes.len() - 1);
            prop_assert!(matches!(Fit::restore(plan(), Noise, &bytes[..cut]), Err(RestoreError::Damaged)));
            bytes.push(more);
            prop_assert!(matches!(Fit::restore(plan(), Noise, &bytes), Err(RestoreError::Damaged)));
        }

        #[test]
        fn whatever_bytes_are_taken_up_nothing_breaks(at in 0..2000usize, byte in any::<u8>()) {
            let mut bytes = checkpoint();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(mut fit) = Fit::restore(plan(), Noise, &bytes) {
                let _ = fit.step();
            }
        }
    }

    #[test]
    fn a_checkpoint_of_another_training_is_refused() {
        let bytes = checkpoint();
        let mut wider = plan();
        wider.architecture.layers[1] = Layer::Linear { name: "a".into(), out: 7 };
        let changed = [
            Plan { weight_decay: 0.0, ..plan() },
            Plan { average: 0.5, ..plan() },
            Plan { seed: 3, ..plan() },
            Plan { epochs: 1, ..plan() },
            Plan { batch: 6, ..plan() },
            wider,
        ];
        for (k, other) in changed.into_iter().enumerate() {
            assert!(matches!(Fit::restore(other, Noise, &bytes), Err(RestoreError::Other)), "{k}");
        }
        let none = Plan { epochs: 0, ..plan() };
        assert!(matches!(Fit::restore(none, Noise, &bytes), Err(RestoreError::Fit(FitError::Nothing))));
    }
}
