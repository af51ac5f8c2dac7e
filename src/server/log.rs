//! The log: to standard error, one line per request, for people or as JSON.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, info, info_span};
use tracing_subscriber::EnvFilter;

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging. The variable RUST_LOG chooses what is logged.
pub fn start(form: Form) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // It fails where a log has been started before: that one is kept.
    let _ = match form {
        Form::Text => log.with_target(false).try_init(),
        Form::Json => log.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
}

/// Gives every request a number, sent back as `x-request-id`, and logs it when its answer begins.
///
/// The query is left out: it may hold a person's own picture.
pub async fn requests(request: Request, next: Next) -> Response {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let span = info_span!("request", id = number, method = %request.method(), path = request.uri().path());
    let began = Instant::now();
    async {
        let mut response = next.run(request).await;
        let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
        info!(status = response.status().as_u16(), milliseconds, "answered");
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), HeaderValue::from(number));
        response
    }
    .instrument(span)
    .await
}
