//! The models' cards: what each network is, how it was trained, what it reaches, and its weights to take away.

use leptos::prelude::*;

use crate::asset;
use crate::data::Dataset;
use crate::nn::zoo::{self, ModelCard, Outcome};
use crate::page::place::Place;
use crate::page::state::Lab;

/// All cards.
#[component]
pub fn ModelsPage() -> impl IntoView {
    let sections = Dataset::ALL
        .map(|dataset| {
            let cards = zoo::of(dataset).map(card).collect_view();
            view! {
                <section>
                    <h2>{dataset.title()}</h2>
                    <div class="cards">{cards}</div>
                </section>
            }
            .into_any()
        })
        .into_iter()
        .collect_view();
    view! {
        <div class="models">
            <h1>"The models"</h1>
            <p class="lead">
                "Every number in the Lab comes from these small networks, run on this device. Each can be taken away as "
                "a safetensors file and trained again with one command."
            </p>
            {sections}
        </div>
    }
}

fn card(card: &'static ModelCard) -> AnyView {
    let lab = Lab::get();
    let place: RwSignal<Place> = expect_context();
    let attack = move |_| {
        // The two steps are one for the person: the data set first, for models belong to it.
        let _ = lab.choose_dataset(card.dataset);
        let _ = lab.edit("dataset", |experiment| {
            experiment.model = card.name.clone();
            if experiment.compare.as_ref() == Some(&card.name) {
                experiment.compare = None;
            }
        });
        place.set(Place::Lab);
    };
    let training = &card.training;
    let against = match &training.adversarial {
        Some(threat) => format!("PGD examples, {} ≤ {}", threat.norm, threat.epsilon),
        None => "nothing (clean pictures only)".into(),
    };
    let heading = format!("{}-{}", card.dataset.key(), card.name);
    let labelled = heading.clone();
    view! {
        <article class="card" aria-labelledby=labelled>
            <h3 id=heading>{card.title.clone()}</h3>
            <p>{card.summary.clone()}</p>
            {results(&card.results)}
            {layers(card)}
            <details>
                <summary>"How it was trained"</summary>
                <dl>
                    <dt>"Recipe"</dt>
                    <dd><code>{format!("epsilon-lab train {}", training.recipe)}</code></dd>
                    <dt>"Method"</dt>
                    <dd>{training.method.clone()}</dd>
                    <dt>"Trained against"</dt>
                    <dd>{against}</dd>
                    <dt>"Pictures"</dt>
                    <dd>{format!("{}, {} epochs, batches of {}", training.examples, training.epochs, training.batch)}</dd>
                    <dt>"Seed"</dt>
                    <dd>{training.seed}</dd>
                    <dt>"Time"</dt>
                    <dd>{format!("{:.0} s", training.seconds)}</dd>
                </dl>
            </details>
            <div class="buttons">
                <button type="button" class="primary" on:click=attack>"Attack it in the Lab"</button>
                <a href=asset::weights(card) download=card.weights.file.clone()>
                    {format!("Weights ({}, {:.0} kB)", card.weights.dtype, card.weights.bytes as f64 / 1e3)}
                </a>
            </div>
        </article>
    }
    .into_any()
}

fn results(results: &'static [Outcome]) -> AnyView {
    let rows = results
        .iter()
        .map(|outcome| {
            let percent = 100.0 * outcome.correct as f64 / outcome.of.max(1) as f64;
            view! {
                <tr>
                    <th scope="row">{outcome.what.clone()}</th>
                    <td>{outcome.pictures.clone()}</td>
                    <td class="figure-number">{format!("{percent:.2} %")}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <table>
            <caption>"Accuracy"</caption>
            <thead><tr><th scope="col">"Attack"</th><th scope="col">"Pictures"</th><th scope="col">"Right"</th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn layers(card: &'static ModelCard) -> AnyView {
    let costs = card.architecture.costs().unwrap_or_default();
    let shape = |shape: crate::nn::Shape| match (shape.height, shape.width) {
        (1, 1) => shape.channels.to_string(),
        (height, width) => format!("{} × {height} × {width}", shape.channels),
    };
    let rows = costs
        .into_iter()
        .map(|cost| {
            view! {
                <tr>
                    <th scope="row">{cost.what}</th>
                    <td>{shape(cost.output)}</td>
                    <td class="figure-number">{grouped(cost.parameters)}</td>
                    <td class="figure-number">{grouped(cost.flops)}</td>
                </tr>
            }
        })
        .collect_view();
    let (parameters, flops) = (card.architecture.parameters(), card.architecture.flops());
    view! {
        <details>
            <summary>{format!("Layers: {} parameters, {} operations a picture", grouped(parameters), grouped(flops))}</summary>
            <table>
                <caption>{format!("From {} to logits", shape(card.architecture.input))}</caption>
                <thead>
                    <tr>
                        <th scope="col">"Layer"</th>
                        <th scope="col">"Output"</th>
                        <th scope="col">"Parameters"</th>
                        <th scope="col">"FLOPs"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </details>
    }
    .into_any()
}

/// A whole number with thin spaces between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}
