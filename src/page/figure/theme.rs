//! The colours and sizes of the page, as the drawings need them.
//!
//! The style sheet is the one source: its custom properties are read once per change of theme, never while drawing.

use std::cell::RefCell;
use std::sync::Arc;

use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{HtmlCanvasElement, HtmlElement};

use super::palette::{self, Rgb};

/// The font of every text in a drawing.
pub const FONT: &str = "system-ui, sans-serif";

/// What drawings take from the style sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Behind everything.
    pub paper: Rgb,
    /// Behind a figure.
    pub panel: Rgb,
    /// Text and axes.
    pub ink: Rgb,
    /// Captions and ticks.
    pub ink_soft: Rgb,
    /// Grids and borders.
    pub line: Rgb,
    /// What a person has chosen.
    pub accent: Rgb,
    /// An attack that succeeded.
    pub danger: Rgb,
    /// An attack that failed.
    pub ok: Rgb,
    /// Whether the paper is dark.
    pub dark: bool,
    /// Whether the page is shown to a room.
    pub projector: bool,
    /// One rem in CSS pixels.
    pub rem: f64,
}

impl Default for Theme {
    fn default() -> Self {
        Self {
            paper: Rgb(0xff, 0xff, 0xff),
            panel: Rgb(0xff, 0xff, 0xff),
            ink: Rgb(0x1a, 0x1c, 0x20),
            ink_soft: Rgb(0x55, 0x5a, 0x63),
            line: Rgb(0xd4, 0xd7, 0xdd),
            accent: Rgb(0x1f, 0x5f, 0xbf),
            danger: Rgb(0xb4, 0x23, 0x18),
            ok: Rgb(0x1b, 0x73, 0x3a),
            dark: false,
            projector: false,
            rem: 16.0,
        }
    }
}

impl Theme {
    /// The colour of a class.
    pub fn class(&self, class: usize) -> Rgb {
        palette::class(class, self.dark)
    }

    /// The size of ordinary text in drawings, in CSS pixels.
    pub fn text(&self) -> f64 {
        0.8 * self.rem
    }

    /// How thick a line is drawn that is `width` CSS pixels on a desk.
    pub fn stroke(&self, width: f64) -> f64 {
        if self.projector { width * 1.7 } else { width * (self.rem / 16.0).max(1.0) }
    }

    /// Reads the style sheet. `None` without a document.
    fn read() -> Option<Self> {
        let window = web_sys::window()?;
        let document = window.document()?;
        let root = document.document_element()?;
        let style = window.get_computed_style(&root).ok()??;
        let value = |name: &str| style.get_property_value(name).unwrap_or_default();

        // A custom property may hold any form of colour, `light-dark()` and `var()` among them: an element resolves
        // them, and a canvas turns what comes out into numbers, all of them in one reading.
        let usual = Self::default();
        let mut theme = Self {
            projector: root.get_attribute("data-theme").as_deref() == Some("projector"),
            rem: value("font-size").trim_end_matches("px").parse().unwrap_or(usual.rem),
            ..usual
        };
        let mut colours = [
            ("--paper", &mut theme.paper),
            ("--panel", &mut theme.panel),
            ("--ink", &mut theme.ink),
            ("--ink-soft", &mut theme.ink_soft),
            ("--line", &mut theme.line),
            ("--accent", &mut theme.accent),
            ("--danger", &mut theme.danger),
            ("--ok", &mut theme.ok),
        ];
        let canvas: HtmlCanvasElement = document.create_element("canvas").ok()?.dyn_into().ok()?;
        canvas.set_width(colours.len() as u32);
        canvas.set_height(1);
        let context = super::stage::context(&canvas)?;
        let probe: HtmlElement = document.create_element("span").ok()?.dyn_into().ok()?;
        probe.set_hidden(true);
        document.body()?.append_child(&probe).ok()?;
        let probed = window.get_computed_style(&probe).ok()??;
        for (i, (name, colour)) in colours.iter().enumerate() {
            // What the canvas does not understand leaves the usual colour standing.
            context.set_fill_style_str(&colour.css());
            if !value(name).trim().is_empty() {
                let _ = probe.style().set_property("color", &format!("var({name})"));
                context.set_fill_style_str(&probed.get_property_value("color").unwrap_or_default());
            }
            context.fill_rect(i as f64, 0.0, 1.0, 1.0);
        }
        let pixels = context.get_image_data(0.0, 0.0, colours.len() as f64, 1.0).ok()?.data();
        for ((_, colour), pixel) in colours.iter_mut().zip(pixels.chunks_exact(4)) {
            **colour = Rgb(pixel[0], pixel[1], pixel[2]);
        }
        probe.remove();
        theme.dark = theme.paper.luminance() < 0.18;
        Some(theme)
    }
}

thread_local! {
    // Lives as long as the page: its listeners are never taken away.
    static THEME: RefCell<Option<ArcRwSignal<Arc<Theme>>>> = const { RefCell::new(None) };
}

/// The theme, changing with the system's preference, with `data-theme` on the root, and with the size of type.
pub fn theme() -> Signal<Arc<Theme>> {
    THEME.with(|cell| cell.borrow_mut().get_or_insert_with(start).clone()).into()
}

fn start() -> ArcRwSignal<Arc<Theme>> {
    let read = || {
        let theme = Theme::read().unwrap_or_default();
        publish(&theme);
        Arc::new(theme)
    };
    let signal = ArcRwSignal::new(read());
    let update = {
        let signal = signal.clone();
        Closure::<dyn FnMut()>::new(move || {
            let new = read();
            if *signal.read_untracked() != new {
                signal.set(new);
            }
        })
    };
    let update: js_sys::Function = update.into_js_value().unchecked_into();
    if let Some(window) = web_sys::window() {
        for query in ["(prefers-color-scheme: dark)", "(prefers-contrast: more)", "(forced-colors: active)"] {
            if let Ok(Some(list)) = window.match_media(query) {
                // The list is dropped by the browser with its listeners unless it is kept.
                let _ = list.add_event_listener_with_callback("change", &update);
                std::mem::forget(list);
            }
        }
        let _ = window.add_event_listener_with_callback("resize", &update);
        let _ = window.add_event_listener_with_callback("load", &update);
        if let Some(root) = window.document().and_then(|document| document.document_element())
            && let Ok(observer) = web_sys::MutationObserver::new(&update)
        {
            let options = web_sys::MutationObserverInit::new();
            options.set_attributes(true);
            options.set_attribute_filter(&js_sys::Array::of2(&"data-theme".into(), &"class".into()));
            let _ = observer.observe_with_options(&root, &options);
            std::mem::forget(observer);
        }
    }
    signal
}

/// Gives the classes' colours to the style sheet, as `--class-0` to `--class-9`.
fn publish(theme: &Theme) {
    let root = web_sys::window().and_then(|window| window.document()).and_then(|document| document.document_element());
    let Some(root) = root.and_then(|root| root.dyn_into::<HtmlElement>().ok()) else { return };
    for class in 0..palette::CLASSES {
        let _ = root.style().set_property(&format!("--class-{class}"), &theme.class(class).css());
    }
}
