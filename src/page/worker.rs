//! The engines that the page starts.

use leptos::prelude::*;

use crate::engine::handle::Engine;
use crate::engine::protocol::Reply;

/// Starts an engine. `on_reply` gets its answers; `on_crash` is called if it cannot be loaded or stops.
///
/// # Errors
/// A sentence, if the browser refuses to start one.
pub fn start(on_reply: impl Fn(Reply) + 'static, on_crash: impl Fn(String) + 'static) -> Result<Engine, String> {
    Engine::start(&address(), on_reply, on_crash)
}

/// How many threads this device runs at once.
pub fn cores() -> usize {
    (window().navigator().hardware_concurrency() as usize).max(1)
}

/// Where the worker's script is: the build writes its versioned name into the page.
fn address() -> String {
    document()
        .query_selector("meta[name=engine]")
        .ok()
        .flatten()
        .and_then(|meta| meta.get_attribute("content"))
        .unwrap_or_else(|| "engine_loader.js".into())
}
