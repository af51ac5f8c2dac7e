//! The strip of test pictures: click one, next, random, filter by class; or one's own.

use leptos::ev::KeyboardEvent;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::asset;
use crate::data::{self, Dataset, SHEET};
use crate::experiment::{Experiment, Picture};
use crate::page::control::Pick;
use crate::page::lab::own::OwnPicture;
use crate::page::notice::Notices;
use crate::page::state::Lab;

/// Pictures shown at once.
const PAGE: usize = 40;
/// Pictures in a row of a sheet.
const COLUMNS: usize = 20;
/// Side of a thumbnail in CSS pixels.
const THUMB: usize = 44;

/// The strip.
#[component]
pub fn Picker() -> impl IntoView {
    let lab = Lab::get();
    let notices = Notices::get();
    let dataset = lab.memo(|experiment| experiment.dataset);
    let chosen = lab.memo(|experiment| match experiment.picture {
        Picture::Test(index) => Some(index),
        Picture::Own { .. } => None,
    });
    let class = RwSignal::new(None::<u8>);
    let matching = Memo::new(move |_| {
        let labels = data::labels(dataset.get());
        let fits = |label: u8| class.get().is_none_or(|class| class == label);
        labels.iter().enumerate().filter(|(_, label)| fits(**label)).map(|(index, _)| index as u32).collect::<Vec<_>>()
    });
    let page = RwSignal::new(0usize);
    // The page follows the picture, wherever it was chosen.
    Effect::new(move |_| {
        let position = chosen.get().and_then(|chosen| matching.read().iter().position(|index| *index == chosen));
        page.set(position.map_or(0, |position| position / PAGE));
    });
    let choose = move |index: u32| {
        notices.check(lab.edit("picture", |experiment| {
            experiment.picture = Picture::Test(index);
            experiment.view.step = None;
        }));
    };
    let step = move |by: isize| {
        let matching = matching.read_untracked();
        let position = chosen.get_untracked().and_then(|chosen| matching.iter().position(|index| *index == chosen));
        let next = position.map_or(0, |position| (position as isize + by).rem_euclid(matching.len() as isize) as usize);
        choose(matching[next]);
    };
    let random = move |_| {
        let matching = matching.read_untracked();
        let at = (js_sys::Math::random() * matching.len() as f64) as usize;
        choose(matching[at.min(matching.len() - 1)]);
    };
    let classes = Signal::derive(move || {
        let names = dataset.get().classes().iter().enumerate();
        let mut options = vec![(String::new(), "all classes".to_string())];
        options.extend(names.map(|(class, name)| (class.to_string(), name.to_string())));
        options
    });
    let class_key = Signal::derive(move || class.get().map(|class| class.to_string()).unwrap_or_default());
    let pages = Memo::new(move |_| matching.read().len().div_ceil(PAGE));
    let at_end = move || page.get() + 1 >= pages.get();
    let count = move || {
        let (first, all) = (page.get() * PAGE, matching.read().len());
        format!("{}–{} of {all}", first + 1, (first + PAGE).min(all))
    };
    view! {
        <section class="picker" aria-labelledby="picker-title">
            <div class="picker-bar">
                <h2 id="picker-title">"Picture"</h2>
                <Pick id="class" label="Show" options=classes value=class_key
                    set=Callback::new(move |key: String| class.set(key.parse().ok())) />
                <div class="buttons">
                    <button type="button" on:click=move |_| step(-1)>"Previous"</button>
                    <button type="button" on:click=move |_| step(1)>"Next"</button>
                    <button type="button" on:click=random>"Random"</button>
                    <OwnPicture />
                </div>
                <div class="pages">
                    <button type="button" aria-label="Earlier pictures" disabled=move || page.get() == 0
                        on:click=move |_| page.update(|page| *page -= 1)>"‹"</button>
                    <span>{count}</span>
                    <button type="button" aria-label="Later pictures" disabled=at_end
                        on:click=move |_| page.update(|page| *page += 1)>"›"</button>
                </div>
            </div>
            {strip(dataset, chosen, matching, page, step, choose)}
        </section>
    }
}

fn strip(
    dataset: Memo<Dataset>,
    chosen: Memo<Option<u32>>,
    matching: Memo<Vec<u32>>,
    page: RwSignal<usize>,
    step: impl Fn(isize) + Copy + Send + Sync + 'static,
    choose: impl Fn(u32) + Copy + Send + Sync + 'static,
) -> AnyView {
    let shown = move || {
        let matching = matching.read();
        let first = (page.get() * PAGE).min(matching.len());
        let dataset = dataset.get();
        matching[first..(first + PAGE).min(matching.len())].iter().map(|index| (dataset, *index)).collect::<Vec<_>>()
    };
    let on_key = move |event: KeyboardEvent| {
        match event.key().as_str() {
            "ArrowRight" | "ArrowDown" => step(1),
            "ArrowLeft" | "ArrowUp" => step(-1),
            "PageDown" => step(PAGE as isize),
            "PageUp" => step(-(PAGE as isize)),
            _ => return,
        }
        event.prevent_default();
    };
    let list = NodeRef::<leptos::html::Div>::new();
    // The chosen one is kept in sight, by scrolling the strip alone, never the page.
    Effect::new(move |_| {
        page.track();
        let (Some(index), Some(list)) = (chosen.get(), list.get()) else { return };
        request_animation_frame(move || {
            if let Ok(Some(option)) = list.query_selector(&format!("#picture-{index}")) {
                let option: web_sys::HtmlElement = option.unchecked_into();
                let middle = option.offset_left() + option.offset_width() / 2 - list.client_width() / 2;
                list.set_scroll_left(middle.max(0));
            }
        });
    });
    view! {
        <div
            class="strip"
            role="listbox"
            tabindex="0"
            aria-label="Test pictures; arrow keys choose"
            aria-activedescendant=move || chosen.get().map(|index| format!("picture-{index}"))
            on:keydown=on_key
            node_ref=list
        >
            <For each=shown key=|entry| *entry let:entry>
                {thumbnail(entry.0, entry.1, chosen, choose)}
            </For>
        </div>
    }
    .into_any()
}

fn thumbnail(dataset: Dataset, index: u32, chosen: Memo<Option<u32>>, choose: impl Fn(u32) + 'static) -> AnyView {
    let (sheet, within) = (index as usize / SHEET, index as usize % SHEET);
    let (column, row) = (within % COLUMNS, within / COLUMNS);
    let label = data::labels(dataset).get(index as usize).map_or("", |label| dataset.classes()[*label as usize]);
    let name = format!("Picture {index}: {label}");
    view! {
        <div
            class="thumb"
            role="option"
            id=format!("picture-{index}")
            title=name.clone()
            aria-label=name
            aria-selected=move || (chosen.get() == Some(index)).to_string()
            style:background-image=format!("url({})", asset::sheet(dataset, sheet))
            style:background-size=format!("{}px auto", COLUMNS * THUMB)
            style:background-position=format!("-{}px -{}px", column * THUMB, row * THUMB)
            on:click=move |_| choose(index)
        ></div>
    }
    .into_any()
}

/// The class that is written under a picture, as far as it is known: a test picture's label, or an owner's.
pub fn true_class(experiment: &Experiment) -> Option<u8> {
    match &experiment.picture {
        Picture::Test(index) => data::labels(experiment.dataset).get(*index as usize).copied(),
        Picture::Own { label, .. } => *label,
    }
}
