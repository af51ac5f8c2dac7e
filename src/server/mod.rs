//! The native server: the built page, and the work that is too much for a browser.
//!
//! [`app`] is the whole service as a [`Router`], which tests call without a socket; [`serve`] puts it on one. Every
//! resource is a file with a `router()` of its own, and every answer that is not one is an [`Error`].

mod batches;
mod error;
mod health;
mod json;
mod listen;
pub mod log;
mod robust_accuracy;
mod security;
mod shutdown;
mod site;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::any;
use tower_http::catch_panic::CatchPanicLayer;

use batches::Batches;
pub use error::Error;
pub use listen::serve;
pub use shutdown::Shutdown;
pub use site::{NoPage, Site};

use crate::evaluate::Tally;
use crate::experiment::Experiment;

/// Attacks some of the test pictures as a valid experiment says, and counts.
pub type Count = dyn Fn(&Experiment, Range<u32>) -> Tally + Send + Sync;

/// What the server takes on at once, what a client may ask for, and how long it may take over it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Chunks of pictures attacked at the same time, over all requests; at least 1.
    pub threads: usize,
    /// Batches that run at once; they share the threads chunk by chunk, in turn.
    pub running: usize,
    /// Batches that wait for one of these to end; more are refused.
    pub waiting: usize,
    /// Time for a client to take a line of an answer, before it counts as gone.
    pub patience: Duration,
    /// Bytes in the body of a request.
    pub body: usize,
    /// Time for a client to send the head of a request, also of the next one on a kept connection.
    pub head_time: Duration,
    /// Time for a client to send the body of a request.
    pub body_time: Duration,
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// Time for running answers to end after the server has been told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            running: 4,
            waiting: 32,
            patience: Duration::from_secs(60),
            body: 64 * 1024,
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(10),
            connections: 1024,
            grace: Duration::from_secs(3),
        }
    }
}

/// What every request can reach. Clones share it.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    site: Site,
    count: Arc<Count>,
    batches: Batches,
    limits: Limits,
    shutdown: Shutdown,
    started: Instant,
}

impl AppState {
    /// A server for this page; `count` does the work of batches.
    pub fn new(site: Site, count: Arc<Count>, limits: Limits) -> Self {
        let batches = Batches::new(&limits);
        let (shutdown, started) = (Shutdown::default(), Instant::now());
        Self(Arc::new(Inner { site, count, batches, limits, shutdown, started }))
    }

    /// How the server is told to stop.
    pub fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }
}

/// The whole service.
pub fn app(state: AppState) -> Router {
    let api = Router::new()
        .merge(health::router())
        .merge(robust_accuracy::router())
        .fallback(async || Error::NoSuchAddress)
        .method_not_allowed_fallback(async || Error::Method);
    Router::new()
        .nest("/api", api)
        .route("/api/", any(async || Error::NoSuchAddress))
        .merge(site::router(&state))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn_with_state(state.clone(), security::headers))
        .layer(from_fn(log::requests))
        .with_state(state)
}
