//! Models that the server has trained: they are used like those that are shipped.

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::{Batch, Batches, server};
use crate::asset;
use crate::nn::zoo::{self, ModelCard, TRAINED};
use crate::page::live::Live;
use crate::page::notice::Notices;
use crate::page::place::Place;
use crate::page::state::Lab;

/// Whether an address names a trained model, so that it makes sense only when they are known.
pub fn is_named(query: &str) -> bool {
    query.contains(TRAINED)
}

/// Asks the server for its models. Where there is none, none are known.
pub async fn fetch() -> Vec<&'static ModelCard> {
    let cards = server::models().await.unwrap_or_default();
    cards.into_iter().filter_map(|card| zoo::add(card).ok()).collect()
}

/// Asks for the models that have been trained since, for the page that is shown.
pub fn refresh(live: Live, batches: Batches) {
    spawn_local(async move {
        let before = zoo::added().len();
        let known = fetch().await;
        if zoo::added().len() > before {
            live.learn(&known);
            batches.models.try_set(zoo::added().len());
        }
    });
}

/// The model that a batch has trained, when it is.
pub fn model(batch: &Batch) -> AnyView {
    let (lab, live, batches, notices) = (Lab::get(), Live::get(), Batches::get(), Notices::get());
    let place: RwSignal<Place> = expect_context();
    let standing = batch.standing();
    let card = Memo::new(move |_| standing.with(|standing| standing.view.report.model.clone()));
    let known = Memo::new(move |_| {
        let card = card.get()?;
        Some(zoo::add(*card).map_err(|error| error.to_string()))
    });
    // Links of the report open it in the Lab: the engine has to know it, too.
    Effect::new(move || {
        if let Some(Ok(known)) = known.get() {
            live.learn(&[known]);
            batches.models.set(zoo::added().len());
        }
    });
    let shown = move || {
        let card = match known.get()? {
            Ok(card) => card,
            Err(error) => return Some(view! { <p class="problem">{error}</p> }.into_any()),
        };
        let (weights, size) = (asset::weights(card), card.weights.bytes as f64 / 1e3);
        let attack = move |_| {
            let _ = lab.choose_dataset(card.dataset);
            notices.check(lab.edit("dataset", |experiment| experiment.model = card.name.clone()));
            place.set(Place::Lab);
        };
        let shown = view! {
            <section class="batch-figure">
                <h3>{card.title.clone()}</h3>
                <p>{card.summary.clone()}</p>
                <div class="buttons">
                    <button type="button" class="primary" on:click=attack>"Attack it in the Lab"</button>
                    <a class="button" href=weights download=card.weights.file.clone()>{format!("Weights ({size:.0} kB)")}</a>
                </div>
            </section>
        };
        Some(shown.into_any())
    };
    view! { {shown} }.into_any()
}
