//! The page's end of the wire to the trainer.

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::protocol::{self, Reply, Request};

/// Requests from before the trainer listened.
type Waiting = Rc<RefCell<Option<Vec<js_sys::ArrayBuffer>>>>;

/// A running trainer. Its worker ends when it is dropped.
pub struct Trainer {
    worker: Worker,
    waiting: Waiting,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

impl Trainer {
    /// Starts a trainer from the address of its script. `on_reply` hears every reply but the first, `on_crash` hears, in
    /// words, of what ends the trainer.
    ///
    /// # Errors
    /// A sentence for people if the browser does not start it.
    pub fn start(
        address: &str,
        on_reply: impl Fn(Reply) + 'static,
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
                match protocol::decode(&bytes) {
                    Ok(Reply::Ready) => {
                        for message in waiting.borrow_mut().take().unwrap_or_default() {
                            post(&worker, &message);
                        }
                    }
                    Ok(reply) => on_reply(reply),
                    Err(_) => on_crash("page and trainer are of different versions: reload the page".into()),
                }
            })
        };
        let on_error = Closure::new(move |event: ErrorEvent| {
            event.prevent_default();
            on_crash(format!("the trainer stopped ({}): reload the page", event.message()));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { worker, waiting, _on_message: on_message, _on_error: on_error })
    }

    /// Sends a request, as soon as the trainer listens.
    pub fn send(&self, request: &Request) {
        let message = js_sys::Uint8Array::from(protocol::encode(request).as_slice()).buffer();
        match &mut *self.waiting.borrow_mut() {
            Some(waiting) => waiting.push(message),
            None => post(&self.worker, &message),
        }
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

fn post(worker: &Worker, message: &js_sys::ArrayBuffer) {
    // Posting fails only for things that cannot be cloned; buffers can.
    let _ = worker.post_message_with_transfer(message, &js_sys::Array::of1(message));
}
