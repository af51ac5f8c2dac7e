//! The engine: everything the page shows is computed here, in a Web Worker, never on the page's main thread.

pub mod protocol;
