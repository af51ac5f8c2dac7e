//! `kill -9` at any moment: nothing is lost, nothing is counted twice.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use epsilon_lab::api::{JOBS, JobState, JobView};
use epsilon_lab::experiment::Experiment;
use epsilon_lab::job::compute::compute;
use epsilon_lab::job::robust_accuracy::RobustAccuracy;
use epsilon_lab::job::{Job, Report, Work};
use epsilon_lab::random::{Random, Stream};

use crate::postgres;
use crate::support::{library, request, sent};

/// A batch of many small chunks: some seconds of work.
fn question() -> RobustAccuracy {
    let mut experiment = Experiment { seed: 11, ..Experiment::default() };
    experiment.attack.steps = 40;
    let models = vec!["standard".into(), "adversarial".into()];
    let epsilons = vec![0.02, 0.05, 0.08];
    RobustAccuracy { models, epsilons, ..RobustAccuracy::of(&experiment, 400) }.tidy()
}

/// What comes out when nobody is killed.
fn undisturbed(question: &RobustAccuracy) -> Report {
    let job: Arc<dyn Job> = Arc::new(question.clone());
    let mut gather = job.clone().gather();
    for chunk in 0..job.chunks().len() as u32 {
        gather.take(chunk, &compute(&job, chunk, None, &*library()).unwrap().part).unwrap();
    }
    gather.report()
}

/// Starts the program and reads the line that it prints when it is ready.
fn start(arguments: &[&str]) -> (Child, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_epsilon-lab"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RUST_LOG", "error")
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (program, line)
}

/// The server's address.
fn address(line: &str) -> String {
    let rest = line.split("http://").nth(1).unwrap_or_else(|| panic!("{line}"));
    rest.split(' ').next().unwrap().trim().to_owned()
}

/// Asks and gives the body of the answer; none if the connection breaks.
fn ask(address: &str, method: &str, path: &str, body: &str) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: lab\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(answer.split_off(end + 4))
}

fn submit(address: &str, question: &RobustAccuracy) -> String {
    let answer: serde_json::Value =
        serde_json::from_slice(&ask(address, "POST", JOBS, &request(question)).unwrap()).unwrap();
    answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Waits for the end of a job.
fn ended(address: &str, id: &str) -> JobView {
    let began = Instant::now();
    loop {
        let job = ask(address, "GET", &format!("{JOBS}/{id}"), "").unwrap();
        let job: JobView = serde_json::from_slice(&job).unwrap();
        if job.state.has_ended() {
            return job;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{} of {} chunks", job.done, job.chunks);
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The same to the bit, and nothing counted twice.
fn assert_undisturbed(job: &JobView, question: &RobustAccuracy) {
    assert_eq!((job.state, job.done, job.share), (JobState::Done, job.chunks, 1.0), "{:?}", job.errors);
    assert_eq!(job.report, sent(undisturbed(question)));
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.html"), "<!doctype html>").unwrap();
    folder
}

fn serve<'a>(folder: &'a str, data: &'a str) -> Vec<&'a str> {
    vec!["serve", "--assets", "assets", "--port", "0", "--dist", folder, "--data-dir", data]
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_nothing_and_counts_nothing_twice() {
    let folder = folder();
    let data = folder.path().join("data");
    let arguments = serve(text(folder.path()), text(&data));
    let question = question();
    let mut random = Random::new(1, Stream::Order, 0);
    let mut id = None;
    for _ in 0..25 {
        let (mut server, line) = start(&arguments);
        let address = address(&line);
        let id = id.get_or_insert_with(|| submit(&address, &question));
        // Asked again, it is still the same.
        assert_eq!(&submit(&address, &question), id);
        std::thread::sleep(Duration::from_millis((random.uniform() * 400.0) as u64));
        server.kill().unwrap();
        server.wait().unwrap();
    }
    let (mut server, line) = start(&arguments);
    let job = ended(&address(&line), &id.unwrap());
    server.kill().unwrap();
    server.wait().unwrap();
    assert_undisturbed(&job, &question);
}

#[test]
fn workers_that_are_killed_again_and_again_lose_nothing_and_count_nothing_twice() {
    let database = postgres::Server::start();
    let store = database.database("killed");
    let folder = folder();
    let data = folder.path().join("data");
    let mut arguments = serve(text(folder.path()), text(&data));
    arguments.extend(["--store", &store, "--threads", "0"]);
    let (mut server, line) = start(&arguments);
    let address = address(&line);
    let question = question();
    let id = submit(&address, &question);
    let worker = ["worker", "--store", &store, "--threads", "1"];
    let mut workers = [start(&worker).0, start(&worker).0];
    let mut random = Random::new(2, Stream::Order, 0);
    for round in 0..25 {
        std::thread::sleep(Duration::from_millis((random.uniform() * 400.0) as u64));
        let victim = &mut workers[round % 2];
        victim.kill().unwrap();
        victim.wait().unwrap();
        *victim = start(&worker).0;
    }
    let job = ended(&address, &id);
    for process in workers.iter_mut().chain([&mut server]) {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    assert_undisturbed(&job, &question);
}
