//! The engine: everything the page shows is computed here, in a Web Worker, never on the page's main thread.

pub mod explore;
pub mod protocol;
#[cfg(target_arch = "wasm32")]
pub mod worker;
