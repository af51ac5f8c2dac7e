//! Over a real socket: what only a connection shows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::http::StatusCode;
use epsilon_lab::api::{ROBUST_ACCURACY, RobustAccuracy};
use epsilon_lab::experiment::Experiment;
use epsilon_lab::server::{AppState, Count, Limits, serve};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{HASHED, at_once, built, state};

const SOON: Duration = Duration::from_secs(5);

/// A server that listens on a port of its own.
struct Listening {
    address: std::net::SocketAddr,
    state: AppState,
    ended: JoinHandle<()>,
    _dist: TempDir,
}

async fn listen(limits: Limits) -> Listening {
    listen_and(limits, Arc::new(at_once)).await
}

async fn listen_and(limits: Limits, count: Arc<Count>) -> Listening {
    let dist = built();
    let state = state(dist.path(), limits, count);
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

/// Work that is done one chunk at a time, when the test says so.
struct Held {
    go: mpsc::Sender<()>,
    begun: Arc<AtomicUsize>,
}

fn held() -> (Held, Arc<Count>) {
    let (go, wait) = mpsc::channel();
    let (wait, begun) = (Mutex::new(wait), Arc::new(AtomicUsize::new(0)));
    let counter = begun.clone();
    let count = move |experiment: &Experiment, pictures| {
        counter.fetch_add(1, Ordering::SeqCst);
        wait.lock().unwrap().recv().ok();
        at_once(experiment, pictures)
    };
    (Held { go, begun }, Arc::new(count))
}

/// Waits until no chunk has begun for a while, and says how many have.
async fn quiet(begun: &AtomicUsize) -> usize {
    loop {
        let before = begun.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(150)).await;
        if begun.load(Ordering::SeqCst) == before {
            return before;
        }
    }
}

fn one_thread() -> Limits {
    Limits { threads: 1, ..Limits::default() }
}

/// The request for all 1,000 pictures, in 63 chunks.
fn batch() -> String {
    let question = RobustAccuracy { experiment: Experiment::default(), pictures: 1000 };
    let body = serde_json::to_string(&question).unwrap();
    format!(
        "POST {ROBUST_ACCURACY} HTTP/1.1\r\nHost: lab\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The next line of the stream that has this in it.
async fn line_with(stream: &mut BufReader<TcpStream>, wanted: &str) -> String {
    let mut line = String::new();
    while !line.contains(wanted) {
        line.clear();
        let read = timeout(SOON, stream.read_line(&mut line)).await.expect("nothing comes").unwrap();
        assert!(read > 0, "the stream ended before {wanted}");
    }
    line
}

#[tokio::test]
async fn chunks_arrive_when_they_are_done_not_at_the_end() {
    let (held, count) = held();
    let lab = listen_and(one_thread(), count).await;
    let mut stream = BufReader::new(lab.send(&batch()).await);
    line_with(&mut stream, "\"start\"").await;
    for from in [0, 16, 32] {
        held.go.send(()).unwrap();
        line_with(&mut stream, &format!("\"from\":{from},")).await;
        assert!(held.begun.load(Ordering::SeqCst) <= from / 16 + 2);
    }
    drop(held.go);
    line_with(&mut stream, "\"done\"").await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_batch() {
    let (held, count) = held();
    let lab = listen_and(one_thread(), count).await;
    let mut stream = BufReader::new(lab.send(&batch()).await);
    held.go.send(()).unwrap();
    line_with(&mut stream, "\"from\"").await;
    drop(stream);
    tokio::time::sleep(Duration::from_millis(150)).await;
    // From here on work would be done at once, if there were any.
    let before = quiet(&held.begun).await;
    drop(held.go);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(before <= 3 && held.begun.load(Ordering::SeqCst) == before, "{before} chunks of 63 had begun");
}

#[tokio::test]
async fn a_client_that_does_not_read_pauses_its_batch_and_loses_it_in_the_end() {
    // Lines so long that they fill every buffer on the way.
    let begun = Arc::new(AtomicUsize::new(0));
    let counter = begun.clone();
    let long = move |_: &Experiment, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        epsilon_lab::evaluate::Tally { classes: vec![Default::default(); 100_000], gradients: 0 }
    };
    let limits = Limits { running: 1, waiting: 1, patience: Duration::from_millis(800), ..one_thread() };
    let lab = listen_and(limits, Arc::new(long)).await;
    let stream = lab.send(&batch()).await;
    while begun.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let paused = quiet(&begun).await;
    assert!((1..63).contains(&paused), "{paused} chunks of 63");
    // One batch runs at a time: the next begins when this one has been given up.
    let mut next = BufReader::new(lab.send(&batch()).await);
    line_with(&mut next, "\"start\"").await;
    drop(stream);
}

#[tokio::test]
async fn a_batch_that_runs_when_the_server_is_told_to_stop_is_told_so() {
    let (held, count) = held();
    let lab = listen_and(one_thread(), count).await;
    let mut stream = BufReader::new(lab.send(&batch()).await);
    held.go.send(()).unwrap();
    line_with(&mut stream, "\"from\":0,").await;
    lab.state.shutdown().begin();
    let last = line_with(&mut stream, "\"error\"").await;
    assert!(last.contains("the server is shutting down"), "{last}");
    timeout(SOON, lab.ended).await.expect("the server does not end").unwrap();
    drop(held.go);
}
