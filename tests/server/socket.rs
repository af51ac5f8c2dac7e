//! Over a real socket: what only a connection shows.

use std::time::Duration;

use axum::http::StatusCode;
use epsilon_lab::server::{AppState, Config, Limits, serve};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{HASHED, built};

const SOON: Duration = Duration::from_secs(5);

/// A server that listens on a port of its own.
struct Listening {
    address: std::net::SocketAddr,
    state: AppState,
    ended: JoinHandle<()>,
    _dist: TempDir,
}

async fn listen(limits: Limits) -> Listening {
    let dist = built();
    let state = AppState::new(Config { limits, ..Config::new(dist.path()) }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ended = tokio::spawn(serve(listener, state.clone()));
    Listening { address, state, ended, _dist: dist }
}

impl Listening {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }
}

/// Everything until the server closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("the connection stays open").unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(answer: &str) -> StatusCode {
    answer.split(' ').nth(1).expect("no status line").parse().unwrap()
}

#[tokio::test]
async fn a_kept_connection_answers_again() {
    let lab = listen(Limits::default()).await;
    let answers = rest(
        lab.send(&format!(
            "GET {HASHED} HTTP/1.1\r\nHost: lab\r\nAccept-Encoding: br\r\n\r\n\
             GET /lab HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"
        ))
        .await,
    )
    .await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert!(answers.contains("content-encoding: br") && answers.contains("<!doctype html>"));
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let lab = listen(Limits { head_time: Duration::from_millis(100), ..Limits::default() }).await;
    let answer = rest(lab.send("GET / HTTP/1.1\r\nHost: lab\r\nX-Slow: ").await).await;
    assert!(answer.is_empty() || status(&answer) == StatusCode::REQUEST_TIMEOUT, "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let lab = listen(Limits::default()).await;
    let mut stream = lab.send(&format!("GET /?own={} HTTP/1.1\r\nHost: lab\r\n\r\n", "A".repeat(100_000))).await;
    let mut bytes = [0; 4096];
    let read = timeout(SOON, stream.read(&mut bytes)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&bytes[..read]);
    assert!(status(&answer).is_client_error(), "{answer}");
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_for_a_place() {
    let lab = listen(Limits { connections: 1, ..Limits::default() }).await;
    let first = lab.connect().await;
    let mut second = lab.send("GET /api/health HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").await;
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(200), second.read(&mut byte)).await.is_err(), "it did not wait");
    drop(first);
    assert!(rest(second).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn told_to_stop_the_server_closes_idle_connections_accepts_no_more_and_ends() {
    let lab = listen(Limits::default()).await;
    let mut idle = lab.send("GET /api/health HTTP/1.1\r\nHost: lab\r\n\r\n").await;
    let mut bytes = [0; 4096];
    let read = idle.read(&mut bytes).await.unwrap();
    assert!(bytes[..read].starts_with(b"HTTP/1.1 200 OK"));
    lab.state.shutdown().begin();
    timeout(SOON, lab.ended).await.expect("the server does not end").unwrap();
    assert_eq!(rest(idle).await, "");
    assert!(TcpStream::connect(lab.address).await.is_err());
}
