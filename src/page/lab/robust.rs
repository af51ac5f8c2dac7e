//! Robust accuracy over many pictures for the present attack.

use leptos::prelude::*;

use crate::evaluate::Count;
use crate::experiment::Experiment;
use crate::nn::zoo;
use crate::page::batch::{Batch, Place, Progress, Stage};
use crate::page::control::Pick;
use crate::page::figure::{download, format};
use crate::page::notice::Notices;
use crate::page::state::Lab;

/// The panel.
#[component]
pub fn RobustPanel() -> impl IntoView {
    let lab = Lab::get();
    let notices = Notices::get();
    let all = lab.memo(|experiment| experiment.dataset.pictures());
    let wanted = RwSignal::new(100u32);
    let pictures = Memo::new(move |_| wanted.get().min(all.get()));
    let progress = RwSignal::new(None::<Progress>);
    let batch = StoredValue::new_local(None::<Batch>);
    let stop = move || {
        batch.try_update_value(|batch| {
            if let Some(batch) = batch.take() {
                batch.stop();
            }
        });
    };
    on_cleanup(stop);
    let start = move |_| {
        stop();
        let experiment = lab.now();
        match experiment.validate() {
            Ok(()) => batch.set_value(Some(Batch::start(experiment, pictures.get_untracked(), progress))),
            Err(invalid) => notices.check(Err(invalid.to_string())),
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
    let runs =
        Memo::new(move |_| progress.with(|progress| progress.as_ref().is_some_and(|p| p.stage == Stage::Running)));
    view! {
        <section class="panel robust" aria-labelledby="robust-title">
            <h2 id="robust-title">"Robust accuracy"</h2>
            <p class="soft">
                "How many test pictures does the model still get right after this attack (present norm, ε, steps and goal)?"
            </p>
            <div class="buttons">
                <Pick id="robust-count" label="Test pictures" options=options value=value set=set />
                <button type="button" class="primary" on:click=start disabled=runs>"Count"</button>
                <button type="button" on:click=move |_| stop() disabled=move || !runs.get()>"Stop"</button>
            </div>
            {move || progress.get().map(|progress| report(&progress))}
        </section>
    }
}

fn report(progress: &Progress) -> AnyView {
    let total = progress.tally.total();
    let rate = |part: u32| format::percent(part as f32 / total.pictures.max(1) as f32);
    let state = match &progress.stage {
        Stage::Running => "Counting".to_string(),
        Stage::Done => "Done".to_string(),
        Stage::Stopped => "Stopped; what was counted stays".to_string(),
        Stage::Failed(sentence) => format!("Failed: {sentence}"),
    };
    let place = match progress.place {
        Place::Asking => String::new(),
        Place::Server => ", on the server".into(),
        Place::Page(1) => ", in this page, in one worker".into(),
        Place::Page(workers) => format!(", in this page, in {workers} workers"),
    };
    let numbers = (total.pictures > 0).then(|| {
        view! {
            <p class="result">
                <span><strong>{rate(total.clean)}</strong>" right before the attack"</span>
                <span><strong>{rate(total.robust)}</strong>" right after it"</span>
            </p>
            {by_class(progress)}
        }
    });
    let csv_source = progress.clone();
    let csv = move |_| download::save_csv(&csv_of(&csv_source), "robust-accuracy");
    view! {
        <div class="report">
            <p class="soft">{about(&progress.experiment)}</p>
            <progress max=progress.pictures.to_string() value=total.pictures.to_string() aria-label="Pictures counted"></progress>
            <p role="status">
                {format!("{state}{place}: {} of {} pictures, {}.", total.pictures, progress.pictures, seconds(progress.milliseconds))}
            </p>
            {progress.remark.clone().map(|remark| view! { <p class="soft">{remark}</p> })}
            {numbers}
            <button type="button" class="quiet" on:click=csv disabled=total.pictures == 0>"Download the counts (CSV)"</button>
        </div>
    }
    .into_any()
}

fn by_class(progress: &Progress) -> AnyView {
    let names = progress.experiment.dataset.classes();
    let cell = |count: &Count, part: u32| format!("{part} of {}", count.pictures);
    let rows = names
        .iter()
        .zip(&progress.tally.classes)
        .map(|(name, count)| {
            view! {
                <tr>
                    <th scope="row">{*name}</th>
                    <td class="figure-number">{cell(count, count.clean)}</td>
                    <td class="figure-number">{cell(count, count.robust)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <details>
            <summary>"By class"</summary>
            <table>
                <caption>"Right before and after the attack"</caption>
                <thead><tr><th scope="col">"True class"</th><th scope="col">"Before"</th><th scope="col">"After"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </details>
    }
    .into_any()
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

fn seconds(milliseconds: f64) -> String {
    format!("{:.1} s", milliseconds / 1e3)
}

fn csv_of(progress: &Progress) -> String {
    let mut text = String::from("class,pictures,right_before,right_after\n");
    let names = progress.experiment.dataset.classes();
    let total = progress.tally.total();
    for (name, count) in names.iter().copied().zip(&progress.tally.classes).chain([("all", &total)]) {
        text += &format!("{name},{},{},{}\n", count.pictures, count.clean, count.robust);
    }
    text
}
