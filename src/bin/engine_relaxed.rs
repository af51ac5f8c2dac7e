//! WebAssembly entry of the Web Worker in browsers with relaxed SIMD.

#[cfg(target_arch = "wasm32")]
fn main() {
    epsilon_lab::engine::worker::start();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("This program runs in a browser's worker: build it for wasm32-unknown-unknown (see the README).");
}
