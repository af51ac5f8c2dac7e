//! `GET /api/health` and `GET /api/ready`.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};

use super::{AppState, Error};
use crate::api::{Health, Ready};
use crate::nn::zoo;

/// Both.
pub fn router() -> Router<AppState> {
    Router::new().route("/health", get(health)).route("/ready", get(ready))
}

/// The process lives.
async fn health(State(state): State<AppState>) -> Json<Health> {
    Json(Health {
        version: env!("CARGO_PKG_VERSION").into(),
        models: zoo::all().iter().map(|card| format!("{}-{}", card.dataset.key(), card.name)).collect(),
        uptime_seconds: state.0.started.elapsed().as_secs(),
    })
}

/// New work is accepted. Everything is loaded before the server listens, so only a stop ends it.
async fn ready(State(state): State<AppState>) -> Result<Json<Ready>, Error> {
    if state.shutdown().has_begun() { Err(Error::ShuttingDown) } else { Ok(Json(Ready { ready: true })) }
}
