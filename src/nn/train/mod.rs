//! Training: recipes as data, the loop, and the card that tells what came out.
//!
//! Training itself ([`Fit`]) goes through candle with the operations of [`crate::nn::ops`]; attacks within it go through
//! the executor, which is many times faster at input gradients. It runs natively and in the page's trainer, a Web Worker
//! of its own ([`crate::trainer`]).
//!
//! Natively, [`run`] makes a shipped model again: it trains by a [`Recipe`], stores the weights as float16, measures that
//! very file with the executor, and writes weights and card.

mod adversary;
#[cfg(not(target_arch = "wasm32"))]
mod augment;
mod fit;
#[cfg(not(target_arch = "wasm32"))]
mod measure;
mod network;
mod optimise;
mod recipe;
mod recipes;
#[cfg(not(target_arch = "wasm32"))]
mod shipped;

pub use fit::{Fit, FitError, Lessons, Plan, RestoreError, Step, fit};
#[cfg(not(target_arch = "wasm32"))]
pub use measure::{clean, measure, under_attack};
pub use network::{Network, NetworkError};
pub use recipe::{Adversary, Augmentation, Part, Recipe, Schedule};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use shipped::Changed;
#[cfg(not(target_arch = "wasm32"))]
pub use shipped::{Options, Progress, TrainError, learn, measure_again, run};
