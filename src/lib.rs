//! Epsilon Lab: see how neural networks are attacked, defended, certified and understood.
//!
//! The crate has two halves. The *science* ([`data`], [`nn`], [`threat`], [`attack`], [`explain`], [`evaluate`]) knows
//! nothing of pages or servers and compiles for any target. Above it stand the things that use it: the page and its Web
//! Worker in the browser, the server and the command line natively. One value, the [`experiment::Experiment`], is
//! the state of the page, its link, the request to the worker and the job for the server.
//!
//! Dependencies point downwards only: nothing in the science imports the page, the engine or the server.

pub mod api;
pub mod asset;
pub mod attack;
pub mod data;
pub mod engine;
pub mod evaluate;
pub mod experiment;
pub mod explain;
pub mod nn;
pub mod random;
pub mod threat;

#[cfg(all(target_arch = "wasm32", feature = "page"))]
pub mod page;

#[cfg(not(target_arch = "wasm32"))]
pub mod cli;
#[cfg(not(target_arch = "wasm32"))]
pub mod library;
#[cfg(not(target_arch = "wasm32"))]
pub mod server;
