//! Epsilon Lab: see how neural networks are attacked, defended, certified and understood.
//!
//! The crate has two halves. The *science* ([`data`], [`nn`], [`threat`], [`attack`], [`explain`], [`evaluate`],
//! [`scene`]) knows nothing of pages or servers and compiles for any target. Above it stand the things that use it: the
//! page and its Web Workers in the browser, the server and the command line natively. One value, the
//! [`experiment::Experiment`], is the state of the page, its link, the request to the worker and the job for the server.
//!
//! Dependencies point downwards only: nothing in the science imports the page, the engine or the server.
//!
//! An attack on a shipped model:
//!
//! ```
//! use epsilon_lab::attack::{self, Item, Record, Task};
//! use epsilon_lab::data::{self, Dataset};
//! use epsilon_lab::experiment::Experiment;
//! use epsilon_lab::nn::{Classifier, Executor, Weights, zoo};
//!
//! let card = zoo::find(Dataset::Fashion, "standard").expect("a shipped model");
//! let weights = std::fs::read(format!("assets/models/{}", card.weights.file))?;
//! let mut network = Executor::new(&card.architecture, &Weights::read(&weights)?)?;
//! let pictures = data::test_pictures("assets".as_ref(), Dataset::Fashion)?;
//!
//! let experiment = Experiment::default();
//! let outcome = &attack::run(
//!     &mut network,
//!     Task {
//!         images: data::to_unit(pictures.picture(0)),
//!         items: vec![Item { id: 0, label: pictures.labels[0], target: None, epsilon: experiment.threat.epsilon }],
//!         norm: experiment.threat.norm,
//!         settings: experiment.attack.clone(),
//!         seed: experiment.seed,
//!         others: Vec::new(),
//!     },
//!     Record::Strongest,
//! )[0];
//! assert!(outcome.success && outcome.norms.linf <= experiment.threat.epsilon + 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod api;
pub mod asset;
pub mod attack;
pub mod data;
pub mod engine;
pub mod evaluate;
pub mod experiment;
pub mod explain;
pub mod job;
pub mod nn;
pub mod random;
pub mod scene;
pub mod threat;
pub mod trainer;

#[cfg(all(target_arch = "wasm32", feature = "page"))]
pub mod page;

#[cfg(not(target_arch = "wasm32"))]
pub mod cli;
#[cfg(not(target_arch = "wasm32"))]
pub mod library;
#[cfg(not(target_arch = "wasm32"))]
pub mod server;

/// The README's examples are compiled and run with the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
