//! A worker as whoever started it sees it: the page, or an engine that has helpers.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::protocol::{self, Reply, Request};

/// Messages with what travels beside them; `None` once the worker listens.
type Waiting = Rc<RefCell<Option<Vec<(js_sys::ArrayBuffer, JsValue)>>>>;

/// What a worker answers.
pub trait Answer: DeserializeOwned + 'static {
    /// The worker's name for people.
    const WORKER: &'static str;
    /// Whether it says that the worker listens.
    fn is_ready(&self) -> bool;
}

impl Answer for Reply {
    const WORKER: &'static str = "engine";

    fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

/// One engine.
pub type Engine = Handle<Request, Reply>;

/// A running worker that is sent Q and answers R. Dropping it ends the worker.
pub struct Handle<Q, R> {
    worker: Worker,
    // Messages sent before the worker listens would be lost: they wait here until it says that it is ready.
    waiting: Waiting,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
    _spoken: PhantomData<fn(Q) -> R>,
}

impl<Q: Serialize, R: Answer> Handle<Q, R> {
    /// Starts a worker from the address of its script. `on_reply` gets its answers; `on_crash` is called if it cannot be
    /// loaded or stops.
    ///
    /// # Errors
    /// A sentence, if the browser refuses to start one.
    pub fn start(
        address: &str,
        on_reply: impl Fn(R) + 'static,
        on_crash: impl Fn(String) + 'static,
    ) -> Result<Self, String> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(address, &options).map_err(|_| {
            "this browser could not start a Web Worker; try a current version of any browser".to_string()
        })?;
        let waiting: Waiting = Rc::new(RefCell::new(Some(Vec::new())));
        let on_crash = Rc::new(on_crash);
        let on_message = {
            let (worker, waiting, on_crash) = (worker.clone(), waiting.clone(), on_crash.clone());
            Closure::new(move |event: MessageEvent| {
                let bytes = js_sys::Uint8Array::new(&event.data()).to_vec();
                match protocol::decode::<R>(&bytes) {
                    Ok(reply) => {
                        if reply.is_ready() {
                            for (message, beside) in waiting.borrow_mut().take().unwrap_or_default() {
                                post(&worker, &message, &beside);
                            }
                        }
                        on_reply(reply);
                    }
                    Err(_) => on_crash(format!("page and {} are of different versions: reload the page", R::WORKER)),
                }
            })
        };
        let on_error = Closure::new(move |event: ErrorEvent| {
            event.prevent_default();
            on_crash(format!("the {} stopped ({}): reload the page", R::WORKER, event.message()));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { worker, waiting, _on_message: on_message, _on_error: on_error, _spoken: PhantomData })
    }

    /// Whether it listens.
    pub fn is_ready(&self) -> bool {
        self.waiting.borrow().is_none()
    }

    /// Sends a request.
    pub fn send(&self, request: &Q) {
        self.send_beside(request, JsValue::NULL);
    }

    /// Sends a request with something beside it: a file, an image.
    pub fn send_beside(&self, request: &Q, beside: JsValue) {
        let message = js_sys::Uint8Array::from(protocol::encode(request).as_slice()).buffer();
        match &mut *self.waiting.borrow_mut() {
            Some(waiting) => waiting.push((message, beside)),
            None => post(&self.worker, &message, &beside),
        }
    }
}

impl<Q, R> Drop for Handle<Q, R> {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

fn post(worker: &Worker, message: &js_sys::ArrayBuffer, beside: &JsValue) {
    let envelope = js_sys::Array::of2(message, beside);
    // Posting fails only for things that cannot be cloned; buffers, files and images can.
    let _ = worker.post_message_with_transfer(&envelope, &js_sys::Array::of1(message));
}
