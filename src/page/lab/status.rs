//! What the engine is doing, in words: everything on screen belongs to the present experiment once it says so.

use leptos::prelude::*;

use crate::page::figure::format;
use crate::page::state::{Lab, Status};

/// The line.
#[component]
pub fn StatusLine() -> impl IntoView {
    let lab = Lab::get();
    let failed = move || match lab.status.get() {
        Status::Failed(sentence) => Some(sentence),
        _ => None,
    };
    let text = move || match lab.status.get() {
        Status::Loading => "Loading the model and its pictures…".to_string(),
        Status::Working => {
            let progress: Vec<f32> = lab.slots.iter().filter_map(|slot| slot.progress.get()).collect();
            match progress.iter().copied().reduce(f32::min) {
                Some(share) => format!("Attacking… {:.0} %", 100.0 * share),
                None => "Computing…".to_string(),
            }
        }
        Status::Done(milliseconds) => format!("All computed on this device, in {}", format::milliseconds(milliseconds)),
        Status::Failed(_) => String::new(),
    };
    view! {
        <p class="status-line" data-state=move || state_name(&lab.status.get())>{text}</p>
        <p class="failure" role="alert">{move || failed().map(|sentence| format!("This could not be computed: {sentence}."))}</p>
    }
}

/// For tests and style sheets.
fn state_name(status: &Status) -> &'static str {
    match status {
        Status::Loading => "loading",
        Status::Working => "working",
        Status::Done(_) => "done",
        Status::Failed(_) => "failed",
    }
}
