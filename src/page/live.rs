//! The live loop: every change of the experiment goes to the worker, every part of the answer to its place.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::JsValue;

use crate::data::Dataset;
use crate::engine::handle::Engine;
use crate::engine::protocol::{Reply, Request};
use crate::engine::study::{self, Lane, Study};
use crate::experiment::Experiment;
use crate::nn::Arithmetic;
use crate::nn::zoo::ModelCard;
use crate::page::place::Place;
use crate::page::state::{Lab, Status};
use crate::page::worker;

/// Further workers that the engine may start at most.
const MAX_HELPERS: usize = 3;

/// A prepared picture with remarks, or a sentence that says why there is none.
pub type Prepared = Result<(Vec<u8>, Vec<String>), String>;

/// What comes of a study.
pub enum News {
    /// A part of what it finds.
    Part(study::Part),
    /// It has come to its end, after so many milliseconds.
    Done(f32),
    /// It failed; the sentence says why.
    Failed(String),
}

/// Who waits for the news of a study, and its number.
type Reader = (u32, Rc<dyn Fn(News)>);

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
    /// For each lane, who reads the news of its study.
    readers: RefCell<[Option<Reader>; Lane::ALL.len()]>,
}

impl Connection {
    fn next(&self) -> u32 {
        self.newest.set(self.newest.get().wrapping_add(1));
        self.newest.get()
    }
}

impl Live {
    /// Starts the engine and keeps it working on the newest experiment of the Lab, as long as the Lab is shown.
    pub fn start(lab: Lab, place: RwSignal<Place>) -> Self {
        let connection = Rc::new(Connection {
            engine: RefCell::new(None),
            newest: Cell::new(0),
            oldest: Cell::new(0),
            asked: Cell::new(0),
            prepared: RefCell::new(HashMap::new()),
            readers: RefCell::default(),
        });
        let on_reply = {
            let connection = connection.clone();
            move |reply| receive(&connection, lab, reply)
        };
        let on_crash = move |message| lab.status.set(Status::Failed(message));
        match worker::start(Arithmetic::Fused, on_reply, on_crash) {
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
        let explores = Memo::new(move |_| matches!(place.get(), Place::Lab | Place::Models));
        Effect::new(move |previous: Option<Option<Experiment>>| {
            let previous = previous.flatten();
            let experiment = computed.get();
            // The other pages ask for what they show themselves.
            if !explores.get() || previous.as_ref() == Some(&experiment) {
                return previous;
            }
            let same_subject = previous.is_some_and(|previous| {
                previous.dataset == experiment.dataset
                    && previous.picture == experiment.picture
                    && previous.model == experiment.model
                    && previous.compare == experiment.compare
            });
            live.explore(lab, experiment.clone(), same_subject);
            Some(experiment)
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

    /// Has something found out about an experiment. `read` gets the parts as they come; a newer study of the same lane
    /// takes the place of this one, and then it gets nothing more. The number is what [`Self::stop`] asks for.
    pub fn study(&self, experiment: Experiment, study: Study, read: impl Fn(News) + 'static) -> u32 {
        self.0.with_value(|connection| {
            let id = connection.next();
            match &*connection.engine.borrow() {
                Some(engine) => {
                    connection.readers.borrow_mut()[study.lane() as usize] = Some((id, Rc::new(read)));
                    engine.send(&Request::Study { id, experiment: Box::new(experiment), study: Box::new(study) });
                }
                None => read(News::Failed("the engine is not running: reload the page".into())),
            }
            id
        })
    }

    /// Ends a study, if it is still under way.
    pub fn stop(&self, lane: Lane, id: u32) {
        self.0.try_with_value(|connection| {
            let reader = connection.readers.borrow_mut()[lane as usize].take_if(|(of, _)| *of == id);
            if let (Some(_), Some(engine)) = (reader, &*connection.engine.borrow()) {
                engine.send(&Request::Stop { lane });
            }
        });
    }

    /// Makes models known that were trained while the page runs.
    pub fn learn(&self, models: &[&ModelCard]) {
        self.0.with_value(|connection| {
            if let Some(engine) = &*connection.engine.borrow() {
                worker::tell(engine, models);
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

/// Gives news to who reads them, if they are still wanted; says whether anybody did.
fn read(connection: &Connection, id: u32, news: News) -> bool {
    let reader = {
        let mut readers = connection.readers.borrow_mut();
        let reader = readers.iter_mut().find(|reader| reader.as_ref().is_some_and(|(of, _)| *of == id));
        match (reader, &news) {
            (Some(reader), News::Part(_)) => reader.clone(),
            (Some(reader), _) => reader.take(),
            (None, _) => None,
        }
    };
    // The reader may ask for another study at once.
    reader.map(|(_, read)| read(news)).is_some()
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
        Reply::Ready { arithmetic } => lab.arithmetic.set(Some(arithmetic)),
        Reply::Explored { id, milliseconds } if id == asked => lab.status.set(Status::Done(milliseconds)),
        Reply::Prepared { id, pixels, remarks } => {
            if let Some(then) = connection.prepared.borrow_mut().remove(&id) {
                then(Ok((pixels, remarks)));
            }
        }
        Reply::Studied { id, part } => _ = read(connection, id, News::Part(*part)),
        Reply::Done { id, milliseconds } => _ = read(connection, id, News::Done(milliseconds)),
        Reply::Failed { id, message } => {
            if read(connection, id, News::Failed(message.clone())) {
                return;
            }
            if let Some(then) = connection.prepared.borrow_mut().remove(&id) {
                then(Err(message));
            } else if id == asked {
                lab.status.set(Status::Failed(message));
            }
        }
        // The others are answers to nothing that this engine was asked, or late ones.
        Reply::Explored { .. } | Reply::Computed { .. } | Reply::Sampled { .. } => {}
    }
}
