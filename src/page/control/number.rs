//! A number with a slider and a field.

use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

/// A labelled slider with a number field beside it.
///
/// Arrow keys move by `step`, with Shift by a tenth of it, Page Up and Page Down by ten. The field takes decimals and
/// fractions ("8/255"); what it cannot use is answered by a sentence below it, and the value stays.
#[component]
pub fn NumberControl(
    /// Unique on the page.
    id: &'static str,
    /// What it is: "ε", "Steps".
    #[prop(into)]
    label: String,
    /// The present value.
    value: Signal<f64>,
    /// The least value.
    min: f64,
    /// The greatest value.
    max: Signal<f64>,
    /// One press of an arrow key.
    step: Signal<f64>,
    /// Whole numbers only.
    #[prop(optional)]
    whole: bool,
    /// The unit or another way to say the value: "25.5/255".
    #[prop(optional, into)]
    note: Signal<String>,
    /// Sets the value, or says why not.
    set: Callback<f64, Result<(), String>>,
    /// Whether it can be moved.
    #[prop(optional, into)]
    disabled: Signal<bool>,
) -> impl IntoView {
    let problem = RwSignal::new(String::new());
    let fine = move || if whole { 1.0 } else { step.get() / 10.0 };
    let attempt = move |number: f64| {
        let number = if whole { number.round() } else { tidy(number) };
        match set.run(number) {
            Ok(()) => problem.set(String::new()),
            Err(sentence) => problem.set(sentence),
        }
    };
    let on_key = move |event: KeyboardEvent| {
        let by = match event.key().as_str() {
            "ArrowUp" | "ArrowRight" => 1.0,
            "ArrowDown" | "ArrowLeft" => -1.0,
            "PageUp" => 10.0,
            "PageDown" => -10.0,
            _ => return,
        };
        event.prevent_default();
        let unit = if event.shift_key() { fine() } else { step.get_untracked() };
        attempt((value.get_untracked() + by * unit).clamp(min, max.get_untracked()));
    };
    // In the field left and right move the caret.
    let on_field_key = move |event: KeyboardEvent| {
        if matches!(event.key().as_str(), "ArrowUp" | "ArrowDown" | "PageUp" | "PageDown") {
            on_key(event);
        }
    };
    let on_slide = move |event: leptos::ev::Event| {
        if let Ok(number) = event_target_value(&event).parse() {
            attempt(number);
        }
    };
    let on_type = move |event: leptos::ev::Event| {
        let text = event_target_value(&event);
        match parse(&text) {
            Some(number) => attempt(number),
            None => problem.set(format!("“{}” is not a number.", text.trim())),
        }
    };
    let shown = move || short(value.get());
    let note_id = format!("{id}-note");
    let problem_id = format!("{id}-problem");
    let described = format!("{note_id} {problem_id}");
    view! {
        <div class="number" class:disabled=disabled>
            <label for=id>{label.clone()}</label>
            <input
                type="range"
                id=id
                min=min.to_string()
                max=move || max.get().to_string()
                step=move || fine().to_string()
                prop:value=move || {
                    // A browser cuts the value to the range it knows: the range has to be set first.
                    max.track();
                    value.get().to_string()
                }
                aria-describedby=note_id.clone()
                aria-valuetext=move || format!("{} {}", shown(), note.get())
                disabled=disabled
                on:input=on_slide
                on:keydown=on_key
            />
            <input
                type="text"
                inputmode="decimal"
                class="field"
                id=format!("{id}-field")
                aria-label=format!("{label}, as a number")
                aria-describedby=described
                aria-invalid=move || (!problem.read().is_empty()).to_string()
                prop:value=shown
                disabled=disabled
                on:change=on_type
                on:keydown=on_field_key
            />
            <span class="note" id=note_id>{note}</span>
            <p class="problem" id=problem_id role="alert">{problem}</p>
        </div>
    }
}

/// Reads "0.1", "0,1" or "8/255".
fn parse(text: &str) -> Option<f64> {
    let number = |text: &str| text.trim().replace(',', ".").replace('−', "-").parse::<f64>().ok();
    match text.split_once('/') {
        Some((above, below)) => Some(number(above)? / number(below)?),
        None => number(text),
    }
}

/// Without the dust of binary fractions.
fn tidy(number: f64) -> f64 {
    if number.is_finite() { (number * 1e6).round() / 1e6 } else { number }
}

/// At most four decimals, no trailing zeros.
fn short(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}
