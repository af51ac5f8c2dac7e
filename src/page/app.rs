//! The frame around every page: header, theme, undo, link, notices, keys.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;

use crate::page::clipboard;
use crate::page::extra::Extra;
use crate::page::jobs::{Batches, BatchesPage, trained};
use crate::page::lab::LabPage;
use crate::page::live::Live;
use crate::page::models::ModelsPage;
use crate::page::notice::{NoticeList, Notices};
use crate::page::place::{self, Place};
use crate::page::state::Lab;
use crate::page::study::{GapPage, InsidePage, LinearityPage, SmallestPage, TransferPage};
use crate::page::theme::{self, Theme};

/// Puts the page into the document in place of the first paint.
pub fn mount() {
    let Some(root) = document().get_element_by_id("app") else { return };
    let show = move || {
        root.set_inner_html("");
        // The page lives as long as its document.
        mount_to(root.unchecked_into(), App).forget();
    };
    if trained::is_named(&window().location().search().unwrap_or_default()) {
        // The link makes sense only when the server's models are known.
        spawn_local(async move {
            trained::fetch().await;
            show();
        });
    } else {
        show();
    }
}

#[component]
fn App() -> impl IntoView {
    let (here, experiment, settings, broken) = Place::read();
    let lab = Lab::new(experiment);
    let place = RwSignal::new(here);
    let extra = Extra::new(settings);
    let notices = Notices::new();
    provide_context(lab);
    provide_context(place);
    provide_context(notices);
    provide_context(extra);
    provide_context(Batches::new());
    for part in broken {
        notices.warn(format!("The link’s “{}” was not used: {}.", part.key, part.message.trim_end_matches('.')));
    }
    provide_context(Live::start(lab, place));
    place::follow(lab, place, extra);
    keys(lab);
    Effect::new(move |_| {
        document().set_title(&format!("{} · Epsilon Lab", place.get().title()));
    });
    let page = move || match place.get() {
        Place::Lab => view! { <LabPage /> }.into_any(),
        Place::Smallest => view! { <SmallestPage /> }.into_any(),
        Place::Transfer => view! { <TransferPage /> }.into_any(),
        Place::Inside => view! { <InsidePage /> }.into_any(),
        Place::Linearity => view! { <LinearityPage /> }.into_any(),
        Place::Gap => view! { <GapPage /> }.into_any(),
        Place::Batches => view! { <BatchesPage /> }.into_any(),
        Place::Models => view! { <ModelsPage /> }.into_any(),
    };
    view! {
        <a class="skip" href="#main">"Skip to the content"</a>
        <Header />
        <main id="main" tabindex="-1">{page}</main>
        <NoticeList />
    }
}

#[component]
fn Header() -> impl IntoView {
    let lab = Lab::get();
    let notices = Notices::get();
    let extra = Extra::get();
    let place: RwSignal<Place> = expect_context();
    let tab = move |there: Place| {
        let go = move |event: leptos::ev::MouseEvent| {
            // A new tab or window is the browser's business.
            if !(event.ctrl_key() || event.meta_key() || event.shift_key()) {
                event.prevent_default();
                place.set(there);
            }
        };
        view! {
            <a
                href=move || there.query(&lab.experiment(), extra)
                aria-current=move || (place.get() == there).then_some("page")
                on:click=go
            >
                {there.title()}
            </a>
        }
    };
    let nav = NodeRef::<leptos::html::Nav>::new();
    // Where the pages do not fit, the present one is brought into sight.
    Effect::new(move |_| {
        place.track();
        let Some(nav) = nav.get() else { return };
        request_animation_frame(move || {
            if let Ok(Some(link)) = nav.query_selector("[aria-current]") {
                let link: web_sys::HtmlElement = link.unchecked_into();
                let start = link.offset_left() - nav.offset_left();
                nav.set_scroll_left((start + link.offset_width() / 2 - nav.client_width() / 2).max(0));
            }
        });
    });
    let copy_link = move |_| clipboard::copy(notices, place::link(place.get_untracked(), &lab.now(), extra), "Link");
    view! {
        <header class="top">
            <p class="brand"><span class="mark" aria-hidden="true">"ε"</span>"Epsilon Lab"</p>
            <nav aria-label="Pages" node_ref=nav>{Place::ALL.map(tab).collect_view()}</nav>
            <div class="tools">
                <button
                    type="button"
                    title="Undo (Ctrl+Z)"
                    disabled=move || lab.depth.get().0 == 0
                    on:click=move |_| lab.undo()
                >
                    <span aria-hidden="true">"↶ "</span><span class="word">"Undo"</span>
                </button>
                <button
                    type="button"
                    title="Redo (Ctrl+Shift+Z)"
                    disabled=move || lab.depth.get().1 == 0
                    on:click=move |_| lab.redo()
                >
                    <span aria-hidden="true">"↷ "</span><span class="word">"Redo"</span>
                </button>
                <button type="button" on:click=copy_link>"Copy link"</button>
                <ThemePick />
            </div>
        </header>
    }
}

#[component]
fn ThemePick() -> impl IntoView {
    let theme = theme::theme();
    let options = Theme::ALL
        .map(|option| view! { <option value=option.key() prop:selected=move || theme.get() == option>{option.name()}</option> })
        .collect_view();
    let choose = move |event| {
        if let Some(chosen) = Theme::from_key(&event_target_value(&event)) {
            theme.set(chosen);
        }
    };
    view! {
        <label class="theme">
            <span>"Display"</span>
            <select on:change=choose>{options}</select>
        </label>
    }
}

/// Undo and redo from anywhere but a text field, where they belong to the text.
fn keys(lab: Lab) {
    let _ = window_event_listener(leptos::ev::keydown, move |event| {
        if !(event.ctrl_key() || event.meta_key()) || in_text(&event) {
            return;
        }
        match (event.key().as_str(), event.shift_key()) {
            ("z", false) => lab.undo(),
            ("Z" | "z", true) | ("y", false) => lab.redo(),
            _ => return,
        }
        event.prevent_default();
    });
}

fn in_text(event: &leptos::ev::KeyboardEvent) -> bool {
    event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::HtmlInputElement>().ok())
        .is_some_and(|input| input.type_() == "text")
}
