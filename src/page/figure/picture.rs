//! Pictures: grey ones as the network sees them, and signed ones (perturbations, gradients).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use leptos::html::Canvas;
use leptos::prelude::*;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use super::frame::{Frame, frame};
use super::stage::{Size, Stage, calm, new_canvas, put_pixels};
use super::theme::{FONT, Theme};
use super::{download, format, palette};
use crate::data::{PIXELS, SIDE};

/// The values of a picture, 784 of them.
pub type Pixels = Arc<[f32]>;

/// The greatest magnitude among finite values.
pub fn greatest(values: &[f32]) -> f32 {
    values.iter().filter(|value| value.is_finite()).fold(0.0, |greatest, value| greatest.max(value.abs()))
}

/// Draws a grey picture, one canvas pixel per value.
pub fn draw_grey(canvas: &HtmlCanvasElement, pixels: &[f32]) {
    let mut rgba = [0; 4 * PIXELS];
    palette::paint_grey(pixels, &mut rgba);
    put_pixels(canvas, &rgba, SIDE as u32, SIDE as u32);
}

/// Draws a signed picture on the diverging scale from −`limit` to `limit`.
pub fn draw_signed(canvas: &HtmlCanvasElement, pixels: &[f32], limit: f32) {
    let mut rgba = [0; 4 * PIXELS];
    palette::paint_signed(pixels, limit, &mut rgba);
    put_pixels(canvas, &rgba, SIDE as u32, SIDE as u32);
}

fn draw_scale(canvas: &HtmlCanvasElement, signed: bool) {
    let mut rgba = [0; 4 * 256];
    let values: [f32; 256] = std::array::from_fn(|i| i as f32 / 255.0);
    if signed {
        palette::paint_signed(&values.map(|value| 2.0 * value - 1.0), 1.0, &mut rgba);
    } else {
        palette::paint_grey(&values, &mut rgba);
    }
    put_pixels(canvas, &rgba, 256, 1);
}

/// A grey picture with values from 0 (black) to 1 (white).
#[component]
pub fn Picture(
    /// What is shown; nothing yet is an empty frame.
    #[prop(into)]
    pixels: Signal<Option<Pixels>>,
    /// What it is: "x, the picture".
    #[prop(into)]
    caption: Signal<String>,
    /// The name of its files, without ending.
    #[prop(into)]
    name: Signal<String>,
    /// What the network says of it: "Shirt 92.1 %".
    #[prop(into, optional)]
    label: Signal<String>,
    /// More classes for the style sheet: "large", "small".
    #[prop(optional)]
    class: &'static str,
    /// Leaves out the colour bar.
    #[prop(optional)]
    bare: bool,
) -> impl IntoView {
    picture(pixels, None, caption, name, label, class, bare)
}

/// A signed picture on the diverging scale: blue below zero, white at zero, orange-red above.
#[component]
pub fn SignedPicture(
    /// What is shown; nothing yet is an empty frame.
    #[prop(into)]
    pixels: Signal<Option<Pixels>>,
    /// The magnitude at the ends of the scale ("same scale"); `None` is the picture's own greatest one.
    #[prop(into, optional)]
    limit: Signal<Option<f32>>,
    /// What it is: "δ, the perturbation".
    #[prop(into)]
    caption: Signal<String>,
    /// The name of its files, without ending.
    #[prop(into)]
    name: Signal<String>,
    /// A line under it.
    #[prop(into, optional)]
    label: Signal<String>,
    /// More classes for the style sheet: "large", "small".
    #[prop(optional)]
    class: &'static str,
) -> impl IntoView {
    picture(pixels, Some(limit), caption, name, label, class, false)
}

fn picture(
    pixels: Signal<Option<Pixels>>,
    limit: Option<Signal<Option<f32>>>,
    caption: Signal<String>,
    name: Signal<String>,
    label: Signal<String>,
    class: &'static str,
    bare: bool,
) -> AnyView {
    let node = NodeRef::<Canvas>::new();
    // What is on screen: the values and the ends of their scale.
    let shown: Rc<RefCell<Option<(Pixels, f32)>>> = Rc::default();
    let end = RwSignal::new(None::<f32>);
    let stage = {
        let shown = shown.clone();
        Stage::new(node, move |canvas, _| match (&*shown.borrow(), limit) {
            (Some((pixels, _)), None) => draw_grey(canvas, pixels),
            (Some((pixels, end)), Some(_)) => draw_signed(canvas, pixels, *end),
            (None, _) => put_pixels(canvas, &[0; 4 * PIXELS], SIDE as u32, SIDE as u32),
        })
    };
    Effect::new({
        let shown = shown.clone();
        move || {
            let fixed = limit.and_then(|limit| limit.get());
            let new = pixels.get().map(|pixels| {
                let end = fixed.unwrap_or_else(|| greatest(&pixels));
                (pixels, end)
            });
            let new_end = new.as_ref().map(|(_, end)| *end);
            if limit.is_some() && end.get_untracked() != new_end {
                end.set(new_end);
            }
            shown.replace(new);
            stage.request();
        }
    });
    let description = calm(
        move || {
            pixels.track();
            label.track();
            caption.track();
        },
        {
            let shown = shown.clone();
            move || {
                let (caption, label) = (caption.get_untracked(), label.get_untracked());
                let what = match (&*shown.borrow(), limit) {
                    (Some((pixels, end)), Some(_)) => describe_signed(pixels, *end),
                    (Some((pixels, _)), None) => describe_grey(pixels),
                    (None, _) => "not computed yet".into(),
                };
                if label.is_empty() { format!("{caption}: {what}.") } else { format!("{caption}: {label}; {what}.") }
            }
        },
    );
    let bar = (!bare).then(|| scale_bar(limit.is_some(), end.into()));
    let body = view! {
        <canvas node_ref=node class="pixels" width="28" height="28" role="img" aria-label=description></canvas>
        {bar}
        <p class="picture-label">{label}</p>
    }
    .into_any();
    let signed = limit.is_some();
    let for_png = shown.clone();
    let class = match (signed, class) {
        (false, "large") => "picture large",
        (false, "small") => "picture small",
        (false, _) => "picture",
        (true, "large") => "picture signed large",
        (true, "small") => "picture signed small",
        (true, _) => "picture signed",
    };
    frame(
        Frame {
            class,
            caption,
            description: None,
            name,
            png: Box::new(move |theme, caption| {
                let label = label.get_untracked();
                let caption = if label.is_empty() { caption.into() } else { format!("{caption}: {label}") };
                let shown = for_png.borrow();
                let (pixels, end) = shown.as_ref()?;
                picture_plate(theme, pixels, signed.then_some(*end), &caption)
            }),
            csv: Box::new(move || shown.borrow().as_ref().map(|(pixels, _)| csv(pixels))),
        },
        body,
    )
}

/// The colour bar: for signed values from −end to end, else from 0 to 1.
pub fn scale_bar(signed: bool, end: Signal<Option<f32>>) -> AnyView {
    let node = NodeRef::<Canvas>::new();
    Effect::new(move || {
        if let Some(canvas) = node.get() {
            draw_scale(&canvas, signed);
        }
    });
    let numbers = if signed {
        let number = move |sign: f32| {
            move || end.get().filter(|end| *end > 0.0).map(|end| format::signed(sign * end, 2)).unwrap_or_default()
        };
        view! { <span>{number(-1.0)}</span><span>"0"</span><span>{number(1.0)}</span> }.into_any()
    } else {
        view! { <span>"0"</span><span>"1"</span> }.into_any()
    };
    view! {
        <div class="scale" aria-hidden="true">
            <canvas node_ref=node width="256" height="1"></canvas>
            <div class="scale-numbers">{numbers}</div>
        </div>
    }
    .into_any()
}

fn describe_grey(pixels: &[f32]) -> String {
    let mean = pixels.iter().sum::<f32>() / pixels.len().max(1) as f32;
    format!("28 by 28 grey values, {} on average", format::number(mean, 2))
}

fn describe_signed(pixels: &[f32], end: f32) -> String {
    let count = |keep: fn(f32) -> bool| pixels.iter().filter(|value| keep(**value)).count();
    let (up, down) = (count(|value| value > 0.0), count(|value| value < 0.0));
    format!(
        "{up} of {} pixels positive, {down} negative, greatest magnitude {}, colours from {} to {}",
        pixels.len(),
        format::number(greatest(pixels), 2),
        format::signed(-end, 2),
        format::signed(end, 2),
    )
}

/// 28 lines of 28 values.
fn csv(pixels: &[f32]) -> String {
    let line = |row: &[f32]| row.iter().map(|value| format::csv(*value)).collect::<Vec<_>>().join(",");
    pixels.chunks(SIDE).map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// A picture for a file: every pixel as a square of 8 CSS pixels, the colour bar, the caption.
fn picture_plate(theme: &Theme, pixels: &[f32], end: Option<f32>, caption: &str) -> Option<HtmlCanvasElement> {
    const WIDTH: f64 = 8.0 * SIDE as f64;
    let (source, bar) = (new_canvas()?, new_canvas()?);
    match end {
        Some(end) => draw_signed(&source, pixels, end),
        None => draw_grey(&source, pixels),
    }
    draw_scale(&bar, end.is_some());
    let numbers = match end {
        Some(end) => [format::signed(-end, 2), "0".into(), format::signed(end, 2)],
        None => ["0".into(), String::new(), "1".into()],
    };
    let text = theme.text();
    download::plate(theme, (WIDTH, WIDTH + 16.0 + 1.4 * text), caption, |context| {
        context.set_image_smoothing_enabled(false);
        place(context, &source, (0.0, 0.0), Size { width: WIDTH, height: WIDTH, ratio: 1.0 });
        place(context, &bar, (0.0, WIDTH + 8.0), Size { width: WIDTH, height: 8.0, ratio: 1.0 });
        context.set_stroke_style_str(&theme.ink_soft.css());
        context.set_line_width(0.5);
        context.stroke_rect(0.0, 0.0, WIDTH, WIDTH);
        context.stroke_rect(0.0, WIDTH + 8.0, WIDTH, 8.0);
        context.set_font(&format!("{text}px {FONT}"));
        context.set_fill_style_str(&theme.ink.css());
        context.set_text_baseline("top");
        for (i, (number, align)) in numbers.iter().zip(["left", "center", "right"]).enumerate() {
            context.set_text_align(align);
            let _ = context.fill_text(number, i as f64 / 2.0 * WIDTH, WIDTH + 19.0);
        }
    })
}

/// Draws one canvas into another.
pub fn place(context: &CanvasRenderingContext2d, source: &HtmlCanvasElement, (x, y): (f64, f64), size: Size) {
    let _ = context.draw_image_with_html_canvas_element_and_dw_and_dh(source, x, y, size.width, size.height);
}
