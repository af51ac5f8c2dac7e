//! Computing a chunk of any kind of work: what the server's workers and the page's engines do.
//!
//! Nothing here refers to [`super::KINDS`]: an engine computes and does not report, and so is small.

use std::sync::Arc;

use super::kinds::COMPUTING;
use super::{Compute, Computed, Job, Limits, Materials};

/// How a kind is computed, without its type.
pub(super) struct Computing {
    key: &'static str,
    run: Run,
}

/// [`Compute::compute`] from a question as JSON to the bytes of a part.
type Run = fn(&Asked, &Limits, &dyn Materials) -> Result<Computed<Vec<u8>>, String>;

/// A chunk that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The job's kind.
    pub kind: String,
    /// Its question, as JSON.
    pub question: String,
    /// Which chunk.
    pub chunk: u32,
    /// What the chunk that must be there before this one has left for it.
    pub carried: Option<Vec<u8>>,
}

impl Computing {
    pub(super) const fn of<W: Compute>() -> Self {
        Self { key: W::KIND, run: run::<W> }
    }
}

fn run<W: Compute>(asked: &Asked, limits: &Limits, materials: &dyn Materials) -> Result<Computed<Vec<u8>>, String> {
    let work: W = serde_json::from_str(&asked.question).map_err(|error| error.to_string())?;
    let work = work.tidy();
    work.check(limits).map_err(|refusal| refusal.to_string())?;
    let chunks = work.chunks().len();
    if asked.chunk as usize >= chunks {
        return Err(format!("the batch has {chunks} chunks and none of number {}", asked.chunk));
    }
    let Computed { part, carry } = work.compute(asked.chunk, asked.carried.as_deref(), materials)?;
    let part = postcard::to_allocvec(&part).map_err(|error| error.to_string())?;
    Ok(Computed { part, carry })
}

impl Asked {
    /// Computes it, if its question is within the limits; the part is for [`super::Gather::take`].
    ///
    /// # Errors
    /// A sentence: what is wrong with the question, or why the chunk cannot be computed.
    pub fn compute(&self, limits: &Limits, materials: &dyn Materials) -> Result<Computed<Vec<u8>>, String> {
        let computing = COMPUTING.iter().find(|computing| computing.key == self.kind);
        let computing = computing.ok_or_else(|| format!("this version knows no “{}”", self.kind))?;
        (computing.run)(self, limits, materials)
    }
}

/// Computes a chunk of a job that has been checked.
///
/// # Errors
/// As [`Asked::compute`].
pub fn compute(
    job: &Arc<dyn Job>,
    chunk: u32,
    carried: Option<&[u8]>,
    materials: &dyn Materials,
) -> Result<Computed<Vec<u8>>, String> {
    let (kind, question) = (job.kind().key.into(), job.question().to_string());
    Asked { kind, question, chunk, carried: carried.map(<[u8]>::to_vec) }.compute(&Limits::UNLIMITED, materials)
}
