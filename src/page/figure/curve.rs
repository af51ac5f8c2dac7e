//! Class probabilities against ε.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use leptos::html::Canvas;
use leptos::prelude::*;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use super::bars::Classes;
use super::chart::{self, Axes, Line, Mapping, write};
use super::frame::{Frame, frame};
use super::slider::{Slider, Touch, slider};
use super::stage::{Size, Stage, calm, new_canvas, prepare};
use super::theme::{FONT, Theme, theme};
use super::{download, format, palette};
use crate::engine::protocol::CurvePart;
use crate::threat::Norm;

/// A class whose probability never exceeds this is drawn thin and grey, without a name.
const NOTABLE: f32 = 0.15;

/// Everything the drawing needs.
#[derive(Clone)]
pub struct CurveDrawing {
    /// The curves.
    pub part: Arc<CurvePart>,
    /// The names of the classes.
    pub classes: Classes,
    /// The norm of ε.
    pub norm: Norm,
    /// The ε on screen.
    pub epsilon: f32,
    /// The point that is looked at.
    pub cursor: Option<usize>,
}

impl CurveDrawing {
    fn probability(&self, point: usize, class: usize) -> f32 {
        self.part.probabilities.get(point * self.classes.len() + class).copied().unwrap_or(f32::NAN)
    }

    fn peak(&self, class: usize) -> f32 {
        (0..self.part.epsilon.len()).map(|point| self.probability(point, class)).fold(0.0, f32::max)
    }

    /// The point nearest to the ε on screen.
    fn present(&self) -> usize {
        let distance = |point: &usize| (self.part.epsilon[*point] - self.epsilon).abs();
        (0..self.part.epsilon.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
    }

    /// What the horizontal axis measures.
    fn symbol(&self) -> &'static str {
        if self.part.along { "‖t · δ‖" } else { "ε" }
    }

    /// "ε = 0.1: Shirt 62.0 %, Coat 30.1 %".
    fn readout(&self, point: usize) -> String {
        let Some(epsilon) = self.part.epsilon.get(point) else { return String::new() };
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        order.sort_by(|a, b| self.probability(point, *b).total_cmp(&self.probability(point, *a)));
        let values: Vec<String> = order
            .iter()
            .take(3)
            .map(|class| format!("{} {}", self.classes[*class], format::percent(self.probability(point, *class))))
            .collect();
        format!("{} = {}: {}", self.symbol(), format::epsilon_in_units(*epsilon, self.norm), values.join(", "))
    }

    fn describe(&self) -> String {
        let fooled = match self.part.smallest {
            Some(smallest) => {
                let symbol = self.symbol();
                let smallest = format::epsilon_in_units(smallest, self.norm);
                format!("The smallest {symbol} found that reaches the goal is {smallest}.")
            }
            None => format!("No {} in this range reaches the goal.", self.symbol()),
        };
        let last = self.part.epsilon.len().saturating_sub(1);
        format!("{fooled} {}. {}. {}.", self.readout(0), self.readout(self.present()), self.readout(last))
    }

    fn csv(&self) -> String {
        let mut text = String::from("epsilon");
        for name in self.classes {
            text.push(',');
            text.push_str(&download::field(name));
        }
        text.push('\n');
        for (point, epsilon) in self.part.epsilon.iter().enumerate() {
            text.push_str(&format::csv(*epsilon));
            for class in 0..self.classes.len() {
                text.push(',');
                text.push_str(&format::csv(self.probability(point, class)));
            }
            text.push('\n');
        }
        text
    }
}

/// Draws the curves. `None` if there is nothing to draw or no room.
pub fn draw_curve(canvas: &HtmlCanvasElement, size: Size, theme: &Theme, data: &CurveDrawing) -> Option<Mapping> {
    let context = prepare(canvas, size)?;
    let greatest = f64::from(*data.part.epsilon.last()?);
    let text = theme.text();
    context.set_font(&format!("{text}px {FONT}"));
    let notable: Vec<usize> = (0..data.classes.len()).filter(|class| data.peak(*class) > NOTABLE).collect();
    let label = |class: usize| format!("{} {}", palette::symbol(class), data.classes[class]);
    let widest = notable.iter().map(|class| download::text_width(&context, &label(*class))).fold(0.0, f64::max);
    let right = (widest + 0.8 * text).min(0.35 * size.width);
    let top = 2.9 * text;

    let mut lines: Vec<Line> = Vec::with_capacity(data.classes.len());
    let points = |class: usize| -> Vec<(f64, f64)> {
        let epsilon = data.part.epsilon.iter().enumerate();
        epsilon.map(|(point, e)| (f64::from(*e), f64::from(data.probability(point, class)))).collect()
    };
    for class in (0..data.classes.len()).filter(|class| !notable.contains(class)) {
        lines.push(Line { points: points(class), colour: theme.line.mix(theme.ink_soft, 0.35), width: 1.0 });
    }
    for &class in &notable {
        lines.push(Line { points: points(class), colour: theme.class(class), width: 2.5 });
    }
    let axes = Axes {
        place: [0.0, top, size.width - right, size.height - top - 1.3 * text],
        left: 3.4 * text,
        bottom: 1.8 * text,
        x: 0.0..greatest,
        y: 0.0..1.0,
        ticks: (((size.width / (5.0 * text)) as usize).clamp(2, 9), 5),
        x_format: &|value| format::number(value as f32, 3),
        y_format: &|value| format!("{:.0}\u{a0}%", 100.0 * value),
    };
    let mapping = chart::draw(canvas, size, theme, &axes, &lines)?;

    let last = data.part.epsilon.len() - 1;
    let mut centres: Vec<f64> =
        notable.iter().map(|class| mapping.down(f64::from(data.probability(last, *class)))).collect();
    chart::spread(&mut centres, 1.15 * text, mapping.field[1]..mapping.field[3]);
    for (&class, &y) in notable.iter().zip(&centres) {
        let x = mapping.field[2] + 0.5 * text;
        context.set_fill_style_str(&theme.class(class).css());
        write(&context, palette::symbol(class), (x, y), "left", "middle");
        context.set_fill_style_str(&theme.ink.css());
        let beside = x + download::text_width(&context, &format!("{} ", palette::symbol(class)));
        write(&context, data.classes[class], (beside, y), "left", "middle");
    }
    context.set_fill_style_str(&theme.ink_soft.css());
    let axis = format!("{} ({})", data.symbol(), data.norm);
    write(&context, &axis, ((mapping.field[0] + mapping.field[2]) / 2.0, size.height - 2.0), "center", "bottom");
    markers(&context, theme, data, &mapping, text);
    Some(mapping)
}

/// The ε on screen, the smallest one that fools, and the point that is looked at.
fn markers(context: &CanvasRenderingContext2d, theme: &Theme, data: &CurveDrawing, mapping: &Mapping, text: f64) {
    let field = mapping.field;
    let inside = |context: &CanvasRenderingContext2d, label: &str, x: f64, line: f64| {
        let width = download::text_width(context, label);
        let x = x.clamp(field[0] + width / 2.0, (field[2] - width / 2.0).max(field[0] + width / 2.0));
        write(context, label, (x, field[1] - 0.35 * text - line * 1.25 * text), "center", "bottom");
    };
    if let Some(smallest) = data.part.smallest.filter(|smallest| f64::from(*smallest) <= mapping.x.1) {
        let x = mapping.across(f64::from(smallest));
        chart::vertical(context, field, x, theme.danger, theme.stroke(1.5), &[5.0, 4.0]);
        context.set_fill_style_str(&theme.danger.css());
        inside(context, &format!("succeeds from {} = {}", data.symbol(), format::epsilon(smallest)), x, 0.0);
    }
    if f64::from(data.epsilon) <= mapping.x.1 {
        let x = mapping.across(f64::from(data.epsilon));
        chart::vertical(context, field, x, theme.accent, theme.stroke(2.0), &[]);
        context.set_fill_style_str(&theme.accent.css());
        inside(context, &format!("now ε = {}", format::epsilon(data.epsilon)), x, 1.0);
    }
    if let Some(point) = data.cursor.filter(|point| *point < data.part.epsilon.len()) {
        let x = mapping.across(f64::from(data.part.epsilon[point]));
        chart::vertical(context, field, x, theme.ink_soft, theme.stroke(1.0), &[2.0, 3.0]);
        for class in 0..data.classes.len() {
            let value = data.probability(point, class);
            if value > 0.05 {
                let y = mapping.down(f64::from(value));
                chart::dot(context, (x, y), theme.stroke(3.2), theme.class(class), theme.panel);
            }
        }
    }
}

/// Probability of each class at the adversarial picture against ε.
#[component]
pub fn CurveChart(
    /// The curves; nothing yet is an empty chart.
    #[prop(into)]
    part: Signal<Option<Arc<CurvePart>>>,
    /// The names of the classes.
    #[prop(into)]
    classes: Signal<Classes>,
    /// The norm of ε.
    #[prop(into)]
    norm: Signal<Norm>,
    /// The ε on screen.
    #[prop(into)]
    epsilon: Signal<f32>,
    /// Called with an ε that a person chose on the chart.
    #[prop(into, optional)]
    on_pick: Option<Callback<f32>>,
    /// What it is: "Class probabilities against ε".
    #[prop(into)]
    caption: Signal<String>,
    /// The name of its files, without ending.
    #[prop(into)]
    name: Signal<String>,
) -> impl IntoView {
    let node = NodeRef::<Canvas>::new();
    let theme = theme();
    let cursor = RwSignal::new(None::<usize>);
    let mapping: Rc<Cell<Mapping>> = Rc::default();
    let shown: Rc<RefCell<Option<CurveDrawing>>> = Rc::default();
    let stage = {
        let (shown, mapping) = (shown.clone(), mapping.clone());
        Stage::new(node, move |canvas, size| match &*shown.borrow() {
            Some(data) => mapping.set(draw_curve(canvas, size, &theme.read_untracked(), data).unwrap_or_default()),
            None => drop(prepare(canvas, size)),
        })
    };
    // Counts what has been shown, for the texts that follow the drawing.
    let version = RwSignal::new(0_u32);
    Effect::new({
        let shown = shown.clone();
        move || {
            theme.track();
            let (classes, norm, epsilon, cursor) = (classes.get(), norm.get(), epsilon.get(), cursor.get());
            let new = part.get().filter(|part| part.epsilon.len() * classes.len() == part.probabilities.len());
            shown.replace(new.map(|part| CurveDrawing { part, classes, norm, epsilon, cursor }));
            version.update(|version| *version = version.wrapping_add(1));
            stage.request();
        }
    });
    let with = {
        let shown = StoredValue::new_local(shown.clone());
        move |read: &dyn Fn(&CurveDrawing) -> String| {
            version.track();
            shown.with_value(|shown| shown.borrow().as_ref().map(read).unwrap_or_default())
        }
    };
    let at = Signal::derive(move || {
        let present = || part.with(|part| part.as_ref().map_or(0, |part| nearest(&part.epsilon, epsilon.get())));
        cursor.get().unwrap_or_else(present)
    });
    let last = Signal::derive(move || part.with(|part| part.as_ref().map_or(0, |part| part.epsilon.len().max(1) - 1)));
    let readout = Signal::derive(move || with(&|data| data.readout(data.cursor.unwrap_or_else(|| data.present()))));
    let description = calm(move || version.track(), move || with(&CurveDrawing::describe));
    let for_points = shown.clone();
    let body = slider(Slider {
        canvas: node,
        label: caption,
        points: Box::new(move || {
            let shown = for_points.borrow();
            shown.as_ref().map(|d| d.part.epsilon.iter().map(|e| f64::from(*e)).collect()).unwrap_or_default()
        }),
        mapping: Box::new(move || mapping.get()),
        at,
        last,
        readout,
        keys_pick: false,
        on_touch: Box::new(move |touch| match touch {
            Touch::Look(point) => cursor.set(Some(point)),
            Touch::Leave => cursor.set(None),
            Touch::Pick(point) => {
                cursor.set(Some(point));
                let epsilon =
                    part.with_untracked(|part| part.as_ref().and_then(|part| part.epsilon.get(point).copied()));
                if let (Some(epsilon), Some(on_pick)) = (epsilon, on_pick) {
                    on_pick.run(epsilon);
                }
            }
        }),
    });
    let for_png = shown.clone();
    frame(
        Frame {
            class: "curve-chart",
            caption,
            description: Some(description),
            name,
            png: Box::new(move |theme, caption| {
                let shown = for_png.borrow();
                let data = shown.as_ref()?;
                chart_plate(theme, (560.0, 320.0), caption, |canvas, size| {
                    draw_curve(canvas, size, theme, data);
                })
            }),
            csv: Box::new(move || shown.borrow().as_ref().map(CurveDrawing::csv)),
        },
        body,
    )
}

fn nearest(values: &[f32], value: f32) -> usize {
    let distance = |point: &usize| (values[*point] - value).abs();
    (0..values.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
}

/// A chart for a file: drawn anew at the file's resolution.
pub fn chart_plate(
    theme: &Theme,
    (width, height): (f64, f64),
    caption: &str,
    draw: impl FnOnce(&HtmlCanvasElement, Size),
) -> Option<HtmlCanvasElement> {
    let source = new_canvas()?;
    draw(&source, Size { width, height, ratio: download::FILE_RATIO });
    download::plate(theme, (width, height), caption, |context| {
        super::picture::place(context, &source, (0.0, 0.0), Size { width, height, ratio: 1.0 });
    })
}
