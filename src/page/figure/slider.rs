//! A chart that is read and set along its horizontal axis: by pointer, by finger and by keys.
//!
//! To assistive technology it is a slider whose value text is the chart's read-out.

use leptos::html::Canvas;
use leptos::prelude::*;

use super::chart::Mapping;

/// What a person did on the chart, as positions along its series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Touch {
    /// Looks at this point.
    Look(usize),
    /// Chooses this point.
    Pick(usize),
    /// Looks away.
    Leave,
}

/// The parts of a chart that is a slider.
pub struct Slider {
    /// The canvas of the chart.
    pub canvas: NodeRef<Canvas>,
    /// What it sets: "ε".
    pub label: Signal<String>,
    /// Where each point lies along the axis, increasing, in the axis's unit.
    pub points: Box<dyn Fn() -> Vec<f64>>,
    /// Where the axis lies on the canvas.
    pub mapping: Box<dyn Fn() -> Mapping>,
    /// The point that is looked at, or else the chosen one.
    pub at: Signal<usize>,
    /// The last point.
    pub last: Signal<usize>,
    /// What stands at that point, in words.
    pub readout: Signal<String>,
    /// Whether arrow keys choose at once, not only look.
    pub keys_pick: bool,
    /// Called for everything a person does.
    pub on_touch: Box<dyn Fn(Touch)>,
}

/// The chart's canvas as a slider, its read-out under it.
pub fn slider(slider: Slider) -> AnyView {
    let Slider { canvas, label, points, mapping, at, last, readout, keys_pick, on_touch } = slider;
    let touch = StoredValue::new_local(on_touch);
    let say = move |what: Touch| touch.with_value(|touch| touch(what));
    let nearest = StoredValue::new_local(move |pixels: f64| {
        let value = mapping().value_at(pixels);
        let points = points();
        (0..points.len()).min_by(|a, b| (points[*a] - value).abs().total_cmp(&(points[*b] - value).abs()))
    });
    let pointed = move |event: &web_sys::PointerEvent, pick: bool| {
        if let Some(point) = nearest.with_value(|nearest| nearest(f64::from(event.offset_x()))) {
            say(if pick { Touch::Pick(point) } else { Touch::Look(point) });
        }
    };
    let pressed = |event: &web_sys::PointerEvent| event.buttons() & 1 == 1;
    let on_move = move |event: web_sys::PointerEvent| pointed(&event, pressed(&event));
    let on_down = move |event: web_sys::PointerEvent| {
        if event.button() == 0 {
            pointed(&event, true);
        }
    };
    let on_key = move |event: web_sys::KeyboardEvent| {
        let (now, last) = (at.get_untracked(), last.get_untracked());
        let page = (last / 10).max(2);
        let to = match event.key().as_str() {
            "ArrowLeft" | "ArrowDown" => now.saturating_sub(1),
            "ArrowRight" | "ArrowUp" => (now + 1).min(last),
            "PageDown" => now.saturating_sub(page),
            "PageUp" => (now + page).min(last),
            "Home" => 0,
            "End" => last,
            "Enter" | " " => {
                event.prevent_default();
                return say(Touch::Pick(now));
            }
            "Escape" => return say(Touch::Leave),
            _ => return,
        };
        event.prevent_default();
        say(if keys_pick { Touch::Pick(to) } else { Touch::Look(to) });
    };
    view! {
        <div
            class="chart-slider"
            role="slider"
            tabindex="0"
            aria-label=label
            aria-valuemin="0"
            aria-valuemax=move || last.get().to_string()
            aria-valuenow=move || at.get().to_string()
            aria-valuetext=readout
            on:keydown=on_key
            on:blur=move |_| say(Touch::Leave)
        >
            <canvas
                node_ref=canvas
                class="chart"
                on:pointermove=on_move
                on:pointerdown=on_down
                on:pointerleave=move |_| say(Touch::Leave)
            ></canvas>
        </div>
        <p class="readout" aria-hidden="true">{readout}</p>
    }
    .into_any()
}
