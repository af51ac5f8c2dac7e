//! A few named lines over one axis: what a search went through, what a network says along a line.

use std::cell::RefCell;
use std::rc::Rc;

use leptos::html::Canvas;
use leptos::prelude::*;
use web_sys::HtmlCanvasElement;

use super::chart::{self, Axes, Line, write};
use super::curve::chart_plate;
use super::frame::{Frame, frame};
use super::palette::{self, Rgb};
use super::stage::{Size, Stage, calm, prepare};
use super::theme::{FONT, Theme, theme};
use super::{download, format};

/// Most symbols on a line.
const MARKS: usize = 17;

/// The classes' colours in an order in which neighbours are far apart.
const ORDER: [usize; 10] = [0, 2, 4, 3, 6, 9, 7, 8, 1, 5];

/// Which of the theme's colours a line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// What matters most.
    Accent,
    /// What went wrong for the network.
    Danger,
    /// What held.
    Ok,
    /// What is there for comparison.
    Soft,
    /// What is only the surroundings of the others: thin.
    Faint,
    /// A class's own colour.
    Class(usize),
    /// One of several that are equally important: a colour and a symbol of its own.
    Nth(usize),
}

impl Tone {
    fn colour(self, theme: &Theme) -> Rgb {
        match self {
            Self::Accent => theme.accent,
            Self::Danger => theme.danger,
            Self::Ok => theme.ok,
            Self::Soft => theme.ink_soft,
            Self::Faint => theme.line.mix(theme.ink_soft, 0.35),
            Self::Class(class) => theme.class(class),
            Self::Nth(n) => theme.class(ORDER[n % ORDER.len()]),
        }
    }

    fn width(self) -> f64 {
        if self == Self::Faint { 1.0 } else { 2.2 }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its colour.
    pub tone: Tone,
    /// Its points; where a value is not finite the line has a hole.
    pub points: Vec<(f64, f64)>,
    /// Dots at the points and no line between them.
    pub dots: bool,
}

/// What a chart shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// The lines.
    pub series: Vec<Series>,
    /// What the horizontal axis measures, with its unit.
    pub x: String,
    /// What the vertical axis measures, with its unit.
    pub y: String,
    /// Whether the vertical axis is in powers of ten. Values that are not positive are then left out.
    pub logarithmic: bool,
    /// Where on the horizontal axis one is: a vertical line.
    pub now: Option<f64>,
    /// A horizontal line, with its name.
    pub level: Option<(f64, String)>,
    /// Ends of the horizontal axis; none for those of the values.
    pub x_range: Option<[f64; 2]>,
    /// Ends of the vertical axis; none for those of the values.
    pub y_range: Option<[f64; 2]>,
    /// Whether the vertical axis is in percent.
    pub share: bool,
}

impl Lines {
    fn height(&self, y: f64) -> f64 {
        match self.logarithmic {
            true if y > 0.0 => y.log10(),
            true => f64::NAN,
            false => y,
        }
    }

    fn number(&self, height: f64) -> String {
        if self.share {
            return format!("{} %", format::number(100.0 * height as f32, 3));
        }
        format::number(if self.logarithmic { 10f64.powf(height) } else { height } as f32, 3)
    }

    /// Ends of an axis, a little beyond its values.
    fn range(values: impl Iterator<Item = f64>, margin: f64) -> Option<std::ops::Range<f64>> {
        let (least, greatest) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), v| (least.min(v), greatest.max(v)));
        if least > greatest {
            return None;
        }
        let room = if greatest > least { margin * (greatest - least) } else { 0.5 * greatest.abs().max(1e-3) };
        Some(least - room..greatest + room)
    }

    fn describe(&self) -> String {
        let of = |series: &Series| {
            let sound = || series.points.iter().filter(|point| point.1.is_finite());
            let place = |value: f64| format::number(value as f32, 3);
            let number = |value: f64| if self.share { format::percent(value as f32) } else { place(value) };
            match (sound().next(), sound().next_back()) {
                (Some(first), Some(last)) => {
                    let least = sound().map(|point| point.1).fold(f64::INFINITY, f64::min);
                    let greatest = sound().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
                    let (from, to) = (place(first.0), place(last.0));
                    format!(
                        "{}: {} at {from}, {} at {to}, between {} and {}.",
                        series.name,
                        number(first.1),
                        number(last.1),
                        number(least),
                        number(greatest)
                    )
                }
                _ => format!("{}: nothing.", series.name),
            }
        };
        let series: Vec<_> = self.series.iter().map(of).collect();
        format!("{} against {}. {}", self.y, self.x, series.join(" "))
    }

    fn csv(&self) -> String {
        let mut text = format!("line,{},{}\n", download::field(&self.x), download::field(&self.y));
        for series in &self.series {
            for (x, y) in &series.points {
                text.push_str(&format!("{},{},{}\n", download::field(&series.name), x, format::csv(*y as f32)));
            }
        }
        text
    }
}

/// Draws a chart. Nothing is drawn where there is nothing to draw, or no room.
pub fn draw_lines(canvas: &HtmlCanvasElement, size: Size, theme: &Theme, data: &Lines) -> Option<()> {
    let context = prepare(canvas, size)?;
    let text = theme.text();
    context.set_font(&format!("{text}px {FONT}"));
    let all = || data.series.iter().flat_map(|series| &series.points);
    let heights = all().map(|point| data.height(point.1));
    let level = data.level.iter().map(|(level, _)| data.height(*level));
    let fixed = |ends: Option<[f64; 2]>, margin: f64| {
        ends.map(|[from, to]| from - margin * (to - from)..to + margin * (to - from))
    };
    let x = fixed(data.x_range, 0.02).or_else(|| Lines::range(all().map(|point| point.0), 0.02))?;
    let y = fixed(data.y_range, 0.03).or_else(|| Lines::range(heights.chain(level), 0.06))?;

    // The names stand in rows above the field, each after a piece of its line.
    let mut rows = vec![Vec::new()];
    let mut at = 0.0;
    for series in &data.series {
        let width = download::text_width(&context, &series.name) + 3.0 * text;
        if at > 0.0 && at + width > size.width - 3.8 * text {
            rows.push(Vec::new());
            at = 0.0;
        }
        rows.last_mut()?.push((series, at));
        at += width;
    }
    let top = 1.35 * text * rows.len() as f64 + 1.5 * text;
    let lines = data.series.iter().filter(|series| !series.dots).map(|series| Line {
        points: series.points.iter().map(|(x, y)| (*x, data.height(*y))).collect(),
        colour: series.tone.colour(theme),
        width: series.tone.width(),
    });
    let axes = Axes {
        place: [0.0, top, size.width - 0.8 * text, size.height - top - 1.3 * text],
        left: 4.0 * text,
        bottom: 1.8 * text,
        x,
        y,
        ticks: (((size.width / (5.0 * text)) as usize).clamp(2, 9), 5),
        x_format: &|value| format::number(value as f32, 3),
        y_format: &|height| data.number(height),
    };
    let mapping = chart::draw(canvas, size, theme, &axes, &lines.collect::<Vec<_>>())?;
    let [left, field_top, right, bottom] = mapping.field;
    for series in data.series.iter().filter(|series| series.dots) {
        for (x, y) in series.points.iter().filter(|(_, y)| data.height(*y).is_finite()) {
            let place = (mapping.across(*x), mapping.down(data.height(*y)));
            chart::dot(&context, place, theme.stroke(3.2), series.tone.colour(theme), theme.panel);
        }
    }
    // Symbols tell lines apart without colour, where there is room for them.
    context.set_font(&format!("{}px {FONT}", 0.8 * text));
    for series in &data.series {
        if let Tone::Nth(n) = series.tone
            && (data.series.len() > 1 || series.points.len() <= MARKS)
        {
            context.set_fill_style_str(&series.tone.colour(theme).css());
            let every = series.points.len().div_ceil(MARKS).max(1);
            for (x, y) in series.points.iter().step_by(every).filter(|(_, y)| data.height(*y).is_finite()) {
                let place = (mapping.across(*x), mapping.down(data.height(*y)));
                write(&context, palette::symbol(n), place, "center", "middle");
            }
        }
    }
    context.set_font(&format!("{text}px {FONT}"));
    if let Some(now) = data.now.filter(|now| (mapping.x.0..=mapping.x.1).contains(now)) {
        let field = [left, field_top, right, bottom];
        chart::vertical(&context, field, mapping.across(now), theme.accent, theme.stroke(1.5), &[5.0, 4.0]);
    }
    if let Some((level, name)) = &data.level {
        let y = mapping.down(data.height(*level));
        context.set_stroke_style_str(&theme.ink_soft.css());
        context.set_line_width(theme.stroke(1.0));
        context.begin_path();
        context.move_to(left, y);
        context.line_to(right, y);
        context.stroke();
        context.set_fill_style_str(&theme.ink_soft.css());
        write(&context, name, (right - 0.3 * text, y - 0.2 * text), "right", "bottom");
    }
    for (row, names) in rows.iter().enumerate() {
        let y = (0.75 + 1.35 * row as f64) * text;
        for (series, at) in names {
            let x = left + at;
            let colour = series.tone.colour(theme);
            if series.dots {
                chart::dot(&context, (x + 0.8 * text, y), theme.stroke(3.2), colour, theme.panel);
            } else {
                context.set_stroke_style_str(&colour.css());
                context.set_line_width(theme.stroke(series.tone.width()));
                context.begin_path();
                context.move_to(x, y);
                context.line_to(x + 1.6 * text, y);
                context.stroke();
                if let Tone::Nth(n) = series.tone {
                    context.set_fill_style_str(&colour.css());
                    write(&context, palette::symbol(n), (x + 0.8 * text, y), "center", "middle");
                }
            }
            context.set_fill_style_str(&theme.ink.css());
            write(&context, &series.name, (x + 2.0 * text, y), "left", "middle");
        }
    }
    context.set_fill_style_str(&theme.ink_soft.css());
    write(&context, &data.x, ((left + right) / 2.0, size.height - 2.0), "center", "bottom");
    write(&context, &data.y, (left, field_top - 0.35 * text), "left", "bottom");
    Some(())
}

/// Named lines over one axis.
#[component]
pub fn LineChart(
    /// The lines; nothing yet is an empty chart.
    #[prop(into)]
    lines: Signal<Option<Lines>>,
    /// What it shows.
    #[prop(into)]
    caption: Signal<String>,
    /// The name of its files, without ending.
    #[prop(into)]
    name: Signal<String>,
) -> impl IntoView {
    let node = NodeRef::<Canvas>::new();
    let theme = theme();
    let shown: Rc<RefCell<Option<Lines>>> = Rc::default();
    let stage = {
        let shown = shown.clone();
        Stage::new(node, move |canvas, size| match &*shown.borrow() {
            Some(data) => {
                draw_lines(canvas, size, &theme.read_untracked(), data);
            }
            None => drop(prepare(canvas, size)),
        })
    };
    Effect::new({
        let shown = shown.clone();
        move || {
            theme.track();
            shown.replace(lines.get());
            stage.request();
        }
    });
    let description = calm(
        move || lines.track(),
        move || lines.with_untracked(|data| data.as_ref().map_or(String::new(), Lines::describe)),
    );
    let label = move || caption.get();
    let body = view! { <canvas node_ref=node class="lines" role="img" aria-label=label></canvas> }.into_any();
    let for_png = shown.clone();
    frame(
        Frame {
            class: "line-chart",
            caption,
            description: Some(description),
            name,
            png: Box::new(move |theme, caption| {
                let shown = for_png.borrow();
                let data = shown.as_ref()?;
                chart_plate(theme, (560.0, 320.0), caption, |canvas, size| {
                    draw_lines(canvas, size, theme, data);
                })
            }),
            csv: Box::new(move || shown.borrow().as_ref().map(Lines::csv)),
        },
        body,
    )
}
