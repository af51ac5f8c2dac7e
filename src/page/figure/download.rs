//! Pictures and numbers as files.

use wasm_bindgen::prelude::*;
use web_sys::{Blob, BlobPropertyBag, CanvasRenderingContext2d, HtmlAnchorElement, HtmlCanvasElement};

use super::stage::{self, Size};
use super::theme::{FONT, Theme};

/// Offers a canvas as a PNG file called `name`.png.
pub fn save_png(canvas: &HtmlCanvasElement, name: &str) {
    let name = format!("{name}.png");
    let done = Closure::once_into_js(move |blob: Option<Blob>| {
        if let Some(blob) = blob {
            save_blob(&blob, &name);
        }
    });
    let _ = canvas.to_blob(done.unchecked_ref());
}

/// Offers a text as a file; `name` has its ending.
pub fn save_text(text: &str, name: &str, mime: &str) {
    let options = BlobPropertyBag::new();
    options.set_type(mime);
    if let Ok(blob) = Blob::new_with_str_sequence_and_options(&js_sys::Array::of1(&text.into()), &options) {
        save_blob(&blob, name);
    }
}

/// Offers a table as a CSV file called `name`.csv.
pub fn save_csv(text: &str, name: &str) {
    save_text(text, &format!("{name}.csv"), "text/csv;charset=utf-8");
}

fn save_blob(blob: &Blob, name: &str) {
    let Ok(url) = web_sys::Url::create_object_url_with_blob(blob) else { return };
    let anchor = web_sys::window()
        .and_then(|window| window.document())
        .and_then(|document| document.create_element("a").ok())
        .and_then(|anchor| anchor.dyn_into::<HtmlAnchorElement>().ok());
    if let Some(anchor) = anchor {
        anchor.set_href(&url);
        anchor.set_download(name);
        anchor.click();
    }
    // The browser reads the address after this task: it is given back a little later.
    leptos::prelude::set_timeout(
        move || {
            let _ = web_sys::Url::revoke_object_url(&url);
        },
        std::time::Duration::from_secs(20),
    );
}

/// One field of a CSV line, quoted where it must be.
pub fn field(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

/// Device pixels per CSS pixel in files.
pub const FILE_RATIO: f64 = 3.0;

/// A picture for a file: `body`, its caption in words under it, on paper.
///
/// `body` draws, in CSS pixels from the origin, on a field of the given size.
pub fn plate(
    theme: &Theme,
    (width, height): (f64, f64),
    caption: &str,
    body: impl FnOnce(&CanvasRenderingContext2d),
) -> Option<HtmlCanvasElement> {
    const MARGIN: f64 = 16.0;
    let canvas = stage::new_canvas()?;
    let context = stage::context(&canvas)?;
    let font = format!("{}px {FONT}", theme.text());
    let line_height = 1.35 * theme.text();
    context.set_font(&font);
    let lines = wrap(&context, caption, width);
    let size = Size {
        width: width + 2.0 * MARGIN,
        height: height + 2.0 * MARGIN + (lines.len() as f64 + 0.4) * line_height,
        ratio: FILE_RATIO,
    };
    // Sizing the canvas resets its context.
    let context = stage::prepare(&canvas, size)?;
    context.set_fill_style_str(&theme.paper.css());
    context.fill_rect(0.0, 0.0, size.width, size.height);
    let _ = context.translate(MARGIN, MARGIN);
    context.save();
    body(&context);
    context.restore();
    context.set_font(&font);
    context.set_fill_style_str(&theme.ink.css());
    context.set_text_align("left");
    context.set_text_baseline("top");
    for (i, line) in lines.iter().enumerate() {
        let _ = context.fill_text(line, 0.0, height + (i as f64 + 0.4) * line_height);
    }
    Some(canvas)
}

/// Breaks a text into lines no wider than `width`.
fn wrap(context: &CanvasRenderingContext2d, text: &str, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if text_width(context, &format!("{line} {word}")) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// The width of a text in the context's font, in its unit.
pub fn text_width(context: &CanvasRenderingContext2d, text: &str) -> f64 {
    context.measure_text(text).map_or(0.0, |metrics| metrics.width())
}
