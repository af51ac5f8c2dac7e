//! Following a job of the server by its events.

use wasm_bindgen::prelude::*;
use web_sys::{EventSource, MessageEvent};

use super::server;
use crate::api::JobView;

/// What is heard of a job.
pub enum News {
    /// It stands like this; whether nothing more will come.
    Stands(Box<JobView>, bool),
    /// The connection is lost, and the browser tries to get it back.
    Lost,
    /// The connection is lost for good.
    Closed,
}

/// An open connection. Dropping it closes it.
pub struct Following {
    source: EventSource,
    _on_event: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut()>,
}

impl Following {
    /// Begins to follow a job; after a lost connection the browser itself goes on where it was. `None` if the browser
    /// does not open the connection.
    pub fn start(id: &str, hear: impl Fn(News) + Clone + 'static) -> Option<Self> {
        let source = EventSource::new(&server::address(id, "/events")).ok()?;
        let on_event = {
            let (source, hear) = (source.clone(), hear.clone());
            Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
                let view = event.data().as_string().and_then(|data| serde_json::from_str(&data).ok());
                let last = event.type_() == "end";
                if last {
                    // Else the browser would ask again.
                    source.close();
                }
                match view {
                    Some(view) => hear(News::Stands(Box::new(view), last)),
                    None => hear(News::Closed),
                }
            })
        };
        let on_error = {
            let source = source.clone();
            Closure::<dyn FnMut()>::new(move || match source.ready_state() {
                EventSource::CLOSED => hear(News::Closed),
                _ => hear(News::Lost),
            })
        };
        for name in ["job", "end"] {
            source.add_event_listener_with_callback(name, on_event.as_ref().unchecked_ref()).ok()?;
        }
        source.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Some(Self { source, _on_event: on_event, _on_error: on_error })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.source.set_onerror(None);
        self.source.close();
    }
}
