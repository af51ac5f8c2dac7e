//! The server as a whole: most tests call it without a socket, those in `socket` over one.

#![cfg(not(target_arch = "wasm32"))]

mod api;
mod command;
mod jobs;
mod killed;
mod postgres;
mod site;
mod socket;
mod store;
mod support;
