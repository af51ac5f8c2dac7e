//! Over a real socket: what only a connection shows.

use std::time::Duration;

use axum::http::StatusCode;
use epsilon_lab::api::{JOBS, JobState, JobView};
use epsilon_lab::server::jobs::Quotas;
use epsilon_lab::server::{Limits, serve};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{HASHED, Lab, question};

const SOON: Duration = Duration::from_secs(5);

/// A server that listens on a port of its own.
struct Listening {
    address: std::net::SocketAddr,
    lab: Lab,
    ended: JoinHandle<()>,
}

async fn listen(limits: Limits) -> Listening {
    let lab = Lab::with(limits, Quotas::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ended = tokio::spawn(serve(listener, lab.state.clone()));
    Listening { address, lab, ended }
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
    lab.lab.state.shutdown().begin();
    timeout(SOON, lab.ended).await.expect("the server does not end").unwrap();
    assert_eq!(rest(idle).await, "");
    assert!(TcpStream::connect(lab.address).await.is_err());
}

/// The next event: its id and the job as it stood.
async fn event(stream: &mut BufReader<TcpStream>) -> Option<(u64, JobView)> {
    let (mut id, mut line) = (0, String::new());
    loop {
        line.clear();
        let read = timeout(SOON, stream.read_line(&mut line)).await.expect("nothing comes").unwrap();
        if read == 0 {
            return None;
        }
        if let Some(text) = line.strip_prefix("id: ") {
            id = text.trim().parse().unwrap();
        }
        if let Some(text) = line.strip_prefix("data: ") {
            return Some((id, serde_json::from_str(text).unwrap()));
        }
    }
}

impl Listening {
    /// Follows a job, from after an event if one is known.
    async fn follow(&self, id: &str, heard: Option<u64>) -> BufReader<TcpStream> {
        let heard = heard.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!("GET {JOBS}/{id}/events HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n{heard}\r\n");
        BufReader::new(self.send(&request).await)
    }
}

#[tokio::test]
async fn events_tell_of_a_job_until_it_has_ended_each_with_more_than_the_one_before() {
    let lab = listen(Limits::default()).await;
    let question = question(200);
    let id = lab.lab.submit(&question).await;
    let mut stream = lab.follow(&id, None).await;
    let (revision, first) = event(&mut stream).await.unwrap();
    assert_eq!((revision, first.state, first.done), (0, JobState::Queued, 0));
    lab.lab.compute();
    let mut before = (revision, first);
    while let Some((revision, job)) = event(&mut stream).await {
        assert!(revision > before.0 && job.done >= before.1.done && job.share >= before.1.share);
        before = (revision, job);
    }
    assert_eq!((before.1.state, before.1.share), (JobState::Done, 1.0));
    assert_eq!(before.1.report, lab.lab.job(&id).await.report);
    // Who comes later hears the end, once.
    for heard in [None, Some(2), Some(before.0)] {
        let mut stream = lab.follow(&id, heard).await;
        assert_eq!(event(&mut stream).await.unwrap(), before);
        assert!(event(&mut stream).await.is_none());
    }
}

#[tokio::test]
async fn who_has_heard_of_the_present_state_hears_of_the_next_one_first() {
    let lab = listen(Limits::default()).await;
    let id = lab.lab.submit(&question(100)).await;
    let mut stream = lab.follow(&id, Some(0)).await;
    lab.lab.compute();
    assert!(event(&mut stream).await.unwrap().0 > 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nobody_up() {
    let lab = listen(Limits::default()).await;
    let id = lab.lab.submit(&question(300)).await;
    let _idle = lab.follow(&id, None).await;
    let mut stream = lab.follow(&id, None).await;
    lab.lab.compute();
    let mut last = None;
    while let Some((_, job)) = event(&mut stream).await {
        last = Some(job.state);
    }
    assert_eq!(last, Some(JobState::Done));
}

#[tokio::test]
async fn told_to_stop_the_server_ends_streams_and_the_job_can_go_on_later() {
    let lab = listen(Limits::default()).await;
    let id = lab.lab.submit(&question(500)).await;
    let mut stream = lab.follow(&id, None).await;
    assert!(event(&mut stream).await.is_some());
    lab.lab.state.shutdown().begin();
    assert!(event(&mut stream).await.is_none());
    timeout(SOON, lab.ended).await.expect("the server does not end").unwrap();
    let stored = lab.lab.runner.store.job(&id).await.unwrap().unwrap();
    assert!(!stored.state.has_ended());
}
