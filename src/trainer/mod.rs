//! The trainer: networks are trained on this device, in a Web Worker of its own that is loaded when one is to be trained.
//!
//! [`protocol`] is what page and trainer say to each other, [`teach`] the work, which runs natively as well, and gives the
//! same weights to the bit.

#[cfg(target_arch = "wasm32")]
pub mod handle;
pub mod protocol;
#[cfg(any(not(target_arch = "wasm32"), feature = "trainer"))]
pub mod teach;
#[cfg(all(target_arch = "wasm32", feature = "trainer"))]
pub mod worker;
