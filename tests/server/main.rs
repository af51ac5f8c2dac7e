//! The server as a whole: most tests call it without a socket, those in `socket` over one.

#![cfg(not(target_arch = "wasm32"))]

mod api;
mod command;
mod robust_accuracy;
mod site;
mod socket;
mod support;
