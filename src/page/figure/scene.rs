//! The scene: a square of points, the true boundary, what a network has made of it, and a point that is attacked.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use leptos::html::Canvas;
use leptos::prelude::*;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use super::chart::{self, Axes, Mapping, write};
use super::curve::chart_plate;
use super::format;
use super::frame::{Frame, frame};
use super::palette::{self, Rgb};
use super::stage::{Size, Stage, calm, new_canvas, prepare, put_pixels};
use super::theme::{FONT, Theme, theme};
use crate::engine::study::gap::{Point, Square};
use crate::scene::{Fate, Scene};
use crate::threat::{Norm, Threat};

/// One press of an arrow key.
const STEP: f32 = 0.01;

/// Everything the drawing needs.
#[derive(Clone)]
pub struct SceneDrawing {
    /// Which scene.
    pub scene: Scene,
    /// What the network says.
    pub square: Option<Arc<Square>>,
    /// The point under attack.
    pub point: Option<Arc<Point>>,
    /// Where it is.
    pub at: [f32; 2],
    /// How far it may be moved.
    pub threat: Threat,
    /// The examples that the network learns from, (N, 2), and their classes.
    pub examples: Arc<(Vec<f32>, Vec<u8>)>,
    /// Whether the examples are drawn.
    pub shows_examples: bool,
    /// Whether the moves of all attacked points are drawn.
    pub shows_moves: bool,
}

impl SceneDrawing {
    fn describe(&self) -> String {
        let gap = self.square.as_ref().map_or_else(
            || "The network has learnt nothing yet.".to_string(),
            |square| {
                format!(
                    "The gap, where the network disagrees with the task, takes {} of the square.",
                    format::percent(square.cells.wrong() as f32)
                )
            },
        );
        let [x, y] = self.at.map(|value| format::number(value, 3));
        let point = self.point.as_ref().map_or(String::new(), |point| {
            let [to_x, to_y] = point.end.map(|value| format::number(value, 3));
            format!(
                " The point is at ({x}, {y}), of class {}; the network says class {} ({}). The attack brings it to ({to_x}, {to_y}), \
                 and there the network says class {} ({}).",
                point.label,
                point.predicted,
                format::percent(point.confidence),
                point.end_predicted,
                format::percent(point.end_confidence)
            )
        });
        format!("{gap}{point}")
    }

    fn csv(&self) -> String {
        let mut text = String::from("what,x,y,true class,predicted class\n");
        if let Some(square) = &self.square {
            let n = square.cells.side as usize;
            for (i, (truth, predicted)) in square.cells.truth.iter().zip(&square.cells.predicted).enumerate() {
                let middle = |i: usize| (i as f32 + 0.5) / n as f32;
                text += &format!("cell,{},{},{truth},{predicted}\n", middle(i % n), 1.0 - middle(i / n));
            }
        }
        if let Some(point) = &self.point {
            for at in point.path.chunks_exact(2) {
                text += &format!("iterate,{},{},{},\n", at[0], at[1], point.label);
            }
        }
        text
    }
}

/// Draws the scene. `None` if there is no room.
pub fn draw_scene(canvas: &HtmlCanvasElement, size: Size, theme: &Theme, data: &SceneDrawing) -> Option<Mapping> {
    let context = prepare(canvas, size)?;
    let text = theme.text();
    context.set_font(&format!("{text}px {FONT}"));
    let side = (size.width - 4.8 * text).min(size.height - 3.5 * text);
    let percent = |value: f64| format::number(value as f32, 2);
    let axes = Axes {
        place: [0.0, 0.7 * text, side + 4.0 * text, side + 1.8 * text],
        left: 4.0 * text,
        bottom: 1.8 * text,
        x: 0.0..1.0,
        y: 0.0..1.0,
        ticks: (6, 6),
        x_format: &percent,
        y_format: &percent,
    };
    let mapping = chart::draw(canvas, size, theme, &axes, &[])?;
    let [left, top, right, bottom] = mapping.field;
    let place = |point: [f32; 2]| (mapping.across(f64::from(point[0])), mapping.down(f64::from(point[1])));
    if let Some(square) = &data.square {
        regions(&context, theme, square, mapping.field);
    }
    context.save();
    context.begin_path();
    context.rect(left, top, right - left, bottom - top);
    context.clip();

    // The task's own boundary.
    let (boundary, closed) = data.scene.boundary(200);
    let line = |context: &CanvasRenderingContext2d, points: &[[f32; 2]], closed: bool| {
        context.begin_path();
        for (i, point) in points.iter().enumerate() {
            let (x, y) = place(*point);
            if i == 0 { context.move_to(x, y) } else { context.line_to(x, y) }
        }
        if closed {
            context.close_path();
        }
        context.stroke();
    };
    context.set_line_join("round");
    for (colour, width) in [(theme.panel, 5.0), (theme.ink, 2.5)] {
        context.set_stroke_style_str(&colour.css());
        context.set_line_width(theme.stroke(width));
        line(&context, &boundary, closed);
    }

    if data.shows_examples {
        for (point, label) in data.examples.0.chunks_exact(2).zip(&data.examples.1) {
            let (x, y) = place([point[0], point[1]]);
            mark(&context, (x, y), theme.stroke(2.6), *label, theme.class(class_colour(*label)), theme.panel);
        }
    }
    if let Some(square) = data.square.as_ref().filter(|_| data.shows_moves) {
        moves(&context, theme, square, &place);
    }
    ball(&context, theme, data, &mapping);
    if let Some(point) = &data.point {
        let iterates: Vec<[f32; 2]> = point.path.chunks_exact(2).map(|at| [at[0], at[1]]).collect();
        context.set_stroke_style_str(&theme.ink.css());
        context.set_line_width(theme.stroke(1.5));
        line(&context, &iterates, false);
        for at in &iterates {
            chart::dot(&context, place(*at), theme.stroke(1.8), theme.ink, theme.panel);
        }
        let colour = fate_colour(theme, point.fate);
        let (x, y) = place(point.end);
        cross(&context, (x, y), theme.stroke(6.0), theme.panel, theme.stroke(5.0));
        cross(&context, (x, y), theme.stroke(6.0), colour, theme.stroke(2.5));
    }
    chart::dot(&context, place(data.at), theme.stroke(6.0), theme.accent, theme.panel);
    context.restore();

    context.set_fill_style_str(&theme.ink_soft.css());
    write(&context, "x, first input", ((left + right) / 2.0, bottom + 3.0 * text), "center", "bottom");
    context.save();
    let _ = context.translate(left - 3.3 * text, (top + bottom) / 2.0);
    let _ = context.rotate(-std::f64::consts::FRAC_PI_2);
    write(&context, "y, second input", (0.0, 0.0), "center", "middle");
    context.restore();
    Some(mapping)
}

/// Two classes that are far apart in the palette.
pub fn class_colour(label: u8) -> usize {
    [0, 2][usize::from(label.min(1))]
}

/// The colour of what became of a point.
pub fn fate_colour(theme: &Theme, fate: Fate) -> Rgb {
    match fate {
        Fate::Adversarial | Fate::Unnoticed => theme.danger,
        Fate::Right | Fate::Changed => theme.ok,
    }
}

/// What the network says, pale; the gap hatched in the colour of errors.
fn regions(context: &CanvasRenderingContext2d, theme: &Theme, square: &Square, [left, top, right, bottom]: [f64; 4]) {
    let n = square.cells.side as usize;
    let Some(source) = new_canvas() else { return };
    // Each cell is drawn by 4 × 4 pixels, so that the hatching is fine.
    const FINE: usize = 4;
    let mut rgba = vec![0; 4 * n * n * FINE * FINE];
    for (i, pixel) in rgba.chunks_exact_mut(4).enumerate() {
        let (row, column) = (i / (n * FINE), i % (n * FINE));
        let cell = row / FINE * n + column / FINE;
        let (truth, predicted) = (square.cells.truth[cell], square.cells.predicted[cell]);
        let probability = f32::from(square.cells.confidence[cell]) / 255.0;
        let colour = theme.class(class_colour(predicted));
        let mut shown = palette::region(theme.panel, colour, 0.1 + 0.5 * (2.0 * probability - 1.0).max(0.0));
        if truth != predicted && (row + column) % 6 < 3 {
            shown = theme.danger;
        }
        pixel.copy_from_slice(&[shown.0, shown.1, shown.2, 255]);
    }
    put_pixels(&source, &rgba, (n * FINE) as u32, (n * FINE) as u32);
    context.set_image_smoothing_enabled(false);
    let size = Size { width: right - left, height: bottom - top, ratio: 1.0 };
    super::picture::place(context, &source, (left, top), size);
}

/// A point of a class: a disc, or a square.
fn mark(context: &CanvasRenderingContext2d, (x, y): (f64, f64), radius: f64, label: u8, fill: Rgb, edge: Rgb) {
    if label == 0 {
        return chart::dot(context, (x, y), radius, fill, edge);
    }
    let side = 1.8 * radius;
    context.set_fill_style_str(&fill.css());
    context.fill_rect(x - side / 2.0, y - side / 2.0, side, side);
    context.set_stroke_style_str(&edge.css());
    context.set_line_width(radius * 0.35);
    context.stroke_rect(x - side / 2.0, y - side / 2.0, side, side);
}

fn cross(context: &CanvasRenderingContext2d, (x, y): (f64, f64), radius: f64, colour: Rgb, width: f64) {
    context.set_stroke_style_str(&colour.css());
    context.set_line_width(width);
    context.begin_path();
    context.move_to(x - radius, y - radius);
    context.line_to(x + radius, y + radius);
    context.move_to(x - radius, y + radius);
    context.line_to(x + radius, y - radius);
    context.stroke();
}

/// Every attacked point with its way.
fn moves(context: &CanvasRenderingContext2d, theme: &Theme, square: &Square, place: &dyn Fn([f32; 2]) -> (f64, f64)) {
    for (i, ends) in square.moves.chunks_exact(4).enumerate() {
        let (from, to) = (place([ends[0], ends[1]]), place([ends[2], ends[3]]));
        let colour = fate_colour(theme, square.fates[i]);
        context.set_stroke_style_str(&colour.css());
        context.set_line_width(theme.stroke(1.2));
        context.begin_path();
        context.move_to(from.0, from.1);
        context.line_to(to.0, to.1);
        context.stroke();
        let fill = theme.class(class_colour(square.labels[i]));
        mark(context, from, theme.stroke(3.0), square.labels[i], fill, theme.panel);
        if square.fates[i] == Fate::Adversarial {
            cross(context, to, theme.stroke(3.0), theme.danger, theme.stroke(1.8));
        }
    }
}

/// The outline of the allowed perturbations around the point.
fn ball(context: &CanvasRenderingContext2d, theme: &Theme, data: &SceneDrawing, mapping: &Mapping) {
    let Threat { norm, epsilon } = data.threat;
    let (x, y) = (f64::from(data.at[0]), f64::from(data.at[1]));
    let e = f64::from(epsilon);
    context.begin_path();
    match norm {
        Norm::L2 => {
            let radius = mapping.across(x + e) - mapping.across(x);
            let _ = context.arc(mapping.across(x), mapping.down(y), radius, 0.0, std::f64::consts::TAU);
        }
        Norm::Linf | Norm::L1 => {
            let corners = if norm == Norm::Linf {
                [(-e, -e), (e, -e), (e, e), (-e, e)]
            } else {
                [(-e, 0.0), (0.0, -e), (e, 0.0), (0.0, e)]
            };
            for (i, (dx, dy)) in corners.into_iter().enumerate() {
                let (a, b) = (mapping.across(x + dx), mapping.down(y + dy));
                if i == 0 { context.move_to(a, b) } else { context.line_to(a, b) }
            }
            context.close_path();
        }
    }
    context.set_fill_style_str(&theme.accent.css_alpha(0.12));
    context.fill();
    context.set_stroke_style_str(&theme.accent.css());
    context.set_line_width(theme.stroke(1.8));
    context.stroke();
}

/// The scene with a point that is moved by mouse, finger or arrow keys.
#[component]
pub fn SceneFigure(
    /// What is shown.
    #[prop(into)]
    drawing: Signal<SceneDrawing>,
    /// Called with the place to which a person moves the point.
    #[prop(into)]
    on_move: Callback<[f32; 2]>,
    /// What it shows.
    #[prop(into)]
    caption: Signal<String>,
    /// The name of its files, without ending.
    #[prop(into)]
    name: Signal<String>,
) -> impl IntoView {
    let node = NodeRef::<Canvas>::new();
    let theme = theme();
    let mapping: Rc<Cell<Mapping>> = Rc::default();
    let shown: Rc<RefCell<Option<SceneDrawing>>> = Rc::default();
    let stage = {
        let (shown, mapping) = (shown.clone(), mapping.clone());
        Stage::new(node, move |canvas, size| match &*shown.borrow() {
            Some(data) => mapping.set(draw_scene(canvas, size, &theme.read_untracked(), data).unwrap_or_default()),
            None => drop(prepare(canvas, size)),
        })
    };
    Effect::new({
        let shown = shown.clone();
        move || {
            theme.track();
            shown.replace(Some(drawing.get()));
            stage.request();
        }
    });
    let description = calm(move || drawing.track(), move || drawing.with_untracked(SceneDrawing::describe));
    let mapping = StoredValue::new_local(mapping);
    let pointed = move |event: &web_sys::PointerEvent| {
        let map = mapping.with_value(|mapping| mapping.get());
        let [left, top, right, bottom] = map.field;
        if right > left && bottom > top {
            let x = (f64::from(event.offset_x()) - left) / (right - left);
            let y = 1.0 - (f64::from(event.offset_y()) - top) / (bottom - top);
            on_move.run([x, y].map(|value| value.clamp(0.0, 1.0) as f32));
        }
    };
    let on_down = move |event: web_sys::PointerEvent| {
        if event.button() == 0 {
            if let Some(canvas) = node.get_untracked() {
                let _ = canvas.set_pointer_capture(event.pointer_id());
            }
            pointed(&event);
        }
    };
    let on_drag = move |event: web_sys::PointerEvent| {
        if event.buttons() & 1 == 1 {
            pointed(&event);
        }
    };
    let on_key = move |event: web_sys::KeyboardEvent| {
        let step = if event.shift_key() { STEP / 10.0 } else { STEP };
        let (dx, dy) = match event.key().as_str() {
            "ArrowLeft" => (-step, 0.0),
            "ArrowRight" => (step, 0.0),
            "ArrowUp" => (0.0, step),
            "ArrowDown" => (0.0, -step),
            _ => return,
        };
        event.prevent_default();
        let [x, y] = drawing.with_untracked(|drawing| drawing.at);
        on_move.run([x + dx, y + dy].map(|value| ((value.clamp(0.0, 1.0) * 1e4).round()) / 1e4));
    };
    let body = view! {
        <div
            class="scene-field"
            role="application"
            tabindex="0"
            aria-roledescription="movable point"
            aria-label=move || format!("{}; arrow keys move the point, with Shift finely", caption.get())
            on:keydown=on_key
        >
            <canvas node_ref=node class="scene" on:pointerdown=on_down on:pointermove=on_drag></canvas>
        </div>
    }
    .into_any();
    let for_png = shown.clone();
    frame(
        Frame {
            class: "scene-figure",
            caption,
            description: Some(description),
            name,
            png: Box::new(move |theme, caption| {
                let shown = for_png.borrow();
                let data = shown.as_ref()?;
                chart_plate(theme, (520.0, 520.0), caption, |canvas, size| {
                    draw_scene(canvas, size, theme, data);
                })
            }),
            csv: Box::new(move || shown.borrow().as_ref().map(SceneDrawing::csv)),
        },
        body,
    )
}
