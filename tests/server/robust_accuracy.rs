//! `POST /api/robust-accuracy`: what is refused, and what comes in the stream.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use epsilon_lab::api::{Line, ROBUST_ACCURACY, RobustAccuracy, Start};
use epsilon_lab::attack::Method;
use epsilon_lab::data::Dataset;
use epsilon_lab::evaluate::Tally;
use epsilon_lab::experiment::Experiment;
use epsilon_lab::library::Library;
use epsilon_lab::server::Limits;
use epsilon_lab::threat::{Norm, Threat};
use futures::stream;
use serde_json::json;

use crate::support::{Answer, Lab, at_once};

fn question(experiment: &Experiment, pictures: u32) -> String {
    serde_json::to_string(&RobustAccuracy::of(experiment, pictures)).unwrap()
}

fn lines(answer: &Answer) -> Vec<Line> {
    let text = std::str::from_utf8(&answer.body).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The sum of all chunks, having checked that they hold the pictures `0..pictures` once.
fn sum(lines: &[Line], pictures: u32) -> Tally {
    let mut seen: Vec<Range<u32>> = Vec::new();
    let mut tally = Tally::default();
    for line in lines {
        if let Line::Chunk(chunk) = line {
            assert_eq!(chunk.tally.total().pictures, chunk.to - chunk.from);
            seen.push(chunk.from..chunk.to);
            tally.add(&chunk.tally);
        }
    }
    seen.sort_by_key(|range| range.start);
    assert_eq!(seen.into_iter().flatten().collect::<Vec<_>>(), (0..pictures).collect::<Vec<_>>());
    tally
}

#[tokio::test]
async fn the_answer_begins_counts_every_picture_once_and_ends() {
    let lab = Lab::default();
    let answer = lab.post(ROBUST_ACCURACY, question(&Experiment::default(), 103)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/x-ndjson");
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    let lines = lines(&answer);
    assert_eq!(lines[0], Line::Start(Start { pictures: 103, model: "fashion-standard".into() }));
    assert!(matches!(lines.last(), Some(Line::Done(done)) if done.milliseconds >= 0.0));
    assert_eq!(sum(&lines, 103), at_once(&Experiment::default(), 0..103));
}

#[tokio::test]
async fn the_sum_is_that_of_one_evaluation_of_all_pictures() {
    let library = Arc::new(Library::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")).unwrap());
    let counting = library.clone();
    let count = Arc::new(move |experiment: &Experiment, pictures| counting.count(experiment, pictures));
    let lab = Lab::new(Limits { threads: 3, ..Limits::default() }, count);
    let mut experiment = Experiment {
        dataset: Dataset::Digits,
        model: "adversarial".into(),
        threat: Threat { norm: Norm::Linf, epsilon: 0.25 },
        seed: 5,
        ..Experiment::default()
    };
    experiment.attack.method = Method::PGD;
    (experiment.attack.steps, experiment.attack.random_start) = (4, true);
    let answer = lab.post(ROBUST_ACCURACY, question(&experiment, 60)).await;
    assert_eq!(sum(&lines(&answer), 60), library.count(&experiment, 0..60));
}

#[tokio::test]
async fn what_is_not_json_or_not_declared_so_is_refused() {
    let lab = Lab::default();
    let asked = |kind: &'static str| {
        let request = Request::post(ROBUST_ACCURACY).header(header::CONTENT_TYPE, kind);
        lab.ask(request.body(question(&Experiment::default(), 1).into()).unwrap())
    };
    assert_eq!(asked("text/plain").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(asked("application/x-www-form-urlencoded").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(asked("Application/JSON; charset=utf-8").await.status, StatusCode::OK);
    for broken in
        ["", "{", "not json", "{\"pictures\":10,\n \"experiment\":{\"threat\":{\"norm\":\"linf\",\"epsilon\":NaN}}}"]
    {
        let answer = lab.post(ROBUST_ACCURACY, broken).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{broken}");
        assert!(answer.error().contains("at line "), "{}", answer.error());
    }
    assert!(lab.post(ROBUST_ACCURACY, "{\n\n]").await.error().ends_with("at line 3 column 1"));
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_is_refused_with_the_range() {
    let lab = Lab::default();
    let threat = |epsilon: f64| json!({ "threat": { "norm": "linf", "epsilon": epsilon } });
    for (experiment, pictures, sentence) in [
        (threat(-1.0), json!(10), "ε = -1 is out of range: choose 0 to 0.4 for L∞"),
        (threat(1e9), json!(10), "ε = 1000000000 is out of range: choose 0 to 0.4 for L∞"),
        (threat(1e300), json!(10), "ε = inf is out of range: choose 0 to 0.4 for L∞"),
        (json!({ "model": "none" }), json!(10), "there is no model “none” for Fashion-MNIST"),
        (json!({ "attack": { "steps": 0 } }), json!(10), "0 steps are out of range: choose 1 to 100"),
        (json!({ "attack": { "alpha": 0.0 } }), json!(10), "step size α = 0 is out of range"),
        (json!({}), json!(0), "0 pictures are out of range: Fashion-MNIST has 1000 test pictures, choose 1 to 1000"),
        (
            json!({}),
            json!(1001),
            "1001 pictures are out of range: Fashion-MNIST has 1000 test pictures, choose 1 to 1000",
        ),
        (json!({ "dataset": "digits" }), json!(501), "choose 1 to 500"),
        (json!({ "attack": { "steps": "many" } }), json!(10), "invalid type: string \"many\""),
        (json!({ "threat": { "norm": "linf", "epsilon": null } }), json!(10), "invalid type: null"),
        (json!({ "unknown": 1 }), json!(10), "unknown field `unknown`"),
        (json!({}), json!(-5), "invalid value: integer `-5`"),
    ] {
        let asked = json!({ "experiment": experiment, "pictures": pictures }).to_string();
        let answer = lab.post(ROBUST_ACCURACY, asked.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{asked}");
        assert!(answer.error().contains(sentence), "{asked}: {}", answer.error());
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_too_slow_or_breaks_off_is_refused() {
    let lab = Lab::new(Limits { body_time: Duration::from_millis(50), ..Limits::default() }, Arc::new(at_once));
    let answer = lab.post(ROBUST_ACCURACY, " ".repeat(65 * 1024)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.error().contains("65536 bytes"));
    let answer = lab.post(ROBUST_ACCURACY, Body::from_stream(stream::pending::<Result<Bytes, String>>())).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    let answer = lab.post(ROBUST_ACCURACY, Body::from_stream(stream::iter([Err::<Bytes, _>("gone")]))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.error().contains("send it again"));
}

#[tokio::test]
async fn a_panic_in_the_work_is_a_last_line_that_says_nothing_of_the_inside() {
    let lab = Lab::new(Limits::default(), Arc::new(|_, _| panic!("the secret inside")));
    let lines = lines(&lab.post(ROBUST_ACCURACY, question(&Experiment::default(), 10)).await);
    let Some(Line::Failed(error)) = lines.last() else { panic!("{lines:?}") };
    assert!(error.contains("its log says more") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn when_too_many_wait_the_next_is_told_when_to_come_again() {
    let limits = Limits { threads: 1, running: 1, waiting: 1, ..Limits::default() };
    let (go, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let count = move |experiment: &Experiment, pictures| {
        held.lock().unwrap().recv().ok();
        at_once(experiment, pictures)
    };
    let lab = Arc::new(Lab::new(limits, Arc::new(count)));
    let ask = || {
        let lab = lab.clone();
        tokio::spawn(async move { lab.post(ROBUST_ACCURACY, question(&Experiment::default(), 1)).await })
    };
    let (first, second) = (ask(), ask());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let third = ask().await.unwrap();
    assert_eq!(third.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(third.header(header::RETRY_AFTER).parse::<u32>().unwrap() > 0);
    assert!(third.error().contains("1 are waiting"), "{}", third.error());
    drop(go);
    let waited = [first.await.unwrap(), second.await.unwrap()].map(|answer| {
        let lines = lines(&answer);
        sum(&lines, 1);
        matches!(lines[0], Line::Waiting(_))
    });
    assert_ne!(waited[0], waited[1], "one runs, one waits");
    assert_eq!(ask().await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_takes_no_new_batch() {
    let lab = Lab::default();
    lab.state.shutdown().begin();
    let answer = lab.post(ROBUST_ACCURACY, question(&Experiment::default(), 1)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}
