//! What page and trainer say to each other: [`Request`] and [`Reply`] in postcard's compact form, one transferred
//! `ArrayBuffer` each, as between page and engine.

use serde::{Deserialize, Serialize};

pub use crate::engine::protocol::{Floats, decode, encode};
use crate::nn::architecture::Misfit;
use crate::nn::{Architecture, Layer, Shape};
use crate::scene::{self, Scene};
use crate::threat::{Norm, Threat};

/// Most passes over the examples.
pub const MAX_EPOCHS: u32 = 2_000;
/// Most examples in a step.
pub const MAX_BATCH: u32 = 1_024;
/// Most examples.
pub const MAX_EXAMPLES: usize = 20_000;
/// Most trained numbers of a network.
pub const MAX_PARAMETERS: usize = 2_000_000;
/// Most steps of the attacker in adversarial training.
pub const MAX_ATTACK_STEPS: u32 = 20;

/// What the page asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Train a network. A newer job takes the place of the one under way.
    Train {
        /// Comes back with every reply.
        id: u32,
        /// What is to be learnt, and how.
        job: Box<Job>,
    },
    /// End the training that is under way; what has been learnt comes back as [`Reply::Trained`].
    Stop,
}

/// What the trainer answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The trainer listens.
    Ready,
    /// How far it is.
    Report {
        /// The job.
        id: u32,
        /// What has been learnt so far.
        report: Report,
    },
    /// The training has ended, or was stopped.
    Trained {
        /// The job.
        id: u32,
        /// The weights as a safetensors file of 32-bit numbers: [`crate::nn::Weights::read`] reads it.
        weights: Vec<u8>,
        /// What it took.
        milliseconds: f32,
    },
    /// The job could not be done.
    Failed {
        /// The job.
        id: u32,
        /// What happened and what to do.
        message: String,
    },
}

/// A look at a network in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Steps that are done.
    pub step: u32,
    /// All steps there will be.
    pub steps: u32,
    /// The epoch of the last step, from 1.
    pub epoch: u32,
    /// The mean loss over the steps since the last report.
    pub loss: f32,
    /// The weights now, as in [`Reply::Trained`].
    pub weights: Vec<u8>,
}

/// A network to be trained, and what it learns from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The network.
    #[serde(with = "json")]
    pub architecture: Architecture,
    /// N inputs of the network, in [0, 1].
    pub images: Floats,
    /// N class indices.
    pub labels: Vec<u8>,
    /// Passes over the examples.
    pub epochs: u32,
    /// Examples in a step.
    pub batch: u32,
    /// The greatest learning rate; it rises over the first tenth of the steps and falls along a cosine.
    pub rate: f32,
    /// AdamW's decay of the weights per unit of learning rate.
    pub weight_decay: f32,
    /// Decay per step of the running average of the weights, which is what comes out; 0 for the weights themselves.
    pub average: f32,
    /// Adversarial training (Madry et al. 2018): the attacker, if there is one.
    pub attacker: Option<Attacker>,
    /// Key of every random number.
    pub seed: u32,
    /// Steps between reports; 0 for none.
    pub every: u32,
}

/// Projected gradient descent on every batch, from a random start, with steps of 2.5 · ε / steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attacker {
    /// What it may change.
    pub threat: Threat,
    /// Its steps.
    pub steps: u32,
}

/// What is wrong with a job; each message says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The layers do not fit together.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// There is nothing to learn, or too much.
    #[error("{0} examples are out of range: choose 1 to {MAX_EXAMPLES}")]
    Examples(usize),
    /// Examples of the wrong size.
    #[error("{found} numbers do not make {examples} inputs of {} × {} × {}", input.channels, input.height, input.width)]
    Length {
        /// Numbers that were given.
        found: usize,
        /// How many inputs they should be.
        examples: usize,
        /// The shape of one.
        input: Shape,
    },
    /// An input beyond the range.
    #[error("an input is {0}: bring all of them to 0 to 1")]
    Value(f32),
    /// A label that the network has no output for.
    #[error("label {label} has no output: the network has {outputs}")]
    Label {
        /// The label.
        label: u8,
        /// How many outputs the network has.
        outputs: usize,
    },
    /// A network that is too large.
    #[error(
        "the network has {0} numbers to train: choose at most {MAX_PARAMETERS}, with fewer channels or hidden units"
    )]
    Parameters(usize),
    /// A network without anything to train.
    #[error("the network has nothing to train: give it a linear layer or a convolution")]
    Untrained,
    /// A number out of its range.
    #[error("{what} = {value} is out of range: choose {least} to {greatest}")]
    Number {
        /// Which.
        what: &'static str,
        /// What was given.
        value: f32,
        /// The least that is allowed.
        least: f32,
        /// The greatest.
        greatest: f32,
    },
}

impl Job {
    /// The scene's task: a small network (32 and 32 hidden units, ReLU) on so many points.
    pub fn of_scene(scene: Scene, points: usize, seed: u32) -> Self {
        let (positions, labels) = scene.sample(points, seed);
        Self {
            architecture: scene::network(&[32, 32], Layer::Relu),
            images: positions.into(),
            labels,
            epochs: 120,
            batch: 32,
            rate: 0.02,
            weight_decay: 0.001,
            average: 0.9,
            attacker: None,
            seed,
            every: 20,
        }
    }

    /// Checks everything against its limits. What comes from a person is checked before use.
    ///
    /// # Errors
    /// The first thing that is out of range, with the range.
    pub fn validate(&self) -> Result<(), Refused> {
        let costs = self.architecture.costs()?;
        let outputs = costs.last().map_or(0, |cost| cost.output.len());
        match self.architecture.parameters() {
            0 => return Err(Refused::Untrained),
            many if many > MAX_PARAMETERS => return Err(Refused::Parameters(many)),
            _ => {}
        }
        let (examples, input) = (self.labels.len(), self.architecture.input);
        if !(1..=MAX_EXAMPLES).contains(&examples) {
            return Err(Refused::Examples(examples));
        }
        if self.images.len() != examples * input.len() {
            return Err(Refused::Length { found: self.images.len(), examples, input });
        }
        // NaN fails every comparison, so ranges are tested positively.
        if let Some(value) = self.images.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(Refused::Value(*value));
        }
        if let Some(&label) = self.labels.iter().find(|label| usize::from(**label) >= outputs) {
            return Err(Refused::Label { label, outputs });
        }
        let number = |what, value: f32, least: f32, greatest: f32| {
            let fits = value >= least && value <= greatest;
            if fits { Ok(()) } else { Err(Refused::Number { what, value, least, greatest }) }
        };
        number("epochs", self.epochs as f32, 1.0, MAX_EPOCHS as f32)?;
        number("batch", self.batch as f32, 1.0, MAX_BATCH as f32)?;
        number("learning rate", self.rate, 1e-6, 1.0)?;
        number("weight decay", self.weight_decay, 0.0, 1.0)?;
        number("average", self.average, 0.0, 0.9999)?;
        if let Some(Attacker { threat, steps }) = self.attacker {
            number("ε", threat.epsilon, 0.0, Norm::greatest_epsilon(threat.norm))?;
            number("attack steps", steps as f32, 1.0, MAX_ATTACK_STEPS as f32)?;
        }
        Ok(())
    }
}

/// An architecture travels as JSON, as it lies in a model's card: its form is made for that.
mod json {
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    use crate::nn::Architecture;

    pub fn serialize<S: Serializer>(architecture: &Architecture, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(architecture).map_err(ser::Error::custom)?)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Architecture, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job::of_scene(Scene::Wave, 20, 1)
    }

    #[test]
    fn messages_survive_the_journey() {
        let mut job = job();
        job.attacker = Some(Attacker { threat: Threat { norm: Norm::L2, epsilon: 0.1 }, steps: 3 });
        job.validate().unwrap();
        let Request::Train { id: 4, job: back } =
            decode(&encode(&Request::Train { id: 4, job: Box::new(job.clone()) })).unwrap()
        else {
            panic!("another message")
        };
        assert_eq!(*back, job);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_sentence() {
        let refusal = |change: &dyn Fn(&mut Job)| {
            let mut job = job();
            change(&mut job);
            job.validate().unwrap_err().to_string()
        };
        assert!(refusal(&|job| job.labels.clear()).contains("0 examples"));
        assert!(refusal(&|job| job.labels.truncate(19)).contains("do not make 19 inputs"));
        assert!(refusal(&|job| job.labels[3] = 2).contains("label 2 has no output"));
        assert!(refusal(&|job| job.images.0[3] = f32::NAN).contains("NaN"));
        assert!(refusal(&|job| job.rate = f32::NAN).contains("learning rate"));
        assert!(refusal(&|job| job.epochs = 0).contains("epochs = 0"));
        assert!(refusal(&|job| job.architecture.layers.truncate(1)).contains("nothing to train"));
        assert!(refusal(&|job| job.architecture.layers = job.architecture.layers.split_off(2)).contains("flatten"));
        let attacker = Attacker { threat: Threat { norm: Norm::Linf, epsilon: 0.1 }, steps: 99 };
        assert!(refusal(&|job| job.attacker = Some(attacker)).contains("attack steps"));
    }
}
