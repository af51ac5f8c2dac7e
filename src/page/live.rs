//! The live loop: every change of the experiment goes to the worker, every part of the answer to its place.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::JsValue;

use crate::data::Dataset;
use crate::engine::handle::Engine;
use crate::engine::protocol::{Reply, Request};
use crate::experiment::Experiment;
use crate::page::state::{Lab, Status};
use crate::page::worker;

/// Further workers that the engine may start at most.
const MAX_HELPERS: usize = 3;

/// A prepared picture with remarks, or a sentence that says why there is none.
pub type Prepared = Result<(Vec<u8>, Vec<String>), String>;

/// Who waits for a prepared picture.
type Waiting = Box<dyn FnOnce(Prepared)>;

/// The page's connection to the engine that answers live.
#[derive(Clone, Copy)]
pub struct Live(StoredValue<Rc<Connection>, LocalStorage>);

struct Connection {
    engine: RefCell<Option<Engine>>,
    newest: Cell<u32>,
    /// Answers to `oldest..=asked` may be shown: while a slider moves, a late answer is better than none, but not one
    /// about another picture or model.
    oldest: Cell<u32>,
    asked: Cell<u32>,
    prepared: RefCell<HashMap<u32, Waiting>>,
}

impl Connection {
    fn next(&self) -> u32 {
        self.newest.set(self.newest.get().wrapping_add(1));
        self.newest.get()
    }
}

impl Live {
    /// Starts the engine and keeps it working on the newest experiment of the Lab.
    pub fn start(lab: Lab) -> Self {
        let connection = Rc::new(Connection {
            engine: RefCell::new(None),
            newest: Cell::new(0),
            oldest: Cell::new(0),
            asked: Cell::new(0),
            prepared: RefCell::new(HashMap::new()),
        });
        let on_reply = {
            let connection = connection.clone();
            move |reply| receive(&connection, lab, reply)
        };
        let on_crash = move |message| lab.status.set(Status::Failed(message));
        match worker::start(on_reply, on_crash) {
            Ok(engine) => {
                engine.send(&Request::Helpers { count: (worker::cores() - 1).min(MAX_HELPERS) as u8 });
                *connection.engine.borrow_mut() = Some(engine);
            }
            Err(message) => lab.status.set(Status::Failed(message)),
        }
        let live = Self(StoredValue::new_local(connection));

        // What is only looked at differently need not be computed again.
        let computed = lab.memo(|experiment| {
            let mut experiment = experiment.clone();
            experiment.view.step = None;
            experiment.view.scale = Default::default();
            experiment
        });
        Effect::new(move |previous: Option<Experiment>| {
            let experiment = computed.get();
            let same_subject = previous.is_some_and(|previous| {
                previous.dataset == experiment.dataset
                    && previous.picture == experiment.picture
                    && previous.model == experiment.model
                    && previous.compare == experiment.compare
            });
            live.explore(lab, experiment.clone(), same_subject);
            experiment
        });
        live
    }

    /// The page's engine.
    pub fn get() -> Self {
        expect_context()
    }

    fn explore(&self, lab: Lab, experiment: Experiment, same_subject: bool) {
        self.0.with_value(|connection| {
            let id = connection.next();
            connection.asked.set(id);
            if !same_subject {
                connection.oldest.set(id);
            }
            if let Some(engine) = &*connection.engine.borrow() {
                if lab.status.get_untracked() != Status::Loading {
                    lab.status.set(Status::Working);
                }
                engine.send(&Request::Explore { id, experiment: Box::new(experiment) });
            }
        });
    }

    /// Has a file or drawing made into a picture of the data set's kind.
    pub fn prepare(&self, dataset: Dataset, source: JsValue, then: impl FnOnce(Prepared) + 'static) {
        self.0.with_value(|connection| {
            let id = connection.next();
            match &*connection.engine.borrow() {
                Some(engine) => {
                    connection.prepared.borrow_mut().insert(id, Box::new(then));
                    engine.send_beside(&Request::Prepare { id, dataset }, source);
                }
                None => then(Err("the engine is not running: reload the page".into())),
            }
        });
    }
}

fn receive(connection: &Connection, lab: Lab, reply: Reply) {
    let asked = connection.asked.get();
    match reply {
        Reply::Part { id, slot, part } => {
            if (connection.oldest.get()..=asked).contains(&id)
                && let Some(slot) = lab.slots.get(slot as usize)
            {
                slot.show(*part);
                if lab.status.get_untracked() == Status::Loading {
                    lab.status.set(Status::Working);
                }
            }
        }
        Reply::Explored { id, milliseconds } if id == asked => lab.status.set(Status::Done(milliseconds)),
        Reply::Prepared { id, pixels, remarks } => {
            if let Some(then) = connection.prepared.borrow_mut().remove(&id) {
                then(Ok((pixels, remarks)));
            }
        }
        Reply::Failed { id, message } => {
            if let Some(then) = connection.prepared.borrow_mut().remove(&id) {
                then(Err(message));
            } else if id == asked {
                lab.status.set(Status::Failed(message));
            }
        }
        // The others are answers to nothing that this engine was asked, or late ones.
        Reply::Ready | Reply::Explored { .. } | Reply::Evaluated { .. } | Reply::Sampled { .. } => {}
    }
}
