//! Robust accuracy over many pictures: on the server if there is one, else in workers of the page; if the server goes
//! away in the middle, the page's workers take up what is left.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AbortController, ReadableStreamDefaultReader, RequestInit, Response};

use crate::api::{self, Chunk, Line, Problem, RobustAccuracy};
use crate::engine::handle::Engine;
use crate::engine::protocol::{Reply, Request};
use crate::evaluate::Tally;
use crate::experiment::Experiment;
use crate::page::worker;

/// Pictures that a worker of the page attacks at a time.
const CHUNK: u32 = 10;
/// Workers that the page starts at most.
const MAX_WORKERS: usize = 4;

/// Where a batch is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Not known yet.
    Asking,
    /// On the server.
    Server,
    /// In this many workers of the page.
    Page(usize),
}

/// How a batch stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// It runs.
    Running,
    /// All pictures are counted.
    Done,
    /// The person stopped it; what was counted stays.
    Stopped,
    /// It cannot go on; the sentence says why.
    Failed(String),
}

/// A batch as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What is counted.
    pub experiment: Experiment,
    /// Pictures in all.
    pub pictures: u32,
    /// Counts so far.
    pub tally: Tally,
    /// Where it runs.
    pub place: Place,
    /// How it stands.
    pub stage: Stage,
    /// What else should be known: that the server went away.
    pub remark: Option<String>,
    /// Since its start.
    pub milliseconds: f64,
}

/// A running batch. Dropping it does not stop it; [`Batch::stop`] does.
#[derive(Clone)]
pub struct Batch(Rc<Inner>);

struct Inner {
    progress: RwSignal<Option<Progress>>,
    started: f64,
    stopped: Cell<bool>,
    abort: RefCell<Option<AbortController>>,
    /// Ranges that nobody has counted yet.
    open: RefCell<VecDeque<(u32, u32)>>,
    engines: RefCell<Vec<Engine>>,
}

impl Batch {
    /// Starts counting the first `pictures` test pictures; `progress` is kept up to date.
    pub fn start(experiment: Experiment, pictures: u32, progress: RwSignal<Option<Progress>>) -> Self {
        progress.set(Some(Progress {
            experiment: experiment.clone(),
            pictures,
            tally: Tally::default(),
            place: Place::Asking,
            stage: Stage::Running,
            remark: None,
            milliseconds: 0.0,
        }));
        let batch = Self(Rc::new(Inner {
            progress,
            started: js_sys::Date::now(),
            stopped: Cell::new(false),
            abort: RefCell::new(AbortController::new().ok()),
            open: RefCell::new(VecDeque::from([(0, pictures)])),
            engines: RefCell::new(Vec::new()),
        }));
        let running = batch.clone();
        spawn_local(async move {
            match running.on_server(&experiment, pictures).await {
                Outcome::Finished => running.change(|progress| progress.stage = Stage::Done),
                Outcome::Refused(sentence) => running.fail(sentence),
                Outcome::NoServer => running.in_page(&experiment, None),
                Outcome::Lost => {
                    let remark = "The server went away; the page’s own workers took up what was left.";
                    running.in_page(&experiment, Some(remark.into()));
                }
            }
        });
        batch
    }

    /// Stops it; what was counted stays on screen.
    pub fn stop(&self) {
        if self.0.stopped.replace(true) {
            return;
        }
        if let Some(abort) = self.0.abort.take() {
            abort.abort();
        }
        self.0.engines.borrow_mut().clear();
        self.0.progress.update(|progress| {
            if let Some(progress) = progress
                && progress.stage == Stage::Running
            {
                progress.stage = Stage::Stopped;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        if self.0.stopped.get() {
            return;
        }
        let milliseconds = js_sys::Date::now() - self.0.started;
        // The panel may be gone by the time an answer arrives.
        self.0.progress.try_update(|progress| {
            if let Some(progress) = progress {
                progress.milliseconds = milliseconds;
                change(progress);
            }
        });
    }

    fn fail(&self, sentence: String) {
        self.change(|progress| progress.stage = Stage::Failed(sentence));
        self.dismiss();
    }

    /// Ends the workers, after the message that one of them is just being heard for.
    fn dismiss(&self) {
        let batch = self.clone();
        set_timeout(move || batch.0.engines.borrow_mut().clear(), std::time::Duration::ZERO);
    }

    /// Counts a range once.
    fn count(&self, from: u32, to: u32, tally: &Tally) {
        self.change(|progress| progress.tally.add(tally));
        let mut open = self.0.open.borrow_mut();
        *open = open
            .iter()
            .flat_map(|&(first, last)| [(first, last.min(from)), (first.max(to), last)])
            .filter(|(first, last)| first < last)
            .collect();
    }

    async fn on_server(&self, experiment: &Experiment, pictures: u32) -> Outcome {
        let request = RobustAccuracy::of(experiment, pictures);
        let Ok(body) = serde_json::to_string(&request) else { return Outcome::NoServer };
        let options = RequestInit::new();
        options.set_method("POST");
        options.set_body(&JsValue::from_str(&body));
        if let Ok(headers) = web_sys::Headers::new() {
            let _ = headers.set("content-type", "application/json");
            options.set_headers(&headers);
        }
        options.set_signal(self.0.abort.borrow().as_ref().map(AbortController::signal).as_ref());
        let answer =
            JsFuture::from(window().fetch_with_str_and_init(api::ROBUST_ACCURACY.trim_start_matches('/'), &options))
                .await;
        let Ok(Ok(response)) = answer.map(JsCast::dyn_into::<Response>) else { return Outcome::NoServer };
        let kind = response.headers().get("content-type").ok().flatten().unwrap_or_default();
        if !response.ok() {
            // A static host answers with a page or with nothing; only our server says why in JSON.
            if !kind.starts_with("application/json") {
                return Outcome::NoServer;
            }
            let text = match response.text() {
                Ok(text) => JsFuture::from(text).await.ok().and_then(|text| text.as_string()).unwrap_or_default(),
                Err(_) => String::new(),
            };
            return match serde_json::from_str::<Problem>(&text) {
                Ok(problem) => Outcome::Refused(problem.error),
                Err(_) => Outcome::NoServer,
            };
        }
        if !kind.starts_with("application/x-ndjson") {
            return Outcome::NoServer;
        }
        self.change(|progress| progress.place = Place::Server);
        let Some(body) = response.body() else { return Outcome::Lost };
        let Ok(reader) = body.get_reader().dyn_into::<ReadableStreamDefaultReader>() else { return Outcome::Lost };
        let mut buffer = Vec::new();
        loop {
            let Ok(read) = JsFuture::from(reader.read()).await else { return Outcome::Lost };
            let field = |name: &str| js_sys::Reflect::get(&read, &name.into()).unwrap_or(JsValue::UNDEFINED);
            if field("done").is_truthy() {
                return Outcome::Lost;
            }
            buffer.extend(js_sys::Uint8Array::new(&field("value")).to_vec());
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                match serde_json::from_slice::<Line>(&line) {
                    Ok(Line::Chunk(Chunk { from, to, tally })) => self.count(from, to, &tally),
                    Ok(Line::Waiting(waiting)) => {
                        let remark = format!("{} batches come first on the server.", waiting.ahead);
                        self.change(|progress| progress.remark = Some(remark));
                    }
                    Ok(Line::Start(_)) => self.change(|progress| progress.remark = None),
                    Ok(Line::Done(_)) => return Outcome::Finished,
                    Ok(Line::Failed(_)) | Err(_) => return Outcome::Lost,
                }
            }
        }
    }

    /// Counts what is open in workers of the page.
    fn in_page(&self, experiment: &Experiment, remark: Option<String>) {
        if self.0.stopped.get() {
            return;
        }
        let workers = worker::cores().min(MAX_WORKERS);
        self.change(|progress| {
            progress.place = Place::Page(workers);
            progress.remark = remark;
        });
        // Small chunks: progress is seen, and stopping loses little.
        let chunks: VecDeque<(u32, u32)> = self
            .0
            .open
            .borrow()
            .iter()
            .flat_map(|&(from, to)| {
                (from..to).step_by(CHUNK as usize).map(move |first| (first, (first + CHUNK).min(to)))
            })
            .collect();
        let queue = Rc::new(RefCell::new(chunks));
        for place in 0..workers {
            let given = Rc::new(Cell::new(None));
            let on_reply = {
                let (batch, queue, given, experiment) =
                    (self.clone(), queue.clone(), given.clone(), experiment.clone());
                move |reply| match reply {
                    Reply::Evaluated { tally, .. } => {
                        if let Some((from, to)) = given.take() {
                            batch.count(from, to, &tally);
                        }
                        batch.give(place, &queue, &given, &experiment);
                    }
                    Reply::Failed { message, .. } => batch.fail(message),
                    _ => {}
                }
            };
            let on_crash = {
                let batch = self.clone();
                move |message| batch.fail(message)
            };
            match worker::start(on_reply, on_crash) {
                Ok(engine) => {
                    self.0.engines.borrow_mut().push(engine);
                    self.give(place, &queue, &given, experiment);
                }
                Err(message) => return self.fail(message),
            }
        }
    }

    fn give(
        &self,
        place: usize,
        queue: &RefCell<VecDeque<(u32, u32)>>,
        given: &Cell<Option<(u32, u32)>>,
        experiment: &Experiment,
    ) {
        let next = queue.borrow_mut().pop_front();
        match next {
            Some((from, to)) => {
                given.set(Some((from, to)));
                if let Some(engine) = self.0.engines.borrow().get(place) {
                    engine.send(&Request::Evaluate { id: from, experiment: Box::new(experiment.clone()), from, to });
                }
            }
            None if self.0.open.borrow().is_empty() => {
                self.change(|progress| progress.stage = Stage::Done);
                self.dismiss();
            }
            None => {}
        }
    }
}

enum Outcome {
    Finished,
    /// The server understood and said no.
    Refused(String),
    NoServer,
    Lost,
}
