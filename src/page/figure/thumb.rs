//! Small pictures for lists and tables: no frame of their own, what they show is said beside them.

use leptos::html::Canvas;
use leptos::prelude::*;

use super::picture::{Pixels, draw_grey, draw_signed, greatest};

/// A picture of 28 × 28 pixels, grey or signed, scaled by the style sheet.
#[component]
pub fn Thumb(
    /// What is shown; nothing yet is an empty frame.
    #[prop(into)]
    pixels: Signal<Option<Pixels>>,
    /// Whether it is signed, on the diverging scale.
    #[prop(optional)]
    signed: bool,
    /// The magnitude at the ends of the scale of a signed picture; `None` is the picture's own greatest one.
    #[prop(into, optional)]
    limit: Signal<Option<f32>>,
    /// What it is, in words.
    #[prop(into)]
    label: Signal<String>,
) -> impl IntoView {
    let node = NodeRef::<Canvas>::new();
    Effect::new(move || {
        let (Some(canvas), Some(pixels)) = (node.get(), pixels.get()) else { return };
        if signed {
            draw_signed(&canvas, &pixels, limit.get().unwrap_or_else(|| greatest(&pixels)));
        } else {
            draw_grey(&canvas, &pixels);
        }
    });
    view! { <canvas node_ref=node class="pixels thumb-picture" width="28" height="28" role="img" aria-label=label></canvas> }
}
