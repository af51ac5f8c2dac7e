//! What can be taken away: the link, a PyTorch program, the weights.

use leptos::prelude::*;

use crate::asset;
use crate::experiment::snippet;
use crate::page::clipboard;
use crate::page::extra::Extra;
use crate::page::figure::download;
use crate::page::lab::subject::picture_name;
use crate::page::notice::Notices;
use crate::page::place::{self, Place};
use crate::page::state::Lab;

/// The panel.
#[component]
pub fn ExportPanel() -> impl IntoView {
    let lab = Lab::get();
    let notices = Notices::get();
    let card = lab.card(0);
    let attack = lab.slots[0].attack;
    let code = Memo::new(move |_| {
        let experiment = lab.experiment();
        let card = card.get()?;
        attack.with(|attack| {
            let attack = attack.as_ref()?;
            let pixels: Vec<u8> = attack.image.iter().map(|value| (value * 255.0).round() as u8).collect();
            Some(snippet::pytorch(&experiment, card, &pixels, attack.label))
        })
    });
    let copy_code = move |_| {
        if let Some(code) = code.get_untracked() {
            clipboard::copy(notices, code, "Program");
        }
    };
    let save_code = move |_| {
        if let Some(code) = code.get_untracked() {
            download::save_text(&code, &format!("{}.py", untrack(|| picture_name(lab))), "text/x-python");
        }
    };
    let extra = Extra::get();
    let copy_link = move |_| clipboard::copy(notices, place::link(Place::Lab, &lab.now(), extra), "Link");
    let weights = move || {
        card.get().map(|card| {
            let name = card.weights.file.clone();
            view! { <a class="button" href=asset::weights(card) download=name>"Weights (safetensors)"</a> }
        })
    };
    view! {
        <section class="panel export" aria-labelledby="export-title">
            <h2 id="export-title">"Take it with you"</h2>
            <p class="soft">
                "The link restores exactly what is on screen. Every figure has its own download (⤓) as a picture and as numbers."
            </p>
            <div class="buttons">
                <button type="button" on:click=copy_link>"Copy link"</button>
                <button type="button" on:click=copy_code>"Copy as PyTorch"</button>
                <button type="button" on:click=save_code>"Save as PyTorch (.py)"</button>
                {weights}
            </div>
            <details>
                <summary>"This experiment as a PyTorch program"</summary>
                <pre tabindex="0" aria-label="PyTorch program"><code>{move || code.get()}</code></pre>
            </details>
        </section>
    }
}
