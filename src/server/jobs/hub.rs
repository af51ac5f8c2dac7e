//! News of jobs: one task follows a job in the store, however many clients follow the task.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::store::{State, Store, StoreError, Stored, now};
use crate::api::{DeadChunk, JobState, JobView};
use crate::job::{Gather, Kind};

/// Least time between two pieces of news of a job.
const PAUSE: Duration = Duration::from_millis(150);
/// How long the store is not looked at when nobody rings: where others write to it, and where only this process does.
const SHARED_PAUSE: Duration = Duration::from_millis(250);
const OWN_PAUSE: Duration = Duration::from_secs(2);
/// Chunks that were given up which are told one by one.
const TOLD: u32 = 20;

/// A job as it stands, written once for all who follow it.
#[derive(Debug, PartialEq)]
pub struct News {
    /// The job's revision: everything up to it is in `text`.
    pub revision: u64,
    /// A [`JobView`] as JSON.
    pub text: String,
    /// Whether nothing more will come.
    pub last: bool,
}

/// The tasks that follow jobs.
pub struct Hub {
    store: Store,
    rings: Arc<Notify>,
    followed: Mutex<HashMap<String, watch::Receiver<Option<Arc<News>>>>>,
}

impl Hub {
    /// Nobody is followed yet; `rings` rings when a result has been written by this process.
    pub fn new(store: Store, rings: Arc<Notify>) -> Self {
        Self { store, rings, followed: Mutex::default() }
    }

    /// News of a job, the present state first. None if there is no such job.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn follow(self: &Arc<Self>, id: &str) -> Result<Option<watch::Receiver<Option<Arc<News>>>>, StoreError> {
        if let Some(receiver) = self.followed.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Ok(Some(receiver.clone()));
        }
        let Some(job) = self.store.job(id).await? else { return Ok(None) };
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = followed.get(id) {
            return Ok(Some(receiver.clone()));
        }
        let (sender, receiver) = watch::channel(None);
        followed.insert(id.into(), receiver.clone());
        drop(followed);
        tokio::spawn(self.clone().tell(job, sender));
        Ok(Some(receiver))
    }

    /// The job as it stands, once.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn view(&self, id: &str) -> Result<Option<JobView>, StoreError> {
        let Some(job) = self.store.job(id).await? else { return Ok(None) };
        let mut seen = Seen::new(&job);
        seen.look(&self.store, job).await.map(Some)
    }

    /// Wakes those who follow: something has changed.
    pub fn ring(&self) {
        self.rings.notify_waiters();
    }

    /// Follows a job until it has ended or nobody listens.
    async fn tell(self: Arc<Self>, job: Stored, sender: watch::Sender<Option<Arc<News>>>) {
        let id = job.id.clone();
        if let Err(error) = self.tell_all(job, &sender).await {
            tracing::warn!(%error, id, "cannot follow a job");
            // Those who listen lose the stream, and ask again.
            self.leave(&id, true, &sender);
        }
    }

    /// Says whether a job need not be followed any more, and if so makes the next who wants to hear of it begin anew: at
    /// once, so that nobody joins what is about to end.
    fn leave(&self, id: &str, last: bool, sender: &watch::Sender<Option<Arc<News>>>) -> bool {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        // The hub's own receiver is the first.
        let leave = last || sender.receiver_count() <= 1;
        if leave {
            followed.remove(id);
        }
        leave
    }

    async fn tell_all(&self, job: Stored, sender: &watch::Sender<Option<Arc<News>>>) -> Result<(), StoreError> {
        let id = job.id.clone();
        let mut seen = Seen::new(&job);
        let mut next = Some(job);
        let mut told = None;
        loop {
            // Asked for before looking, so that what comes in between is not missed.
            let ring = self.rings.notified();
            let Some(job) = next.take() else {
                self.leave(&id, true, sender);
                return Ok(());
            };
            let began = Instant::now();
            let waits = job.state == State::Queued;
            let last = job.state.has_ended();
            if told != Some(job.revision) || waits {
                let revision = job.revision;
                let view = seen.look(&self.store, job).await?;
                let text = serde_json::to_string(&view).unwrap_or_default();
                sender.send_if_modified(|news| {
                    let changed = news.as_ref().is_none_or(|news| news.text != text);
                    if changed {
                        *news = Some(Arc::new(News { revision, text, last }));
                    }
                    changed
                });
                told = Some(revision);
            }
            if self.leave(&id, last, sender) {
                return Ok(());
            }
            let pause = if self.store.is_shared() || waits { SHARED_PAUSE } else { OWN_PAUSE };
            let _ = timeout(pause, ring).await;
            sleep_until(began + PAUSE).await;
            next = self.store.job(&id).await?;
        }
    }
}

/// What has been read of a job's results.
pub(super) struct Seen {
    gather: Result<Box<dyn Gather>, String>,
    revision: u64,
}

impl Seen {
    /// Nothing has been read yet.
    pub fn new(job: &Stored) -> Self {
        let gather = Kind::find(&job.kind)
            .ok_or_else(|| format!("this version knows no “{}”", job.kind))
            .and_then(|kind| {
                let question = serde_json::from_str(&job.question).map_err(|error| error.to_string())?;
                kind.read(question).map_err(|error| error.to_string())
            })
            .map(crate::job::Job::gather);
        Self { gather, revision: 0 }
    }

    /// Takes in what is new and says how the job stands.
    pub async fn look(&mut self, store: &Store, job: Stored) -> Result<JobView, StoreError> {
        let mut errors = Vec::new();
        if job.done > 0
            && let Ok(gather) = &mut self.gather
        {
            for part in store.parts(&job.id, self.revision).await? {
                if let Err(error) = gather.take(part.number, &part.part) {
                    errors.push(DeadChunk { chunk: part.number, error: error.to_string() });
                }
            }
            self.revision = job.revision;
        }
        if job.dead > 0 {
            let dead = store.dead(Some(&job.id), TOLD).await?;
            errors.extend(dead.into_iter().map(|dead| DeadChunk { chunk: dead.number, error: dead.error }));
        }
        let report = match &self.gather {
            Ok(gather) => gather.report(),
            Err(error) => {
                errors.push(DeadChunk { chunk: 0, error: error.clone() });
                crate::job::Report::default()
            }
        };
        let ahead = if job.state == State::Queued { store.ahead(&job.id).await?.0 } else { 0 };
        let wanted_by = store.wanted_by(&job.id).await?;
        Ok(view(job, report, errors, ahead, wanted_by))
    }
}

/// A job for those who ask.
fn view(job: Stored, report: crate::job::Report, errors: Vec<DeadChunk>, ahead: u64, wanted_by: u64) -> JobView {
    let until = job.ended.unwrap_or_else(now);
    let elapsed = job.started.map(|started| until.saturating_sub(started));
    let remaining = match (job.state, elapsed) {
        (State::Running, Some(elapsed)) if job.done_cost > 0 => {
            let left = job.cost.saturating_sub(job.done_cost) as f64;
            Some((elapsed as f64 * left / job.done_cost as f64) as u64)
        }
        _ => None,
    };
    JobView {
        title: Kind::find(&job.kind).map_or_else(|| job.kind.clone(), |kind| kind.title.into()),
        question: serde_json::from_str(&job.question).unwrap_or_default(),
        state: job.state.into(),
        chunks: job.chunks,
        done: job.done,
        share: if job.cost == 0 { 1.0 } else { (job.done_cost as f64 / job.cost as f64) as f32 },
        errors,
        ahead,
        wanted_by,
        created: job.created,
        started: job.started,
        elapsed,
        remaining,
        revision: job.revision,
        report,
        id: job.id,
        kind: job.kind,
    }
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Running => Self::Running,
            State::Done => Self::Done,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}
