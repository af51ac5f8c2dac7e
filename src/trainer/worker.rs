//! The trainer's loop in its Web Worker: one job at a time, the newest wins.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

use super::protocol::{self, Job, Reply, Report, Request};
use super::teach::{self, Host};
use crate::engine::turn::breathe;

/// What is waiting.
#[derive(Default)]
struct Desk {
    job: Option<(u32, Box<Job>)>,
    stop: bool,
    busy: bool,
}

type Shared = Rc<RefCell<Desk>>;

/// Listens for requests until the page ends the worker.
pub fn start() {
    console_error_panic_hook::set_once();
    let desk = Shared::default();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event| receive(&desk, &event));
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    say(&Reply::Ready);
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

fn say(reply: &Reply) {
    let buffer = Uint8Array::from(protocol::encode(reply).as_slice()).buffer();
    // Posting fails only for what cannot be transferred; a fresh buffer can.
    let _ = scope().post_message_with_transfer(&buffer, &js_sys::Array::of1(&buffer));
}

fn receive(desk: &Shared, event: &MessageEvent) {
    let envelope: js_sys::Array = event.data().unchecked_into();
    let bytes = Uint8Array::new(&envelope.get(0)).to_vec();
    let mut waiting = desk.borrow_mut();
    match protocol::decode(&bytes) {
        Ok(Request::Train { id, job }) => waiting.job = Some((id, job)),
        Ok(Request::Stop) => waiting.stop = true,
        Err(_) => {
            let message = "page and trainer are of different versions: reload the page".into();
            return say(&Reply::Failed { id: 0, message });
        }
    }
    if !waiting.busy {
        waiting.busy = true;
        spawn_local(work(desk.clone()));
    }
}

async fn work(desk: Shared) {
    loop {
        let next = {
            let mut desk = desk.borrow_mut();
            desk.stop = false;
            desk.job.take()
        };
        let Some((id, job)) = next else { break };
        let mut host = Browser { desk: desk.clone(), id };
        let started = now();
        let taught = match job.validate() {
            Ok(()) => teach::teach(&job, &mut host)
                .await
                .and_then(|weights| teach::file(&weights))
                .map_err(|error| error.to_string()),
            Err(refused) => Err(refused.to_string()),
        };
        // A newer job takes the place of this one: nobody waits for its end.
        if desk.borrow().job.is_none() {
            say(&match taught {
                Ok(weights) => Reply::Trained { id, weights, milliseconds: (now() - started) as f32 },
                Err(message) => Reply::Failed { id, message },
            });
        }
    }
    desk.borrow_mut().busy = false;
}

fn now() -> f64 {
    scope().performance().map_or(0.0, |performance| performance.now())
}

struct Browser {
    desk: Shared,
    id: u32,
}

impl Host for Browser {
    fn say(&mut self, report: Report) {
        say(&Reply::Report { id: self.id, report });
    }

    fn now(&self) -> f64 {
        now()
    }

    async fn go_on(&mut self) -> bool {
        breathe().await;
        let desk = self.desk.borrow();
        desk.job.is_none() && !desk.stop
    }
}
