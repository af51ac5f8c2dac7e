//! `GET /metrics`: numbers for Prometheus.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::{AppState, Error};

/// The address.
pub fn router() -> Router<AppState> {
    Router::new().route("/metrics", get(metrics))
}

type Labelled = Family<Vec<(&'static str, String)>, Gauge>;

/// What the store says now, so that the numbers of several servers on one store agree.
async fn metrics(State(state): State<AppState>) -> Result<Response, Error> {
    let store = &state.jobs().store;
    let mut registry = Registry::with_prefix("epsilon_lab");
    let (jobs, chunks, threads, computed) =
        (Labelled::default(), Labelled::default(), Labelled::default(), Labelled::default());
    let (spent, up) = (Labelled::default(), Gauge::<i64>::default());
    registry.register("jobs", "Jobs in the store, by state", jobs.clone());
    registry.register("chunks", "Chunks in the store, by state", chunks.clone());
    registry.register("worker_threads", "Chunks that a worker computes at once", threads.clone());
    registry.register("worker_chunks", "Chunks that a worker has computed", computed.clone());
    let help = "Time that a worker has computed";
    registry.register_with_unit("worker_busy", help, Unit::Other("milliseconds".into()), spent.clone());
    registry.register_with_unit("uptime", "Since when this server runs", Unit::Seconds, up.clone());
    for (state, count) in store.states().await? {
        jobs.get_or_create(&vec![("state", state.key().into())]).set(count as i64);
    }
    for (state, count) in ["waiting", "running", "done", "dead", "blocked"].into_iter().zip(store.counts().await?) {
        chunks.get_or_create(&vec![("state", state.into())]).set(count as i64);
    }
    for worker in store.workers().await? {
        let label = vec![("worker", worker.id)];
        threads.get_or_create(&label).set(i64::from(worker.threads));
        computed.get_or_create(&label).set(worker.chunks as i64);
        spent.get_or_create(&label).set(worker.milliseconds as i64);
    }
    up.set(state.0.started.elapsed().as_secs() as i64);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|_| Error::Internal)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text).into_response())
}
