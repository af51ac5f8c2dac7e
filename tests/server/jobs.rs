//! `/api/jobs` and what belongs to it: what is refused, what is answered, who may do what.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use epsilon_lab::api::{CLIENT_HEADER, JOBS, JobState, JobView, QUEUE, QueueView};
use epsilon_lab::data::{Dataset, Examples};
use epsilon_lab::experiment::Experiment;
use epsilon_lab::job::compute::compute;
use epsilon_lab::job::kinds::KINDS;
use epsilon_lab::job::report::Cell;
use epsilon_lab::job::robust_accuracy::RobustAccuracy;
use epsilon_lab::job::training::{Network, Training};
use epsilon_lab::job::{Job, Materials};
use epsilon_lab::nn::Executor;
use epsilon_lab::server::Limits;
use epsilon_lab::server::jobs::{Quotas, Runner};
use epsilon_lab::threat::{Norm, Threat};
use futures::stream;
use serde_json::{Value, json};

use crate::support::{Answer, KEY, Lab, library, question, request, sent};

#[tokio::test]
async fn a_batch_is_answered_as_if_it_were_computed_here() {
    let lab = Lab::open().await;
    lab.compute();
    let asked = question(60);
    let answer = lab.post(JOBS, request(&asked)).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header(header::LOCATION), format!("{JOBS}/{id}"));
    let view = lab.ended(&id).await;
    let job: Arc<dyn Job> = Arc::new(asked);
    let mut gather = job.clone().gather();
    for chunk in 0..job.chunks().len() as u32 {
        gather.take(chunk, &compute(&job, chunk, None, &*library()).unwrap().part).unwrap();
    }
    assert_eq!((view.state, view.done, view.share), (JobState::Done, view.chunks, 1.0));
    assert_eq!(view.report, sent(gather.report()));
    assert_eq!(view.question, job.question());
    assert!(view.elapsed.is_some() && view.remaining.is_none() && view.errors.is_empty());

    let csv = lab.get(&format!("{JOBS}/{id}/results.csv?table=0")).await;
    assert_eq!(csv.header(header::CONTENT_TYPE), "text/csv; charset=utf-8");
    let table = &view.report.tables[0];
    let mut reader = csv::Reader::from_reader(csv.body.as_slice());
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), table.columns);
    let rows: Vec<Vec<String>> = reader.records().map(|row| row.unwrap().iter().map(String::from).collect()).collect();
    assert_eq!(rows, table.rows.iter().map(|row| row.iter().map(Cell::plain).collect::<Vec<_>>()).collect::<Vec<_>>());
    let json = lab.get(&format!("{JOBS}/{id}/results.json")).await;
    assert!(json.header(header::CONTENT_DISPOSITION).contains(&id));
    assert_eq!(serde_json::from_slice::<JobView>(&json.body).unwrap(), view);
    assert_eq!(lab.get(&format!("{JOBS}/{id}/results.csv?table=99")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(lab.get(&format!("{JOBS}/{id}/results.csv?table=x")).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_example_of_every_kind_is_taken() {
    let lab = Lab::open().await;
    let kinds = lab.get("/api/kinds").await.json();
    assert_eq!(kinds.as_array().unwrap().len(), KINDS.len());
    for kind in kinds.as_array().unwrap() {
        let asked = json!({ "kind": kind["kind"], "question": kind["example"] }).to_string();
        let answer = lab
            .ask(
                Request::post(JOBS)
                    .header(header::CONTENT_TYPE, "application/json")
                    .header(CLIENT_HEADER, format!("client0{}", kind["kind"].as_str().unwrap().len()))
                    .body(asked.into())
                    .unwrap(),
            )
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{kind}: {}", String::from_utf8_lossy(&answer.body));
    }
}

#[tokio::test]
async fn what_is_not_json_or_not_declared_so_is_refused() {
    let lab = Lab::open().await;
    let asked = |kind: &'static str| {
        let request_ = Request::post(JOBS).header(header::CONTENT_TYPE, kind);
        lab.ask(request_.body(request(&question(1)).into()).unwrap())
    };
    assert_eq!(asked("text/plain").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(asked("application/x-www-form-urlencoded").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(asked("Application/JSON; charset=utf-8").await.status, StatusCode::CREATED);
    for broken in ["", "{", "not json", "{\"kind\":\"robust-accuracy\",\n \"question\":{\"pictures\":NaN}}"] {
        let answer = lab.post(JOBS, broken).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{broken}");
        assert!(answer.error().contains("at line "), "{}", answer.error());
    }
    assert!(lab.post(JOBS, "{\n\n]").await.error().ends_with("at line 3 column 1"));
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_is_refused_with_the_range() {
    let lab = Lab::open().await;
    let threat = |epsilon: f64| json!({ "threat": { "norm": "linf", "epsilon": epsilon } });
    for (experiment, pictures, sentence) in [
        (threat(-1.0), json!(10), "ε = -1 is out of range: choose 0 to 0.4 for L∞"),
        (threat(1e9), json!(10), "ε = 1000000000 is out of range: choose 0 to 0.4 for L∞"),
        (threat(1e300), json!(10), "ε = inf is out of range: choose 0 to 0.4 for L∞"),
        (json!({ "model": "none" }), json!(10), "there is no model “none” for Fashion-MNIST"),
        (json!({ "attack": { "steps": 0 } }), json!(10), "0 steps are out of range: choose 1 to 100"),
        (json!({ "attack": { "alpha": 0.0 } }), json!(10), "step size α = 0 is out of range"),
        (json!({}), json!(0), "0 test pictures are out of range: choose 1 to 1000"),
        (json!({}), json!(1001), "1001 test pictures are out of range: choose 1 to 1000"),
        (json!({ "dataset": "digits" }), json!(501), "choose 1 to 500"),
        (json!({ "attack": { "steps": "many" } }), json!(10), "invalid type: string \"many\""),
        (json!({ "threat": { "norm": "linf", "epsilon": null } }), json!(10), "invalid type: null"),
        (json!({ "unknown": 1 }), json!(10), "unknown field `unknown`"),
        (json!({}), json!(-5), "invalid value: integer `-5`"),
    ] {
        let question = json!({ "experiment": experiment, "pictures": pictures });
        let asked = json!({ "kind": "robust-accuracy", "question": question }).to_string();
        let answer = lab.post(JOBS, asked.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{asked}");
        assert!(answer.error().contains(sentence), "{asked}: {}", answer.error());
    }
    let unknown = lab.post(JOBS, json!({ "kind": "none", "question": {} }).to_string()).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(unknown.error().contains("choose one of robust-accuracy"), "{}", unknown.error());
}

#[tokio::test]
async fn a_body_that_is_too_large_or_too_slow_or_breaks_off_is_refused() {
    let limits = Limits { body_time: Duration::from_millis(50), ..Limits::default() };
    let lab = Lab::with(limits, Quotas::default()).await;
    let answer = lab.post(JOBS, " ".repeat(65 * 1024)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.error().contains("65536 bytes"));
    let answer = lab.post(JOBS, Body::from_stream(stream::pending::<Result<Bytes, String>>())).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    let answer = lab.post(JOBS, Body::from_stream(stream::iter([Err::<Bytes, _>("gone")]))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.error().contains("send it again"));
}

/// Asks as a page of this name.
async fn ask_as(lab: &Lab, client: &str, pictures: u32) -> Answer {
    let asked = Request::post(JOBS).header(header::CONTENT_TYPE, "application/json").header(CLIENT_HEADER, client);
    lab.ask(asked.body(request(&question(pictures)).into()).unwrap()).await
}

#[tokio::test]
async fn equal_questions_share_a_job_and_each_page_sees_its_own() {
    let lab = Lab::open().await;
    let first = ask_as(&lab, "firstpage", 10).await;
    let second = ask_as(&lab, "secondpage", 10).await;
    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!((&first.json()["shared"], &second.json()["shared"]), (&json!(false), &json!(true)));
    let other = ask_as(&lab, "secondpage", 11).await.json();
    let mine = lab.get_with(JOBS, CLIENT_HEADER, "secondpage").await.json();
    assert_eq!(mine.as_array().unwrap().len(), 2);
    assert_eq!(mine[0]["id"], other["id"]);
    assert_eq!(lab.get_with(JOBS, CLIENT_HEADER, "thirdpage").await.json(), json!([]));
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(lab.job(&id).await.wanted_by, 2);
    // Who stops it loses interest; the other one's goes on.
    let stop = |client: &'static str| {
        let asked = Request::delete(format!("{JOBS}/{id}")).header(CLIENT_HEADER, client);
        lab.ask(asked.body(Body::empty()).unwrap())
    };
    assert_eq!(stop("firstpage").await.json()["state"], "queued");
    assert_eq!(stop("nobodyspage").await.json()["state"], "queued");
    assert_eq!(stop("secondpage").await.json()["state"], "cancelled");
}

#[tokio::test]
async fn no_page_fills_the_queue_and_the_key_raises_the_limits() {
    let quotas = Quotas { client: 2, address: 4, all: 5 };
    let lab = Lab::with(Limits::default(), quotas).await;
    for pictures in 1..=2 {
        assert_eq!(ask_as(&lab, "greedypage", pictures).await.status, StatusCode::CREATED);
    }
    let refused = ask_as(&lab, "greedypage", 3).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.error().contains("2 batches of yours"), "{}", refused.error());
    assert!(refused.header(header::RETRY_AFTER).parse::<u32>().unwrap() > 0);
    // What is asked already costs nothing.
    assert_eq!(ask_as(&lab, "greedypage", 2).await.status, StatusCode::OK);
    for pictures in 3..=4 {
        assert_eq!(ask_as(&lab, &format!("otherpage{pictures}"), pictures).await.status, StatusCode::CREATED);
    }
    assert!(ask_as(&lab, "fifthpage", 5).await.error().contains("from your network"));
    let with_key = |key: &str, pictures: u32| {
        let asked = Request::post(JOBS)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {key}"));
        lab.ask(asked.body(request(&question(pictures)).into()).unwrap())
    };
    assert_eq!(with_key(KEY, 6).await.status, StatusCode::CREATED);
    assert_eq!(with_key("a-wrong-key", 7).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn only_the_instructor_sees_everyones_jobs() {
    let lab = Lab::open().await;
    ask_as(&lab, "somepage", 10).await;
    let plain: QueueView = serde_json::from_slice(&lab.get(QUEUE).await.body).unwrap();
    assert_eq!((plain.jobs["queued"], plain.newest.len()), (1, 0));
    assert!(plain.chunks["waiting"] > 0);
    let all = lab.get_with(QUEUE, header::AUTHORIZATION.as_str(), &format!("Bearer {KEY}")).await;
    assert_eq!(serde_json::from_slice::<QueueView>(&all.body).unwrap().newest.len(), 1);
    let wrong = lab.get_with(QUEUE, header::AUTHORIZATION.as_str(), "Bearer nothing").await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
}

/// Models and pictures with something wrong.
struct Broken {
    asked: AtomicU32,
    /// How many times it goes wrong.
    times: u32,
}

impl Materials for Broken {
    fn model(&self, dataset: Dataset, name: &str) -> Result<Executor, String> {
        match self.asked.fetch_add(1, Ordering::SeqCst) {
            asked if asked >= self.times => library().model(dataset, name),
            asked if asked % 2 == 0 => panic!("on purpose"),
            _ => Err("not today".into()),
        }
    }

    fn pictures(&self, dataset: Dataset, range: Range<u32>) -> Result<(Vec<f32>, Vec<u8>), String> {
        Materials::pictures(&*library(), dataset, range)
    }

    fn lessons(&self, dataset: Dataset) -> Result<Arc<Examples>, String> {
        library().lessons(dataset)
    }
}

async fn computed_by(lab: &Lab, times: u32) {
    let materials = Arc::new(Broken { asked: AtomicU32::new(0), times });
    let runner = Runner { threads: 1, materials, ..lab.runner.clone() };
    tokio::spawn(runner.run(lab.state.shutdown().clone()));
}

#[tokio::test]
async fn a_chunk_that_panics_or_fails_is_tried_again_and_in_the_end_given_up_with_its_error() {
    let lab = Lab::open().await;
    let id = lab.submit(&question(4)).await;
    computed_by(&lab, 3).await;
    let view = lab.ended(&id).await;
    assert_eq!((view.state, view.done + 1), (JobState::Failed, view.chunks));
    assert_eq!(view.errors.len(), 1);
    assert!(view.errors[0].error.contains("on purpose"), "{:?}", view.errors);
    // What is there is there, and the rest comes when it is tried again.
    assert!(!view.report.tables[0].rows.is_empty());
    let again = lab.post(&format!("{JOBS}/{id}/retry"), "").await;
    assert_eq!(again.status, StatusCode::OK);
    let view = lab.ended(&id).await;
    assert_eq!((view.state, view.done, view.errors.len()), (JobState::Done, view.chunks, 0));
}

#[tokio::test]
async fn a_trained_model_is_attacked_like_a_shipped_one() {
    let lab = Lab::open().await;
    lab.compute();
    let experiment = Experiment { dataset: Dataset::Digits, seed: 17, ..Experiment::default() };
    let lesson = Training {
        experiment: Experiment { threat: Threat::usual(Dataset::Digits, Norm::Linf), ..experiment.clone() },
        network: Network::Mlp,
        epochs: 1,
        batch: 32,
        rate: 0.003,
        weight_decay: 0.0,
        pictures: 500,
        attack_steps: 0,
    };
    let view = lab.ended(&lab.submit(&lesson).await).await;
    assert_eq!(view.state, JobState::Done, "{:?}", view.errors);
    let card = view.report.model.expect("training gives a model");
    let cards = lab.get("/api/models").await.json();
    assert_eq!(cards, json!([*card]));
    let weights = lab.get(&format!("/api/models/{}", card.weights.file)).await;
    assert_eq!((weights.status, weights.body.len() as u64), (StatusCode::OK, card.weights.bytes));
    assert_eq!(lab.get("/api/models/none.safetensors").await.status, StatusCode::NOT_FOUND);
    let attack = RobustAccuracy::of(&Experiment { model: card.name.clone(), ..experiment }, 50);
    let view = lab.ended(&lab.submit(&attack).await).await;
    assert_eq!(view.state, JobState::Done, "{:?}", view.errors);
    assert!(matches!(view.report.tables[0].rows[0][3], Cell::Count(50)));
}

#[tokio::test]
async fn a_job_that_is_not_there_is_not_found_by_any_address() {
    let lab = Lab::open().await;
    for rest in ["", "/events", "/results.json", "/results.csv"] {
        let answer = lab.get(&format!("{JOBS}/none{rest}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{rest}");
        assert!(answer.error().contains("no batch"), "{rest}");
    }
    assert_eq!(lab.post(&format!("{JOBS}/none/retry"), "").await.status, StatusCode::NOT_FOUND);
    for id in ["..%2f..%2fetc%2fpasswd", "%00", "a'%20OR%20'1'='1", &"x".repeat(5000)] {
        assert_eq!(lab.get(&format!("{JOBS}/{id}")).await.status, StatusCode::NOT_FOUND, "{id}");
    }
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_takes_no_new_batch() {
    let lab = Lab::open().await;
    lab.state.shutdown().begin();
    assert_eq!(lab.post(JOBS, request(&question(1))).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn two_hundred_who_ask_at_once_all_see_something_before_anyone_has_all() {
    let lab = Lab::open().await;
    // The first is large, and there before all others.
    let greedy = ask_as(&lab, "greedypage", 500).await.json()["id"].as_str().unwrap().to_owned();
    let mut ids = Vec::new();
    for student in 0..200u32 {
        let mut asked = question(40);
        asked.experiment.seed = student;
        let body = Request::post(JOBS)
            .header(header::CONTENT_TYPE, "application/json")
            .header(CLIENT_HEADER, format!("student{student}"))
            .body(request(&asked).into())
            .unwrap();
        ids.push(lab.ask(body).await.json()["id"].as_str().unwrap().to_owned());
    }
    let began = Instant::now();
    lab.compute();
    let store = &lab.runner.store;
    loop {
        let mut begun = 0;
        for id in &ids {
            begun += u32::from(store.job(id).await.unwrap().unwrap().done > 0);
        }
        if begun == 200 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{begun} of 200 have seen something");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let done = futures::future::join_all(ids.iter().map(|id| store.job(id))).await;
    assert!(done.iter().all(|job| !job.as_ref().unwrap().as_ref().unwrap().state.has_ended()));
    assert!(!store.job(&greedy).await.unwrap().unwrap().state.has_ended());
    println!("everyone had seen something after {:?}", began.elapsed());
}

#[tokio::test]
async fn the_description_names_every_address_and_is_shown_as_a_page() {
    let lab = Lab::open().await;
    let description = lab.get("/api/openapi.json").await.json();
    let paths: Vec<&String> = description["paths"].as_object().unwrap().keys().collect();
    for path in ["/api/jobs", "/api/jobs/{id}", "/api/jobs/{id}/events", "/api/queue", "/api/kinds", "/api/health"] {
        assert!(paths.iter().any(|known| *known == path), "{path} is not among {paths:?}");
    }
    for (path, about) in description["paths"].as_object().unwrap() {
        for (method, about) in about.as_object().unwrap() {
            assert!(about["summary"].is_string() || about["description"].is_string(), "{method} {path}");
            assert!(about["responses"]["200"].is_object(), "{method} {path}");
        }
    }
    let schemas = &description["components"]["schemas"];
    assert!(schemas["JobView"]["properties"]["report"].is_object());
    let page = lab.get("/api/docs/").await;
    assert_eq!(page.status, StatusCode::OK);
    let text = String::from_utf8(page.body).unwrap();
    assert!(text.contains("swagger-ui") && !text.contains("http://") && !text.contains("https://"), "{text}");
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads() {
    let lab = Lab::open().await;
    let id = lab.submit(&question(3)).await;
    lab.compute();
    lab.ended(&id).await;
    let answer = lab.get("/metrics").await;
    assert!(answer.header(header::CONTENT_TYPE).starts_with("application/openmetrics-text"));
    let text = String::from_utf8(answer.body).unwrap();
    for line in ["epsilon_lab_jobs{state=\"done\"} 1", "epsilon_lab_chunks{state=\"waiting\"} 0", "# EOF"] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_question_of_any_shape_is_answered_or_refused_and_never_a_mistake_of_ours() {
    let lab = Lab::open().await;
    for question in [
        json!(null),
        json!([]),
        json!("text"),
        json!(1e308),
        json!({ "experiment": null, "pictures": 1 }),
        json!({ "experiment": {}, "pictures": u64::MAX }),
        json!({ "experiment": {}, "pictures": 1, "models": vec!["standard"; 1000] }),
        json!({ "experiment": {}, "pictures": 1, "epsilons": vec![0.1; 1000] }),
        json!({ "experiment": { "attack": { "values": { "x": 1 } } }, "pictures": 1 }),
        json!({ "experiment": { "picture": { "own": { "pixels": [], "label": 300 } } }, "pictures": 1 }),
    ] {
        for kind in KINDS {
            let asked: Value = json!({ "kind": kind.key, "question": question });
            let answer = lab.post(JOBS, asked.to_string()).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{asked}");
            assert!(answer.error().len() < 1000, "{}", answer.error());
        }
    }
}
