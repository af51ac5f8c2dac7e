//! A small built page, the server on it, and requests to that.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use epsilon_lab::api::{JOBS, JobRequest, JobView};
use epsilon_lab::attack::Method;
use epsilon_lab::cli::pack::pack;
use epsilon_lab::data::Dataset;
use epsilon_lab::experiment::Experiment;
use epsilon_lab::job::robust_accuracy::RobustAccuracy;
use epsilon_lab::job::{Report, Work};
use epsilon_lab::library::Library;
use epsilon_lab::server::jobs::{Quotas, Runner, Store};
use epsilon_lab::server::{AppState, Jobs, Limits, Site, app};
use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::sync::Notify;
use tower::ServiceExt;

pub const SCRIPT: &str = "import('/page-0123456789abcdef.js')";
pub const HASHED: &str = "/page-0123456789abcdef.js";

/// A folder as Trunk and `epsilon-lab pack` leave it.
pub fn built() -> TempDir {
    let dist = tempfile::tempdir().unwrap();
    let page = format!(
        "<!doctype html><title>Epsilon Lab</title><script type=\"module\">{SCRIPT}</script><!--{}-->",
        "x".repeat(2000)
    );
    for (name, content) in [
        ("index.html", page.as_str()),
        (&HASHED[1..], &"export default 1;\n".repeat(500)),
        ("page-0123456789abcdef_bg.wasm", "\0asm"),
        ("engine_loader.js", "import('/engine.js')"),
        ("style-0123456789abcdef.css", "p { margin: 0 }"),
        ("icon.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        ("site.webmanifest", "{}"),
        ("assets/models/some.safetensors", "weights"),
        ("assets/models/some.json", "{}"),
        ("assets/data/test-0.png", "png"),
    ] {
        let path = dist.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    pack(dist.path()).unwrap();
    dist
}

/// The shipped models and pictures.
pub fn library() -> Arc<Library> {
    static LIBRARY: LazyLock<Arc<Library>> =
        LazyLock::new(|| Arc::new(Library::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")).unwrap()));
    LIBRARY.clone()
}

/// A small batch: how many of the first so many digits withstand one step at two ε.
pub fn question(pictures: u32) -> RobustAccuracy {
    let mut experiment = Experiment { dataset: Dataset::Digits, seed: 3, ..Experiment::default() };
    experiment.attack.method = Method::FGSM;
    let epsilons = vec![0.05, 0.15];
    RobustAccuracy { epsilons, ..RobustAccuracy::of(&experiment, pictures) }.tidy()
}

/// The request for a batch.
pub fn request<W: Work>(question: &W) -> String {
    let question = serde_json::to_value(question).unwrap();
    serde_json::to_string(&JobRequest { kind: W::KIND.into(), question }).unwrap()
}

/// A report as it arrives: numbers that were written and read.
pub fn sent(report: Report) -> Report {
    serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap()
}

/// The instructor's key of every server here.
pub const KEY: &str = "an-instructors-key";

/// A server for a built page, without a socket.
pub struct Lab {
    pub state: AppState,
    pub app: Router,
    pub runner: Runner,
    _folders: [TempDir; 2],
}

/// What came back, all of it.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The sentence of a refusal.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

impl Lab {
    /// A server that computes nothing, until [`Self::compute`].
    pub async fn open() -> Self {
        Self::with(Limits::default(), Quotas::default()).await
    }

    pub async fn with(limits: Limits, quotas: Quotas) -> Self {
        let (dist, data) = (built(), tempfile::tempdir().unwrap());
        let store = Store::in_file(&data.path().join("jobs.sqlite")).await.unwrap();
        let news = Arc::<Notify>::default();
        let jobs = Jobs::new(store.clone(), library(), news.clone(), quotas, Some(KEY), "tested");
        let (work, models) = (jobs.work.clone(), jobs.models.clone());
        let runner = Runner { name: "tester".into(), threads: 2, store, models, materials: library(), work, news };
        let state = AppState::new(Site::open(dist.path()).unwrap(), jobs, limits);
        Self { app: app(state.clone()), state, runner, _folders: [dist, data] }
    }

    /// Computes from now on.
    pub fn compute(&self) {
        tokio::spawn(self.runner.clone().run(self.state.shutdown().clone()));
    }

    /// Asks for a batch and gives its name.
    pub async fn submit<W: Work>(&self, question: &W) -> String {
        let answer = self.post(JOBS, request(question)).await;
        assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// A job as it stands.
    pub async fn job(&self, id: &str) -> JobView {
        serde_json::from_slice(&self.get(&format!("{JOBS}/{id}")).await.body).unwrap()
    }

    /// A job when it has ended.
    pub async fn ended(&self, id: &str) -> JobView {
        for _ in 0..600 {
            let job = self.job(id).await;
            if job.state.has_ended() {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the job does not end");
    }

    pub async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub async fn get(&self, address: &str) -> Answer {
        self.ask(Request::get(address).body(Body::empty()).unwrap()).await
    }

    pub async fn get_with(&self, address: &str, name: &str, value: &str) -> Answer {
        self.ask(Request::get(address).header(name, value).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, address: &str, json: impl Into<Body>) -> Answer {
        let request = Request::post(address).header(header::CONTENT_TYPE, "application/json");
        self.ask(request.body(json.into()).unwrap()).await
    }
}
