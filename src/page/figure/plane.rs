//! The network's decisions on a plane through the picture, with the ball and the attack's path in it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use leptos::html::Canvas;
use leptos::prelude::*;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use super::bars::Classes;
use super::chart::{self, Axes, Mapping, write};
use super::curve::chart_plate;
use super::frame::{Frame, frame};
use super::palette::{CLASSES, Regions, Rgb, UNKNOWN};
use super::stage::{Size, Stage, calm, new_canvas, prepare, put_pixels};
use super::theme::{FONT, Theme, theme};
use super::{download, format};
use crate::engine::protocol::PlanePart;

/// Everything the drawing needs.
#[derive(Clone)]
pub struct PlaneDrawing {
    /// The plane.
    pub part: Arc<PlanePart>,
    /// The names of the classes.
    pub classes: Classes,
    /// The iterate on screen; `None` is the last one.
    pub step: Option<usize>,
    /// The names of the landmarks, in their order.
    pub landmarks: Vec<String>,
    /// What the axes measure: horizontal, vertical.
    pub axes: [String; 2],
}

impl PlaneDrawing {
    fn side(&self) -> usize {
        usize::from(self.part.side)
    }

    /// Whether the parts fit each other.
    fn is_sound(&self) -> bool {
        let n = self.side();
        n > 1 && self.part.classes.len() == n * n && self.part.confidence.len() == n * n
    }

    fn points(values: &[f32]) -> impl Iterator<Item = (f64, f64)> + '_ {
        values.chunks_exact(2).map(|pair| (f64::from(pair[0]), f64::from(pair[1])))
    }

    fn present(&self) -> usize {
        let last = (self.part.path.len() / 2).saturating_sub(1);
        self.step.unwrap_or(last).min(last)
    }

    /// The class at a point of the plane, if the point lies on the drawn part.
    fn class_at(&self, point: (f64, f64)) -> Option<usize> {
        class_at(&self.part, point)
    }

    fn class_name(&self, class: usize) -> &'static str {
        self.classes.get(class).copied().unwrap_or("?")
    }

    fn describe(&self) -> String {
        let mut counts = [0_usize; CLASSES];
        for class in self.part.classes.iter().filter(|class| **class != UNKNOWN) {
            counts[usize::from(*class) % CLASSES] += 1;
        }
        let mut order: Vec<usize> = (0..CLASSES).filter(|class| counts[*class] > 0).collect();
        order.sort_by_key(|class| std::cmp::Reverse(counts[*class]));
        let total = self.part.classes.len().max(1) as f32;
        let shares: Vec<String> = order
            .iter()
            .take(5)
            .map(|class| {
                format!("{} {}", self.class_name(*class), format::percent_short(counts[*class] as f32 / total))
            })
            .collect();
        let [a0, a1, b0, b1] = self.part.extent.map(|value| format::number(value, 2));
        let mut text = format!(
            "Regions by share of the area shown: {}. Horizontally {a0} to {a1}: {}; vertically {b0} to {b1}: {}.",
            shares.join(", "),
            self.axes[0],
            self.axes[1],
        );
        let place =
            |point: (f64, f64)| self.class_at(point).map_or("outside the drawing", |class| self.class_name(class));
        text.push_str(&format!(" x lies in {}.", place((0.0, 0.0))));
        if let Some(end) = Self::points(&self.part.path).last() {
            text.push_str(&format!(" The attack ends in {}.", place(end)));
        }
        if let Some(class) = self.part.line_classes.get(self.present().min(self.part.line_classes.len().max(1) - 1)) {
            text.push_str(&format!(
                " A dashed line is the nearest boundary as linearised at this step: that of {}.",
                self.class_name(usize::from(*class))
            ));
        }
        if let Some(farthest) = self.part.off_plane.iter().copied().filter(|v| v.is_finite()).reduce(f32::max)
            && farthest > 1e-3
        {
            text.push_str(&format!(" Its iterates lie up to {} off the plane.", format::number(farthest, 2)));
        }
        text
    }

    fn csv(&self) -> String {
        let n = self.side();
        let [a0, a1, b0, b1] = self.part.extent;
        let at = |from: f32, to: f32, i: usize| from + (to - from) * (i as f32 + 0.5) / n as f32;
        let mut text = String::from("what,a,b,class,probability,distance from plane\n");
        for (i, (class, confidence)) in self.part.classes.iter().zip(&self.part.confidence).enumerate() {
            let name = download::field(self.class_name(usize::from(*class)));
            let probability = f32::from(*confidence) / 255.0;
            text.push_str(&format!("decision,{},{},{name},{probability:.3},0\n", at(a0, a1, i % n), at(b1, b0, i / n)));
        }
        for (step, (a, b)) in Self::points(&self.part.path).enumerate() {
            let off = self.part.off_plane.get(step).map(|off| format::csv(*off)).unwrap_or_default();
            text.push_str(&format!("iterate {step},{a},{b},,,{off}\n"));
        }
        for (name, (a, b)) in self.landmarks.iter().zip(Self::points(&self.part.landmarks)) {
            text.push_str(&format!("{},{a},{b},,,0\n", download::field(name)));
        }
        text
    }
}

/// The class at a point of the plane. Samples are the centres of equal cells.
fn class_at(part: &PlanePart, (a, b): (f64, f64)) -> Option<usize> {
    let [a0, a1, b0, b1] = part.extent.map(f64::from);
    let n = f64::from(part.side);
    let (column, row) = ((a - a0) / (a1 - a0) * n, (b1 - b) / (b1 - b0) * n);
    let inside = |value: f64| value >= 0.0 && value < n;
    let index = (inside(column) && inside(row)).then(|| row as usize * usize::from(part.side) + column as usize)?;
    part.classes.get(index).filter(|class| **class != UNKNOWN).map(|class| usize::from(*class))
}

/// Draws planes and keeps what the next drawing can use again.
#[derive(Default)]
pub struct PlanePainter {
    /// The colours of one theme.
    regions: Option<(Rgb, bool, Regions)>,
    rgba: Vec<u8>,
    /// Distance of each sample from the edge of its region.
    depth: Vec<u16>,
    /// Samples that names keep away from.
    taken: Vec<bool>,
    source: Option<HtmlCanvasElement>,
    /// Where each class's name stood, as shares of the field: it stays there as long as there is room.
    names: [Option<(f64, f64)>; CLASSES],
}

impl PlanePainter {
    /// Draws a plane on a canvas of this size. `None` if the parts do not fit or there is no room.
    pub fn draw(
        &mut self,
        canvas: &HtmlCanvasElement,
        size: Size,
        theme: &Theme,
        data: &PlaneDrawing,
    ) -> Option<Mapping> {
        let context = prepare(canvas, size)?;
        if !data.is_sound() {
            return None;
        }
        let text = theme.text();
        let [a0, a1, b0, b1] = data.part.extent.map(f64::from);
        let (left, bottom, edge) = (4.2 * text, 3.3 * text, 0.7 * text);
        // Both axes are lengths: a unit is as long across as down.
        let (room, tall) = (size.width - left - edge, size.height - bottom - edge);
        let unit = (room / (a1 - a0)).min(tall / (b1 - b0));
        let (width, height) = ((a1 - a0) * unit, (b1 - b0) * unit);
        let aside = ((room - width) / 2.0).max(0.0);
        let axes = Axes {
            place: [aside, edge, width + left, height + bottom - 1.4 * text],
            left,
            bottom: bottom - 1.4 * text,
            x: a0..a1,
            y: b0..b1,
            ticks: (((width / (4.0 * text)) as usize).clamp(2, 9), ((height / (3.0 * text)) as usize).clamp(2, 9)),
            x_format: &|value| format::number(value as f32, 2),
            y_format: &|value| format::number(value as f32, 2),
        };
        let mapping = chart::draw(canvas, size, theme, &axes, &[])?;
        let [left, top, right, bottom] = mapping.field;

        context.set_font(&format!("{text}px {FONT}"));
        context.set_fill_style_str(&theme.ink_soft.css());
        write(
            &context,
            &data.axes[0],
            ((left + right) / 2.0, size.height.min(bottom + 3.3 * text)),
            "center",
            "bottom",
        );
        context.save();
        let _ = context.translate((left - 4.1 * text).max(0.0), (top + bottom) / 2.0);
        let _ = context.rotate(-std::f64::consts::FRAC_PI_2);
        write(&context, &data.axes[1], (0.0, 0.0), "center", "top");
        context.restore();

        context.save();
        context.begin_path();
        context.rect(left, top, right - left, bottom - top);
        context.clip();
        self.regions(&context, theme, data, &mapping);
        boundaries(&context, theme, data, &mapping);
        outline(&context, theme, data, &mapping);
        linearised(&context, theme, data, &mapping);
        self.names(&context, theme, data, &mapping);
        path(&context, theme, data, &mapping);
        landmarks(&context, theme, data, &mapping);
        context.restore();
        Some(mapping)
    }

    fn regions(&mut self, context: &CanvasRenderingContext2d, theme: &Theme, data: &PlaneDrawing, mapping: &Mapping) {
        let fresh = matches!(&self.regions, Some((paper, dark, _)) if (*paper, *dark) == (theme.paper, theme.dark));
        if !fresh {
            self.regions = Some((theme.paper, theme.dark, Regions::new(theme.paper, theme.dark)));
        }
        let Some((_, _, regions)) = &self.regions else { return };
        let n = data.side();
        self.rgba.clear();
        for (class, confidence) in data.part.classes.iter().zip(&data.part.confidence) {
            self.rgba.extend_from_slice(&regions.colour(*class, *confidence));
        }
        if self.source.is_none() {
            self.source = new_canvas();
        }
        let Some(source) = &self.source else { return };
        put_pixels(source, &self.rgba, n as u32, n as u32);
        // A sample is the middle of its cell, as it is the middle of its canvas pixel.
        let [left, top, right, bottom] = mapping.field;
        context.set_image_smoothing_enabled(true);
        super::picture::place(
            context,
            source,
            (left, top),
            Size { width: right - left, height: bottom - top, ratio: 1.0 },
        );
    }

    /// Writes the names of classes into their regions, each where there is most room for it.
    fn names(&mut self, context: &CanvasRenderingContext2d, theme: &Theme, data: &PlaneDrawing, mapping: &Mapping) {
        let n = data.side();
        let text = theme.text();
        let [left, top, right, bottom] = mapping.field;
        let cell = (right - left) / n as f64;
        context.set_font(&format!("600 {text}px {FONT}"));
        context.set_line_join("round");
        let mut room = [0.0; CLASSES];
        for (class, room) in room.iter_mut().enumerate() {
            // A name is as long as it is; half of it must fit to either side of its middle.
            *room = 0.55 * download::text_width(context, data.class_name(class)) / cell;
        }
        self.take_room(context, data, mapping, text);
        depths(&data.part.classes, &self.taken, n, &mut self.depth);
        let mut place = deepest(&data.part.classes, &self.depth);
        if (0..CLASSES).any(|class| place[class].0 > 0 && f64::from(place[class].0) < room[class]) {
            // Where outlines leave no room, names stand across them.
            self.taken.fill(false);
            let mut depth = Vec::new();
            depths(&data.part.classes, &self.taken, n, &mut depth);
            for (class, crossing) in deepest(&data.part.classes, &depth).into_iter().enumerate() {
                if f64::from(place[class].0) < room[class] {
                    place[class] = crossing;
                }
            }
        }
        for (class, (depth, index)) in place.into_iter().enumerate() {
            if f64::from(depth) < 0.8 * room[class] || depth == 0 {
                self.names[class] = None;
                continue;
            }
            let centre = |i: usize| (i as f64 + 0.5) / n as f64;
            let still_good = |&(x, y): &(f64, f64)| {
                let at = |share: f64| ((share * n as f64) as usize).min(n - 1);
                let i = at(y) * n + at(x);
                usize::from(data.part.classes[i]) == class && f64::from(self.depth[i]) > 0.75 * f64::from(depth)
            };
            let (x, y) = self.names[class].filter(still_good).unwrap_or((centre(index % n), centre(index / n)));
            self.names[class] = Some((x, y));
            let half = download::text_width(context, data.class_name(class)) / 2.0 + 0.3 * text;
            let x = (left + x * (right - left)).clamp(left + half, (right - half).max(left + half));
            let y = (top + y * (bottom - top)).clamp(top + 0.8 * text, bottom - 0.8 * text);
            haloed(context, theme, data.class_name(class), (x, y), "center", "middle");
        }
    }

    /// Marks the samples under the ball's outline, the path, x and the landmarks.
    fn take_room(&mut self, context: &CanvasRenderingContext2d, data: &PlaneDrawing, mapping: &Mapping, text: f64) {
        let n = data.side();
        self.taken.clear();
        self.taken.resize(n * n, false);
        let [left, top, right, bottom] = mapping.field;
        let (dx, dy) = (n as f64 / (right - left), n as f64 / (bottom - top));
        let mut take = |x: f64, y: f64| {
            let (column, row) = (((x - left) * dx).floor(), ((y - top) * dy).floor());
            if column >= 0.0 && row >= 0.0 && column < n as f64 && row < n as f64 {
                self.taken[row as usize * n + column as usize] = true;
            }
        };
        let on_canvas = |(a, b): (f64, f64)| (mapping.across(a), mapping.down(b));
        let mut line = |points: &[(f64, f64)], closed: bool| {
            let ends = points.iter().skip(1).chain(points.first().filter(|_| closed));
            for (&(x0, y0), &(x1, y1)) in points.iter().zip(ends) {
                let steps = ((x1 - x0).abs() * dx).max((y1 - y0).abs() * dy).ceil().clamp(1.0, 4.0 * n as f64);
                for step in 0..=steps as usize {
                    let share = step as f64 / steps;
                    take(x0 + share * (x1 - x0), y0 + share * (y1 - y0));
                }
            }
        };
        line(&PlaneDrawing::points(&data.part.ball).map(on_canvas).collect::<Vec<_>>(), true);
        line(&PlaneDrawing::points(&data.part.path).map(on_canvas).collect::<Vec<_>>(), false);
        let (x, y) = on_canvas((0.0, 0.0));
        line(&[(x - 1.2 * text, y), (x + 0.6 * text, y)], false);
        for (name, point) in data.landmarks.iter().zip(PlaneDrawing::points(&data.part.landmarks)) {
            let (x, y) = on_canvas(point);
            let width = download::text_width(context, name) + text;
            let (from, to) = if x + width > right { (x - width, x) } else { (x, x + width) };
            line(&[(from, y), (to, y)], false);
        }
    }
}

/// The boundary as it was linearised at the iterate on screen.
fn linearised(context: &CanvasRenderingContext2d, theme: &Theme, data: &PlaneDrawing, mapping: &Mapping) {
    let steps = data.part.lines.len() / 3;
    let Some(line) = data.part.lines.chunks_exact(3).nth(data.present().min(steps.saturating_sub(1))) else { return };
    let [c, p, q] = [line[0], line[1], line[2]].map(f64::from);
    let size = p.hypot(q);
    if !(size > 0.0 && c.is_finite()) {
        return;
    }
    // From the point of it nearest to x, farther than the field either way.
    let far = (mapping.x.1 - mapping.x.0) + (mapping.y.1 - mapping.y.0) + (c / size).abs();
    let (a, b) = (-c * p / (size * size), -c * q / (size * size));
    let (da, db) = (-q / size * far, p / size * far);
    let on_canvas = |a: f64, b: f64| (mapping.across(a), mapping.down(b));
    let dashes = js_sys::Array::of2(&7.0.into(), &5.0.into());
    for (colour, width) in [(theme.panel, 4.5), (theme.ink, 2.0)] {
        context.save();
        let _ = context.set_line_dash(&dashes);
        context.set_stroke_style_str(&colour.css());
        context.set_line_width(theme.stroke(width));
        context.begin_path();
        let ((x0, y0), (x1, y1)) = (on_canvas(a - da, b - db), on_canvas(a + da, b + db));
        context.move_to(x0, y0);
        context.line_to(x1, y1);
        context.stroke();
        context.restore();
    }
}

/// For each class its sample with the greatest depth, and that depth.
fn deepest(classes: &[u8], depth: &[u16]) -> [(u16, usize); CLASSES] {
    let mut deepest = [(0_u16, 0_usize); CLASSES];
    for (i, (class, depth)) in classes.iter().zip(depth).enumerate().filter(|(_, (class, _))| **class != UNKNOWN) {
        let best = &mut deepest[usize::from(*class) % CLASSES];
        if *depth > best.0 {
            *best = (*depth, i);
        }
    }
    deepest
}

/// Text that can be read on any region.
fn haloed(context: &CanvasRenderingContext2d, theme: &Theme, text: &str, at: (f64, f64), align: &str, baseline: &str) {
    context.set_text_align(align);
    context.set_text_baseline(baseline);
    context.set_stroke_style_str(&theme.paper.css_alpha(0.85));
    context.set_line_width(0.28 * theme.text());
    let _ = context.stroke_text(text, at.0, at.1);
    context.set_fill_style_str(&theme.ink.css());
    let _ = context.fill_text(text, at.0, at.1);
}

/// For each sample how far it is from one of another class, from a taken one or from the edge (two passes). A step
/// down counts as three across: names are longer than they are high.
fn depths(classes: &[u8], taken: &[bool], n: usize, depth: &mut Vec<u16>) {
    const DOWN: u16 = 3;
    depth.clear();
    depth.resize(n * n, 0);
    for row in 0..n {
        for column in 0..n {
            let i = row * n + column;
            if taken[i] {
                continue;
            }
            let from = |j: usize, step: u16| if classes[j] == classes[i] { depth[j] + step } else { step };
            let above = if row > 0 { from(i - n, DOWN) } else { DOWN };
            let before = if column > 0 { from(i - 1, 1) } else { 1 };
            depth[i] = above.min(before);
        }
    }
    for row in (0..n).rev() {
        for column in (0..n).rev() {
            let i = row * n + column;
            let from = |j: usize, step: u16| if classes[j] == classes[i] { depth[j] + step } else { step };
            let below = if row + 1 < n { from(i + n, DOWN) } else { DOWN };
            let after = if column + 1 < n { from(i + 1, 1) } else { 1 };
            depth[i] = depth[i].min(below).min(after);
        }
    }
}

/// Draws the lines between regions, smooth within a cell: between two neighbours of different classes a line passes
/// where the two classes, counted over the samples around, are equally many.
fn boundaries(context: &CanvasRenderingContext2d, theme: &Theme, data: &PlaneDrawing, mapping: &Mapping) {
    let n = data.side() as i32;
    let classes = &data.part.classes;
    // Beyond the edge the outermost samples go on.
    let class = |row: i32, column: i32| classes[(row.clamp(0, n - 1) * n + column.clamp(0, n - 1)) as usize];
    let [left, top, right, bottom] = mapping.field;
    let (dx, dy) = ((right - left) / f64::from(n), (bottom - top) / f64::from(n));
    let at = |(column, row): (f64, f64)| (left + (column + 0.5) * dx, top + (row + 0.5) * dy);
    // By how much `first` outweighs `second` around a sample.
    let lean = |(row, column): (i32, i32), first: u8, second: u8| {
        const WEIGHTS: [i32; 5] = [1, 2, 3, 2, 1];
        let mut sum = 0;
        for (i, down) in WEIGHTS.iter().enumerate() {
            for (j, across) in WEIGHTS.iter().enumerate() {
                let found = class(row + i as i32 - 2, column + j as i32 - 2);
                sum += down * across * (i32::from(found == first) - i32::from(found == second));
            }
        }
        f64::from(sum)
    };
    let crossing = |from: (i32, i32), to: (i32, i32)| {
        let (first, second) = (class(from.0, from.1), class(to.0, to.1));
        let (here, there) = (lean(from, first, second), lean(to, first, second));
        if here > 0.0 && there < 0.0 { here / (here - there) } else { 0.5 }
    };
    context.begin_path();
    for row in -1..n {
        for column in -1..n {
            let corners = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)];
            let first = class(row, column);
            if corners[1..].iter().all(|(row, column)| class(*row, *column) == first) {
                continue;
            }
            let mut points = [(0.0, 0.0); 4];
            let mut count = 0;
            for (side, &from) in corners.iter().enumerate() {
                let to = corners[(side + 1) % 4];
                if class(from.0, from.1) != class(to.0, to.1) {
                    let share = crossing(from, to);
                    let between = |from: i32, to: i32| f64::from(from) + share * f64::from(to - from);
                    points[count] = at((between(from.1, to.1), between(from.0, to.0)));
                    count += 1;
                }
            }
            if count == 2 {
                context.move_to(points[0].0, points[0].1);
                context.line_to(points[1].0, points[1].1);
            } else {
                // Three or four regions meet: their lines meet in the middle of the crossings.
                let sum = points[..count].iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
                for point in &points[..count] {
                    context.move_to(point.0, point.1);
                    context.line_to(sum.0 / count as f64, sum.1 / count as f64);
                }
            }
        }
    }
    context.set_line_cap("round");
    context.set_stroke_style_str(&theme.ink.css_alpha(0.75));
    context.set_line_width(theme.stroke(1.2));
    context.stroke();
}

/// Strokes the present path twice, so that it is seen on light and on dark.
fn double_stroke(context: &CanvasRenderingContext2d, width: f64, dark_inside: bool) {
    let (outer, inner) = if dark_inside { ("#fff", "#000") } else { ("#000", "#fff") };
    context.set_stroke_style_str(outer);
    context.set_line_width(2.4 * width);
    context.stroke();
    context.set_stroke_style_str(inner);
    context.set_line_width(width);
    context.stroke();
}

/// The outline of the ball's section.
fn outline(context: &CanvasRenderingContext2d, theme: &Theme, data: &PlaneDrawing, mapping: &Mapping) {
    context.begin_path();
    for (i, (a, b)) in PlaneDrawing::points(&data.part.ball).enumerate() {
        let (x, y) = (mapping.across(a), mapping.down(b));
        if i == 0 { context.move_to(x, y) } else { context.line_to(x, y) }
    }
    context.close_path();
    context.set_line_join("round");
    double_stroke(context, theme.stroke(1.6), true);
}

/// The iterates, x, the one on screen and the last one.
fn path(context: &CanvasRenderingContext2d, theme: &Theme, data: &PlaneDrawing, mapping: &Mapping) {
    let points: Vec<(f64, f64)> = PlaneDrawing::points(&data.part.path)
        .filter(|(a, b)| a.is_finite() && b.is_finite())
        .map(|(a, b)| (mapping.across(a), mapping.down(b)))
        .collect();
    let origin = (mapping.across(0.0), mapping.down(0.0));
    context.begin_path();
    for (i, (x, y)) in points.iter().enumerate() {
        if i == 0 { context.move_to(*x, *y) } else { context.line_to(*x, *y) }
    }
    double_stroke(context, theme.stroke(1.4), false);
    let (black, white) = (Rgb(0, 0, 0), Rgb(255, 255, 255));
    if points.len() > 1 {
        for &point in &points {
            chart::dot(context, point, theme.stroke(2.2), white, black);
        }
    }
    if let Some(&(x, y)) = points.last().filter(|_| points.len() > 1) {
        let arm = theme.stroke(5.5);
        context.begin_path();
        context.move_to(x - arm, y - arm);
        context.line_to(x + arm, y + arm);
        context.move_to(x - arm, y + arm);
        context.line_to(x + arm, y - arm);
        context.set_line_cap("round");
        double_stroke(context, theme.stroke(2.0), false);
    }
    context.begin_path();
    let _ = context.arc(origin.0, origin.1, theme.stroke(5.5), 0.0, std::f64::consts::TAU);
    double_stroke(context, theme.stroke(2.0), false);
    if let Some(&point) = points.get(data.present()) {
        context.begin_path();
        let _ = context.arc(point.0, point.1, theme.stroke(8.5), 0.0, std::f64::consts::TAU);
        double_stroke(context, theme.stroke(1.6), true);
        chart::dot(context, point, theme.stroke(4.0), theme.accent, white);
    }
    context.set_font(&format!("italic 700 {}px {FONT}", 1.15 * theme.text()));
    haloed(context, theme, "x", (origin.0 - theme.stroke(9.0), origin.1 - 0.2 * theme.text()), "right", "bottom");
}

/// Other pictures that span the plane.
fn landmarks(context: &CanvasRenderingContext2d, theme: &Theme, data: &PlaneDrawing, mapping: &Mapping) {
    context.set_font(&format!("600 {}px {FONT}", theme.text()));
    for (i, (a, b)) in PlaneDrawing::points(&data.part.landmarks).enumerate() {
        let (x, y, arm) = (mapping.across(a), mapping.down(b), theme.stroke(5.0));
        context.begin_path();
        context.move_to(x, y - arm);
        context.line_to(x + arm, y);
        context.line_to(x, y + arm);
        context.line_to(x - arm, y);
        context.close_path();
        double_stroke(context, theme.stroke(2.0), false);
        if let Some(name) = data.landmarks.get(i) {
            let width = download::text_width(context, name);
            let (x, align) = if x + arm + width + 8.0 > mapping.field[2] {
                (x - arm - 4.0, "right")
            } else {
                (x + arm + 4.0, "left")
            };
            haloed(context, theme, name, (x, y), align, "middle");
        }
    }
}

/// The network's decisions on a plane through x, the ball's section, and the attack's path.
#[component]
pub fn PlaneFigure(
    /// The plane; nothing yet is an empty field. A finer version takes the place of a coarser one.
    #[prop(into)]
    part: Signal<Option<Arc<PlanePart>>>,
    /// The names of the classes.
    #[prop(into)]
    classes: Signal<Classes>,
    /// The step on screen; `None` is the last one.
    #[prop(into)]
    step: Signal<Option<u32>>,
    /// What the horizontal axis measures.
    #[prop(into, default = "distance along the attack's direction (L2)".into())]
    across: Signal<String>,
    /// What the vertical axis measures.
    #[prop(into, default = "distance along a random direction (L2)".into())]
    upwards: Signal<String>,
    /// The names of the landmarks, in their order.
    #[prop(into, optional)]
    landmarks: Signal<Vec<String>>,
    /// What it is: "Decisions around x".
    #[prop(into)]
    caption: Signal<String>,
    /// The name of its files, without ending.
    #[prop(into)]
    name: Signal<String>,
) -> impl IntoView {
    let node = NodeRef::<Canvas>::new();
    let theme = theme();
    let shown: Rc<RefCell<Option<PlaneDrawing>>> = Rc::default();
    let stage = {
        let (shown, painter) = (shown.clone(), RefCell::new(PlanePainter::default()));
        Stage::new(node, move |canvas, size| match &*shown.borrow() {
            Some(data) => drop(painter.borrow_mut().draw(canvas, size, &theme.read_untracked(), data)),
            None => drop(prepare(canvas, size)),
        })
    };
    let version = RwSignal::new(0_u32);
    Effect::new({
        let shown = shown.clone();
        move || {
            theme.track();
            let (classes, step, landmarks) = (classes.get(), step.get().map(|step| step as usize), landmarks.get());
            let axes = [across.get(), upwards.get()];
            shown.replace(part.get().map(|part| PlaneDrawing { part, classes, step, landmarks, axes }));
            version.update(|version| *version = version.wrapping_add(1));
            stage.request();
        }
    });
    let for_text = shown.clone();
    let description = calm(
        move || version.track(),
        move || match &*for_text.borrow() {
            Some(data) if data.is_sound() => data.describe(),
            _ => String::new(),
        },
    );
    let body = view! {
        <canvas node_ref=node class="plane" role="img" aria-label=description></canvas>
        {legend(part, theme)}
    }
    .into_any();
    let for_png = shown.clone();
    frame(
        Frame {
            class: "plane-figure",
            caption,
            description: None,
            name,
            png: Box::new(move |theme, caption| {
                let shown = for_png.borrow();
                let data = shown.as_ref()?;
                let caption = format!("{caption}. {KEY}");
                chart_plate(theme, (480.0, 480.0), &caption, |canvas, size| {
                    PlanePainter::default().draw(canvas, size, theme, data);
                })
            }),
            csv: Box::new(move || shown.borrow().as_ref().filter(|data| data.is_sound()).map(PlaneDrawing::csv)),
        },
        body,
    )
}

/// The legend in words, for files.
const KEY: &str = "○ x, ● iterates projected onto the plane, ◎ the one on screen, × the last one, closed line: the \
                   ball's section; paler: less certain.";

fn legend(part: Signal<Option<Arc<PlanePart>>>, theme: Signal<Arc<Theme>>) -> AnyView {
    let node = NodeRef::<Canvas>::new();
    // The class at x lends its colour to the bar of confidence.
    let class =
        Memo::new(move |_| part.with(|part| part.as_ref().and_then(|part| class_at(part, (0.0, 0.0)))).unwrap_or(0));
    Effect::new(move || {
        let (theme, class) = (theme.get(), class.get());
        if let Some(canvas) = node.get() {
            let shade = |share: f32| super::palette::region(theme.paper, theme.class(class), share);
            let rgba: Vec<u8> = (0..256)
                .flat_map(|i| {
                    let Rgb(r, g, b) = shade(0.1 + 0.9 * i as f32 / 255.0);
                    [r, g, b, 255]
                })
                .collect();
            put_pixels(&canvas, &rgba, 256, 1);
        }
    });
    view! {
        <div class="plane-legend">
            <ul>
                <li><span aria-hidden="true">"○"</span>" x"</li>
                <Show when=move || part.with(|part| part.as_ref().is_none_or(|part| !part.path.is_empty()))>
                    <li><span aria-hidden="true">"●"</span>" iterates, projected"</li>
                    <li><span aria-hidden="true">"◎"</span>" on screen"</li>
                    <li><span aria-hidden="true">"×"</span>" last"</li>
                </Show>
                <Show when=move || part.with(|part| part.as_ref().is_none_or(|part| !part.ball.is_empty()))>
                    <li><span class="ball-key" aria-hidden="true"></span>" the ball ‖δ‖ ≤ ε"</li>
                </Show>
                <Show when=move || part.with(|part| part.as_ref().is_some_and(|part| !part.lines.is_empty()))>
                    <li><span aria-hidden="true">"╌"</span>" nearest boundary, linearised"</li>
                </Show>
            </ul>
            <div class="scale" aria-hidden="true">
                <canvas node_ref=node width="256" height="1"></canvas>
                <div class="scale-numbers"><span>"10 %"</span><span>"confidence"</span><span>"100 %"</span></div>
            </div>
        </div>
    }
    .into_any()
}
