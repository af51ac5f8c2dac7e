//! What page and server say to each other, as JSON over HTTP. Plain values: nothing here needs a server or a browser.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::job::Report;

/// `POST` a [`JobRequest`] here, get a [`JobLink`]; `GET` gives a list of [`JobLine`]s.
pub const JOBS: &str = "/api/jobs";
/// `GET` here gives a [`QueueView`].
pub const QUEUE: &str = "/api/queue";
/// `GET` here gives [`Health`].
pub const HEALTH: &str = "/api/health";
/// `GET` here gives [`Ready`], or status 503 with a [`Problem`].
pub const READY: &str = "/api/ready";

/// The name that a page gives itself, 8 to 64 letters and digits, so that turns are taken between pages; without it, all
/// of an address count as one. It says nothing about the person.
pub const CLIENT_HEADER: &str = "x-epsilon-client";

/// A question for the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// The kind of work, as `GET /api/kinds` lists it.
    #[cfg_attr(not(target_arch = "wasm32"), schema(example = "robust-accuracy"))]
    pub kind: String,
    /// The question; `GET /api/kinds` has an example of each kind.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Object))]
    pub question: serde_json::Value,
}

/// A kind of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct KindView {
    /// Its name in requests.
    pub kind: String,
    /// Its name for people.
    pub title: String,
    /// What it answers.
    pub summary: String,
    /// A small question.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Object))]
    pub example: serde_json::Value,
}

/// Where the answer to a [`JobRequest`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct JobLink {
    /// The job's name: below `/api/jobs/` its state, `/events`, `/results.csv` and `/results.json`.
    pub id: String,
    /// Whether somebody had asked the same before: then there is nothing to wait for but the rest.
    pub shared: bool,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Others come first.
    #[default]
    Queued,
    /// Some of it is computed.
    Running,
    /// All is there.
    Done,
    /// Some of it could not be computed; the rest is there.
    Failed,
    /// It was stopped; what had been computed is there.
    Cancelled,
}

impl JobState {
    /// Whether nothing more will come.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// A job as it stands; also the data of every event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct JobView {
    /// Its name.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The kind's name for people.
    pub title: String,
    /// The question, with everything filled in.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Object))]
    pub question: serde_json::Value,
    /// How it stands.
    pub state: JobState,
    /// Chunks in all.
    pub chunks: u32,
    /// Chunks that are computed.
    pub done: u32,
    /// The share of the work that is done, 0 to 1.
    pub share: f32,
    /// Chunks that were given up, the first of them.
    pub errors: Vec<DeadChunk>,
    /// While queued: how many jobs come first.
    pub ahead: u64,
    /// How many clients want it.
    pub wanted_by: u64,
    /// When it was asked for, in milliseconds since 1970.
    pub created: u64,
    /// When its first chunk was begun, in milliseconds since 1970.
    pub started: Option<u64>,
    /// Milliseconds from then until now, or until it ended.
    pub elapsed: Option<u64>,
    /// Milliseconds that it will probably still take.
    pub remaining: Option<u64>,
    /// Grows with every change; the id of its event.
    pub revision: u64,
    /// What is known so far.
    pub report: Report,
}

/// A chunk that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct DeadChunk {
    /// Its number.
    pub chunk: u32,
    /// Why.
    pub error: String,
}

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct JobLine {
    /// Its name.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The kind's name for people.
    pub title: String,
    /// The question.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Object))]
    pub question: serde_json::Value,
    /// How it stands.
    pub state: JobState,
    /// The share of the work that is done, 0 to 1.
    pub share: f32,
    /// When it was asked for, in milliseconds since 1970.
    pub created: u64,
}

/// The queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct QueueView {
    /// Jobs in each state.
    pub jobs: BTreeMap<String, u64>,
    /// Chunks in each state.
    pub chunks: BTreeMap<String, u64>,
    /// The workers that were heard of in the last ten minutes.
    pub workers: Vec<WorkerView>,
    /// The newest jobs, with the instructor's key only.
    pub newest: Vec<JobLine>,
    /// Chunks that were given up, with the instructor's key only.
    pub dead: Vec<DeadLetter>,
}

/// A worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// Chunks that it computes at once.
    pub threads: u32,
    /// Since when it runs.
    pub seconds: u64,
    /// Since when nothing was heard of it.
    pub silent_seconds: u64,
    /// Chunks that it has computed.
    pub chunks: u64,
    /// Milliseconds that a chunk took on average.
    pub mean_milliseconds: u64,
}

/// A chunk that was given up, of any job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct DeadLetter {
    /// The job.
    pub job: String,
    /// The chunk.
    pub chunk: u32,
    /// Why.
    pub error: String,
}

/// The body of every answer whose status is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Problem {
    /// A sentence: what happened and what to do.
    pub error: String,
}

/// That the server lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Health {
    /// The product's version.
    pub version: String,
    /// The models it has, as `fashion-standard`.
    pub models: Vec<String>,
    /// Since when it runs.
    pub uptime_seconds: u64,
}

/// That the server takes new work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Ready {
    /// Always true; a server that does not answers with status 503.
    pub ready: bool,
}
