//! What the attack did step by step: its loss, and the probabilities of the classes it moved between.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use leptos::html::Canvas;
use leptos::prelude::*;
use web_sys::HtmlCanvasElement;

use super::bars::{Classes, leading};
use super::chart::{self, Axes, Line, Mapping, write};
use super::curve::chart_plate;
use super::frame::{Frame, frame};
use super::slider::{Slider, Touch, slider};
use super::stage::{Size, Stage, calm, prepare};
use super::theme::{FONT, Theme, theme};
use super::{download, format, palette};
use crate::engine::protocol::AttackPart;

/// Everything the drawing needs.
#[derive(Clone)]
pub struct TraceDrawing {
    /// The attack.
    pub part: Arc<AttackPart>,
    /// The names of the classes.
    pub classes: Classes,
    /// The step on screen.
    pub step: usize,
}

impl TraceDrawing {
    fn last(&self) -> usize {
        self.part.losses.len().saturating_sub(1)
    }

    fn probability(&self, step: usize, class: usize) -> f32 {
        self.part.step_probabilities.get(step * self.classes.len() + class).copied().unwrap_or(f32::NAN)
    }

    fn row(&self, step: usize) -> &[f32] {
        let k = self.classes.len();
        self.part.step_probabilities.get(step * k..(step + 1) * k).unwrap_or(&[])
    }

    /// The attacked class and its strongest rival at the result.
    fn rivals(&self) -> Vec<usize> {
        let label = usize::from(self.part.label);
        let mut values = self.row((self.part.best_step as usize).min(self.last())).to_vec();
        if let Some(value) = values.get_mut(label) {
            *value = f32::NEG_INFINITY;
        }
        let rival = leading(&values.iter().map(|v| if *v < 0.0 { f32::NAN } else { *v }).collect::<Vec<_>>());
        std::iter::once(label).chain(rival).filter(|class| *class < self.classes.len()).collect()
    }

    fn readout(&self, step: usize) -> String {
        let Some(loss) = self.part.losses.get(step) else { return String::new() };
        let values: Vec<String> = self
            .rivals()
            .iter()
            .map(|class| format!("{} {}", self.classes[*class], format::percent(self.probability(step, *class))))
            .collect();
        let result = if step == self.part.best_step as usize { ", the result" } else { "" };
        format!("step {step} of {}{result}: loss {}, {}", self.last(), format::number(*loss, 3), values.join(", "))
    }

    fn csv(&self) -> String {
        let mut text = String::from("step,loss,L0,L1,L2,Linf");
        for name in self.classes {
            text.push(',');
            text.push_str(&download::field(name));
        }
        text.push('\n');
        for (step, loss) in self.part.losses.iter().enumerate() {
            let norms = self.part.step_norms.get(step).copied().unwrap_or_default();
            text.push_str(&format!("{step},{},{}", format::csv(*loss), norms.l0));
            for value in [norms.l1, norms.l2, norms.linf].iter().chain(self.row(step)) {
                text.push(',');
                text.push_str(&format::csv(*value));
            }
            text.push('\n');
        }
        text
    }
}

/// Draws loss (above) and probabilities (below) over one axis of steps. `None` if there is nothing or no room.
pub fn draw_trace(canvas: &HtmlCanvasElement, size: Size, theme: &Theme, data: &TraceDrawing) -> Option<Mapping> {
    let context = prepare(canvas, size)?;
    let text = theme.text();
    context.set_font(&format!("{text}px {FONT}"));
    let rivals = data.rivals();
    let label = |class: usize| format!("{} {}", palette::symbol(class), data.classes[class]);
    let widest = rivals.iter().map(|class| download::text_width(&context, &label(*class))).fold(0.0, f64::max);
    let right = (widest + 0.8 * text).min(0.35 * size.width);
    // One step is a chart, too: it gets an axis from 0 to 1.
    let steps = data.last().max(1) as f64;
    let finite = || data.part.losses.iter().copied().filter(|loss| loss.is_finite()).map(f64::from);
    let top = finite().fold(0.0, f64::max);
    let losses = 0.0..if top > 0.0 { 1.05 * top } else { 1.0 };
    let width = size.width - right;
    let x_axis = 1.8 * text;
    let desc = 1.3 * text;
    let half = (size.height - x_axis - desc) / 2.0;
    let x_ticks = ((size.width / (4.0 * text)) as usize).clamp(2, 11).min(data.last().max(1) + 1);
    let whole = |value: f64| if value.fract().abs() < 1e-6 { format!("{value:.0}") } else { String::new() };
    let series = |value: &dyn Fn(usize) -> f32| -> Vec<(f64, f64)> {
        (0..data.part.losses.len()).map(|step| (step as f64, f64::from(value(step)))).collect()
    };

    let loss_line = Line { points: series(&|step| data.part.losses[step]), colour: theme.ink, width: 2.5 };
    let upper = Axes {
        place: [0.0, 1.5 * text, width, half - 1.5 * text],
        left: 3.4 * text,
        bottom: 0.0,
        x: 0.0..steps,
        y: losses,
        ticks: (x_ticks, 3),
        x_format: &whole,
        y_format: &|value| format::number(value as f32, 2),
    };
    let above = chart::draw(canvas, size, theme, &upper, &[loss_line])?;
    let lines: Vec<Line> = rivals
        .iter()
        .map(|&class| Line {
            points: series(&|step| data.probability(step, class)),
            colour: theme.class(class),
            width: 2.5,
        })
        .collect();
    let lower = Axes {
        place: [0.0, half + 1.5 * text, width, half - 1.5 * text + x_axis],
        left: 3.4 * text,
        bottom: x_axis,
        x: 0.0..steps,
        y: 0.0..1.0,
        ticks: (x_ticks, 3),
        x_format: &whole,
        y_format: &|value| format!("{:.0}\u{a0}%", 100.0 * value),
    };
    let mapping = chart::draw(canvas, size, theme, &lower, &lines)?;

    context.set_fill_style_str(&theme.ink_soft.css());
    write(&context, "loss (cross-entropy)", (above.field[0], 1.2 * text), "left", "bottom");
    write(&context, "probability", (mapping.field[0], half + 1.2 * text), "left", "bottom");
    let middle = (mapping.field[0] + mapping.field[2]) / 2.0;
    write(&context, "step", (middle, size.height - 2.0), "center", "bottom");
    let mut centres: Vec<f64> =
        rivals.iter().map(|class| mapping.down(f64::from(data.probability(data.last(), *class)))).collect();
    chart::spread(&mut centres, 1.15 * text, mapping.field[1]..mapping.field[3]);
    for (&class, &y) in rivals.iter().zip(&centres) {
        let x = mapping.field[2] + 0.5 * text;
        context.set_fill_style_str(&theme.class(class).css());
        write(&context, palette::symbol(class), (x, y), "left", "middle");
        context.set_fill_style_str(&theme.ink.css());
        let beside = x + download::text_width(&context, &format!("{} ", palette::symbol(class)));
        write(&context, data.classes[class], (beside, y), "left", "middle");
    }

    let x = mapping.across(data.step.min(data.last()) as f64);
    for (field, values) in [(above, vec![(data.part.losses.get(data.step), theme.ink)]), (mapping, Vec::new())] {
        chart::vertical(&context, field.field, x, theme.accent, theme.stroke(2.0), &[]);
        for (value, colour) in values {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                let y = field.down(f64::from(*value));
                chart::dot(&context, (x, y), theme.stroke(3.6), colour, theme.panel);
            }
        }
    }
    for &class in &rivals {
        let value = data.probability(data.step, class);
        if value.is_finite() {
            let y = mapping.down(f64::from(value));
            chart::dot(&context, (x, y), theme.stroke(3.6), theme.class(class), theme.panel);
        }
    }
    Some(mapping)
}

/// Loss and the probabilities of the attacked class and its strongest rival at each step of the attack.
#[component]
pub fn TraceChart(
    /// The attack; nothing yet is an empty chart.
    #[prop(into)]
    part: Signal<Option<Arc<AttackPart>>>,
    /// The names of the classes.
    #[prop(into)]
    classes: Signal<Classes>,
    /// The step on screen; `None` is the result.
    #[prop(into)]
    step: Signal<Option<u32>>,
    /// Called with a step that a person chose on the chart.
    #[prop(into)]
    on_pick: Callback<u32>,
    /// What it is: "Loss and probabilities at each step".
    #[prop(into)]
    caption: Signal<String>,
    /// The name of its files, without ending.
    #[prop(into)]
    name: Signal<String>,
) -> impl IntoView {
    let node = NodeRef::<Canvas>::new();
    let theme = theme();
    let mapping: Rc<Cell<Mapping>> = Rc::default();
    let shown: Rc<RefCell<Option<TraceDrawing>>> = Rc::default();
    let stage = {
        let (shown, mapping) = (shown.clone(), mapping.clone());
        Stage::new(node, move |canvas, size| match &*shown.borrow() {
            Some(data) => mapping.set(draw_trace(canvas, size, &theme.read_untracked(), data).unwrap_or_default()),
            None => drop(prepare(canvas, size)),
        })
    };
    let version = RwSignal::new(0_u32);
    let at = RwSignal::new(0_usize);
    let last = RwSignal::new(0_usize);
    Effect::new({
        let shown = shown.clone();
        move || {
            theme.track();
            let (classes, step) = (classes.get(), step.get());
            let new = part.get().filter(|part| part.losses.len() * classes.len() == part.step_probabilities.len());
            let new = new.filter(|part| !part.losses.is_empty()).map(|part| {
                let last = part.losses.len() - 1;
                let step = step.unwrap_or(part.best_step) as usize;
                TraceDrawing { part, classes, step: step.min(last) }
            });
            at.set(new.as_ref().map_or(0, |data| data.step));
            last.set(new.as_ref().map_or(0, TraceDrawing::last));
            shown.replace(new);
            version.update(|version| *version = version.wrapping_add(1));
            stage.request();
        }
    });
    let with = {
        let shown = StoredValue::new_local(shown.clone());
        move |read: &dyn Fn(&TraceDrawing) -> String| {
            version.track();
            shown.with_value(|shown| shown.borrow().as_ref().map(read).unwrap_or_default())
        }
    };
    let readout = Signal::derive(move || with(&|data| data.readout(data.step)));
    let describe = |data: &TraceDrawing| format!("{}; {}.", data.readout(0), data.readout(data.last()));
    let description = calm(move || version.track(), move || with(&describe));
    let body = slider(Slider {
        canvas: node,
        label: caption,
        points: Box::new(move || (0..=last.get_untracked()).map(|step| step as f64).collect()),
        mapping: Box::new(move || mapping.get()),
        at: at.into(),
        last: last.into(),
        readout,
        keys_pick: true,
        on_touch: Box::new(move |touch| {
            if let Touch::Pick(step) = touch {
                on_pick.run(step as u32);
            }
        }),
    });
    let for_png = shown.clone();
    frame(
        Frame {
            class: "trace-chart",
            caption,
            description: Some(description),
            name,
            png: Box::new(move |theme, caption| {
                let shown = for_png.borrow();
                let data = shown.as_ref()?;
                chart_plate(theme, (560.0, 360.0), caption, |canvas, size| {
                    draw_trace(canvas, size, theme, data);
                })
            }),
            csv: Box::new(move || shown.borrow().as_ref().map(TraceDrawing::csv)),
        },
        body,
    )
}
