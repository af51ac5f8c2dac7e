//! What page and worker, and a worker and its helpers, say to each other.
//!
//! A message is one `ArrayBuffer`, transferred, not copied: [`Request`] or [`Reply`] in postcard's compact form, where
//! arrays of numbers lie as raw little-endian bytes ([`Floats`]). An own picture's file travels beside its request.

use serde::{Deserialize, Serialize};

use super::grid::{Band, Section};
use super::study::{self, Lane, Study};
use crate::attack::Story;
use crate::data::Dataset;
use crate::experiment::Experiment;
use crate::explain::Sampled;
use crate::nn::Arithmetic;
use crate::threat::Norms;

/// Numbers that are encoded as one block of bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Floats(pub Vec<f32>);

impl Serialize for Floats {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Every target this is built for is little-endian.
        serializer.serialize_bytes(bytemuck::cast_slice(&self.0))
    }
}

impl<'de> Deserialize<'de> for Floats {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Floats;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a block of bytes whose length is a multiple of four")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Floats, E> {
                if !bytes.len().is_multiple_of(4) {
                    return Err(E::invalid_length(bytes.len(), &self));
                }
                Ok(Floats(bytemuck::pod_collect_to_vec(bytes)))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

impl std::ops::Deref for Floats {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl From<Vec<f32>> for Floats {
    fn from(values: Vec<f32>) -> Self {
        Self(values)
    }
}

/// What the page asks of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Show this experiment. The newest one wins: work on an older one is dropped between steps.
    Explore {
        /// Comes back with every part of the answer.
        id: u32,
        /// What to show.
        experiment: Box<Experiment>,
    },
    /// Models that were trained while the page runs; from now on experiments may name them.
    Models {
        /// Their cards, as JSON.
        cards: String,
    },
    /// Compute a chunk of a job.
    Chunk {
        /// Comes back with the answer.
        id: u32,
        /// The job's kind.
        kind: String,
        /// Its question, as JSON.
        question: String,
        /// Which chunk.
        chunk: u32,
        /// What the chunk that must be there before this one has left for it.
        carried: Option<Vec<u8>>,
    },
    /// Find something out about this experiment. A newer study of the same lane takes the place of an older one.
    Study {
        /// Comes back with every part of the answer.
        id: u32,
        /// About what.
        experiment: Box<Experiment>,
        /// What.
        study: Box<Study>,
    },
    /// The study of this lane is no longer wanted.
    Stop {
        /// The lane.
        lane: Lane,
    },
    /// Make a picture of the data set's kind from the file or drawing that travels beside this request.
    Prepare {
        /// Comes back with the answer.
        id: u32,
        /// Whose preparation to follow.
        dataset: Dataset,
    },
    /// From now on this many further workers may be started to help with an experiment; without this request none is.
    Helpers {
        /// 0 for none.
        count: u8,
    },
    /// What the following bands are of. Bands of earlier planes that are still waiting are dropped. From an engine to its
    /// helpers.
    Planes {
        /// Comes back with every band.
        id: u32,
        /// The models' data set.
        dataset: Dataset,
        /// A model's name and its plane for each slot.
        planes: Vec<(String, Section)>,
    },
    /// Sample a band of the planes. From an engine to its helpers.
    Sample {
        /// The planes' number: a band of any others is dropped.
        id: u32,
        /// Which band.
        band: Band,
    },
}

/// What a worker answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The worker listens.
    Ready {
        /// How it samples planes. Everything else is exact.
        arithmetic: Arithmetic,
    },
    /// A part of the answer to [`Request::Explore`], the cheap ones first.
    Part {
        /// The request it belongs to.
        id: u32,
        /// 0 for the experiment's model, 1 for the one it is compared with.
        slot: u8,
        /// The part.
        part: Box<Part>,
    },
    /// Every part of the answer has been sent.
    Explored {
        /// The request that is done.
        id: u32,
        /// From taking up the request to this message.
        milliseconds: f32,
    },
    /// The answer to [`Request::Chunk`].
    Computed {
        /// The request it belongs to.
        id: u32,
        /// Its part of the job's answer.
        part: Vec<u8>,
        /// What it leaves for the chunks that need it.
        carry: Option<Vec<u8>>,
    },
    /// A part of the answer to [`Request::Study`].
    Studied {
        /// The request it belongs to.
        id: u32,
        /// The part.
        part: Box<study::Part>,
    },
    /// Every part of the answer to [`Request::Study`] has been sent.
    Done {
        /// The request that is done.
        id: u32,
        /// From taking up the request to this message.
        milliseconds: f32,
    },
    /// The answer to [`Request::Prepare`].
    Prepared {
        /// The request it belongs to.
        id: u32,
        /// 28 × 28 grey values, 0 to 255, and remarks on what was done to the picture.
        pixels: Vec<u8>,
        /// What was done, in words: "turned to white on black".
        remarks: Vec<String>,
    },
    /// The answer to [`Request::Sample`].
    Sampled {
        /// The number of the planes.
        id: u32,
        /// The band.
        band: Band,
        /// The decisions at its cells.
        sampled: Sampled,
    },
    /// A request could not be answered.
    Failed {
        /// The request it belongs to.
        id: u32,
        /// What happened and what to do.
        message: String,
    },
}

/// A part of what the Lab shows of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Part {
    /// How far an attack that takes its time has come, from 0 to 1.
    Progress(f32),
    /// The attack itself.
    Attack(AttackPart),
    /// Gradient maps.
    Gradient(GradientPart),
    /// Class probabilities against ε.
    Curve(CurvePart),
    /// The decision boundary on a plane; comes again as it gets finer.
    Plane(PlanePart),
}

/// The attack on the picture, step by step. K classes, T steps; index 0 of every series is the attack's start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AttackPart {
    /// The picture x, 784 values in [0, 1].
    pub image: Floats,
    /// The class the attack counts as true.
    pub label: u8,
    /// Logits at x, K values.
    pub logits: Floats,
    /// Class probabilities at x, K values.
    pub probabilities: Floats,
    /// The adversarial picture, 784 values in [0, 1]; x itself if the attack failed to improve on it.
    pub adversarial: Floats,
    /// Logits at the adversarial picture, K values.
    pub adversarial_logits: Floats,
    /// Class probabilities at the adversarial picture, K values.
    pub adversarial_probabilities: Floats,
    /// Whether the attack reached its goal, away from the label or to the target, with a perturbation that is allowed.
    pub success: bool,
    /// Whether it reached its goal, be the perturbation allowed or greater than ε.
    pub reached: bool,
    /// Whether x itself was already misclassified.
    pub already_wrong: bool,
    /// Norms of the final perturbation.
    pub norms: Norms,
    /// Cross-entropy of the label at each step of the strongest restart, T + 1 values.
    pub losses: Floats,
    /// Class probabilities at each step, (T + 1) · K values.
    pub step_probabilities: Floats,
    /// Norms of the perturbation at each step.
    pub step_norms: Vec<Norms>,
    /// The picture at each step, (T + 1) · 784 values.
    pub iterates: Floats,
    /// The step whose picture is the result.
    pub best_step: u32,
    /// The restart, from 0, that gave the result.
    pub restart: u32,
    /// α that was used.
    pub alpha: f32,
    /// Gradient evaluations over all restarts.
    pub gradients: u32,
    /// Forward evaluations over all restarts, beyond those within gradients.
    pub forwards: u32,
    /// What the attack has to tell beyond its steps.
    pub story: Option<Story>,
    /// What the attack took.
    pub milliseconds: f32,
}

/// Gradients of the loss (cross-entropy of the label) with respect to the input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GradientPart {
    /// At x, 784 values.
    pub at_image: Floats,
    /// At the adversarial picture, 784 values.
    pub at_adversarial: Floats,
}

/// Class probabilities at the adversarial picture for a series of ε, all other settings unchanged; for an attack that
/// looks for the smallest δ, along that δ instead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CurvePart {
    /// E values of ε, increasing, from 0 to the norm's greatest; or lengths of t · δ.
    pub epsilon: Floats,
    /// E · K values.
    pub probabilities: Floats,
    /// The smallest of them found at which the attack reached its goal.
    pub smallest: Option<f32>,
    /// Whether these are the pictures x + t · δ for one δ.
    pub along: bool,
}

/// The network's decisions on a plane through x, and the attack's path projected onto it.
///
/// A point (a, b) of the plane is the picture x + a·u + b·v with orthonormal u and v, so a and b are L2 lengths. The
/// plane is not cut to the box.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanePart {
    /// n: the plane is sampled at n × n points.
    pub side: u16,
    /// Least and greatest a, then least and greatest b.
    pub extent: [f32; 4],
    /// The predicted class at each point; rows from greatest b to least, a increasing, n · n values.
    pub classes: Vec<u8>,
    /// The probability of that class, 0 to 255, n · n values.
    pub confidence: Vec<u8>,
    /// The outline of the ball's section, pairs (a, b).
    pub ball: Floats,
    /// The iterates, pairs (a, b), T + 1 of them; x is (0, 0).
    pub path: Floats,
    /// Distance of each iterate from the plane, T + 1 values.
    pub off_plane: Floats,
    /// Where two other pictures lie, if they span the plane, pairs (a, b).
    pub landmarks: Floats,
    /// For each step of an attack that linearises a boundary the line c + a·p + b·q = 0 it is on the plane, triples
    /// (c, p, q).
    pub lines: Floats,
    /// The class beyond each.
    pub line_classes: Vec<u8>,
    /// Whether this is the finest version.
    pub finest: bool,
}

/// Encodes a message.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    // Every message is made of plain values: writing them to memory cannot fail.
    postcard::to_allocvec(message).expect("messages are plain values")
}

/// Decodes a message.
///
/// # Errors
/// If the bytes are not such a message, as when page and worker are of different builds.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, postcard::Error> {
    postcard::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_journey() {
        let part =
            Part::Attack(AttackPart { image: vec![0.25, -1.5, f32::NAN].into(), success: true, ..Default::default() });
        let reply: Reply = decode(&encode(&Reply::Part { id: 7, slot: 1, part: Box::new(part) })).unwrap();
        let Reply::Part { id: 7, slot: 1, part } = reply else { panic!("another message") };
        let Part::Attack(attack) = *part else { panic!("another part") };
        assert_eq!(attack.image[..2], [0.25, -1.5]);
        assert!(attack.image[2].is_nan());
    }

    #[test]
    fn damaged_bytes_are_refused() {
        assert!(decode::<Reply>(&[250, 1, 2]).is_err());
        assert!(decode::<Floats>(&[3, 0, 0, 0]).is_err());
    }
}
