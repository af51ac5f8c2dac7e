//! A job in the page's own workers: the same chunks as on the server, put together by the same code.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::set_timeout;

use crate::api::{DeadChunk, JobState, JobView};
use crate::engine::handle::Engine;
use crate::engine::protocol::{Reply, Request};
use crate::job::{Gather, Job};
use crate::nn::Arithmetic;
use crate::page::worker;

/// Workers that the page starts at most.
const MAX_WORKERS: usize = 8;
/// How often a chunk is tried.
const ATTEMPTS: u8 = 2;
/// Workers that may stop by themselves before the job is given up.
const CRASHES: u32 = 4;
/// Errors that are told.
const TOLD: usize = 10;
/// Milliseconds between two reports: putting one together takes the page's own time.
const PAUSE: u64 = 400;

/// How many workers a page uses.
pub fn workers() -> usize {
    worker::cores().min(MAX_WORKERS)
}

/// A job that is being computed. Dropping it ends its workers.
pub struct Pool(Rc<Inner>);

struct Inner {
    this: Weak<Inner>,
    job: Arc<dyn Job>,
    question: String,
    costs: Vec<u64>,
    gather: RefCell<Box<dyn Gather>>,
    chunks: RefCell<Vec<Chunk>>,
    /// What chunks have left for others.
    carried: RefCell<HashMap<u32, Vec<u8>>>,
    desks: RefCell<Vec<Desk>>,
    crashes: Cell<u32>,
    began: f64,
    state: Cell<JobState>,
    /// Whether a report is on its way.
    telling: Cell<bool>,
    tell: Box<dyn Fn(JobView)>,
}

#[derive(Clone, Default)]
struct Chunk {
    done: bool,
    given: bool,
    attempts: u8,
    error: Option<String>,
}

/// A worker's place.
#[derive(Default)]
struct Desk {
    engine: Option<Engine>,
    chunk: Option<u32>,
}

impl Pool {
    /// Starts the workers on a valid job; `tell` hears how it stands.
    pub fn start(job: Arc<dyn Job>, tell: impl Fn(JobView) + 'static) -> Self {
        let costs = job.chunks();
        let desks = workers().min(costs.len()).max(1);
        let inner = Rc::new_cyclic(|this| Inner {
            this: this.clone(),
            question: job.question().to_string(),
            gather: RefCell::new(job.clone().gather()),
            chunks: RefCell::new(vec![Chunk::default(); costs.len()]),
            carried: RefCell::default(),
            desks: RefCell::new((0..desks).map(|_| Desk::default()).collect()),
            crashes: Cell::new(0),
            began: js_sys::Date::now(),
            state: Cell::new(JobState::Running),
            telling: Cell::new(false),
            tell: Box::new(tell),
            job,
            costs,
        });
        inner.say();
        (0..desks).for_each(|desk| inner.give(desk));
        Self(inner)
    }

    /// Stops it; what was computed stays.
    pub fn stop(&self) {
        if !self.0.state.get().has_ended() {
            self.0.end(JobState::Cancelled);
        }
    }

    /// Tries the chunks again that were given up.
    pub fn retry(&self) {
        for chunk in self.0.chunks.borrow_mut().iter_mut().filter(|chunk| chunk.error.is_some()) {
            *chunk = Chunk::default();
        }
        self.0.crashes.set(0);
        self.0.state.set(JobState::Running);
        let desks = self.0.desks.borrow().len();
        (0..desks).for_each(|desk| self.0.give(desk));
    }
}

impl Inner {
    /// The next chunk that can be computed.
    fn ready(&self) -> Option<u32> {
        let chunks = self.chunks.borrow();
        let is_there = |chunk: u32| chunks[chunk as usize].done;
        let open = |chunk: &Chunk| !chunk.done && !chunk.given && chunk.error.is_none();
        (0..chunks.len() as u32)
            .find(|&chunk| open(&chunks[chunk as usize]) && self.job.order().needs(chunk).is_none_or(is_there))
    }

    /// Gives the next chunk to a worker who has none, and starts the worker if it is not there.
    fn give(&self, desk: usize) {
        if self.state.get().has_ended() || self.desks.borrow()[desk].chunk.is_some() {
            return;
        }
        let Some(chunk) = self.ready() else {
            let at_rest = self.desks.borrow().iter().all(|desk| desk.chunk.is_none());
            if at_rest {
                let done = self.chunks.borrow().iter().all(|chunk| chunk.done);
                self.end(if done { JobState::Done } else { JobState::Failed });
            }
            return;
        };
        if self.desks.borrow()[desk].engine.is_none() {
            match self.hire(desk) {
                Ok(engine) => self.desks.borrow_mut()[desk].engine = Some(engine),
                Err(sentence) => return self.give_up(&sentence),
            }
        }
        self.chunks.borrow_mut()[chunk as usize].given = true;
        let carried = self.job.order().needs(chunk).and_then(|needed| self.carried.borrow().get(&needed).cloned());
        let mut desks = self.desks.borrow_mut();
        desks[desk].chunk = Some(chunk);
        if let Some(engine) = &desks[desk].engine {
            let (kind, question) = (self.job.kind().key.to_string(), self.question.clone());
            engine.send(&Request::Chunk { id: chunk, kind, question, chunk, carried });
        }
    }

    fn hire(&self, desk: usize) -> Result<Engine, String> {
        let (hearing, crashing) = (self.this.clone(), self.this.clone());
        let on_reply = move |reply| {
            let Some(inner) = hearing.upgrade() else { return };
            match reply {
                Reply::Computed { id, part, carry } => inner.take(desk, id, &part, carry),
                Reply::Failed { id, message } => inner.fail(desk, id, message),
                _ => {}
            }
        };
        let on_crash = move |message| {
            if let Some(inner) = crashing.upgrade() {
                inner.crash(desk, message);
            }
        };
        // Batches are exact in either module, and the one that the page runs is at hand when the server is not.
        worker::start(Arithmetic::Fused, on_reply, on_crash)
    }

    /// Whether this is the chunk that the worker has; then it has none any more.
    fn returned(&self, desk: usize, chunk: u32) -> bool {
        !self.state.get().has_ended() && self.desks.borrow_mut()[desk].chunk.take_if(|given| *given == chunk).is_some()
    }

    fn take(&self, desk: usize, chunk: u32, part: &[u8], carry: Option<Vec<u8>>) {
        if !self.returned(desk, chunk) {
            return;
        }
        let taken = self.gather.borrow_mut().take(chunk, part);
        {
            let mut chunks = self.chunks.borrow_mut();
            let state = &mut chunks[chunk as usize];
            state.given = false;
            match taken {
                Ok(()) => state.done = true,
                Err(error) => state.error = Some(error.to_string()),
            }
        }
        if let Some(carry) = carry {
            self.carried.borrow_mut().insert(chunk, carry);
        }
        self.say();
        self.give_all();
    }

    fn fail(&self, desk: usize, chunk: u32, message: String) {
        if self.returned(desk, chunk) {
            self.count_attempt(chunk, message);
            self.say();
            self.give_all();
        }
    }

    fn count_attempt(&self, chunk: u32, message: String) {
        let mut chunks = self.chunks.borrow_mut();
        let state = &mut chunks[chunk as usize];
        state.given = false;
        state.attempts += 1;
        if state.attempts >= ATTEMPTS {
            state.error = Some(message);
        }
    }

    fn crash(&self, desk: usize, message: String) {
        let Some(this) = self.this.upgrade().filter(|_| !self.state.get().has_ended()) else { return };
        self.crashes.set(self.crashes.get() + 1);
        // A worker is not ended while it is being heard.
        set_timeout(
            move || {
                let chunk = {
                    let mut desks = this.desks.borrow_mut();
                    desks[desk].engine = None;
                    desks[desk].chunk.take()
                };
                if let Some(chunk) = chunk {
                    this.count_attempt(chunk, message.clone());
                }
                if this.crashes.get() >= CRASHES { this.give_up(&message) } else { this.give_all() }
            },
            Duration::ZERO,
        );
    }

    /// Whoever is idle takes up what has become possible.
    fn give_all(&self) {
        let desks = self.desks.borrow().len();
        (0..desks).for_each(|desk| self.give(desk));
    }

    /// Nothing more can be computed.
    fn give_up(&self, sentence: &str) {
        for chunk in self.chunks.borrow_mut().iter_mut().filter(|chunk| !chunk.done && chunk.error.is_none()) {
            chunk.error = Some(sentence.into());
        }
        self.end(JobState::Failed);
    }

    fn end(&self, state: JobState) {
        self.state.set(state);
        for chunk in self.chunks.borrow_mut().iter_mut() {
            chunk.given = false;
        }
        (self.tell)(self.view());
        if let Some(this) = self.this.upgrade() {
            let dismiss = move || {
                // It may have been taken up again meanwhile.
                if this.state.get().has_ended() {
                    this.desks.borrow_mut().iter_mut().for_each(|desk| *desk = Desk::default());
                }
            };
            set_timeout(dismiss, Duration::ZERO);
        }
    }

    /// Tells how it stands, soon.
    fn say(&self) {
        if self.telling.replace(true) {
            return;
        }
        let this = self.this.clone();
        let pause = if self.chunks.borrow().iter().filter(|chunk| chunk.done).count() < 2 { 30 } else { PAUSE };
        set_timeout(
            move || {
                let Some(this) = this.upgrade() else { return };
                this.telling.set(false);
                if !this.state.get().has_ended() {
                    (this.tell)(this.view());
                }
            },
            Duration::from_millis(pause),
        );
    }

    fn view(&self) -> JobView {
        let chunks = self.chunks.borrow();
        let done_cost: u64 =
            chunks.iter().zip(&self.costs).filter(|(chunk, _)| chunk.done).map(|(_, cost)| *cost).sum();
        let cost = self.costs.iter().sum::<u64>().max(1);
        let errors = (0..)
            .zip(chunks.iter())
            .filter_map(|(chunk, state)| Some(DeadChunk { chunk, error: state.error.clone()? }));
        let (state, elapsed) = (self.state.get(), js_sys::Date::now() - self.began);
        let left = elapsed * (cost - done_cost) as f64 / done_cost.max(1) as f64;
        JobView {
            id: String::new(),
            kind: self.job.kind().key.into(),
            title: self.job.kind().title.into(),
            question: self.job.question(),
            state,
            chunks: chunks.len() as u32,
            done: chunks.iter().filter(|chunk| chunk.done).count() as u32,
            share: (done_cost as f64 / cost as f64) as f32,
            errors: errors.take(TOLD).collect(),
            ahead: 0,
            wanted_by: 1,
            created: self.began as u64,
            started: Some(self.began as u64),
            elapsed: Some(elapsed as u64),
            remaining: (state == JobState::Running && done_cost > 0).then_some(left as u64),
            revision: 0,
            report: self.gather.borrow().report(),
        }
    }
}
