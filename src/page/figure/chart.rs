//! Axes, grids and lines through plotters, for the charts to write upon.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::FontDesc;
use plotters_canvas::CanvasBackend;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use super::palette::Rgb;
use super::stage::Size;
use super::theme::{FONT, Theme};

/// One line of a chart.
pub struct Line {
    /// In the units of the axes.
    pub points: Vec<(f64, f64)>,
    /// Its colour.
    pub colour: Rgb,
    /// In CSS pixels, before the theme's factor.
    pub width: f64,
}

/// A field with axes.
pub struct Axes<'a> {
    /// Where it stands on its canvas, in CSS pixels: left, top, width, height. Axis labels lie within.
    pub place: [f64; 4],
    /// Room for the labels of the vertical axis, in CSS pixels.
    pub left: f64,
    /// Room for the labels of the horizontal axis, in CSS pixels; 0 leaves them out.
    pub bottom: f64,
    /// Horizontal range.
    pub x: Range<f64>,
    /// Vertical range.
    pub y: Range<f64>,
    /// About how many numbers stand on each axis.
    pub ticks: (usize, usize),
    /// How the numbers of the horizontal axis are written.
    pub x_format: &'a dyn Fn(f64) -> String,
    /// How the numbers of the vertical axis are written.
    pub y_format: &'a dyn Fn(f64) -> String,
}

/// From the units of the axes to CSS pixels of the canvas.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mapping {
    /// Left and right end of the horizontal axis, in its unit.
    pub x: (f64, f64),
    /// Lower and upper end of the vertical axis, in its unit.
    pub y: (f64, f64),
    /// Left, top, right and bottom of the field in CSS pixels.
    pub field: [f64; 4],
}

impl Mapping {
    /// Horizontal position in CSS pixels.
    pub fn across(&self, x: f64) -> f64 {
        self.field[0] + (x - self.x.0) / (self.x.1 - self.x.0) * (self.field[2] - self.field[0])
    }

    /// Vertical position in CSS pixels.
    pub fn down(&self, y: f64) -> f64 {
        self.field[3] - (y - self.y.0) / (self.y.1 - self.y.0) * (self.field[3] - self.field[1])
    }

    /// The inverse of [`Self::across`], kept within the axis.
    pub fn value_at(&self, pixels: f64) -> f64 {
        let share = (pixels - self.field[0]) / (self.field[2] - self.field[0]).max(1.0);
        self.x.0 + share.clamp(0.0, 1.0) * (self.x.1 - self.x.0)
    }
}

fn colour(rgb: Rgb) -> RGBColor {
    RGBColor(rgb.0, rgb.1, rgb.2)
}

/// Draws axes, grid and lines on a prepared canvas. `None` if the field has no room or an axis has no length.
pub fn draw(canvas: &HtmlCanvasElement, size: Size, theme: &Theme, axes: &Axes, lines: &[Line]) -> Option<Mapping> {
    let ratio = size.ratio;
    let device = |pixels: f64| (pixels * ratio).round() as i32;
    let [left, top, width, height] = axes.place;
    let sound = |range: &Range<f64>| range.start.is_finite() && range.end.is_finite() && range.end > range.start;
    if width < axes.left + 20.0 || height < axes.bottom + 20.0 || !sound(&axes.x) || !sound(&axes.y) {
        return None;
    }
    let context = super::stage::context(canvas)?;
    context.save();
    // plotters counts device pixels.
    let _ = context.set_transform(1.0, 0.0, 0.0, 1.0, 0.0, 0.0);
    context.set_line_join("round");
    context.set_line_cap("round");
    let mapping =
        fields(canvas, axes, theme, ratio, lines, (device(left), device(top)), (device(width), device(height)));
    context.restore();
    mapping
}

fn fields(
    canvas: &HtmlCanvasElement,
    axes: &Axes,
    theme: &Theme,
    ratio: f64,
    lines: &[Line],
    at: (i32, i32),
    (width, height): (i32, i32),
) -> Option<Mapping> {
    let device = |pixels: f64| (pixels * ratio).round() as u32;
    let stroke = |pixels: f64| device(theme.stroke(pixels)).max(1);
    let root = CanvasBackend::with_canvas_object(canvas.clone())?.into_drawing_area();
    let area = root.shrink(at, (width as u32, height as u32));
    let mut chart = ChartBuilder::on(&area)
        .x_label_area_size(device(axes.bottom))
        .y_label_area_size(device(axes.left))
        .build_cartesian_2d(axes.x.clone(), axes.y.clone())
        .ok()?;
    let font = FontDesc::new(FontFamily::Name(FONT), theme.text() * ratio, FontStyle::Normal);
    let text = font.color(&colour(theme.ink_soft));
    let grid = ShapeStyle { color: colour(theme.line).mix(0.6), filled: false, stroke_width: stroke(1.0) };
    let axis = ShapeStyle { color: colour(theme.ink_soft).to_rgba(), filled: false, stroke_width: stroke(1.0) };
    chart
        .configure_mesh()
        .x_labels(axes.ticks.0)
        .y_labels(axes.ticks.1)
        .x_label_formatter(&|value| (axes.x_format)(clean(*value, &axes.x)))
        .y_label_formatter(&|value| (axes.y_format)(clean(*value, &axes.y)))
        .label_style(text)
        .light_line_style(TRANSPARENT)
        .bold_line_style(grid)
        .axis_style(axis)
        .set_all_tick_mark_size(device(3.0))
        .draw()
        .ok()?;
    for line in lines {
        let style =
            ShapeStyle { color: colour(line.colour).to_rgba(), filled: false, stroke_width: stroke(line.width) };
        // No NaN is drawn: a line with a hole is drawn in pieces.
        for piece in line.points.split(|point| !(point.0.is_finite() && point.1.is_finite())) {
            chart.draw_series(std::iter::once(PathElement::new(piece.to_vec(), style))).ok()?;
        }
    }
    let pixels = |x: f64, y: f64| {
        let (x, y) = chart.backend_coord(&(x, y));
        (f64::from(x) / ratio, f64::from(y) / ratio)
    };
    let (left, bottom) = pixels(axes.x.start, axes.y.start);
    let (right, top) = pixels(axes.x.end, axes.y.end);
    Some(Mapping { x: (axes.x.start, axes.x.end), y: (axes.y.start, axes.y.end), field: [left, top, right, bottom] })
}

/// Zero where a tick misses it by a rounding.
fn clean(value: f64, range: &Range<f64>) -> f64 {
    if value.abs() < 1e-9 * (range.end - range.start) { 0.0 } else { value }
}

/// A text in CSS pixels.
pub fn write(context: &CanvasRenderingContext2d, text: &str, (x, y): (f64, f64), align: &str, baseline: &str) {
    context.set_text_align(align);
    context.set_text_baseline(baseline);
    let _ = context.fill_text(text, x, y);
}

/// A vertical line through a field, dashed or whole.
pub fn vertical(context: &CanvasRenderingContext2d, field: [f64; 4], x: f64, colour: Rgb, width: f64, dash: &[f64]) {
    let dashes = js_sys::Array::new();
    for length in dash {
        dashes.push(&(*length).into());
    }
    context.save();
    let _ = context.set_line_dash(&dashes);
    context.set_stroke_style_str(&colour.css());
    context.set_line_width(width);
    context.begin_path();
    context.move_to(x, field[1]);
    context.line_to(x, field[3]);
    context.stroke();
    context.restore();
}

/// A filled circle with an edge that parts it from what lies under it.
pub fn dot(context: &CanvasRenderingContext2d, (x, y): (f64, f64), radius: f64, fill: Rgb, edge: Rgb) {
    context.begin_path();
    let _ = context.arc(x, y, radius, 0.0, std::f64::consts::TAU);
    context.set_fill_style_str(&fill.css());
    context.fill();
    context.set_stroke_style_str(&edge.css());
    context.set_line_width(radius * 0.35);
    context.stroke();
}

/// Moves label centres apart so that neighbours are `gap` from each other and all lie within the range.
pub fn spread(centres: &mut [f64], gap: f64, range: Range<f64>) {
    let mut order: Vec<usize> = (0..centres.len()).collect();
    order.sort_by(|a, b| centres[*a].total_cmp(&centres[*b]));
    let mut least = range.start;
    for &i in &order {
        centres[i] = centres[i].max(least);
        least = centres[i] + gap;
    }
    let mut greatest = range.end;
    for &i in order.iter().rev() {
        centres[i] = centres[i].min(greatest);
        greatest = centres[i] - gap;
    }
}
