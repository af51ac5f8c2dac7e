//! What computes: workers that take chunks from the store, one per thread, run by apalis.
//!
//! apalis brings the workers: concurrency, the end of a worker when it is asked to stop, and its events. The queue behind
//! them is the store itself ([`Turns`]), because a chunk's result and the end of its turn must be one transaction, and
//! because turns are taken between clients rather than first come first served.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use apalis::layers::WorkerBuilderExt;
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::error::BoxDynError;
use apalis_core::layers::Identity;
use apalis_core::task::Task;
use apalis_core::task::data::Data;
use apalis_core::task::task_id::RandomId;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::{interval, sleep, timeout};

use super::models::Models;
use super::store::{Claim, LEASE, Store, StoreError};
use crate::job::compute::compute;
use crate::job::{Job, Kind, Materials};
use crate::nn::zoo::TRAINED;
use crate::server::Shutdown;

/// How long an idle worker waits before it looks again, where others may have brought work.
const SHARED_PAUSE: Duration = Duration::from_millis(200);
/// The same where all work is brought by this process, which then wakes it.
const OWN_PAUSE: Duration = Duration::from_secs(2);
/// How much later than others a computing thread gets its turn, of 19.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// How long after the store has failed it is tried again.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What a worker needs.
#[derive(Clone)]
pub struct Runner {
    /// The name it is known by in the store.
    pub name: String,
    /// Chunks computed at once.
    pub threads: usize,
    /// The store.
    pub store: Store,
    /// What batches have trained.
    pub models: Arc<Models>,
    /// Models and pictures.
    pub materials: Arc<dyn Materials + Send + Sync>,
    /// Rings when there is new work.
    pub work: Arc<Notify>,
    /// Rings when there is a new result.
    pub news: Arc<Notify>,
}

impl Runner {
    /// Computes chunks until it is told to stop; then what is not done is given back.
    pub async fn run(self, shutdown: Shutdown) {
        let renewing = tokio::spawn(renew(self.clone()));
        let turns = Turns { runner: self.clone(), next: None };
        let worker = WorkerBuilder::new(self.name.as_str())
            .backend(turns)
            .concurrency(self.threads)
            .data(Arc::new(self.clone()))
            .build(turn);
        let stop = async move {
            shutdown.begun().await;
            Ok::<(), std::io::Error>(())
        };
        tokio::select! {
            ended = worker.run() => if let Err(error) = ended {
                tracing::error!(%error, "the workers stopped");
            },
            _ = stop => {}
        }
        renewing.abort();
        if let Err(error) = self.store.release(Some(&self.name)).await {
            tracing::warn!(%error, "unfinished chunks could not be given back; they are free again in a few seconds");
        }
    }
}

/// Says again and again that the worker lives, and frees what dead ones hold.
async fn renew(runner: Runner) {
    let mut beat = interval(LEASE / 4);
    loop {
        beat.tick().await;
        let renewed = runner.store.renew(&runner.name, runner.threads).await;
        match renewed.and(runner.store.expire().await) {
            Ok(0) => {}
            Ok(freed) => {
                tracing::warn!(freed, "took over chunks of workers that have died");
                runner.work.notify_waiters();
            }
            Err(error) => tracing::warn!(%error, "cannot renew the lease"),
        }
    }
}

/// The store as apalis sees it: it yields the chunk whose turn it is as soon as a thread is free.
struct Turns {
    runner: Runner,
    next: Option<BoxFuture<'static, Claim>>,
}

impl Backend for Turns {
    type Task = Task<Claim>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let runner = &self.runner;
        let next = self.next.get_or_insert_with(|| claim(runner.clone()).boxed());
        next.poll_unpin(context).map(|claim| {
            self.next = None;
            Some(Ok(Task::new(claim)))
        })
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Turns {
    type Args = Claim;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}

/// Lets whatever answers clients go before this thread, which computes. Once for each thread; where it is refused, or on
/// other systems than Linux, where it would slow the whole process, all are equal.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use std::cell::Cell;

        thread_local!(static GIVES_WAY: Cell<bool> = const { Cell::new(false) });
        if !GIVES_WAY.replace(true) {
            let _ = rustix::process::nice(NICE);
        }
    }
}

/// Waits for a chunk.
async fn claim(runner: Runner) -> Claim {
    let pause = if runner.store.is_shared() { SHARED_PAUSE } else { OWN_PAUSE };
    loop {
        // Asked for before looking, so that what comes in between is not missed.
        let work = runner.work.notified();
        match runner.store.claim(&runner.name).await {
            Ok(Some(claim)) => {
                runner.news.notify_waiters();
                return claim;
            }
            Ok(None) => {
                let _ = timeout(pause, work).await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a chunk");
                sleep(STORE_PAUSE).await;
            }
        }
    }
}

/// Computes a chunk and writes the result down.
async fn turn(claim: Claim, runner: Data<Arc<Runner>>) -> Result<(), BoxDynError> {
    let began = Instant::now();
    let written = match runner.compute(&claim).await {
        Ok((job, computed)) => {
            let milliseconds = began.elapsed().as_millis() as u64;
            // A result that was paid for is not thrown away because the store is busy.
            let mut tries = 0;
            loop {
                let (part, carry) = (computed.part.clone(), computed.carry.clone());
                let complete =
                    runner.store.complete(&runner.name, &claim, job.order(), part, carry, milliseconds).await;
                match complete {
                    Err(error) if tries < 5 => {
                        tracing::warn!(%error, "cannot write a result down; trying again");
                        tries += 1;
                        sleep(STORE_PAUSE).await;
                    }
                    other => break other.map(|counted| tracing::debug!(claim.job, claim.number, counted, "computed")),
                }
            }
        }
        Err(Failure { order, error }) => {
            tracing::error!(claim.job, claim.number, error, "a chunk failed");
            runner.store.fail(&runner.name, &claim, order, &error).await
        }
    };
    runner.news.notify_waiters();
    // What a chunk has left may have opened the way for others.
    runner.work.notify_waiters();
    Ok(written?)
}

struct Failure {
    order: crate::job::Order,
    error: String,
}

impl Runner {
    async fn compute(&self, claim: &Claim) -> Result<(Arc<dyn Job>, crate::job::Computed<Vec<u8>>), Failure> {
        let free = |error: String| Failure { order: crate::job::Order::Chain, error };
        let kind = Kind::find(&claim.kind).ok_or_else(|| free(format!("this version knows no “{}”", claim.kind)))?;
        let job = serde_json::from_str(&claim.question)
            .and_then(|question| kind.read(question))
            .map_err(|error| free(format!("the stored question cannot be read: {error}")))?;
        let order = job.order();
        if claim.question.contains(TRAINED) {
            let refreshed = self.models.refresh().await;
            refreshed.map_err(|error| Failure { order, error: error.to_string() })?;
        }
        let failure = |error: String| Failure { order, error };
        let carried = match order.needs(claim.number) {
            Some(needed) => {
                let carried = self.store.carried(&claim.job, needed).await;
                carried.map_err(|error: StoreError| failure(error.to_string()))?
            }
            None => None,
        };
        let (number, materials, asked) = (claim.number, self.materials.clone(), job.clone());
        let computing = tokio::task::spawn_blocking(move || {
            give_way();
            catch_unwind(AssertUnwindSafe(|| compute(&asked, number, carried.as_deref(), &*materials)))
        });
        match computing.await {
            Ok(Ok(computed)) => computed.map(|computed| (job, computed)).map_err(failure),
            Ok(Err(panic)) => {
                Err(failure(format!("a mistake in the program: {}", crate::server::panic_message(&*panic))))
            }
            Err(error) => Err(failure(error.to_string())),
        }
    }
}
