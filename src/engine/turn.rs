//! A turn of a worker's event loop.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::MessageChannel;

thread_local! {
    /// A way to send messages to oneself. It is kept: making one anew for every turn costs as much as some samples.
    static TURNS: Option<MessageChannel> = MessageChannel::new().ok();
}

/// Lets messages come in. A message of one's own is the quickest way round the event loop: timers wait longer.
pub async fn breathe() {
    let turn = Promise::new(&mut |resolve, _| {
        let asked = TURNS.with(|channel| {
            let Some(channel) = channel else { return false };
            channel.port1().set_onmessage(Some(&resolve));
            channel.port2().post_message(&JsValue::NULL).is_ok()
        });
        // Without a channel there is no turn to wait for.
        if !asked {
            let _ = resolve.call0(&JsValue::NULL);
        }
    });
    let _ = JsFuture::from(turn).await;
}
