//! One of several things, or on and off.

use leptos::prelude::*;

/// A few options side by side (radio buttons): all are seen, arrow keys move between them.
#[component]
pub fn Choice(
    /// Unique on the page.
    name: &'static str,
    /// What is chosen: "Norm".
    #[prop(into)]
    label: String,
    /// The keys of the options and their names.
    options: Vec<(&'static str, String)>,
    /// The key of the chosen one.
    value: Signal<String>,
    /// Chooses.
    set: Callback<String>,
) -> impl IntoView {
    let buttons = options
        .into_iter()
        .map(|(key, text)| {
            view! {
                <label class="option">
                    <input
                        type="radio"
                        name=name
                        value=key
                        prop:checked=move || value.get() == key
                        on:change=move |_| set.run(key.to_string())
                    />
                    <span>{text}</span>
                </label>
            }
        })
        .collect_view();
    view! {
        <fieldset class="choice">
            <legend>{label}</legend>
            <div class="options">{buttons}</div>
        </fieldset>
    }
}

/// One of many options (a drop-down list).
#[component]
pub fn Pick(
    /// Unique on the page.
    id: &'static str,
    /// What is chosen: "Target".
    #[prop(into)]
    label: String,
    /// The keys of the options and their names.
    options: Signal<Vec<(String, String)>>,
    /// The key of the chosen one.
    value: Signal<String>,
    /// Chooses.
    set: Callback<String>,
) -> impl IntoView {
    let entries = move || {
        let chosen = value.get();
        options
            .get()
            .into_iter()
            .map(|(key, text)| {
                let selected = key == chosen;
                view! { <option value=key prop:selected=selected>{text}</option> }
            })
            .collect_view()
    };
    view! {
        <div class="pick">
            <label for=id>{label}</label>
            <select id=id on:change=move |event| set.run(event_target_value(&event))>{entries}</select>
        </div>
    }
}

/// On or off.
#[component]
pub fn Toggle(
    /// What it switches.
    #[prop(into)]
    label: String,
    /// Whether it is on.
    value: Signal<bool>,
    /// Switches.
    set: Callback<bool>,
) -> impl IntoView {
    view! {
        <label class="toggle">
            <input type="checkbox" prop:checked=value on:change=move |event| set.run(event_target_checked(&event)) />
            <span>{label}</span>
        </label>
    }
}
