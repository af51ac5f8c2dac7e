//! The page's end of the wire to the trainer.

use super::protocol::{Reply, Request};
use crate::engine::handle::{Answer, Handle};

/// A running trainer.
pub type Trainer = Handle<Request, Reply>;

impl Answer for Reply {
    const WORKER: &'static str = "trainer";

    fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }
}
