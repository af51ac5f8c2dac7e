//! The native server: the built page, and the work that is too much for a browser.
//!
//! [`app`] is the whole service as a [`Router`], which tests call without a socket; [`serve`] puts it on one. Every
//! resource is a file with a `router()` of its own, and every answer that is not one is an [`Error`].

mod error;
mod health;
mod listen;
pub mod log;
mod security;
mod shutdown;
mod site;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::any;
use tower_http::catch_panic::CatchPanicLayer;

pub use error::Error;
pub use listen::serve;
pub use shutdown::Shutdown;
use site::Site;

/// What the server is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of the built page.
    pub dist: PathBuf,
    /// Pictures attacked at the same time, over all requests; at least 1.
    pub threads: usize,
    /// What a client may ask for.
    pub limits: Limits,
}

impl Config {
    /// The usual limits, and one thread.
    pub fn new(dist: &Path) -> Self {
        Self { dist: dist.to_owned(), threads: 1, limits: Limits::default() }
    }
}

/// What a client may ask for, and how long it may take over it.
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

/// Why the server cannot start; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no built page.
    #[error(
        "there is no built page in “{}” ({reason}): build it first (`make serve` does), or name its folder with --dist",
        dist.display()
    )]
    NoPage {
        /// Where it was looked for.
        dist: PathBuf,
        /// What reading it gave.
        reason: std::io::Error,
    },
}

/// What every request can reach. Clones share it.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    site: Site,
    limits: Limits,
    shutdown: Shutdown,
    started: Instant,
}

impl AppState {
    /// Reads what is needed to serve.
    ///
    /// # Errors
    /// If something is not there.
    pub fn new(config: Config) -> Result<Self, StartError> {
        let Config { dist, limits, .. } = config;
        let site = Site::open(&dist).map_err(|reason| StartError::NoPage { dist, reason })?;
        Ok(Self(Arc::new(Inner { site, limits, shutdown: Shutdown::default(), started: Instant::now() })))
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
