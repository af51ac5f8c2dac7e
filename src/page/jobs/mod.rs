//! Heavy batches as the page sees them: asked of the server, followed, shown; or computed in the page's own workers where
//! no server answers.
//!
//! [`batch`] is one of them, wherever it is computed: by the server ([`server`], [`follow`]) or here ([`pool`]).
//! [`room`] is the page that composes and shows them; [`report`] draws any answer without knowing the kind of work.

pub mod batch;
mod compose;
mod draft;
mod figures;
mod follow;
mod list;
mod pool;
mod queue;
mod report;
mod room;
mod server;
pub mod trained;
mod view;
mod words;

use leptos::prelude::*;

pub use batch::{Batch, Standing, Where};
pub use room::BatchesPage;
pub use view::{query, remarks, spoken};
pub use words::status;

/// The setting of the link that names a job of the server.
const ID: &str = "batches.id";

/// The batches that this page knows. They go on while other rooms are shown.
#[derive(Clone, Copy)]
pub struct Batches {
    /// The one that the Lab counts.
    pub lab: RwSignal<Option<Batch>, LocalStorage>,
    /// The one on the page of batches.
    pub open: RwSignal<Option<Batch>, LocalStorage>,
    /// Those that are computed in the page.
    pub here: RwSignal<Vec<Batch>, LocalStorage>,
    /// How many models are known that were trained.
    pub models: RwSignal<usize>,
}

impl Batches {
    /// None so far.
    pub fn new() -> Self {
        let (lab, open) = (RwSignal::new_local(None), RwSignal::new_local(None));
        Self { lab, open, here: RwSignal::new_local(Vec::new()), models: RwSignal::new(0) }
    }

    /// Those of the page.
    pub fn get() -> Self {
        expect_context()
    }

    /// Opens one that another room has begun.
    pub fn show(&self, batch: Batch) {
        self.keep(&batch);
        self.open.set(Some(batch));
    }

    /// Keeps one that is begun, for the list of those that are computed in the page.
    fn keep(&self, batch: &Batch) {
        self.here.update(|here| {
            here.retain(|kept| kept != batch && matches!(kept.standing().read_untracked().place, Where::Page(_)));
            here.push(batch.clone());
        });
    }
}
