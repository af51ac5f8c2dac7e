//! The workers that help an engine with the bands of its planes.
//!
//! They are started when there is first something to do for them, and are never waited for: whatever a helper does not
//! bring back, because it is slow, still starting or gone, is done by the engine itself.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::grid::Band;
use super::handle::Engine;
use super::protocol::{Reply, Request};
use crate::explain::Sampled;

/// Bands that a helper has at a time: it is never idle while the engine is busy with a piece of its own, and little is
/// in vain when a newer experiment comes.
const ROOM: usize = 3;

/// All helpers of an engine.
pub struct Crew {
    helpers: Vec<Helper>,
    back: Rc<Back>,
}

struct Helper {
    engine: Engine,
    /// How many more bands it takes. None if it has stopped.
    room: Rc<Cell<Option<usize>>>,
}

/// What has come back.
#[derive(Default)]
struct Back {
    /// The planes that bands are wanted of.
    wanted: Cell<u32>,
    bands: RefCell<VecDeque<(Band, Sampled)>>,
}

impl Crew {
    /// Starts `count` helpers, or fewer if the browser does not start so many, from the address of the engine's script.
    pub fn start(address: &str, count: usize) -> Self {
        let back = Rc::<Back>::default();
        let helpers = (0..count).map_while(|_| Helper::start(address, &back).ok()).collect();
        Self { helpers, back }
    }

    /// Tells all of them of models that were trained, a [`Request::Models`].
    pub fn tell(&self, models: &Request) {
        for helper in &self.helpers {
            helper.engine.send(models);
        }
    }

    /// Tells all of them of the planes, a [`Request::Planes`] with this number.
    pub fn share(&self, id: u32, planes: &Request) {
        self.back.wanted.set(id);
        self.back.bands.borrow_mut().clear();
        for helper in &self.helpers {
            if helper.room.get().is_some() {
                helper.room.set(Some(ROOM));
                helper.engine.send(planes);
            }
        }
    }

    /// Gives a band to the helper who has the most room. Says whether one had any.
    pub fn give(&self, band: Band) -> bool {
        let ready = self.helpers.iter().filter(|helper| helper.engine.is_ready());
        let Some(helper) = ready.max_by_key(|helper| helper.room.get()) else { return false };
        let Some(room) = helper.room.get().filter(|room| *room > 0) else { return false };
        helper.room.set(Some(room - 1));
        helper.engine.send(&Request::Sample { id: self.back.wanted.get(), band });
        true
    }

    /// A band that has come back.
    pub fn take(&self) -> Option<(Band, Sampled)> {
        self.back.bands.borrow_mut().pop_front()
    }
}

impl Helper {
    fn start(address: &str, back: &Rc<Back>) -> Result<Self, String> {
        let room = Rc::new(Cell::new(Some(0)));
        let on_reply = {
            let (room, back) = (room.clone(), back.clone());
            move |reply| match reply {
                Reply::Sampled { id, band, sampled } if id == back.wanted.get() => {
                    room.set(room.get().map(|room| room + 1));
                    back.bands.borrow_mut().push_back((band, sampled));
                }
                Reply::Failed { .. } => room.set(None),
                _ => {}
            }
        };
        let on_crash = {
            let room = room.clone();
            move |_| room.set(None)
        };
        Engine::start(address, on_reply, on_crash).map(|engine| Self { engine, room })
    }
}
