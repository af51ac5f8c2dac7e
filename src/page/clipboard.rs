//! Copying text.

use leptos::prelude::*;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::page::notice::Notices;

/// Copies `text` and says so; where the browser forbids it, shows the text to be copied by hand.
pub fn copy(notices: Notices, text: String, what: &'static str) {
    spawn_local(async move {
        // Away from localhost, plain http has no clipboard.
        let navigator = window().navigator();
        let there =
            js_sys::Reflect::get(&navigator, &JsValue::from_str("clipboard")).is_ok_and(|found| found.is_object());
        if there && JsFuture::from(navigator.clipboard().write_text(&text)).await.is_ok() {
            notices.tell(format!("{what} copied."));
        } else {
            notices.warn(format!("The browser did not allow copying. {what}: {text}"));
        }
    });
}
