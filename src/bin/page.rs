//! WebAssembly entry of the page.

#[cfg(target_arch = "wasm32")]
fn main() {
    epsilon_lab::page::start();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("This program runs in a browser: build it for wasm32-unknown-unknown (see the README).");
}
