//! What every figure has: a caption, a text equivalent, and a menu to take it away.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlCanvasElement;

use super::download;
use super::theme::{Theme, theme};

/// Draws a figure for a file, in a theme and with a caption; `None` while there is nothing to draw.
pub type DrawFile = Box<dyn Fn(&Theme, &str) -> Option<HtmlCanvasElement>>;

/// The parts of a figure around its drawing.
pub struct Frame {
    /// Its class in the style sheet.
    pub class: &'static str,
    /// What it shows.
    pub caption: Signal<String>,
    /// Its text equivalent, if the body does not bring its own.
    pub description: Option<ReadSignal<String>>,
    /// The name of its files, without ending.
    pub name: Signal<String>,
    /// Draws it for a file: on light or dark paper as on screen, with this caption.
    pub png: DrawFile,
    /// Its numbers as CSV; `None` while there are none.
    pub csv: Box<dyn Fn() -> Option<String>>,
}

/// Puts a drawing into its frame.
pub fn frame(frame: Frame, body: AnyView) -> AnyView {
    let Frame { class, caption, description, name, png, csv } = frame;
    let description = description.map(|text| view! { <p class="visually-hidden">{text}</p> });
    view! {
        <figure class=format!("figure {class}")>
            <div class="figure-body">{body}</div>
            <figcaption class="figcaption-row">
                <span class="figure-caption">{caption}</span>
                {menu(caption, name, png, csv)}
            </figcaption>
            {description}
        </figure>
    }
    .into_any()
}

fn menu(caption: Signal<String>, name: Signal<String>, png: DrawFile, csv: Box<dyn Fn() -> Option<String>>) -> AnyView {
    let theme = theme();
    // The menu closes after a choice, and Escape closes it and gives the focus back.
    let close = |event: &web_sys::Event| {
        let element = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        if let Some(details) = element.and_then(|element| element.closest("details").ok().flatten()) {
            let _ = details.remove_attribute("open");
            if let Ok(Some(summary)) = details.query_selector("summary")
                && let Ok(summary) = summary.dyn_into::<web_sys::HtmlElement>()
            {
                let _ = summary.focus();
            }
        }
    };
    let save_png = move |event: web_sys::MouseEvent| {
        if let Some(canvas) = png(&theme.read_untracked(), &caption.get_untracked()) {
            download::save_png(&canvas, &name.get_untracked());
        }
        close(&event);
    };
    let save_csv = move |event: web_sys::MouseEvent| {
        if let Some(text) = csv() {
            download::save_csv(&text, &name.get_untracked());
        }
        close(&event);
    };
    let escape = move |event: web_sys::KeyboardEvent| {
        if event.key() == "Escape" {
            event.stop_propagation();
            close(&event);
        }
    };
    view! {
        <details class="figure-menu" on:keydown=escape>
            <summary title="Download" aria-label=move || format!("Download: {}", caption.get())>
                <svg viewBox="0 0 16 16" width="1em" height="1em" aria-hidden="true">
                    <path d="M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11" fill="none" stroke="currentColor" stroke-width="1.6" />
                </svg>
            </summary>
            <div class="figure-menu-items">
                <button type="button" on:click=save_png>"Picture (PNG)"</button>
                <button type="button" on:click=save_csv>"Numbers (CSV)"</button>
            </div>
        </details>
    }
    .into_any()
}
