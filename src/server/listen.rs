//! The service on a socket: limits on connections, and an orderly end.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::{AppState, app};

/// Greatest size of the head of a request. The longest link, with an own picture in it, has under 2 kB.
const HEAD: usize = 32 * 1024;

/// Serves until [`super::Shutdown::begin`]; then no connection is accepted any more, and running answers have
/// [`super::Limits::grace`] to end.
///
/// This is `axum::serve` with a time limit for the head of a request and a greatest number of connections, so that
/// clients that are slow on purpose cannot take the place of others.
pub async fn serve(listener: TcpListener, state: AppState) {
    let limits = state.0.limits.clone();
    let shutdown = state.shutdown().clone();
    let app = app(state);
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_time).max_buf_size(HEAD);
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, place)
        };
        let (stream, address, place) = tokio::select! {
            () = shutdown.begun() => break,
            (accepted, place) = accepted => match accepted {
                Ok((stream, address)) => (stream, address, place),
                Err(error) => {
                    refused(&error).await;
                    continue;
                }
            },
        };
        // Progress lines are small and must not wait for one another.
        let _ = stream.set_nodelay(true);
        let service = app.clone().map_request(move |request: Request<Incoming>| {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ConnectInfo(address));
            request
        });
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if timeout(limits.grace, open.shutdown()).await.is_err() {
        tracing::warn!("some answers had not ended and were cut off");
    }
}

/// A connection that could not be accepted: either it is gone already, or there is no room for it, which takes time.
async fn refused(error: &std::io::Error) {
    let gone = [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused];
    if !gone.contains(&error.kind()) {
        tracing::error!(%error, "cannot accept connections");
        sleep(Duration::from_secs(1)).await;
    }
}
