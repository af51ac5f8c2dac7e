//! The page of batches: a composer, the batch that is open, the others, and the server's queue.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::batch::Batch;
use super::draft::Draft;
use super::server::{self, Trouble};
use super::{Batches, ID, compose, list, queue, trained, view};
use crate::api::JobLine;
use crate::page::extra::Extra;
use crate::page::live::Live;
use crate::page::state::Lab;

/// How often the list is asked for again.
const PAUSE: Duration = Duration::from_secs(5);

/// Whether a server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Not known yet.
    #[default]
    Unknown,
    /// It does.
    There,
    /// It does, and knows the instructor's key.
    Instructor,
    /// None does.
    Missing,
}

/// The page.
#[component]
pub fn BatchesPage() -> impl IntoView {
    let (batches, extra) = (Batches::get(), Extra::get());
    let draft = Draft::new(Lab::get());
    let (reach, lines) = (RwSignal::new(Reach::default()), RwSignal::new(Vec::<JobLine>::new()));
    let (queue_open, id) = (RwSignal::new(false), RwSignal::new(None::<String>));
    extra.switch("batches.queue", queue_open, false);
    extra.bind(ID, id, Clone::clone, |text| Some(Some(text.to_string())));
    // What the link names is opened, unless it is open already.
    if let Some(named) = id.get_untracked()
        && batches.open.get_untracked().and_then(|batch| batch.id()).as_ref() != Some(&named)
    {
        batches.open.set(Some(Batch::open(named)));
    }
    Effect::new(move || id.set(batches.open.get().and_then(|batch| batch.tracked_id())));

    let live = Live::get();
    let refresh = move || {
        spawn_local(async move {
            let answer = server::jobs().await;
            let is_key = server::key().is_some();
            let _ = match answer {
                Ok(found) => {
                    lines.try_set(found);
                    trained::refresh(live, batches);
                    reach.try_set(if is_key { Reach::Instructor } else { Reach::There })
                }
                Err(Trouble::NoServer) => reach.try_set(Reach::Missing),
                Err(Trouble::Key) => {
                    server::set_key(None);
                    reach.try_set(Reach::There)
                }
                Err(Trouble::Refused(_)) => reach.try_set(Reach::There),
            };
        });
    };
    refresh();
    // The list follows what is begun here, what ends, and what goes on there.
    Effect::new(move |before: Option<(Option<String>, bool)>| {
        let open = batches.open.get();
        let ended = open.is_some_and(|batch| batch.standing().with(|standing| !standing.runs()));
        let now = (id.get(), ended);
        if before.is_some_and(|before| before != now) {
            refresh();
        }
        now
    });
    let again = move || {
        let goes_on = lines.with_untracked(|lines| lines.iter().any(|line| !line.state.has_ended()));
        if goes_on && !document().hidden() {
            refresh();
        }
    };
    if let Ok(interval) = set_interval_with_handle(again, PAUSE) {
        on_cleanup(move || interval.clear());
    }

    let open = Callback::new(move |batch: Batch| {
        batches.open.set(Some(batch));
        // To what is asked for, wherever on the page one is.
        request_animation_frame(|| {
            if let Some(heading) = document().get_element_by_id("batch-title") {
                heading.scroll_into_view();
                let heading: Result<web_sys::HtmlElement, _> = wasm_bindgen::JsCast::dyn_into(heading);
                let _ = heading.map(|heading| heading.focus());
            }
        });
    });
    let start = Callback::new(move |batch: Batch| {
        batches.keep(&batch);
        open.run(batch);
    });
    let opened = move || batches.open.get().map(|batch| view::batch(batch, draft));
    view! {
        <div class="study batches">
            <div class="study-head">
                <h1>"Batches"</h1>
                <p class="lead">
                    "A question over many pictures, models, attacks and values of ε. A server takes turns between all who ask and keeps "
                    "the answer under a link; where there is none, this page computes smaller ones itself."
                </p>
            </div>
            {compose::composer(draft, reach, start)}
            <div class="batch-room">
                {opened}
                {list::list(lines, reach, open)}
                {queue::queue(queue_open, reach, open)}
            </div>
        </div>
    }
}
