//! Heavy batches: an [`Experiment`] spread over a grid, cut into chunks that can be computed anywhere, in any order the
//! work allows, and put together again.
//!
//! A kind of work is one file: a serialisable value that implements [`Work`] — what is asked, how it is cut, how its parts
//! become a [`Report`] — and [`Compute`], the work on one chunk. It is registered by one line in [`kinds`]. Whoever keeps
//! the chunks (the server's store, or the page) knows neither: it sees [`Job`]s and bytes.
//!
//! The parts of a job do not depend on where, when or how often they are computed: the same job gives the same parts to the
//! bit wherever [`crate::nn::Arithmetic::Exact`] is used.

pub mod boundary;
pub mod compute;
pub mod kinds;
pub mod limits;
pub mod materials;
pub mod report;
pub mod robust_accuracy;
mod slices;
pub mod smallest;
pub mod training;
pub mod transfer;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use limits::{Limits, Refusal};
pub use materials::Materials;
pub use report::Report;

use crate::experiment::Experiment;

/// A kind of work: the question, and how its answer is put together.
pub trait Work: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The name in requests and links: `robust-accuracy`.
    const KIND: &'static str;
    /// The name in headings.
    const TITLE: &'static str;
    /// What it answers, in a sentence for a student.
    const SUMMARY: &'static str;
    /// What comes of a chunk.
    type Part: Serialize + DeserializeOwned + Send + 'static;

    /// A small question of this kind, for the description of the interface.
    fn example() -> Self;

    /// What the work is about.
    fn experiment(&self) -> &Experiment;

    /// The same question with nothing in it that does not matter for the answer.
    #[must_use]
    fn tidy(self) -> Self;

    /// Checks every number against its range.
    ///
    /// # Errors
    /// The first thing that is out of range, with the range.
    fn check(&self, limits: &Limits) -> Result<(), Refusal>;

    /// The chunks of a valid question: what each costs, in gradient evaluations of a small network. The first ones are
    /// small, so that something is seen soon.
    fn chunks(&self) -> Vec<u64>;

    /// Which chunks must be there before which.
    fn order(&self) -> Order {
        Order::Free
    }

    /// What is known when some of the chunks are there. There are as many parts as chunks.
    fn report(&self, parts: &[Option<Self::Part>]) -> Report;
}

/// The work on a chunk. Apart from [`Work`], so that a page that only asks and shows does not contain it.
pub trait Compute: Work {
    /// Computes a chunk. `carried` is what the chunk before it ([`Order::Chain`]) or the first one ([`Order::AfterFirst`])
    /// left for it.
    ///
    /// # Errors
    /// A sentence, if it cannot be computed.
    fn compute(
        &self,
        chunk: u32,
        carried: Option<&[u8]>,
        materials: &dyn Materials,
    ) -> Result<Computed<Self::Part>, String>;
}

/// Which chunks of a job must be there before which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Any chunk can be computed at any time.
    Free,
    /// The first comes first and leaves something for all others.
    AfterFirst,
    /// Each leaves something for the next.
    Chain,
}

impl Order {
    /// The chunk that must be there before this one.
    pub fn needs(self, chunk: u32) -> Option<u32> {
        match self {
            Self::Free => None,
            Self::AfterFirst => (chunk > 0).then_some(0),
            Self::Chain => chunk.checked_sub(1),
        }
    }
}

/// What comes of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computed<P> {
    /// Its part of the answer.
    pub part: P,
    /// What it leaves for the chunks that need it; from the last chunk of training, the trained model.
    pub carry: Option<Vec<u8>>,
}

impl<P> Computed<P> {
    /// A part that leaves nothing.
    pub fn of(part: P) -> Self {
        Self { part, carry: None }
    }
}

/// A kind of work, without its type.
pub struct Kind {
    /// [`Work::KIND`].
    pub key: &'static str,
    /// [`Work::TITLE`].
    pub title: &'static str,
    /// [`Work::SUMMARY`].
    pub summary: &'static str,
    /// [`Work::example`], as JSON.
    pub example: fn() -> Value,
    read: fn(Value) -> serde_json::Result<Arc<dyn Job>>,
}

impl Kind {
    /// The kind of this work.
    pub const fn of<W: Work>() -> Self {
        Self {
            key: W::KIND,
            title: W::TITLE,
            summary: W::SUMMARY,
            example: || serde_json::to_value(W::example()).expect("questions are plain values"),
            read: |value| {
                let work: W = serde_json::from_value(value)?;
                Ok(Arc::new(work.tidy()))
            },
        }
    }

    /// The kind of this name.
    pub fn find(key: &str) -> Option<&'static Self> {
        kinds::KINDS.iter().find(|kind| kind.key == key)
    }

    /// Reads a question of this kind. It is not checked yet.
    ///
    /// # Errors
    /// If it is a question of another kind or none.
    pub fn read(&self, question: Value) -> serde_json::Result<Arc<dyn Job>> {
        (self.read)(question)
    }
}

/// A piece of work of any kind.
pub trait Job: Send + Sync {
    /// Its kind.
    fn kind(&self) -> &'static Kind;
    /// The question as JSON, tidied: equal questions have the same text.
    fn question(&self) -> Value;
    /// [`Work::experiment`].
    fn experiment(&self) -> &Experiment;
    /// [`Work::check`].
    ///
    /// # Errors
    /// As there.
    fn check(&self, limits: &Limits) -> Result<(), Refusal>;
    /// [`Work::chunks`].
    fn chunks(&self) -> Vec<u64>;
    /// [`Work::order`].
    fn order(&self) -> Order;
    /// What collects its parts.
    fn gather(self: Arc<Self>) -> Box<dyn Gather>;
}

/// Collects the parts of a job.
pub trait Gather: Send {
    /// Takes the part of a chunk, as [`compute::compute`] gave it.
    ///
    /// # Errors
    /// If it is no such part.
    fn take(&mut self, chunk: u32, part: &[u8]) -> Result<(), NotAPart>;
    /// Forgets the part of a chunk, which is to be computed again.
    fn forget(&mut self, chunk: u32);
    /// What is known so far.
    fn report(&self) -> Report;
}

/// What was to be the part of a chunk is something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored result of a chunk cannot be read; run the batch again")]
pub struct NotAPart;

impl<W: Work> Job for W {
    fn kind(&self) -> &'static Kind {
        Kind::find(W::KIND).expect("every kind is registered")
    }

    fn question(&self) -> Value {
        serde_json::to_value(self).expect("questions are plain values")
    }

    fn experiment(&self) -> &Experiment {
        Work::experiment(self)
    }

    fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        Work::check(self, limits)
    }

    fn chunks(&self) -> Vec<u64> {
        Work::chunks(self)
    }

    fn order(&self) -> Order {
        Work::order(self)
    }

    fn gather(self: Arc<Self>) -> Box<dyn Gather> {
        let chunks = Work::chunks(&*self).len();
        Box::new(Gathered { work: self, parts: (0..chunks).map(|_| None).collect() })
    }
}

struct Gathered<W: Work> {
    work: Arc<W>,
    parts: Vec<Option<W::Part>>,
}

impl<W: Work> Gather for Gathered<W> {
    fn take(&mut self, chunk: u32, part: &[u8]) -> Result<(), NotAPart> {
        let place = self.parts.get_mut(chunk as usize).ok_or(NotAPart)?;
        *place = Some(postcard::from_bytes(part).map_err(|_| NotAPart)?);
        Ok(())
    }

    fn forget(&mut self, chunk: u32) {
        if let Some(place) = self.parts.get_mut(chunk as usize) {
            *place = None;
        }
    }

    fn report(&self) -> Report {
        self.work.report(&self.parts)
    }
}

#[cfg(test)]
mod tests;
