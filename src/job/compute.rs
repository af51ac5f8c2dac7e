//! Computing a chunk of any kind of work: what the server's workers and the page's engines do.

use std::sync::Arc;

use serde_json::Value;

use super::kinds::COMPUTING;
use super::{Compute, Computed, Job, Materials};

/// How a kind is computed, without its type.
pub(super) struct Computing {
    key: &'static str,
    run: Run,
}

/// [`Compute::compute`] from a question as JSON to the bytes of a part.
type Run = fn(Value, u32, Option<&[u8]>, &dyn Materials) -> Result<Computed<Vec<u8>>, String>;

impl Computing {
    pub(super) const fn of<W: Compute>() -> Self {
        Self {
            key: W::KIND,
            run: |question, chunk, carried, materials| {
                let work: W = serde_json::from_value(question).map_err(|error| error.to_string())?;
                let Computed { part, carry } = work.compute(chunk, carried, materials)?;
                let part = postcard::to_allocvec(&part).map_err(|error| error.to_string())?;
                Ok(Computed { part, carry })
            },
        }
    }
}

/// Computes a chunk of a valid job; the part is for [`super::Gather::take`].
///
/// # Errors
/// A sentence, if it cannot be computed.
///
/// # Panics
/// If there is no such chunk, or the question is not valid.
pub fn compute(
    job: &Arc<dyn Job>,
    chunk: u32,
    carried: Option<&[u8]>,
    materials: &dyn Materials,
) -> Result<Computed<Vec<u8>>, String> {
    let key = job.kind().key;
    let computing = COMPUTING.iter().find(|computing| computing.key == key).expect("every kind is registered");
    (computing.run)(job.question(), chunk, carried, materials)
}
