//! Class probabilities before and after the attack, as paired bars.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use leptos::html::Canvas;
use leptos::html::Tbody;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlCanvasElement, HtmlElement};

use super::chart::write;
use super::frame::{Frame, frame};
use super::stage::Stage;
use super::theme::{FONT, Theme};
use super::{download, format, palette};

/// Class probabilities, one per class.
pub type Probabilities = Arc<[f32]>;

/// The classes of a data set, by index.
pub type Classes = &'static [&'static str];

/// What the bars show at a moment.
#[derive(Clone, Default)]
struct Shown {
    classes: Classes,
    before: Option<Probabilities>,
    after: Option<Probabilities>,
    truth: Option<u8>,
    target: Option<u8>,
}

/// The elements of one row that change while a slider is dragged.
struct Row {
    row: HtmlElement,
    bars: [HtmlElement; 2],
    numbers: [Number; 2],
    mark: HtmlElement,
}

/// A number in the table and what it says now, so that the page is touched only where something changes.
struct Number {
    cell: HtmlElement,
    text: web_sys::Node,
    shown: String,
    leads: bool,
}

/// Class probabilities before and after the attack, K classes, as a table with bars in it.
#[component]
pub fn ClassBars(
    /// The names of the classes.
    #[prop(into)]
    classes: Signal<Classes>,
    /// Probabilities at x.
    #[prop(into)]
    before: Signal<Option<Probabilities>>,
    /// Probabilities at the adversarial picture.
    #[prop(into)]
    after: Signal<Option<Probabilities>>,
    /// The class the attack counts as true.
    #[prop(into)]
    truth: Signal<Option<u8>>,
    /// The class a targeted attack wants.
    #[prop(into, optional)]
    target: Signal<Option<u8>>,
    /// What it is: "Class probabilities".
    #[prop(into)]
    caption: Signal<String>,
    /// The name of its files, without ending.
    #[prop(into)]
    name: Signal<String>,
) -> impl IntoView {
    let shown: Rc<RefCell<Shown>> = Rc::default();
    let rows: Rc<RefCell<Vec<Row>>> = Rc::default();
    let table = NodeRef::<Tbody>::new();
    // An empty canvas takes part in the page's frames and tells whether the bars are on screen.
    let sentinel = NodeRef::<Canvas>::new();
    let stage = {
        let (shown, rows) = (shown.clone(), rows.clone());
        Stage::writing(sentinel, move || update(&mut rows.borrow_mut(), &shown.borrow()))
    };
    let known = Memo::new(move |_| classes.get());
    Effect::new({
        let (shown, rows) = (shown.clone(), rows.clone());
        move |built: Option<Option<Classes>>| {
            let classes = known.get();
            let body = table.get();
            let new =
                Shown { classes, before: before.get(), after: after.get(), truth: truth.get(), target: target.get() };
            shown.replace(new);
            let built = match (built.flatten(), body) {
                (Some(built), Some(_)) if built == classes => Some(built),
                (_, Some(body)) => {
                    rows.replace(build(&body, classes));
                    Some(classes)
                }
                (built, None) => built,
            };
            stage.request();
            built
        }
    });
    let body = view! {
        <table class="bars">
            <thead>
                <tr>
                    <th scope="col">"class"</th>
                    <th scope="col" class="bars-key">
                        <span class="bar-key before"></span>"before "<span class="bar-key after"></span>"after"
                    </th>
                    <th scope="col">"x"</th>
                    <th scope="col">"x + δ"</th>
                </tr>
            </thead>
            <tbody node_ref=table></tbody>
        </table>
        <canvas node_ref=sentinel class="sentinel" width="1" height="1" aria-hidden="true"></canvas>
    }
    .into_any();
    let for_png = shown.clone();
    frame(
        Frame {
            class: "class-bars",
            caption,
            description: None,
            name,
            png: Box::new(move |theme, caption| plate(theme, &for_png.borrow(), caption)),
            csv: Box::new(move || csv(&shown.borrow())),
        },
        body,
    )
}

fn build(body: &HtmlElement, classes: Classes) -> Vec<Row> {
    body.set_text_content(None);
    let Some(document) = body.owner_document() else { return Vec::new() };
    let add = |parent: &HtmlElement, tag: &str, class: &str| -> Option<HtmlElement> {
        let element: HtmlElement = document.create_element(tag).ok()?.dyn_into().ok()?;
        element.set_class_name(class);
        parent.append_child(&element).ok()?;
        Some(element)
    };
    let row = |(class, name): (usize, &&str)| -> Option<Row> {
        let row = add(body, "tr", "")?;
        let head = add(&row, "th", "")?;
        head.set_attribute("scope", "row").ok()?;
        let symbol = add(&head, "span", "class-symbol")?;
        symbol.set_attribute("aria-hidden", "true").ok()?;
        symbol.set_text_content(Some(palette::symbol(class)));
        symbol.style().set_property("color", &format!("var(--class-{class})")).ok()?;
        add(&head, "span", "class-name")?.set_text_content(Some(name));
        let mark = add(&head, "span", "class-mark")?;
        let cell = add(&row, "td", "bars-cell")?;
        let bar = |series: &str| -> Option<HtmlElement> {
            let bar = add(&cell, "div", &format!("bar {series}"))?;
            bar.style().set_property("--class", &format!("var(--class-{class})")).ok()?;
            Some(bar)
        };
        let bars = [bar("before")?, bar("after")?];
        let number = || -> Option<Number> {
            let cell = add(&row, "td", "figure-value")?;
            cell.set_text_content(Some("–"));
            Some(Number { text: cell.first_child()?, cell, shown: String::new(), leads: false })
        };
        let numbers = [number()?, number()?];
        Some(Row { row, bars, numbers, mark })
    };
    classes.iter().enumerate().filter_map(row).collect()
}

fn update(rows: &mut [Row], shown: &Shown) {
    let series = [&shown.before, &shown.after];
    let leading = series.map(|values| values.as_deref().and_then(leading));
    for (class, row) in rows.iter_mut().enumerate() {
        for (i, values) in series.iter().enumerate() {
            let value = values.as_ref().and_then(|values| values.get(class)).copied();
            let length = value.filter(|value| value.is_finite()).unwrap_or(0.0).clamp(0.0, 1.0);
            let _ = row.bars[i].style().set_property("transform", &format!("scaleX({length:.4})"));
            let number = &mut row.numbers[i];
            let text = value.map_or("–".into(), format::percent);
            if number.shown != text {
                number.text.set_node_value(Some(&text));
                number.shown = text;
            }
            let leads = leading[i] == Some(class);
            if number.leads != leads {
                number.cell.set_class_name(if leads { "figure-value leading" } else { "figure-value" });
                number.leads = leads;
            }
        }
        let is = |class_of: Option<u8>| class_of.map(usize::from) == Some(class);
        let mark = mark(is(shown.truth), is(shown.target));
        if row.mark.text_content().as_deref() != Some(mark) {
            row.mark.set_text_content(Some(mark));
            row.row.set_class_name(if is(shown.truth) {
                "truth"
            } else if is(shown.target) {
                "target"
            } else {
                ""
            });
        }
    }
}

fn mark(truth: bool, target: bool) -> &'static str {
    match (truth, target) {
        (true, true) => "true, target",
        (true, false) => "true",
        (false, true) => "target",
        (false, false) => "",
    }
}

/// The class with the greatest probability.
pub fn leading(values: &[f32]) -> Option<usize> {
    (0..values.len()).filter(|i| values[*i].is_finite()).max_by(|a, b| values[*a].total_cmp(&values[*b]))
}

fn csv(shown: &Shown) -> Option<String> {
    shown.before.as_ref().or(shown.after.as_ref())?;
    let value = |series: &Option<Probabilities>, class: usize| {
        series.as_ref().and_then(|values| values.get(class)).map(|value| format::csv(*value)).unwrap_or_default()
    };
    let mut text = String::from("class,name,probability at x,probability at x + delta\n");
    for (class, name) in shown.classes.iter().enumerate() {
        text.push_str(&format!(
            "{class},{},{},{}\n",
            download::field(name),
            value(&shown.before, class),
            value(&shown.after, class)
        ));
    }
    Some(text)
}

fn plate(theme: &Theme, shown: &Shown, caption: &str) -> Option<HtmlCanvasElement> {
    shown.before.as_ref().or(shown.after.as_ref())?;
    let text = theme.text();
    let (name, number, bar, row) = (10.0 * text, 4.2 * text, 260.0, 2.0 * text);
    let width = name + bar + 2.0 * number;
    let height = row * (shown.classes.len() as f64 + 1.0);
    download::plate(theme, (width, height), caption, |context| {
        context.set_font(&format!("{text}px {FONT}"));
        let ink = theme.ink.css();
        context.set_fill_style_str(&ink);
        write(context, "x", (name + bar + number, row / 2.0), "right", "middle");
        write(context, "x + δ", (width, row / 2.0), "right", "middle");
        write(context, "above: before, below: after", (name, row / 2.0), "left", "middle");
        for (class, title) in shown.classes.iter().enumerate() {
            let y = row * (class as f64 + 1.0);
            let is = |class_of: Option<u8>| class_of.map(usize::from) == Some(class);
            let colour = theme.class(class);
            context.set_fill_style_str(&colour.css());
            write(context, palette::symbol(class), (0.0, y + row / 2.0), "left", "middle");
            context.set_fill_style_str(&ink);
            let mark = mark(is(shown.truth), is(shown.target));
            let title = if mark.is_empty() { (*title).into() } else { format!("{title} ({mark})") };
            write(context, &title, (1.4 * text, y + row / 2.0), "left", "middle");
            for (i, values) in [&shown.before, &shown.after].into_iter().enumerate() {
                let Some(value) = values.as_ref().and_then(|values| values.get(class)).filter(|v| v.is_finite()) else {
                    continue;
                };
                let thick = 0.34 * row;
                context.set_fill_style_str(&colour.css_alpha(if i == 0 { 0.45 } else { 1.0 }));
                context.fill_rect(name, y + 0.14 * row + i as f64 * (thick + 1.0), bar * f64::from(*value), thick);
                context.set_fill_style_str(&ink);
                let right = name + bar + number * (i as f64 + 1.0);
                write(context, &format::percent(*value), (right, y + row / 2.0), "right", "middle");
            }
        }
    })
}
