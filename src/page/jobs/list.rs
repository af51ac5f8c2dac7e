//! The batches that this page has asked for.

use leptos::prelude::*;

use super::batch::{Batch, Where};
use super::room::Reach;
use super::{Batches, words};
use crate::api::{JobLine, JobState};
use crate::page::figure::format;

/// Those on the server, the newest first, and those of the page.
pub fn list(lines: RwSignal<Vec<JobLine>>, reach: RwSignal<Reach>, open: Callback<Batch>) -> AnyView {
    let batches = Batches::get();
    let here = move || {
        let computed = batches.here.get().into_iter().rev();
        let rows = computed.filter(|batch| matches!(batch.standing().read().place, Where::Page(_)));
        let rows: Vec<_> = rows
            .map(|batch| {
                let standing = batch.standing().get();
                let chosen = batch.clone();
                let is_open = batches.open.get().as_ref() == Some(&batch);
                let choose = move |event: leptos::ev::MouseEvent| {
                    event.prevent_default();
                    open.run(chosen.clone());
                };
                let view = &standing.view;
                row(
                    &view.title,
                    words::question(&view.question),
                    view.state,
                    view.share,
                    "in this page",
                    is_open,
                    |words| view! { <button type="button" class="link" on:click=choose>{words}</button> }.into_any(),
                )
            })
            .collect();
        rows
    };
    let there = move || {
        let present = batches.open.get().and_then(|batch| batch.tracked_id());
        lines
            .get()
            .into_iter()
            .map(|line| {
                let is_open = present.as_ref() == Some(&line.id);
                let id = line.id.clone();
                row(
                    &line.title,
                    words::question(&line.question),
                    line.state,
                    line.share,
                    "on the server",
                    is_open,
                    |words| {
                        let choose = move |_| open.run(Batch::open(id.clone()));
                        view! { <button type="button" class="link" on:click=choose>{words}</button> }.into_any()
                    },
                )
            })
            .collect::<Vec<_>>()
    };
    let none = move || {
        let some = !lines.read().is_empty() || !here().is_empty();
        (!some).then(|| match reach.get() {
            Reach::Missing => "None yet. No server answers here, so batches are computed in this page and end with it.",
            Reach::Unknown => "Asking for a server…",
            _ => "None yet. Batches that this browser asks for are kept by the server and found here again.",
        })
    };
    view! {
        <section class="panel" aria-labelledby="list-title">
            <h2 id="list-title">"Your batches"</h2>
            <p class="soft">{none}</p>
            <ul class="batch-list">{here} {there}</ul>
        </section>
    }
    .into_any()
}

fn row(
    title: &str,
    about: String,
    state: JobState,
    share: f32,
    place: &'static str,
    is_open: bool,
    link: impl FnOnce(String) -> AnyView,
) -> AnyView {
    let how = match state {
        JobState::Queued | JobState::Running | JobState::Failed | JobState::Cancelled if share > 0.0 => {
            format!("{}, {}", words::state(state), format::percent_short(share))
        }
        _ => words::state(state).into(),
    };
    view! {
        <li aria-current=is_open.then_some("true")>
            {link(title.to_string())}
            <span class="soft">{about}</span>
            <span class="soft batch-state">{format!("{how}, {place}")}</span>
        </li>
    }
    .into_any()
}
