//! The engine: everything the page shows is computed here, in a Web Worker, never on the page's main thread.

pub mod chunk;
#[cfg(target_arch = "wasm32")]
mod crew;
pub mod explore;
pub mod grid;
#[cfg(target_arch = "wasm32")]
pub mod handle;
pub mod protocol;
pub mod study;
#[cfg(target_arch = "wasm32")]
pub mod turn;
#[cfg(target_arch = "wasm32")]
pub mod worker;
