//! `/api/jobs`: asking, following, taking results away.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use tokio_stream::wrappers::WatchStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client;
use super::store::{Client, Stored};
use crate::api::{
    CLIENT_HEADER, DeadLetter, JobLine, JobLink, JobRequest, JobState, JobView, KindView, Problem, QueueView,
    WorkerView,
};
use crate::job::kinds::KINDS;
use crate::job::report::Table;
use crate::job::{Job, Kind};
use crate::nn::zoo::ModelCard;
use crate::server::json::Json;
use crate::server::{AppState, Error};

/// Most jobs in a list.
const LIST: u32 = 100;

/// All addresses of jobs, with their description.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(kinds))
        .routes(routes!(submit, list))
        .routes(routes!(job, cancel))
        .routes(routes!(events))
        .routes(routes!(results_json))
        .routes(routes!(results_csv))
        .routes(routes!(retry))
        .routes(routes!(queue))
        .routes(routes!(models))
        .routes(routes!(weights))
}

/// Who asks, and whether with the instructor's key.
struct Asking {
    client: Client,
    instructor: bool,
}

impl FromRequestParts<AppState> for Asking {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        let address = match parts.extensions.get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(address)) => address.ip(),
            // Without a socket, as in tests.
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let key = text(header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        let instructor = match key {
            // A wrong key is said to be wrong, rather than silently doing less.
            Some(key) if !state.jobs().is_instructors(key) => return Err(Error::Key),
            key => key.is_some(),
        };
        Ok(Self { client: client(text(CLIENT_HEADER), address), instructor })
    }
}

/// The kinds of work, with an example of each.
#[utoipa::path(get, path = "/kinds", tag = "jobs", responses((status = 200, body = [KindView])))]
async fn kinds() -> axum::Json<Vec<KindView>> {
    let view = |kind: &Kind| KindView {
        kind: kind.key.into(),
        title: kind.title.into(),
        summary: kind.summary.into(),
        example: (kind.example)(),
    };
    axum::Json(KINDS.iter().map(view).collect())
}

/// Asks for a job. A question that was asked before, by anyone, is answered by the same job.
#[utoipa::path(post, path = "/jobs", tag = "jobs", request_body = JobRequest,
    params(("x-epsilon-client" = Option<String>, Header, description = "8 to 64 letters and digits that tell pages apart")),
    security((), ("instructor" = [])),
    responses(
        (status = 201, description = "A new job", body = JobLink),
        (status = 200, description = "The job that answers this already", body = JobLink),
        (status = 400, description = "Not JSON", body = Problem),
        (status = 403, description = "A wrong key", body = Problem),
        (status = 408, description = "The body took too long", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "Not declared as JSON", body = Problem),
        (status = 422, description = "Out of range, with the range", body = Problem),
        (status = 429, description = "Too many batches wait or run", body = Problem),
        (status = 503, description = "The server stops, or its store does not answer", body = Problem),
    ))]
async fn submit(
    State(state): State<AppState>,
    asking: Asking,
    Json(request): Json<JobRequest>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], axum::Json<JobLink>), Error> {
    let kind = Kind::find(&request.kind).ok_or(Error::Kind(request.kind))?;
    let job = kind.read(request.question).map_err(Error::Shape)?;
    if state.shutdown().has_begun() {
        return Err(Error::ShuttingDown);
    }
    let (id, new) = state.jobs().submit(&job, &asking.client, asking.instructor).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, [(header::LOCATION, format!("/api/jobs/{id}"))], axum::Json(JobLink { id, shared: !new })))
}

/// The jobs that this client has asked for, the newest first.
#[utoipa::path(get, path = "/jobs", tag = "jobs",
    params(("x-epsilon-client" = Option<String>, Header, description = "As when asking")),
    responses(
        (status = 200, body = [JobLine]),
        (status = 403, description = "A wrong key", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ))]
async fn list(State(state): State<AppState>, asking: Asking) -> Result<axum::Json<Vec<JobLine>>, Error> {
    let jobs = state.jobs().store.jobs(Some(&asking.client.name), LIST).await?;
    Ok(axum::Json(jobs.into_iter().map(line).collect()))
}

/// A job as it stands.
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses(
        (status = 200, body = JobView),
        (status = 404, description = "No such job", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ))]
async fn job(State(state): State<AppState>, Path(id): Path<String>) -> Result<axum::Json<JobView>, Error> {
    Ok(axum::Json(view(&state, &id).await?))
}

/// Stops a job, if nobody else wants it; what has been computed stays.
#[utoipa::path(delete, path = "/jobs/{id}", tag = "jobs",
    params(("id" = String, Path), ("x-epsilon-client" = Option<String>, Header, description = "As when asking")),
    security((), ("instructor" = [])),
    responses(
        (status = 200, body = JobView),
        (status = 403, description = "A wrong key", body = Problem),
        (status = 404, description = "No such job", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ))]
async fn cancel(
    State(state): State<AppState>,
    Path(id): Path<String>,
    asking: Asking,
) -> Result<axum::Json<JobView>, Error> {
    let jobs = state.jobs();
    let client = (!asking.instructor).then_some(asking.client.name.as_str());
    if jobs.store.cancel(&id, client).await? {
        jobs.hub.ring();
    }
    Ok(axum::Json(view(&state, &id).await?))
}

/// Tries the chunks again that were given up.
#[utoipa::path(post, path = "/jobs/{id}/retry", tag = "jobs", params(("id" = String, Path)),
    responses(
        (status = 200, body = JobView),
        (status = 404, description = "No such job", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ))]
async fn retry(State(state): State<AppState>, Path(id): Path<String>) -> Result<axum::Json<JobView>, Error> {
    let jobs = state.jobs();
    let stored = jobs.store.job(&id).await?.ok_or(Error::NoSuchJob)?;
    if let Some(job) = read(&stored) {
        jobs.store.retry(&id, job.order()).await?;
        jobs.work.notify_waiters();
        jobs.hub.ring();
    }
    Ok(axum::Json(view(&state, &id).await?))
}

/// A job as it goes on: server-sent events named `job`, each a whole [`JobView`] with its revision as id. After a lost
/// connection a browser asks with `Last-Event-ID` by itself, and hears nothing twice.
#[utoipa::path(get, path = "/jobs/{id}/events", tag = "jobs",
    params(
        ("id" = String, Path),
        ("Last-Event-ID" = Option<String>, Header, description = "The last revision that was heard of"),
    ),
    responses(
        (status = 200, description = "Events until the job has ended", content_type = "text/event-stream", body = JobView),
        (status = 404, description = "No such job", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ))]
async fn events(State(state): State<AppState>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Error> {
    let heard = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
    let news = state.jobs().hub.follow(&id).await?.ok_or(Error::NoSuchJob)?;
    let shutdown = state.shutdown().clone();
    let mut ended = false;
    let stream = WatchStream::new(news)
        .filter_map(async |news| news)
        .skip_while(move |news| {
            let known = heard == Some(news.revision) && !news.last;
            async move { known }
        })
        .take_while(move |news| {
            let before = std::mem::replace(&mut ended, news.last);
            async move { !before }
        })
        .map(|news| {
            // A stream that ends without the word is taken up again by the browser, and should be.
            let name = if news.last { "end" } else { "job" };
            Ok::<_, Infallible>(Event::default().event(name).id(news.revision.to_string()).data(&news.text))
        })
        .take_until(async move { shutdown.begun().await });
    let mut response = Sse::new(until_end(stream)).keep_alive(KeepAlive::default()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    // A proxy in front must not hold events back.
    headers.insert("x-accel-buffering", header::HeaderValue::from_static("no"));
    Ok(response)
}

/// The stream, boxed: its type is of no interest.
fn until_end(
    stream: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    stream.boxed()
}

/// Question and results as JSON.
#[utoipa::path(get, path = "/jobs/{id}/results.json", tag = "jobs", params(("id" = String, Path)),
    responses(
        (status = 200, body = JobView),
        (status = 404, description = "No such job", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ))]
async fn results_json(State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, Error> {
    let view = view(&state, &id).await?;
    let name = format!("attachment; filename=\"{}-{}.json\"", view.kind, view.id);
    Ok(([(header::CONTENT_DISPOSITION, name)], axum::Json(view)).into_response())
}

/// Which table.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Its number among the tables, from 0.
    #[serde(default)]
    table: usize,
}

/// A table of the results as comma-separated values, UTF-8 with a head.
#[utoipa::path(get, path = "/jobs/{id}/results.csv", tag = "jobs", params(("id" = String, Path), Which),
    responses(
        (status = 200, content_type = "text/csv", body = String),
        (status = 400, description = "Not a number", body = Problem),
        (status = 404, description = "No such job or table", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ))]
async fn results_csv(
    State(state): State<AppState>,
    Path(id): Path<String>,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Error> {
    let Query(Which { table }) = which.map_err(|_| Error::Query)?;
    let view = view(&state, &id).await?;
    let found = view.report.tables.get(table).ok_or(Error::NoSuchTable(table))?;
    let name = format!("attachment; filename=\"{}-{}-{table}.csv\"", view.kind, view.id);
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, comma_separated(found)?).into_response())
}

fn comma_separated(table: &Table) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = writer.write_record(&table.columns).and_then(|()| {
        table.rows.iter().try_for_each(|row| writer.write_record(row.iter().map(crate::job::report::Cell::plain)))
    });
    written.map_err(|_| Error::Internal)?;
    writer.into_inner().map_err(|_| Error::Internal)
}

/// The queue: how much waits, and who computes. With the instructor's key also the newest jobs and the chunks that were
/// given up.
#[utoipa::path(get, path = "/queue", tag = "queue", security((), ("instructor" = [])),
    responses(
        (status = 200, body = QueueView),
        (status = 403, description = "A wrong key", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ))]
async fn queue(State(state): State<AppState>, asking: Asking) -> Result<axum::Json<QueueView>, Error> {
    let store = &state.jobs().store;
    let names = ["waiting", "running", "done", "given up", "waiting for others"];
    let mut view = QueueView {
        jobs: store.states().await?.into_iter().map(|(state, count)| (state.key().into(), count)).collect(),
        chunks: names.map(String::from).into_iter().zip(store.counts().await?).collect(),
        ..QueueView::default()
    };
    for worker in store.workers().await? {
        view.workers.push(WorkerView {
            mean_milliseconds: worker.milliseconds / worker.chunks.max(1),
            name: worker.id,
            threads: worker.threads,
            seconds: worker.age / 1000,
            silent_seconds: worker.silent / 1000,
            chunks: worker.chunks,
        });
    }
    if asking.instructor {
        view.newest = store.jobs(None, LIST).await?.into_iter().map(line).collect();
        let dead = store.dead(None, LIST).await?.into_iter();
        view.dead = dead.map(|dead| DeadLetter { job: dead.job, chunk: dead.number, error: dead.error }).collect();
    }
    Ok(axum::Json(view))
}

/// The cards of the models that batches have trained.
#[utoipa::path(get, path = "/models", tag = "models",
    responses((status = 200, body = [Object]), (status = 503, description = "The store does not answer", body = Problem)))]
async fn models(State(state): State<AppState>) -> Result<axum::Json<Vec<&'static ModelCard>>, Error> {
    let models = &state.jobs().models;
    models.refresh().await?;
    Ok(axum::Json(models.cards()))
}

/// The weights of a trained model, a safetensors file: `NAME.safetensors`, as its card says.
#[utoipa::path(get, path = "/models/{file}", tag = "models", params(("file" = String, Path)),
    responses(
        (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 404, description = "No such model", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ))]
async fn weights(State(state): State<AppState>, Path(file): Path<String>) -> Result<Response, Error> {
    let models = &state.jobs().models;
    models.refresh().await?;
    let card = models.cards().into_iter().find(|card| card.weights.file == file).ok_or(Error::NoSuchModel)?;
    let weights = models.weights(&card.name).await?.ok_or(Error::NoSuchModel)?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")),
    ];
    Ok((headers, weights).into_response())
}

async fn view(state: &AppState, id: &str) -> Result<JobView, Error> {
    state.jobs().hub.view(id).await?.ok_or(Error::NoSuchJob)
}

fn read(stored: &Stored) -> Option<std::sync::Arc<dyn Job>> {
    Kind::find(&stored.kind)?.read(serde_json::from_str(&stored.question).ok()?).ok()
}

fn line(stored: Stored) -> JobLine {
    JobLine {
        title: Kind::find(&stored.kind).map_or_else(|| stored.kind.clone(), |kind| kind.title.into()),
        question: serde_json::from_str(&stored.question).unwrap_or_default(),
        state: JobState::from(stored.state),
        share: if stored.cost == 0 { 1.0 } else { (stored.done_cost as f64 / stored.cost as f64) as f32 },
        created: stored.created,
        id: stored.id,
        kind: stored.kind,
    }
}
