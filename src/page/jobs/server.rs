//! What the page says to the server, and how it hears that there is none.

use std::cell::RefCell;

use leptos::prelude::window;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, RequestInit, Response, Storage};

use crate::api::{self, JobLine, JobLink, JobRequest, JobView, Problem, QueueView};
use crate::nn::zoo::ModelCard;

/// Where the page keeps its name.
const NAME: &str = "epsilon-lab.client";
/// Where the page keeps the instructor's key, until it is closed.
const KEY: &str = "epsilon-lab.key";

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody answers, or somebody who is no server of ours.
    NoServer,
    /// The server says why not, in a sentence.
    Refused(String),
    /// The instructor's key is not right.
    Key,
}

impl Trouble {
    /// In words.
    pub fn sentence(&self) -> String {
        match self {
            Self::NoServer => "No server answers.".into(),
            Self::Refused(sentence) => sentence.clone(),
            Self::Key => "The server does not know this instructor’s key.".into(),
        }
    }
}

/// Asks for a job.
pub async fn submit(request: &JobRequest) -> Result<JobLink, Trouble> {
    let body = serde_json::to_string(request).map_err(|error| Trouble::Refused(error.to_string()))?;
    ask("POST", api::JOBS, Some(body)).await
}

/// The jobs that this page has asked for.
pub async fn jobs() -> Result<Vec<JobLine>, Trouble> {
    ask("GET", api::JOBS, None).await
}

/// A job as it stands.
pub async fn job(id: &str) -> Result<JobView, Trouble> {
    ask("GET", &address(id, ""), None).await
}

/// Stops a job, if nobody else wants it.
pub async fn cancel(id: &str) -> Result<JobView, Trouble> {
    ask("DELETE", &address(id, ""), None).await
}

/// Tries the chunks again that were given up.
pub async fn retry(id: &str) -> Result<JobView, Trouble> {
    ask("POST", &address(id, "/retry"), None).await
}

/// The queue.
pub async fn queue() -> Result<QueueView, Trouble> {
    ask("GET", api::QUEUE, None).await
}

/// The models that batches have trained.
pub async fn models() -> Result<Vec<ModelCard>, Trouble> {
    ask("GET", "api/models", None).await
}

/// The address of a job, or of something below it, relative to the page.
pub fn address(id: &str, below: &str) -> String {
    let id = String::from(js_sys::encode_uri_component(id));
    format!("{}/{id}{below}", api::JOBS.trim_start_matches('/'))
}

/// The instructor's key, if it was given.
pub fn key() -> Option<String> {
    session()?.get_item(KEY).ok().flatten()
}

/// Keeps the instructor's key until the page is closed, or forgets it.
pub fn set_key(key: Option<&str>) {
    if let Some(session) = session() {
        let _ = match key {
            Some(key) => session.set_item(KEY, key),
            None => session.remove_item(KEY),
        };
    }
}

fn session() -> Option<Storage> {
    window().session_storage().ok().flatten()
}

async fn ask<T: DeserializeOwned>(method: &str, path: &str, body: Option<String>) -> Result<T, Trouble> {
    let options = RequestInit::new();
    options.set_method(method);
    let headers = Headers::new().map_err(|_| Trouble::NoServer)?;
    let _ = headers.set(api::CLIENT_HEADER, &name());
    if let Some(key) = key() {
        let _ = headers.set("authorization", &format!("Bearer {key}"));
    }
    if let Some(body) = body {
        let _ = headers.set("content-type", "application/json");
        options.set_body(&JsValue::from_str(&body));
    }
    options.set_headers(&headers);
    let answer = window().fetch_with_str_and_init(path.trim_start_matches('/'), &options);
    let response: Response =
        JsFuture::from(answer).await.ok().and_then(|answer| answer.dyn_into().ok()).ok_or(Trouble::NoServer)?;
    // A static host answers with a page or with nothing; only our server says why in JSON.
    let kind = response.headers().get("content-type").ok().flatten().unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(Trouble::NoServer);
    }
    let text = JsFuture::from(response.text().map_err(|_| Trouble::NoServer)?).await;
    let text = text.ok().and_then(|text| text.as_string()).ok_or(Trouble::NoServer)?;
    match (response.status(), response.ok()) {
        (_, true) => serde_json::from_str(&text)
            .map_err(|_| Trouble::Refused("page and server are of different versions: reload the page".into())),
        (403, _) => Err(Trouble::Key),
        _ => match serde_json::from_str::<Problem>(&text) {
            Ok(problem) => Err(Trouble::Refused(problem.error)),
            Err(_) => Err(Trouble::NoServer),
        },
    }
}

/// The name of this page for the server, which takes turns between names. Made once by chance; it says nothing about the
/// person.
fn name() -> String {
    thread_local!(static MADE: RefCell<Option<String>> = const { RefCell::new(None) });
    let storage = window().local_storage().ok().flatten();
    let kept = storage.as_ref().and_then(|storage| storage.get_item(NAME).ok().flatten());
    if let Some(kept) = kept.filter(|name| (8..=64).contains(&name.len())) {
        return kept;
    }
    // Where nothing can be kept, the name lasts as long as the page.
    MADE.with_borrow_mut(|made| {
        let name = made.get_or_insert_with(|| {
            let mut bytes = [0; 16];
            if !window().crypto().is_ok_and(|crypto| crypto.get_random_values_with_u8_array(&mut bytes).is_ok()) {
                bytes = std::array::from_fn(|_| (js_sys::Math::random() * 256.0) as u8);
            }
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        });
        if let Some(storage) = storage {
            let _ = storage.set_item(NAME, name);
        }
        name.clone()
    })
}
