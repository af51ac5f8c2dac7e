//! Shares in rows and columns: a table whose cells are shaded by what they say.

use leptos::prelude::*;

use super::chart::write;
use super::curve::chart_plate;
use super::frame::{Frame, frame};
use super::palette::Rgb;
use super::theme::{FONT, Theme};
use super::{download, format};
use crate::job::report::Matrix;

/// How much of the colour a cell takes at most: its number stays legible.
const MOST: f32 = 0.42;

fn value(matrix: &Matrix, row: usize, column: usize) -> Option<f32> {
    matrix.values.get(row * matrix.columns.len() + column).copied().flatten()
}

fn number(value: Option<f32>) -> String {
    value.map_or("–".into(), format::percent_short)
}

fn shade(theme: &Theme, share: f32) -> Rgb {
    theme.panel.mix(theme.danger, MOST * share.clamp(0.0, 1.0))
}

fn csv(matrix: &Matrix) -> String {
    let mut text = format!("{},{},share\n", download::field(&matrix.row_label), download::field(&matrix.column_label));
    for (r, row) in matrix.rows.iter().enumerate() {
        for (c, column) in matrix.columns.iter().enumerate() {
            let share = value(matrix, r, c).map(format::csv).unwrap_or_default();
            text += &format!("{},{},{share}\n", download::field(row), download::field(column));
        }
    }
    text
}

/// Draws it for a file.
fn plate(theme: &Theme, caption: &str, matrix: &Matrix) -> Option<web_sys::HtmlCanvasElement> {
    let text = theme.text();
    let (left, top, cell) = (11.0 * text, 3.2 * text, (7.0 * text, 2.2 * text));
    let size = (left + cell.0 * matrix.columns.len() as f64, top + cell.1 * matrix.rows.len() as f64);
    chart_plate(theme, size, caption, |canvas, size| {
        let Some(context) = super::stage::prepare(canvas, size) else { return };
        context.set_font(&format!("{text}px {FONT}"));
        context.set_fill_style_str(&theme.ink_soft.css());
        let corner = format!("{} ↓  {} →", matrix.row_label, matrix.column_label);
        write(&context, &corner, (0.0, 0.8 * text), "left", "middle");
        for (c, name) in matrix.columns.iter().enumerate() {
            write(&context, name, (left + (c as f64 + 0.5) * cell.0, top - 0.9 * text), "center", "middle");
        }
        for (r, name) in matrix.rows.iter().enumerate() {
            let y = top + r as f64 * cell.1;
            context.set_fill_style_str(&theme.ink.css());
            write(&context, name, (0.0, y + cell.1 / 2.0), "left", "middle");
            for c in 0..matrix.columns.len() {
                let (share, x) = (value(matrix, r, c), left + c as f64 * cell.0);
                context.set_fill_style_str(&shade(theme, share.unwrap_or(0.0)).css());
                context.fill_rect(x + 1.0, y + 1.0, cell.0 - 2.0, cell.1 - 2.0);
                context.set_fill_style_str(&theme.ink.css());
                write(&context, &number(share), (x + cell.0 / 2.0, y + cell.1 / 2.0), "center", "middle");
            }
        }
    })
}

/// A table of shares with shaded cells; its text is its own equivalent.
#[component]
pub fn MatrixFigure(
    /// What is shown.
    matrix: Memo<Matrix>,
    /// The name of its files, without ending.
    #[prop(into)]
    name: Signal<String>,
) -> impl IntoView {
    let caption = Signal::derive(move || matrix.with(|matrix| matrix.caption.clone()));
    let label = move || matrix.with(|matrix| format!("{}, a table that may be wider than the page", matrix.title));
    let sides = move || matrix.with(|matrix| format!("Rows: {}. Columns: {}.", matrix.row_label, matrix.column_label));
    let heads = move || {
        matrix.with(|matrix| {
            matrix.columns.iter().map(|name| view! { <th scope="col">{name.clone()}</th> }).collect_view()
        })
    };
    let cell = |share: Option<f32>| {
        let colour = format!("{:.0}%", 100.0 * share.unwrap_or(0.0));
        view! { <td><span class="cell shade" style:--share=colour>{number(share)}</span></td> }
    };
    let rows = move || {
        matrix.with(|matrix| {
            let rows = matrix.rows.iter().enumerate().map(|(r, name)| {
                let cells = (0..matrix.columns.len()).map(|c| cell(value(matrix, r, c))).collect_view();
                view! { <tr><th scope="row">{name.clone()}</th>{cells}</tr> }
            });
            rows.collect_view()
        })
    };
    let body = view! {
        <p class="soft matrix-sides">{sides}</p>
        <div class="table-room" tabindex="0" role="region" aria-label=label>
            <table class="matrix">
                <thead><tr><td></td>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <div class="shade-scale" aria-hidden="true"><span>"0 %"</span><span class="shade-bar"></span><span>"100 %"</span></div>
    }
    .into_any();
    frame(
        Frame {
            class: "matrix-figure",
            caption,
            description: None,
            name,
            png: Box::new(move |theme, caption| matrix.with_untracked(|matrix| plate(theme, caption, matrix))),
            csv: Box::new(move || Some(matrix.with_untracked(csv))),
        },
        body,
    )
}
