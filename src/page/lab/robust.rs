//! Robust accuracy over many pictures for the present attack.

use std::sync::Arc;

use leptos::prelude::*;

use crate::api::JobState;
use crate::experiment::Experiment;
use crate::job::Job;
use crate::job::report::{Cell, Report};
use crate::job::robust_accuracy::RobustAccuracy;
use crate::nn::zoo;
use crate::page::control::Pick;
use crate::page::extra::Extra;
use crate::page::figure::{download, format};
use crate::page::jobs::{self, Batch, Batches, Standing};
use crate::page::notice::Notices;
use crate::page::place::Place;
use crate::page::state::Lab;

/// The panel.
#[component]
pub fn RobustPanel() -> impl IntoView {
    let (lab, notices, batch) = (Lab::get(), Notices::get(), Batches::get().lab);
    let all = lab.memo(|experiment| experiment.dataset.pictures());
    let wanted = RwSignal::new(100u32);
    let pictures = Memo::new(move |_| wanted.get().min(all.get()));
    let start = move |_| {
        let experiment = lab.now();
        match experiment.validate() {
            Ok(()) => {
                if let Some(before) = batch.get_untracked().filter(|batch| batch.standing().read_untracked().runs()) {
                    before.stop();
                }
                let job: Arc<dyn Job> = Arc::new(RobustAccuracy::of(&experiment, pictures.get_untracked()));
                batch.set(Some(Batch::ask(&job)));
            }
            Err(invalid) => notices.check(Err(invalid.to_string())),
        }
    };
    let stop = move |_| {
        if let Some(batch) = batch.get_untracked() {
            batch.stop();
        }
    };
    let options = Signal::derive(move || {
        let all = all.get();
        let some = [100, 200, 500].into_iter().filter(move |count| *count < all);
        let mut options: Vec<_> = some.map(|count| (count.to_string(), format!("the first {count}"))).collect();
        options.push((all.to_string(), format!("all {all}")));
        options
    });
    let value = Signal::derive(move || pictures.get().to_string());
    let set = Callback::new(move |key: String| wanted.set(key.parse().unwrap_or(100)));
    let runs = Signal::derive_local(move || batch.get().is_some_and(|batch| batch.standing().read().runs()));
    view! {
        <section class="panel robust" aria-labelledby="robust-title">
            <h2 id="robust-title">"Robust accuracy"</h2>
            <p class="soft">
                "How many test pictures does the model still get right after this attack (present norm, ε, steps and goal)?"
            </p>
            <div class="buttons">
                <Pick id="robust-count" label="Test pictures" options=options value=value set=set />
                <button type="button" class="primary" on:click=start disabled=move || runs.get()>"Count"</button>
                <button type="button" on:click=stop disabled=move || !runs.get()>"Stop"</button>
            </div>
            {move || batch.get().map(report)}
        </section>
    }
}

/// What has been counted.
#[derive(Clone, Default, PartialEq)]
struct Counts {
    /// A class, its pictures, how many are right before and after. The first row is all of them.
    rows: Vec<(String, [u64; 3])>,
}

impl Counts {
    fn of(report: &Report) -> Self {
        let mut rows = Vec::new();
        for (table, name) in report.tables.iter().zip([None, Some("class")]) {
            let column = |name: &str| table.columns.iter().position(|column| column == name);
            let [Some(pictures), Some(before), Some(after)] =
                ["pictures", "correct before", "correct after"].map(column)
            else {
                continue;
            };
            for row in &table.rows {
                let count = |at: usize| if let Cell::Count(count) = row[at] { count } else { 0 };
                let name = name.and_then(column).map_or("all".into(), |at| row[at].plain());
                rows.push((name, [pictures, before, after].map(count)));
            }
        }
        Self { rows }
    }

    fn all(&self) -> [u64; 3] {
        self.rows.first().map_or([0; 3], |(_, counts)| *counts)
    }

    fn classes(&self) -> &[(String, [u64; 3])] {
        self.rows.get(1..).unwrap_or_default()
    }

    fn csv(&self) -> String {
        let mut text = String::from("class,pictures,right_before,right_after\n");
        for (name, [pictures, before, after]) in self.classes().iter().chain(self.rows.first()) {
            text += &format!("{},{pictures},{before},{after}\n", download::field(name));
        }
        text
    }
}

fn wanted(standing: &Standing) -> u64 {
    standing.view.question["pictures"].as_u64().unwrap_or(1)
}

fn report(batch: Batch) -> AnyView {
    let standing = batch.standing();
    let counts = {
        let standing = standing.clone();
        Memo::new(move |_| standing.with(|standing| Counts::of(&standing.view.report)))
    };
    let line = {
        let standing = standing.clone();
        Memo::new(move |_| {
            let [counted, ..] = counts.with(Counts::all);
            standing.with(|standing| jobs::status(standing, &format!("{counted} of {} pictures", wanted(standing))))
        })
    };
    let about = {
        let standing = standing.clone();
        Memo::new(move |_| {
            let experiment = standing.with(|standing| standing.view.question["experiment"].clone());
            serde_json::from_value::<Experiment>(experiment).map_or(String::new(), |experiment| about(&experiment))
        })
    };
    let most = {
        let standing = standing.clone();
        Memo::new(move |_| standing.with(wanted))
    };
    let counted = move || counts.with(Counts::all)[0].to_string();
    let numbers = move || {
        let [pictures, before, after] = counts.with(Counts::all);
        let rate = |part: u64| format::percent(part as f32 / pictures as f32);
        (pictures > 0).then(|| {
            view! {
                <p class="result">
                    <span><strong>{rate(before)}</strong>" right before the attack"</span>
                    <span><strong>{rate(after)}</strong>" right after it"</span>
                </p>
            }
        })
    };
    let rows = move || {
        let row = |(name, [pictures, before, after]): (String, [u64; 3])| {
            view! {
                <tr>
                    <th scope="row">{name}</th>
                    <td class="figure-number">{format!("{before} of {pictures}")}</td>
                    <td class="figure-number">{format!("{after} of {pictures}")}</td>
                </tr>
            }
        };
        counts.with(|counts| counts.classes().to_vec()).into_iter().map(row).collect_view()
    };
    let csv = move |_| download::save_csv(&counts.with_untracked(Counts::csv), "robust-accuracy");
    let some = move || counts.with(Counts::all)[0] > 0;
    let state = {
        let standing = standing.clone();
        move || standing.with(|standing| if standing.view.state == JobState::Done { "done" } else { "open" })
    };
    view! {
        <div class="report">
            <p class="soft">{about}</p>
            <progress max=move || most.get().to_string() value=counted aria-label="Pictures counted"></progress>
            <p class="batch-line" data-state=state>{line}</p>
            {jobs::spoken(line)}
            {jobs::remarks(&batch)}
            {numbers}
            <Show when=some>
                <details>
                    <summary>"By class"</summary>
                    <table>
                        <caption>"Right before and after the attack"</caption>
                        <thead>
                            <tr><th scope="col">"True class"</th><th scope="col" class="figure-number">"Before"</th><th scope="col" class="figure-number">"After"</th></tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </details>
            </Show>
            <div class="buttons">
                <button type="button" class="quiet" on:click=csv disabled=move || !some()>"Download the counts (CSV)"</button>
                {open(batch)}
            </div>
        </div>
    }
    .into_any()
}

/// A link to the batch's own page, with curve and tables.
fn open(batch: Batch) -> AnyView {
    let (batches, extra, place) = (Batches::get(), Extra::get(), expect_context::<RwSignal<Place>>());
    let batch = StoredValue::new_local(batch);
    let link = move || {
        let id = batch.with_value(Batch::tracked_id);
        let go = {
            let id = id.clone();
            move |event: leptos::ev::MouseEvent| {
                if event.ctrl_key() || event.meta_key() || event.shift_key() {
                    return;
                }
                event.prevent_default();
                batches.show(batch.get_value());
                if let Some(id) = &id {
                    extra.put("batches.id", id.clone());
                }
                place.set(Place::Batches);
            }
        };
        let address = id.map_or_else(|| "?page=batches".to_string(), |id| jobs::query(&id));
        view! { <a href=address on:click=go>"All of this batch: curve, tables, pictures"</a> }
    };
    view! { {link} }.into_any()
}

/// What is being counted: it may no longer be what is on screen.
fn about(experiment: &Experiment) -> String {
    let model = zoo::find(experiment.dataset, &experiment.model).map_or("model", |card| card.title.as_str());
    let attack = &experiment.attack;
    let effort = if attack.method.uses().steps { format!("-{}", attack.steps) } else { String::new() };
    let restarts = if attack.restarts > 1 { format!(", {} restarts", attack.restarts) } else { String::new() };
    let goal = attack.target.map_or(String::new(), |target| {
        format!(", towards {}", experiment.dataset.classes().get(target as usize).copied().unwrap_or("?"))
    });
    let threat = experiment.threat;
    let epsilon = format::epsilon(threat.epsilon);
    format!(
        "{model}, {}: {}{effort}, {} ≤ {epsilon}{restarts}{goal}",
        experiment.dataset.title(),
        attack.method,
        threat.norm
    )
}
