//! `GET /api/health` and `GET /api/ready`.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{AppState, Error};
use crate::api::{Health, Problem, Ready};
use crate::nn::zoo;

/// Both.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready))
}

/// The process lives.
#[utoipa::path(get, path = "/health", tag = "server", responses((status = 200, body = Health)))]
async fn health(State(state): State<AppState>) -> Json<Health> {
    Json(Health {
        version: env!("CARGO_PKG_VERSION").into(),
        models: zoo::all().iter().map(|card| format!("{}-{}", card.dataset.key(), card.name)).collect(),
        uptime_seconds: state.0.started.elapsed().as_secs(),
    })
}

/// New work is accepted: the server has not been told to stop, and its store answers.
#[utoipa::path(get, path = "/ready", tag = "server",
    responses((status = 200, body = Ready), (status = 503, description = "Not now", body = Problem)))]
async fn ready(State(state): State<AppState>) -> Result<Json<Ready>, Error> {
    if state.shutdown().has_begun() {
        return Err(Error::ShuttingDown);
    }
    state.jobs().store.ping().await?;
    Ok(Json(Ready { ready: true }))
}
