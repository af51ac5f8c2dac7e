//! The native server: the built page, and the work that is too much for a browser.
//!
//! [`app`] is the whole service as a [`Router`], which tests call without a socket; [`serve`] puts it on one. Every
//! resource is a file with a `router()` of its own, and every answer that is not one is an [`Error`].

mod docs;
mod error;
mod health;
pub mod jobs;
mod json;
mod listen;
pub mod log;
mod metrics;
mod security;
mod shutdown;
mod site;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::any;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub use error::Error;
use error::panic_message;
pub use jobs::Jobs;
pub use listen::serve;
pub use shutdown::Shutdown;
pub use site::{NoPage, Site};

/// What the server takes on at once, what a client may ask for, and how long it may take over it.
#[derive(Clone, Debug)]
pub struct Limits {
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
    jobs: Jobs,
    limits: Limits,
    shutdown: Shutdown,
    started: Instant,
}

impl AppState {
    /// A server for this page and these jobs; somebody else computes them.
    pub fn new(site: Site, jobs: Jobs, limits: Limits) -> Self {
        let (shutdown, started) = (Shutdown::default(), Instant::now());
        Self(Arc::new(Inner { site, jobs, limits, shutdown, started }))
    }

    /// The jobs.
    pub fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// How the server is told to stop.
    pub fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }
}

/// The whole service.
pub fn app(state: AppState) -> Router {
    let (api, description) = OpenApiRouter::with_openapi(docs::Description::openapi())
        .nest("/api", OpenApiRouter::new().merge(health::router()).merge(jobs::router()))
        .split_for_parts();
    let refusing = Router::new().fallback(async || Error::NoSuchAddress);
    Router::new()
        .merge(api.method_not_allowed_fallback(async || Error::Method))
        .merge(docs::router(description))
        .merge(metrics::router())
        .nest("/api", refusing)
        .route("/api/", any(async || Error::NoSuchAddress))
        .merge(site::router(&state))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn_with_state(state.clone(), security::headers))
        .layer(from_fn(log::requests))
        .with_state(state)
}
