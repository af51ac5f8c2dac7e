//! `POST /api/robust-accuracy`: attacks many test pictures and streams what is counted, chunk by chunk.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tracing::{Instrument, Span, info};

use super::batches::Place;
use super::json::Json;
use super::{AppState, Error};
use crate::api::{Chunk, Done, Line, RobustAccuracy, Start, Waiting};
use crate::experiment::Experiment;

/// Most pictures in a chunk: as many as the executor takes at a time.
const PICTURES: u32 = 16;
/// Gradients per chunk that are aimed at: a fraction of a second, so that progress is seen and a stop is prompt.
const GRADIENTS: u32 = 1600;
/// Lines that may wait for a client to take them, beyond what the connection holds; then computing pauses.
const UNSENT: usize = 4;

/// The address.
pub fn router() -> Router<AppState> {
    Router::new().route("/robust-accuracy", post(robust_accuracy))
}

async fn robust_accuracy(
    State(state): State<AppState>,
    Json(question): Json<RobustAccuracy>,
) -> Result<Response, Error> {
    let RobustAccuracy { experiment, pictures } = question;
    experiment.validate()?;
    let (dataset, most) = (experiment.dataset, experiment.dataset.pictures());
    if !(1..=most).contains(&pictures) {
        return Err(Error::Pictures { asked: pictures, dataset, most });
    }
    if state.shutdown().has_begun() {
        return Err(Error::ShuttingDown);
    }
    let place = state.0.batches.enter()?;
    let (lines, sent) = channel(UNSENT);
    let batch = Batch { state, experiment: Arc::new(experiment), pictures, lines };
    tokio::spawn(batch.run(place).instrument(Span::current()));
    let body = ReceiverStream::new(sent).map(|line| Ok::<_, Infallible>(written(&line)));
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-store"),
        // A proxy in front must not hold lines back.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

fn written(line: &Line) -> Vec<u8> {
    let mut text = serde_json::to_vec(line).expect("lines are plain values");
    text.push(b'\n');
    text
}

/// The pictures `0..pictures` in chunks that take about the same time whatever the attack.
fn chunks(experiment: &Experiment, pictures: u32) -> impl Iterator<Item = Range<u32>> + use<> {
    let cost = experiment.attack.method.cost(&experiment.attack);
    let size = (GRADIENTS / cost.max(1)).clamp(1, PICTURES);
    (0..pictures).step_by(size as usize).map(move |from| from..pictures.min(from + size))
}

/// A question that is being answered.
struct Batch {
    state: AppState,
    experiment: Arc<Experiment>,
    pictures: u32,
    lines: Sender<Line>,
}

/// Why an answer ends before it is complete.
enum End {
    /// There is nobody to answer any more.
    Gone,
    /// Something that the client is told.
    Failed(Error),
}

impl Batch {
    async fn run(self, place: Place) {
        let began = Instant::now();
        // Whatever ends first drops the work: chunks that have not begun never do.
        let outcome = tokio::select! {
            outcome = self.answer(&place) => outcome,
            () = self.state.shutdown().begun() => Err(End::Failed(Error::ShuttingDown)),
            () = self.lines.closed() => Err(End::Gone),
        };
        let outcome = match outcome {
            Ok(()) => "complete",
            Err(End::Gone) => "the client has gone",
            Err(End::Failed(error)) => {
                let _ = self.send(Line::Failed(error.to_string())).await;
                "failed"
            }
        };
        let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
        info!(pictures = self.pictures, milliseconds, outcome, "batch ended");
    }

    async fn answer(&self, place: &Place) -> Result<(), End> {
        if let Some(ahead) = place.ahead {
            self.send(Line::Waiting(Waiting { ahead: ahead.get() })).await?;
        }
        let _turn = place.turn().await;
        let began = Instant::now();
        let model = format!("{}-{}", self.experiment.dataset.key(), self.experiment.model);
        self.send(Line::Start(Start { pictures: self.pictures, model })).await?;
        let mut chunks = chunks(&self.experiment, self.pictures);
        let mut running = JoinSet::new();
        loop {
            let free = self.state.0.batches.threads().saturating_sub(running.len());
            for range in chunks.by_ref().take(free) {
                running.spawn(self.chunk(range));
            }
            let Some(finished) = running.join_next().await else { break };
            let chunk = finished.unwrap_or(Err(Error::Internal)).map_err(End::Failed)?;
            self.send(Line::Chunk(chunk)).await?;
        }
        let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
        self.send(Line::Done(Done { milliseconds })).await
    }

    /// The work on some of the pictures.
    fn chunk(&self, range: Range<u32>) -> impl Future<Output = Result<Chunk, Error>> + use<> {
        let (state, experiment) = (self.state.clone(), self.experiment.clone());
        async move {
            let inner = state.0.clone();
            let count = move || {
                let tally = (inner.count)(&experiment, range.clone());
                Chunk { from: range.start, to: range.end, tally }
            };
            state.0.batches.compute(count).await
        }
    }

    async fn send(&self, line: Line) -> Result<(), End> {
        self.lines.send_timeout(line, self.state.0.limits.patience).await.map_err(|_| End::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_every_picture_once_and_are_smaller_for_longer_attacks() {
        let mut experiment = Experiment::default();
        let mut sizes = Vec::new();
        for (steps, restarts) in [(1, 1), (20, 1), (100, 1), (100, 20)] {
            (experiment.attack.steps, experiment.attack.restarts) = (steps, restarts);
            let ranges: Vec<_> = chunks(&experiment, 103).collect();
            assert_eq!(ranges.iter().cloned().flatten().collect::<Vec<_>>(), (0..103).collect::<Vec<_>>());
            sizes.push(ranges[0].len());
        }
        assert_eq!(sizes, [16, 16, 16, 1]);
    }
}
