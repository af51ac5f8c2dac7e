//! A person's own picture: drawn here, or opened from a file, dropped or pasted.

use leptos::ev::{KeyboardEvent, PointerEvent};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, File, HtmlCanvasElement};

use crate::experiment::Picture;
use crate::page::live::{Live, Prepared};
use crate::page::notice::Notices;
use crate::page::state::Lab;

/// Side of the drawing area in canvas pixels.
const PAD: f64 = 280.0;
/// Width of the pen.
const PEN: f64 = 22.0;
/// How far an arrow key moves the pen.
const KEY_STEP: f64 = 10.0;
/// Largest file that is read, in megabytes.
const MAX_MEGABYTES: f64 = 20.0;

/// Buttons and dialog.
#[component]
pub fn OwnPicture() -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let open = move |_| {
        if let Some(dialog) = dialog.get() {
            // Only an open dialog cannot be opened.
            let _ = dialog.show_modal();
        }
    };
    let close = Callback::new(move |()| {
        if let Some(dialog) = dialog.get() {
            dialog.close();
        }
    });
    let lab = Lab::get();
    let (live, notices) = (Live::get(), Notices::get());
    let use_source = Callback::new(move |source: SourceBox| prepare(lab, live, notices, close, source));
    accept_anywhere(use_source);
    view! {
        <button type="button" on:click=open>"Draw or open…"</button>
        <dialog class="own" aria-labelledby="own-title" node_ref=dialog>
            <h2 id="own-title">"A picture of your own"</h2>
            <Pad done=use_source />
            <FileField done=use_source />
            <OwnLabel />
            <div class="buttons">
                <button type="button" class="quiet" on:click=move |_| close.run(())>"Close"</button>
            </div>
        </dialog>
    }
}

/// A file or drawing; handed over within the one thread of the page.
#[derive(Clone)]
struct SourceBox(StoredValue<JsValue, LocalStorage>);

impl SourceBox {
    fn new(value: impl Into<JsValue>) -> Self {
        Self(StoredValue::new_local(value.into()))
    }
}

fn prepare(lab: Lab, live: Live, notices: Notices, close: Callback<()>, source: SourceBox) {
    let dataset = lab.now().dataset;
    let source = source.0.get_value();
    if let Some(file) = source.dyn_ref::<File>()
        && file.size() > MAX_MEGABYTES * 1e6
    {
        notices.warn(format!(
            "“{}” has {:.0} MB; the limit is {MAX_MEGABYTES:.0} MB. Save it smaller and open it again.",
            file.name(),
            file.size() / 1e6
        ));
        return;
    }
    live.prepare(dataset, source, move |prepared: Prepared| match prepared {
        Ok((pixels, remarks)) => {
            let outcome = lab.edit("own", |experiment| {
                experiment.picture = Picture::Own { pixels, label: None };
                experiment.view.step = None;
            });
            notices.check(outcome);
            if !remarks.is_empty() {
                notices.tell(format!("Your picture was {}.", remarks.join(", ")));
            }
            close.run(());
        }
        Err(sentence) => notices.check(Err(sentence)),
    });
}

/// Takes files that are dropped anywhere on the page, and pasted pictures.
fn accept_anywhere(done: Callback<SourceBox>) {
    let over = window_event_listener(leptos::ev::dragover, |event| event.prevent_default());
    let dropped = window_event_listener(leptos::ev::drop, move |event| {
        event.prevent_default();
        if let Some(file) = event.data_transfer().and_then(|data| data.files()).and_then(|files| files.get(0)) {
            done.run(SourceBox::new(file));
        }
    });
    let pasted = window_event_listener(leptos::ev::paste, move |event| {
        let event: &web_sys::ClipboardEvent = event.unchecked_ref();
        if let Some(file) = event.clipboard_data().and_then(|data| data.files()).and_then(|files| files.get(0)) {
            event.prevent_default();
            done.run(SourceBox::new(file));
        }
    });
    on_cleanup(move || {
        over.remove();
        dropped.remove();
        pasted.remove();
    });
}

#[component]
fn FileField(done: Callback<SourceBox>) -> impl IntoView {
    let on_change = move |event: leptos::ev::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        if let Some(file) = input.files().and_then(|files| files.get(0)) {
            done.run(SourceBox::new(file));
        }
        // The same file can be chosen again after it was mended.
        input.set_value("");
    };
    view! {
        <div class="file">
            <label for="file">"Or open a picture (PNG, JPEG, WebP; you can also drop or paste one)"</label>
            <input type="file" id="file" accept="image/*" on:change=on_change />
        </div>
    }
}

/// What an own picture shows, if its owner says so.
#[component]
fn OwnLabel() -> impl IntoView {
    let lab = Lab::get();
    let notices = Notices::get();
    let own = lab.memo(|experiment| matches!(experiment.picture, Picture::Own { .. }));
    let classes = Signal::derive(move || {
        let mut options = vec![(String::new(), "whatever the model says".to_string())];
        let names = lab.experiment().dataset.classes().iter().enumerate();
        options.extend(names.map(|(class, name)| (class.to_string(), name.to_string())));
        options
    });
    let value = lab.memo(|experiment| match experiment.picture {
        Picture::Own { label: Some(label), .. } => label.to_string(),
        _ => String::new(),
    });
    let set = Callback::new(move |key: String| {
        notices.check(lab.edit("label", |experiment| {
            if let Picture::Own { label, .. } = &mut experiment.picture {
                *label = key.parse().ok();
            }
        }));
    });
    view! {
        <Show when=move || own.get()>
            <crate::page::control::Pick id="own-label" label="True class of your picture" options=classes value=value.into() set=set />
        </Show>
    }
}

/// An area to draw on with mouse, finger, pen or keys.
#[component]
fn Pad(done: Callback<SourceBox>) -> impl IntoView {
    let notices = Notices::get();
    let canvas = NodeRef::<html::Canvas>::new();
    let pen = RwSignal::new((PAD / 2.0, PAD / 2.0));
    let down = RwSignal::new(false);
    let by_keys = RwSignal::new(false);
    let empty = RwSignal::new(true);
    let clear = move || {
        if let Some((canvas, context)) = canvas.get_untracked().and_then(context) {
            context.set_fill_style_str("white");
            context.fill_rect(0.0, 0.0, canvas.width() as f64, canvas.height() as f64);
            empty.set(true);
        }
    };
    Effect::new(move |_| {
        canvas.track();
        clear();
    });
    let line_to = move |to: (f64, f64)| {
        if let Some((_, context)) = canvas.get_untracked().and_then(context) {
            let from = pen.get_untracked();
            context.set_line_width(PEN);
            context.set_line_cap("round");
            context.set_stroke_style_str("black");
            context.begin_path();
            context.move_to(from.0, from.1);
            context.line_to(to.0, to.1);
            context.stroke();
            empty.set(false);
        }
        pen.set(to);
    };
    let position = move |event: &PointerEvent| {
        let scale =
            canvas.get_untracked().map_or(1.0, |canvas| PAD / canvas.get_bounding_client_rect().width().max(1.0));
        (event.offset_x() as f64 * scale, event.offset_y() as f64 * scale)
    };
    let press = move |event: PointerEvent| {
        event.prevent_default();
        if let Some(canvas) = canvas.get_untracked() {
            // Without capture a stroke ends at the edge, no more.
            let _ = canvas.set_pointer_capture(event.pointer_id());
        }
        by_keys.set(false);
        pen.set(position(&event));
        down.set(true);
        line_to(position(&event));
    };
    let drag = move |event: PointerEvent| {
        if down.get_untracked() {
            line_to(position(&event));
        }
    };
    let release = move |_: PointerEvent| down.set(false);
    let on_key = move |event: KeyboardEvent| {
        let (x, y) = pen.get_untracked();
        let to = match event.key().as_str() {
            "ArrowLeft" => (x - KEY_STEP, y),
            "ArrowRight" => (x + KEY_STEP, y),
            "ArrowUp" => (x, y - KEY_STEP),
            "ArrowDown" => (x, y + KEY_STEP),
            " " => {
                event.prevent_default();
                by_keys.set(true);
                down.update(|down| *down = !*down);
                if down.get_untracked() {
                    line_to((x, y));
                }
                return;
            }
            _ => return,
        };
        event.prevent_default();
        by_keys.set(true);
        let to = (to.0.clamp(0.0, PAD), to.1.clamp(0.0, PAD));
        if down.get_untracked() { line_to(to) } else { pen.set(to) }
    };
    let use_drawing = move |_| {
        if empty.get_untracked() {
            notices.warn("The drawing is empty: draw something first.");
        } else if let Some((_, context)) = canvas.get_untracked().and_then(context)
            && let Ok(pixels) = context.get_image_data(0.0, 0.0, PAD, PAD)
        {
            down.set(false);
            done.run(SourceBox::new(pixels));
        }
    };
    let state = move || match (by_keys.get(), down.get()) {
        (true, true) => "The pen is down: arrow keys draw, Space lifts it.",
        (true, false) => "The pen is up: arrow keys move it, Space lowers it.",
        _ => "Draw with mouse, finger or pen; or with arrow keys, Space lowers and lifts the pen.",
    };
    view! {
        <div class="pad">
            <div class="pad-area">
                <canvas
                    width=PAD.to_string()
                    height=PAD.to_string()
                    tabindex="0"
                    role="application"
                    aria-label="Drawing area"
                    aria-describedby="pad-state"
                    node_ref=canvas
                    on:pointerdown=press
                    on:pointermove=drag
                    on:pointerup=release
                    on:pointercancel=release
                    on:keydown=on_key
                ></canvas>
                <span
                    class="pen"
                    class:shown=by_keys
                    class:down=down
                    style:left=move || format!("{}%", pen.get().0 / PAD * 100.0)
                    style:top=move || format!("{}%", pen.get().1 / PAD * 100.0)
                ></span>
            </div>
            <p id="pad-state" aria-live="polite">{state}</p>
            <div class="buttons">
                <button type="button" on:click=move |_| clear()>"Clear"</button>
                <button type="button" class="primary" on:click=use_drawing>"Attack this drawing"</button>
            </div>
        </div>
    }
}

fn context(canvas: HtmlCanvasElement) -> Option<(HtmlCanvasElement, CanvasRenderingContext2d)> {
    let context = canvas.get_context("2d").ok().flatten()?.dyn_into().ok()?;
    Some((canvas, context))
}
