//! The page: shows experiments and changes them. It computes nothing; the worker does.

mod app;
mod clipboard;
mod control;
mod extra;
pub mod figure;
mod jobs;
mod lab;
mod live;
mod models;
mod notice;
mod place;
mod state;
mod study;
mod theme;
mod worker;

/// Takes over the static first paint of `index.html`.
pub fn start() {
    console_error_panic_hook::set_once();
    app::mount();
}
