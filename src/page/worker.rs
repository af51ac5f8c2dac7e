//! The workers that the page starts: engines, and a trainer where a network is to be trained.

use leptos::prelude::*;

use crate::engine::handle::Engine;
use crate::engine::protocol::{Reply, Request};
use crate::nn::Arithmetic;
use crate::nn::zoo::{self, ModelCard};
use crate::trainer;
use crate::trainer::handle::Trainer;

/// Starts an engine. `on_reply` gets its answers; `on_crash` is called if it cannot be loaded or stops. With
/// [`Arithmetic::Fused`] it is the fastest that the browser can run, and samples planes so where it can; with
/// [`Arithmetic::Exact`] all that it says is the same to the bit on every device.
///
/// # Errors
/// A sentence, if the browser refuses to start one.
pub fn start(
    arithmetic: Arithmetic,
    on_reply: impl Fn(Reply) + 'static,
    on_crash: impl Fn(String) + 'static,
) -> Result<Engine, String> {
    let address = address("engine");
    // The script there loads one of two modules (.ci/finish-client.mjs).
    let address = if arithmetic == Arithmetic::Exact { format!("{address}#exact") } else { address };
    let engine = Engine::start(&address, on_reply, on_crash)?;
    let added = zoo::added();
    if !added.is_empty() {
        tell(&engine, &added);
    }
    Ok(engine)
}

/// Tells an engine of models that were trained while the page runs.
pub fn tell(engine: &Engine, models: &[&ModelCard]) {
    if let Ok(cards) = serde_json::to_string(models) {
        engine.send(&Request::Models { cards });
    }
}

/// Starts a trainer, as [`start`] starts an engine.
///
/// # Errors
/// A sentence, if the browser refuses to start one.
pub fn start_trainer(
    on_reply: impl Fn(trainer::protocol::Reply) + 'static,
    on_crash: impl Fn(String) + 'static,
) -> Result<Trainer, String> {
    Trainer::start(&address("trainer"), on_reply, on_crash)
}

/// How many threads this device runs at once.
pub fn cores() -> usize {
    (window().navigator().hardware_concurrency() as usize).max(1)
}

/// Where a worker's script is: the build writes its versioned name into the page.
fn address(module: &str) -> String {
    document()
        .query_selector(&format!("meta[name={module}]"))
        .ok()
        .flatten()
        .and_then(|meta| meta.get_attribute("content"))
        .unwrap_or_else(|| format!("{module}_loader.js"))
}
