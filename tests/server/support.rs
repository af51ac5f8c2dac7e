//! A small built page, the server on it, and requests to that.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use epsilon_lab::cli::pack::pack;
use epsilon_lab::evaluate::{Count as Counted, Tally};
use epsilon_lab::experiment::Experiment;
use epsilon_lab::server::{AppState, Count, Limits, Site, app};
use http_body_util::BodyExt;
use tempfile::TempDir;
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

/// Counts every picture as robust, in no time.
pub fn at_once(_: &Experiment, pictures: Range<u32>) -> Tally {
    let n = pictures.len() as u32;
    Tally { classes: vec![Counted { pictures: n, clean: n, robust: n }], gradients: u64::from(n) }
}

/// The state of a server for this page.
pub fn state(dist: &Path, limits: Limits, count: Arc<Count>) -> AppState {
    AppState::new(Site::open(dist).unwrap(), count, limits)
}

/// A server for a built page, without a socket.
pub struct Lab {
    pub state: AppState,
    app: Router,
    _dist: TempDir,
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

impl Default for Lab {
    fn default() -> Self {
        Self::new(Limits::default(), Arc::new(at_once))
    }
}

impl Lab {
    pub fn new(limits: Limits, count: Arc<Count>) -> Self {
        let dist = built();
        let state = state(dist.path(), limits, count);
        Self { app: app(state.clone()), state, _dist: dist }
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
