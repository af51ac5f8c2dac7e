//! The answer to any job: its sentence, figures and tables.

use leptos::prelude::*;

use super::{figures, server};
use crate::job::Report;
use crate::job::report::{Cell, Figure, Table};
use crate::page::figure::{download, format};
use crate::page::notice::Notices;
use crate::page::place::Place;
use crate::page::state::Lab;

/// Rows that are shown; the file has all.
const ROWS: usize = 400;

/// Everything that is known so far. `id` is the job's name on the server, `file` begins the names of its files.
pub fn report(report: Memo<Report>, id: Signal<Option<String>, LocalStorage>, file: Signal<String>) -> AnyView {
    let summary = move || report.with(|report| report.summary.clone());
    // Figures and tables stay where they are while their numbers change.
    let shapes = Memo::new(move |_| {
        report.with(|report| {
            let figures = report.figures.iter().map(|figure| match figure {
                Figure::Lines(lines) => ("lines", lines.title.clone()),
                Figure::Matrix(matrix) => ("matrix", matrix.title.clone()),
                Figure::Map(map) => ("map", map.title.clone()),
            });
            figures.enumerate().map(|(place, (kind, title))| (place, kind, title)).collect::<Vec<_>>()
        })
    });
    let titles = Memo::new(move |_| {
        report.with(|report| report.tables.iter().map(|table| table.title.clone()).enumerate().collect::<Vec<_>>())
    });
    let figure = move |(place, kind, title): (usize, &'static str, String)| {
        let one = Memo::new(move |_| report.with(|report| report.figures.get(place).cloned()));
        let name = Signal::derive(move || format!("{}-figure-{place}", file.get()));
        view! {
            <section class="batch-figure">
                <h3>{title}</h3>
                {figures::figure(kind, one, name)}
            </section>
        }
    };
    let tabled = move |(place, title): (usize, String)| {
        let one = Memo::new(move |_| report.with(|report| report.tables.get(place).cloned()));
        table(place, title, one, id, file)
    };
    view! {
        <p class="result-line">{summary}</p>
        <For each=move || shapes.get() key=Clone::clone children=figure />
        <For each=move || titles.get() key=Clone::clone children=tabled />
    }
    .into_any()
}

fn table(
    place: usize,
    title: String,
    table: Memo<Option<Table>>,
    id: Signal<Option<String>, LocalStorage>,
    file: Signal<String>,
) -> AnyView {
    // Long tables are made when somebody looks at them.
    let open = RwSignal::new(place == 0);
    let (caption, heading) = (title.clone(), title.clone());
    let on_toggle = move |event: leptos::ev::Event| {
        let details = event.target().and_then(|target| wasm_bindgen::JsCast::dyn_into::<web_sys::Element>(target).ok());
        open.set(details.is_some_and(|details| details.has_attribute("open")));
    };
    let columns =
        Memo::new(move |_| table.with(|table| table.as_ref().map_or(Vec::new(), |table| table.columns.clone())));
    let count = Memo::new(move |_| table.with(|table| table.as_ref().map_or(0, |table| table.rows.len())));
    let numbers = Memo::new(move |_| table.with(|table| table.as_ref().map(numeric).unwrap_or_default()));
    let heads = move || {
        let numbers = numbers.get();
        let head = |(column, text): (usize, String)| {
            view! { <th scope="col" class:figure-number=numbers.get(column).copied().unwrap_or(false)>{text}</th> }
        };
        columns.get().into_iter().enumerate().map(head).collect_view()
    };
    let rows = move || {
        open.get().then(|| {
            table.with(|table| {
                let rows = table.iter().flat_map(|table| &table.rows).take(ROWS);
                rows.map(|row| view! { <tr>{row.iter().enumerate().map(cell).collect_view()}</tr> }).collect_view()
            })
        })
    };
    let cut = move || {
        (count.get() > ROWS).then(
            || view! { <p class="soft">{format!("The first {ROWS} of {} rows; the file has all.", count.get())}</p> },
        )
    };
    let take = move || match id.get() {
        Some(id) => {
            let address = server::address(&id, &format!("/results.csv?table={place}"));
            view! { <a class="button" href=address download="">"Download this table (CSV)"</a> }.into_any()
        }
        None => {
            let save = move |_| {
                if let Some(table) = table.get_untracked() {
                    download::save_csv(&csv(&table), &format!("{}-{place}", file.get_untracked()));
                }
            };
            view! { <button type="button" on:click=save>"Download this table (CSV)"</button> }.into_any()
        }
    };
    view! {
        <details class="batch-table" open=place == 0 on:toggle=on_toggle>
            <summary>{heading}</summary>
            <div class="table-room tall" tabindex="0" role="region" aria-label=format!("{title}, a table that scrolls")>
                <table>
                    <caption class="visually-hidden">{caption}</caption>
                    <thead><tr>{heads}</tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            {cut}
            {take}
        </details>
    }
    .into_any()
}

/// Which columns hold numbers.
fn numeric(table: &Table) -> Vec<bool> {
    let is_number = |cell: &Cell| matches!(cell, Cell::Number(_) | Cell::Count(_) | Cell::Share(_));
    let of = |column: usize| table.rows.iter().any(|row| row.get(column).is_some_and(is_number));
    (0..table.columns.len()).map(of).collect()
}

fn cell((column, cell): (usize, &Cell)) -> AnyView {
    let content = match cell {
        Cell::Lab(words, query) => in_the_lab(words.clone(), query.clone()),
        Cell::Empty => ().into_any(),
        Cell::Text(text) => text.clone().into_any(),
        Cell::Number(number) => format::number(*number as f32, 4).into_any(),
        Cell::Count(count) => count.to_string().into_any(),
        Cell::Share(share) => format::percent(*share as f32).into_any(),
    };
    let is_number = matches!(cell, Cell::Number(_) | Cell::Count(_) | Cell::Share(_));
    if column == 0 {
        view! { <th scope="row">{content}</th> }.into_any()
    } else {
        view! { <td class:figure-number=is_number>{content}</td> }.into_any()
    }
}

/// A link that opens an experiment in the Lab, without loading the page again.
fn in_the_lab(words: String, query: String) -> AnyView {
    let (lab, place, notices) = (Lab::get(), expect_context::<RwSignal<Place>>(), Notices::get());
    let opened = query.clone();
    let go = move |event: leptos::ev::MouseEvent| {
        if event.ctrl_key() || event.meta_key() || event.shift_key() {
            return;
        }
        event.prevent_default();
        let experiment = crate::experiment::Experiment::from_query(&opened).experiment;
        notices.check(lab.edit("open", |now| *now = experiment));
        place.set(Place::Lab);
        window().scroll_to_with_x_and_y(0.0, 0.0);
    };
    view! { <a href=query title="Open in the Lab" on:click=go>{words}</a> }.into_any()
}

/// A table as a file, as the server writes it.
fn csv(table: &Table) -> String {
    let line =
        |fields: Vec<String>| fields.iter().map(|text| download::field(text)).collect::<Vec<_>>().join(",") + "\n";
    let mut text = line(table.columns.clone());
    for row in &table.rows {
        text += &line(row.iter().map(Cell::plain).collect());
    }
    text
}
