//! The server's queue: how much waits and who computes, and with the instructor's key everybody's batches.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::batch::Batch;
use super::room::Reach;
use super::server::{self, Trouble};
use super::words;
use crate::api::{QueueView, WorkerView};
use crate::page::figure::format;

/// How often the queue is looked at while it is open.
const PAUSE: Duration = Duration::from_secs(3);

/// The panel, closed unless `shown`.
pub fn queue(shown: RwSignal<bool>, reach: RwSignal<Reach>, open: Callback<Batch>) -> AnyView {
    let found = RwSignal::new(None::<QueueView>);
    let trouble = RwSignal::new(None::<Trouble>);
    let has_key = RwSignal::new(server::key().is_some());
    let look = move || {
        spawn_local(async move {
            match server::queue().await {
                Ok(view) => {
                    found.try_set(Some(view));
                    // A wrong key stays said to be wrong until another is tried.
                    trouble.try_update(|trouble| *trouble = trouble.take().filter(|trouble| *trouble == Trouble::Key));
                }
                Err(Trouble::Key) => {
                    server::set_key(None);
                    has_key.try_set(false);
                    trouble.try_set(Some(Trouble::Key));
                }
                Err(other) => drop(trouble.try_set(Some(other))),
            }
        });
    };
    Effect::new(move || {
        if shown.get() {
            look();
        }
    });
    let again = move || {
        if shown.get_untracked() && !document().hidden() {
            look();
        }
    };
    if let Ok(interval) = set_interval_with_handle(again, PAUSE) {
        on_cleanup(move || interval.clear());
    }
    let on_toggle = move |event: leptos::ev::Event| {
        let details = event.target().and_then(|target| wasm_bindgen::JsCast::dyn_into::<web_sys::Element>(target).ok());
        shown.set(details.is_some_and(|details| details.has_attribute("open")));
    };
    let typed = RwSignal::new(String::new());
    let give = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let key = typed.get_untracked().trim().to_string();
        if !key.is_empty() {
            server::set_key(Some(&key));
            typed.set(String::new());
            trouble.set(None);
            has_key.set(true);
            reach.set(Reach::Instructor);
            look();
        }
    };
    let forget = move |_| {
        server::set_key(None);
        has_key.set(false);
        reach.set(Reach::There);
        found.update(|found| {
            if let Some(found) = found {
                found.newest.clear();
                found.dead.clear();
            }
        });
    };
    let key = move || {
        match has_key.get() {
        true => view! {
            <p>
                "The instructor’s key is in use until this tab is closed: limits are raised, and any batch can be stopped. "
                <button type="button" on:click=forget>"Forget the key"</button>
            </p>
        }
        .into_any(),
        false => view! {
            <form class="key" on:submit=give>
                <div class="pick">
                    <label for="instructor-key">"Instructor’s key"</label>
                    <input
                        type="password"
                        class="field wide"
                        id="instructor-key"
                        autocomplete="off"
                        aria-describedby="key-note"
                        prop:value=typed
                        on:input=move |event| typed.set(event_target_value(&event))
                    />
                </div>
                <button type="submit">"Use the key"</button>
                <p class="soft" id="key-note">"Kept in this tab only. It shows everybody’s batches, stops any of them, and raises the limits."</p>
            </form>
        }
        .into_any(),
    }
    };
    let problem = move || trouble.get().map(|trouble| trouble.sentence());
    let numbers = move || found.get().map(|view| numbers(&view));
    let newest =
        Memo::new(move |_| found.with(|found| found.as_ref().map_or(Vec::new(), |found| found.newest.clone())));
    let dead = Memo::new(move |_| found.with(|found| found.as_ref().map_or(Vec::new(), |found| found.dead.clone())));
    let act = move |id: String, stops: bool| {
        spawn_local(async move {
            let answer = if stops { server::cancel(&id).await } else { server::retry(&id).await };
            if let Err(why) = answer {
                trouble.try_set(Some(why));
            }
            look();
        });
    };
    let jobs = move || {
        let rows = newest.get().into_iter().map(|line| {
            let (id, stopped, ended) = (line.id.clone(), line.id.clone(), line.state.has_ended());
            let label = format!("Stop {}: {}", line.title, line.id);
            view! {
                <tr>
                    <th scope="row"><button type="button" class="link" on:click=move |_| open.run(Batch::open(id.clone()))>{line.title}</button></th>
                    <td>{words::question(&line.question)}</td>
                    <td>{words::state(line.state)} " " {format::percent_short(line.share)}</td>
                    <td>
                        <button type="button" aria-label=label disabled=ended on:click=move |_| act(stopped.clone(), true)>"Stop"</button>
                    </td>
                </tr>
            }
        });
        rows.collect_view()
    };
    let letters = move || {
        let rows = dead.get().into_iter().map(|letter| {
            let id = letter.job.clone();
            let label = format!("Retry the batch {}", letter.job);
            view! {
                <tr>
                    <th scope="row"><code>{letter.job}</code></th>
                    <td class="figure-number">{letter.chunk}</td>
                    <td>{letter.error}</td>
                    <td><button type="button" aria-label=label on:click=move |_| act(id.clone(), false)>"Retry"</button></td>
                </tr>
            }
        });
        rows.collect_view()
    };
    view! {
        <details class="panel queue" prop:open=shown on:toggle=on_toggle>
            <summary><h2>"The server’s queue"</h2></summary>
            <p class="problem" role="alert">{problem}</p>
            {numbers}
            {key}
            <Show when=move || !newest.read().is_empty()>
                <h3>"Newest batches of everybody"</h3>
                <div class="table-room tall" tabindex="0" role="region" aria-label="Newest batches, a table that scrolls">
                    <table>
                        <thead><tr><th scope="col">"Batch"</th><th scope="col">"Question"</th><th scope="col">"State"</th><th scope="col">"Action"</th></tr></thead>
                        <tbody>{jobs}</tbody>
                    </table>
                </div>
            </Show>
            <Show when=move || has_key.get() && found.read().is_some()>
                <h3>"Chunks that were given up"</h3>
                <Show when=move || !dead.read().is_empty() fallback=|| view! { <p class="soft">"None."</p> }>
                    <div class="table-room tall" tabindex="0" role="region" aria-label="Chunks that were given up, a table that scrolls">
                        <table>
                            <thead><tr><th scope="col">"Batch"</th><th scope="col" class="figure-number">"Chunk"</th><th scope="col">"Why"</th><th scope="col">"Action"</th></tr></thead>
                            <tbody>{letters}</tbody>
                        </table>
                    </div>
                </Show>
            </Show>
        </details>
    }
    .into_any()
}

/// What everybody may know.
fn numbers(view: &QueueView) -> AnyView {
    let list = |counts: &std::collections::BTreeMap<String, u64>| {
        let items: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
        if items.is_empty() { "none".into() } else { items.join(", ") }
    };
    let worker = |worker: &WorkerView| {
        view! {
            <tr>
                <th scope="row"><code>{worker.name.clone()}</code></th>
                <td class="figure-number">{worker.threads}</td>
                <td class="figure-number">{worker.chunks}</td>
                <td class="figure-number">{format::milliseconds(worker.mean_milliseconds as f32)}</td>
                <td class="figure-number">{words::duration(1000 * worker.seconds)}</td>
                <td class="figure-number">{words::duration(1000 * worker.silent_seconds)}</td>
            </tr>
        }
    };
    view! {
        <dl class="queue-numbers">
            <dt>"Batches"</dt>
            <dd>{list(&view.jobs)}</dd>
            <dt>"Chunks"</dt>
            <dd>{list(&view.chunks)}</dd>
        </dl>
        <div class="table-room" tabindex="0" role="region" aria-label="Workers, a table that scrolls">
            <table>
                <caption>"Workers heard of in the last ten minutes"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Worker"</th>
                        <th scope="col" class="figure-number">"Threads"</th>
                        <th scope="col" class="figure-number">"Chunks"</th>
                        <th scope="col" class="figure-number">"A chunk takes"</th>
                        <th scope="col" class="figure-number">"Runs for"</th>
                        <th scope="col" class="figure-number">"Silent for"</th>
                    </tr>
                </thead>
                <tbody>{view.workers.iter().map(worker).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}
