//! A batch on screen: how it stands, and what it has found.

use std::time::Duration;

use leptos::prelude::*;

use super::batch::{Batch, Standing, Where};
use super::draft::Draft;
use super::{report, server, trained, words};
use crate::api::JobState;
use crate::page::clipboard;
use crate::page::figure::{download, format};
use crate::page::notice::Notices;

/// Everything about a batch.
pub fn batch(batch: Batch, draft: Draft) -> AnyView {
    let standing = batch.standing();
    let memo = |of: fn(&Standing) -> String| {
        let standing = standing.clone();
        Memo::new(move |_| standing.with(of))
    };
    let title = memo(|standing| standing.view.title.clone());
    let about = memo(|standing| words::question(&standing.view.question));
    let report = {
        let standing = standing.clone();
        Memo::new(move |_| standing.with(|standing| standing.view.report.clone()))
    };
    let id = {
        let batch = batch.clone();
        Signal::derive_local(move || batch.tracked_id())
    };
    let file = {
        let standing = standing.clone();
        Signal::derive(move || {
            standing.with(|standing| match standing.view.id.as_str() {
                "" => standing.view.kind.clone(),
                id => format!("{}-{id}", standing.view.kind),
            })
        })
    };
    let again = {
        let standing = standing.clone();
        move |_| {
            let (kind, question) =
                standing.with_untracked(|standing| (standing.view.kind.clone(), standing.view.question.clone()));
            draft.take(&kind, &question);
        }
    };
    view! {
        <section class="panel batch" aria-labelledby="batch-title">
            <div class="panel-bar">
                <h2 id="batch-title" tabindex="-1">{title}</h2>
                <span class="soft">{about}</span>
            </div>
            {state(&batch)}
            {errors(&batch)}
            <div class="buttons">
                {actions(&batch)}
                <button type="button" on:click=again>"Ask again with changes"</button>
                {taking(&batch, id)}
            </div>
            {trained::model(&batch)}
            {report::report(report, id, file)}
        </section>
    }
    .into_any()
}

/// Progress and the sentences about it.
pub fn state(batch: &Batch) -> AnyView {
    let standing = batch.standing();
    let line = {
        let standing = standing.clone();
        Memo::new(move |_| standing.with(|standing| words::status(standing, &progress(standing))))
    };
    let share = {
        let standing = standing.clone();
        Memo::new(move |_| standing.with(|standing| standing.view.share.to_string()))
    };
    let name = {
        let standing = standing.clone();
        move || standing.with(name)
    };
    let shared = {
        let standing = standing.clone();
        move || {
            let wanted = standing.with(|standing| match standing.place {
                Where::Server => standing.view.wanted_by,
                _ => 1,
            });
            (wanted > 1).then(|| format!("{wanted} browsers want this batch; it is computed once."))
        }
    };
    view! {
        <progress max="1" prop:value=move || share.get() value=move || share.get() aria-label="Share of the work that is done"></progress>
        <p class="batch-line" data-state=name>{line}</p>
        {spoken(line)}
        {remarks(batch)}
        <p class="soft">{shared}</p>
    }
    .into_any()
}

/// What else is to be known, and what can be done about it.
pub fn remarks(batch: &Batch) -> AnyView {
    let standing = batch.standing();
    let lost = {
        let standing = standing.clone();
        Memo::new(move |_| standing.with(|standing| standing.lost && standing.runs()))
    };
    let remark = Memo::new(move |_| standing.with(words::remark));
    let moved = StoredValue::new_local(batch.clone());
    let offer = move || {
        lost.get().then(|| {
            view! { <button type="button" on:click=move |_| moved.with_value(Batch::move_here)>"Compute it in this page instead"</button> }
        })
    };
    view! {
        <p class="soft batch-remark">{remark}</p>
        {offer}
    }
    .into_any()
}

fn name(standing: &Standing) -> &'static str {
    match standing.view.state {
        _ if standing.refused.is_some() => "refused",
        JobState::Queued => "waiting",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Failed => "incomplete",
        JobState::Cancelled => "stopped",
    }
}

fn progress(standing: &Standing) -> String {
    let view = &standing.view;
    match view.state {
        JobState::Done => format!("{} of {} chunks", view.done, view.chunks),
        _ => format!("{} of the work, {} of {} chunks", format::percent_short(view.share), view.done, view.chunks),
    }
}

/// The same for who does not see it, at most every few seconds.
pub fn spoken(line: Memo<String>) -> AnyView {
    const PAUSE: Duration = Duration::from_secs(4);
    let said = RwSignal::new(line.get_untracked());
    let waiting = StoredValue::new(false);
    Effect::new(move || {
        line.track();
        if waiting.get_value() {
            return;
        }
        waiting.set_value(true);
        set_timeout(
            move || {
                let _ = waiting.try_update_value(|waiting| *waiting = false);
                if let Some(line) = line.try_get_untracked() {
                    said.try_set(line);
                }
            },
            PAUSE,
        );
    });
    view! { <p class="visually-hidden" role="status">{said}</p> }.into_any()
}

fn errors(batch: &Batch) -> AnyView {
    let standing = batch.standing();
    let errors = Memo::new(move |_| standing.with(|standing| standing.view.errors.clone()));
    let retried = StoredValue::new_local(batch.clone());
    let shown = move || {
        let errors = errors.get();
        (!errors.is_empty()).then(|| {
            let count = errors.len();
            let items =
                errors.into_iter().map(|dead| view! { <li>{format!("Chunk {}: {}", dead.chunk, dead.error)}</li> });
            let items = items.collect_view();
            let what = if count == 1 { "A chunk was given up:" } else { "Chunks were given up:" };
            view! {
                <div class="given-up">
                    <p>{what}</p>
                    <ul>{items}</ul>
                    <button type="button" on:click=move |_| retried.with_value(Batch::retry)>"Retry"</button>
                </div>
            }
        })
    };
    view! { {shown} }.into_any()
}

fn actions(batch: &Batch) -> AnyView {
    let standing = batch.standing();
    let runs = Memo::new(move |_| standing.with(Standing::runs));
    let stopped = batch.clone();
    view! { <button type="button" on:click=move |_| stopped.stop() disabled=move || !runs.get()>"Stop"</button> }
        .into_any()
}

/// The link and the files of the whole batch.
fn taking(batch: &Batch, id: Signal<Option<String>, LocalStorage>) -> AnyView {
    let notices = Notices::get();
    let standing = batch.standing();
    let shown = move || match id.get() {
        Some(id) => {
            let json = server::address(&id, "/results.json");
            let copy = move |_| clipboard::copy(notices, link(&id), "Link");
            view! {
                <button type="button" on:click=copy>"Copy the batch’s link"</button>
                <a class="button" href=json download="">"Download all (JSON)"</a>
            }
            .into_any()
        }
        None => {
            let standing = standing.clone();
            let save = move |_| {
                let (name, text) = standing.with_untracked(|standing| {
                    (format!("{}.json", standing.view.kind), serde_json::to_string(&standing.view).unwrap_or_default())
                });
                download::save_text(&text, &name, "application/json");
            };
            view! { <button type="button" on:click=save>"Download all (JSON)"</button> }.into_any()
        }
    };
    view! { {shown} }.into_any()
}

/// The link of a batch alone: it carries its own question.
fn link(id: &str) -> String {
    let location = window().location();
    format!("{}{}{}", location.origin().unwrap_or_default(), location.pathname().unwrap_or_default(), query(id))
}

/// The query of the link.
pub fn query(id: &str) -> String {
    let id = form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>();
    format!("?page=batches&{}={id}", super::ID)
}
