//! Transfer: does what fools one model fool another?

use std::collections::HashMap;
use std::sync::Arc;

use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::subject::{Offers, SubjectBar};
use super::work::{Stage, StageLine, Work};
use crate::attack::Aim;
use crate::data::Dataset;
use crate::engine::study::transfer::{Part, Plan, Row};
use crate::engine::study::{self, Lane, Study};
use crate::evaluate::transfer::{Cell, Example};
use crate::experiment::Experiment;
use crate::nn::zoo;
use crate::page::control::{Choice, Pick, Toggle};
use crate::page::extra::Extra;
use crate::page::figure::{Picture, SignedPicture, Thumb, download, format};
use crate::page::lab::picker::Picker;
use crate::page::state::Lab;

/// A matrix on screen, and what it was asked about.
#[derive(Clone, PartialEq)]
struct Shown {
    plan: Plan,
    experiment: Experiment,
    part: Arc<Part>,
}

/// Which share a cell shows.
#[derive(Clone, Copy, PartialEq)]
enum Measure {
    /// Of the pictures that the target classifies correctly.
    Success,
    /// Of those that fool the source.
    Transfer,
}

/// The page.
#[component]
pub fn TransferPage() -> impl IntoView {
    let lab = Lab::get();
    view! {
        <div class="study">
            <div class="study-head">
                <h1>"Transfer"</h1>
                <p class="lead">
                    "An attacker who does not know a model can attack another one and hope. Above, the δ that was found on one "
                    "model for this picture is shown to all of them; below, the same is counted over many pictures, for every "
                    "pair of source and target. Compare models of one architecture trained on disjoint halves of the data, other "
                    "architectures, and the robust model; then try MI-FGSM, which was made for transfer, and a larger ε."
                </p>
            </div>
            <Picker />
            <SubjectBar offers=Offers { model: true, attack: true, norm: true, epsilon: true, goal: true } />
            {row(lab)}
            {matrix(lab)}
        </div>
    }
}

fn title(dataset: Dataset, name: &str) -> String {
    zoo::find(dataset, name).map_or_else(|| name.to_string(), |card| card.title.clone())
}

fn names(dataset: Dataset) -> Vec<String> {
    zoo::of(dataset).map(|card| card.name.clone()).collect()
}

fn picture_name(experiment: &Experiment) -> String {
    let picture = match experiment.picture {
        crate::experiment::Picture::Test(index) => index.to_string(),
        crate::experiment::Picture::Own { .. } => "own".into(),
    };
    format!("{}-{picture}-{}", experiment.dataset.key(), experiment.model)
}

/// The present picture on every model.
fn row(lab: Lab) -> AnyView {
    let found = RwSignal::new(None::<Arc<Row>>);
    let work = Work::new(Lane::Live);
    let asked = lab.memo(|experiment| Experiment { compare: None, view: Default::default(), ..experiment.clone() });
    Effect::new(move || {
        let experiment = asked.get();
        let models = names(experiment.dataset);
        work.ask(experiment, Study::Row(models), move |part| {
            if let study::Part::Row(row) = part {
                found.set(Some(Arc::from(row)));
            }
        });
    });
    let pixels = move |of: fn(&Row) -> Vec<f32>| {
        Signal::derive(move || found.with(|found| found.as_deref().map(|row| Arc::<[f32]>::from(of(row)))))
    };
    let constant = |text: &'static str| Signal::derive(move || text.to_string());
    let file = move |what: &'static str| Signal::derive(move || format!("{}-{what}", picture_name(&lab.experiment())));
    let says = move || {
        found.get().map(|row| {
            let experiment = lab.experiment();
            let norm = experiment.threat.norm;
            let verdict = if row.success { "succeeds" } else { "does not succeed" };
            format!(
                "{} on “{}” {verdict}: ‖δ‖ = {} in {norm}.",
                experiment.attack.method,
                title(experiment.dataset, &experiment.model),
                format::number(row.norms.of(norm), 3)
            )
        })
    };
    let rows = move || {
        let experiment = lab.experiment();
        let classes = experiment.dataset.classes();
        let name = |class: u8| classes.get(usize::from(class)).copied().unwrap_or("?");
        let target = experiment.attack.target;
        found.get().map(|row| {
            row.said
                .iter()
                .map(|said| {
                    let fooled = target.map_or(said.after != row.label, |target| said.after == target);
                    let wrong_before = said.before != row.label;
                    let verdict = match (wrong_before, fooled, target) {
                        (true, _, None) => "wrong already",
                        (_, true, _) => "fooled",
                        (_, false, _) => "holds",
                    };
                    let source = said.model == experiment.model;
                    let title = title(experiment.dataset, &said.model);
                    view! {
                        <tr class:fooled=fooled>
                            <th scope="row">{title} {source.then(|| view! { <span class="tag">"source"</span> })}</th>
                            <td>{name(said.before)} " " {format::percent(said.before_confidence)}</td>
                            <td>{name(said.after)} " " {format::percent(said.after_confidence)}</td>
                            <td class="verdict-cell">{verdict}</td>
                        </tr>
                    }
                })
                .collect_view()
        })
    };
    view! {
        <section class="panel" aria-labelledby="row-title" aria-busy=move || work.is_busy().to_string()>
            <div class="panel-bar">
                <h2 id="row-title">"This δ on every model"</h2>
                <StageLine work=work />
            </div>
            <div class="row-study">
                <div class="triple">
                    <Picture pixels=pixels(|row| row.image.to_vec()) caption=constant("x, the picture") name=file("x") />
                    <SignedPicture pixels=pixels(|row| row.adversarial.iter().zip(row.image.iter()).map(|(a, x)| a - x).collect())
                        caption=constant("δ of the source") name=file("perturbation") />
                    <Picture pixels=pixels(|row| row.adversarial.to_vec()) caption=constant("x + δ") name=file("adversarial") />
                </div>
                <div class="table-room">
                    <p class="says">{says}</p>
                    <table class="row-table">
                        <caption class="visually-hidden">"What every model says of this picture before and after"</caption>
                        <thead>
                            <tr>
                                <th scope="col">"Model"</th>
                                <th scope="col">"at x"</th>
                                <th scope="col">"at x + δ"</th>
                                <th scope="col">"Verdict"</th>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </div>
        </section>
    }
    .into_any()
}

/// The matrix over many pictures.
fn matrix(lab: Lab) -> AnyView {
    let dataset = lab.memo(|experiment| experiment.dataset);
    let left_out = [RwSignal::new(Vec::<String>::new()), RwSignal::new(Vec::<String>::new())];
    let wanted = RwSignal::new(50u32);
    let measure = RwSignal::new(Measure::Success);
    let extra = Extra::get();
    extra.whole("transfer.pictures", wanted, 50, (1, 1000));
    for (key, side) in [("transfer.without-sources", 0), ("transfer.without-targets", 1)] {
        extra.bind(
            key,
            left_out[side],
            |out: &Vec<String>| (!out.is_empty()).then(|| out.join(",")),
            |text| Some(text.split(',').map(String::from).collect()),
        );
    }
    let shown = RwSignal::new(None::<Shown>);
    let open = RwSignal::new(None::<(usize, usize)>);
    let work = Work::new(Lane::Long);
    let chosen = move |side: usize| {
        let out = left_out[side].get();
        names(dataset.get()).into_iter().filter(|name| !out.contains(name)).collect::<Vec<_>>()
    };
    let none = Memo::new(move |_| chosen(0).is_empty() || chosen(1).is_empty());
    let start = move |_| {
        let experiment = Experiment { compare: None, view: Default::default(), ..lab.now() };
        let (sources, targets) = untrack(|| (chosen(0), chosen(1)));
        let plan = Plan { sources, targets, pictures: wanted.get_untracked().min(experiment.dataset.pictures()) };
        shown.set(None);
        open.set(None);
        let (of, about) = (plan.clone(), experiment.clone());
        work.ask(experiment, Study::Transfer(plan), move |part| {
            if let study::Part::Transfer(part) = part {
                shown.set(Some(Shown { plan: of.clone(), experiment: about.clone(), part: Arc::new(part) }));
            }
        });
    };
    let side = move |side: usize, legend: &'static str| {
        let toggles = move || {
            let entry = |name: String| {
                let (of, to) = (name.clone(), name.clone());
                let value = Signal::derive(move || !left_out[side].read().contains(&of));
                let set = Callback::new(move |on: bool| {
                    left_out[side].update(|out| {
                        out.retain(|name| *name != to);
                        if !on {
                            out.push(to.clone());
                        }
                    });
                });
                view! { <Toggle label=title(dataset.get_untracked(), &name) value=value set=set /> }
            };
            names(dataset.get()).into_iter().map(entry).collect_view()
        };
        view! { <fieldset class="many"><legend>{legend}</legend><div class="many-options">{toggles}</div></fieldset> }
    };
    let options = Signal::derive(move || {
        let all = dataset.get().pictures();
        let counts = [20, 50, 100, 200, 500].into_iter().filter(|count| *count < all);
        counts.chain([all]).map(|count| (count.to_string(), format!("the first {count}"))).collect::<Vec<_>>()
    });
    let count = Signal::derive(move || wanted.get().min(dataset.get().pictures()).to_string());
    let set_count = Callback::new(move |key: String| wanted.set(key.parse().unwrap_or(50)));
    let measures = vec![
        ("success", "all that the target gets right".to_string()),
        ("transfer", "those that fool the source".into()),
    ];
    let measured =
        Signal::derive(move || if measure.get() == Measure::Success { "success" } else { "transfer" }.to_string());
    let set_measure = Callback::new(move |key: String| {
        measure.set(if key == "transfer" { Measure::Transfer } else { Measure::Success });
    });
    let is_busy = move || work.stage.get() == Stage::Working;
    let done = move || shown.with(|shown| shown.as_ref().map_or(0, |shown| shown.part.matrix.pictures));
    let of = move || shown.with(|shown| shown.as_ref().map_or(wanted.get(), countable));
    let save = move |_| {
        if let Some(shown) = shown.get_untracked() {
            let name = format!("{}-transfer-{}", shown.experiment.dataset.key(), shown.experiment.attack.method.key());
            download::save_csv(&csv(&shown), &name);
        }
    };
    view! {
        <section class="panel" aria-labelledby="matrix-title" aria-busy=move || work.is_busy().to_string()>
            <div class="panel-bar">
                <h2 id="matrix-title">"The transfer matrix"</h2>
                <StageLine work=work />
            </div>
            <p class="lead">
                "With the attack, the norm, ε and the goal that are set above: each source is attacked on each picture, and each "
                "target is shown the result. A cell is the share of pictures that fool the target."
            </p>
            <div class="sides">{side(0, "Sources: models that are attacked")} {side(1, "Targets: models that are shown the result")}</div>
            <div class="buttons matrix-controls">
                <Pick id="transfer-count" label="Test pictures" options=options value=count set=set_count />
                <button type="button" class="primary" on:click=start disabled=move || is_busy() || none.get()>"Compute the matrix"</button>
                <button type="button" on:click=move |_| work.stop() disabled=move || !is_busy()>"Stop"</button>
                <button type="button" class="quiet" on:click=save disabled=move || shown.with(Option::is_none)>
                    "Download the counts (CSV)"
                </button>
            </div>
            <Show when=move || is_busy() || shown.with(Option::is_some)>
                <progress class="whole" max=move || of().to_string() value=move || done().to_string() aria-label="Pictures counted"></progress>
                <p class="soft" role="status">{move || format!("{} of {} pictures counted", done(), of())}</p>
            </Show>
            <Show when=move || shown.with(Option::is_some)>
                <Choice name="measure" label="Share of" options=measures.clone() value=measured set=set_measure />
                {move || shown.get().map(|shown| table(&shown, measure, open))}
                {move || shown.get().and_then(|shown| open.get().map(|cell| opened(&shown, cell)))}
            </Show>
        </section>
    }
    .into_any()
}

/// Pictures that count: in a targeted attack those of the target class do not.
fn countable(shown: &Shown) -> u32 {
    let Shown { plan, experiment, .. } = shown;
    let labels = crate::data::labels(experiment.dataset).iter().take(plan.pictures as usize);
    labels.filter(|label| experiment.attack.target != Some(**label)).count() as u32
}

/// What was counted, under which attack.
fn about(shown: &Shown) -> String {
    let Experiment { dataset, threat, attack, .. } = &shown.experiment;
    let effort = if attack.method.uses().steps { format!(", {} steps", attack.steps) } else { String::new() };
    let within = match attack.method.aim() {
        Aim::Transformation => String::new(),
        _ => format!(", {} ≤ {}", threat.norm, format::epsilon(threat.epsilon)),
    };
    let goal = attack.target.map_or(String::new(), |target| {
        format!(", towards {}", dataset.classes().get(usize::from(target)).copied().unwrap_or("?"))
    });
    format!("{}: {}{effort}{within}{goal}", dataset.title(), attack.method)
}

fn table(shown: &Shown, measure: RwSignal<Measure>, open: RwSignal<Option<(usize, usize)>>) -> AnyView {
    let Shown { plan, experiment, part } = shown;
    let dataset = experiment.dataset;
    let heads = plan.targets.iter().map(|name| view! { <th scope="col">{title(dataset, name)}</th> }).collect_view();
    let rows = plan
        .sources
        .iter()
        .enumerate()
        .map(|(s, source)| {
            let cells = plan
                .targets
                .iter()
                .enumerate()
                .map(|(t, target)| {
                    let cell = part.matrix.cell(s, t).cloned().unwrap_or_default();
                    let itself = source == target;
                    matrix_cell(cell, (s, t), itself, (title(dataset, source), title(dataset, target)), measure, open)
                })
                .collect_view();
            view! { <tr><th scope="row">{title(dataset, source)}</th>{cells}</tr> }
        })
        .collect_view();
    view! {
        <div class="table-room" tabindex="0" role="region" aria-label="Transfer matrix; it may be wider than the page">
            <table class="matrix">
                <caption>
                    {about(shown)} ". Rows are sources, columns are targets; a framed cell is a model attacked directly. Choose a cell to see its pictures."
                </caption>
                <thead><tr><th scope="col">"Source ↓ Target →"</th>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn matrix_cell(
    cell: Cell,
    place: (usize, usize),
    itself: bool,
    (source, target): (String, String),
    measure: RwSignal<Measure>,
    open: RwSignal<Option<(usize, usize)>>,
) -> AnyView {
    let share = {
        let cell = cell.clone();
        move || match measure.get() {
            Measure::Success => (cell.success(), cell.fooled, cell.correct),
            Measure::Transfer => (cell.transfer(), cell.both, cell.source_fooled),
        }
    };
    let (for_number, for_colour, for_label) = (share.clone(), share.clone(), share);
    let number = move || for_number().0.map_or("–".to_string(), |share| format!("{:.0}\u{a0}%", 100.0 * share));
    // The colour mixes towards the accent of danger; the text keeps its contrast in every theme.
    let colour = move || format!("{:.0}%", 100.0 * for_colour().0.unwrap_or(0.0));
    let label = move || {
        let (_, part, whole) = for_label();
        format!("{source} on {target}: {part} of {whole} pictures fool it; show them")
    };
    let choose = move |_| open.update(|open| *open = if *open == Some(place) { None } else { Some(place) });
    view! {
        <td class:itself=itself>
            <button
                type="button"
                class="cell"
                style:--share=colour
                aria-label=label
                aria-pressed=move || (open.get() == Some(place)).to_string()
                on:click=choose
                on:keydown=move |event| walk(&event)
                data-cell=format!("{}-{}", place.0, place.1)
            >
                {number}
            </button>
        </td>
    }
    .into_any()
}

/// Arrow keys move between cells.
fn walk(event: &web_sys::KeyboardEvent) {
    let (down, right) = match event.key().as_str() {
        "ArrowUp" => (-1, 0),
        "ArrowDown" => (1, 0),
        "ArrowLeft" => (0, -1),
        "ArrowRight" => (0, 1),
        _ => return,
    };
    let Some(here) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else { return };
    let place = here.get_attribute("data-cell").unwrap_or_default();
    let Some((s, t)) = place.split_once('-') else { return };
    let (Ok(s), Ok(t)) = (s.parse::<i32>(), t.parse::<i32>()) else { return };
    let next = document().query_selector(&format!("[data-cell='{}-{}']", s + down, t + right)).ok().flatten();
    if let Some(next) = next.and_then(|next| next.dyn_into::<web_sys::HtmlElement>().ok()) {
        event.prevent_default();
        let _ = next.focus();
    }
}

/// The pictures of a cell.
fn opened(shown: &Shown, (s, t): (usize, usize)) -> AnyView {
    let Shown { plan, experiment, part } = shown;
    let dataset = experiment.dataset;
    let Some(cell) = part.matrix.cell(s, t) else { return ().into_any() };
    let (source, target) = (title(dataset, &plan.sources[s]), title(dataset, &plan.targets[t]));
    let images: HashMap<u32, Arc<[f32]>> =
        part.pictures.iter().map(|(id, image)| (*id, Arc::from(&image[..]))).collect();
    let group = |fooled: bool| {
        let heading = if fooled { "Pictures that fool the target" } else { "Pictures that do not" };
        let examples = cell.examples.iter().filter(|example| example.fooled == fooled);
        let list: Vec<_> = examples.map(|example| shown_example(dataset, example, &images)).collect();
        (!list.is_empty()).then(|| view! { <h4>{heading}</h4><ul class="examples">{list}</ul> })
    };
    view! {
        <section class="cell-pictures" aria-labelledby="cell-title" aria-live="polite">
            <h3 id="cell-title">{format!("From “{source}” to “{target}”")}</h3>
            <p>
                {format!(
                    "{} of the {} pictures that the target gets right fool it; of the {} that fool the source, {} fool the target too.",
                    cell.fooled, cell.correct, cell.source_fooled, cell.both
                )}
            </p>
            {group(true)}
            {group(false)}
        </section>
    }
    .into_any()
}

fn shown_example(dataset: Dataset, example: &Example, images: &HashMap<u32, Arc<[f32]>>) -> AnyView {
    let classes = dataset.classes();
    let name = |class: u8| classes.get(usize::from(class)).copied().unwrap_or("?");
    let image = images.get(&example.id).cloned();
    let adversarial: Arc<[f32]> = Arc::from(&example.adversarial[..]);
    let x = Signal::derive(move || image.clone());
    let moved = Signal::derive(move || Some(adversarial.clone()));
    let truth = name(example.label);
    let (id, source, target) = (example.id, name(example.source_class), name(example.target_class));
    view! {
        <li>
            <div class="example-pictures">
                <Thumb pixels=x label=Signal::derive(move || format!("Picture {id}, {truth}")) />
                <Thumb pixels=moved label=Signal::derive(move || format!("Picture {id}, attacked")) />
            </div>
            <p>{format!("Picture {id}, {truth}")}</p>
            <p class="soft">{format!("source: {source}")}</p>
            <p class="soft">{format!("target: {target} {}", format::percent(example.confidence))}</p>
        </li>
    }
    .into_any()
}

fn csv(shown: &Shown) -> String {
    let mut text = String::from("source,target,correct,fooled,source_fooled,both\n");
    for (s, source) in shown.plan.sources.iter().enumerate() {
        for (t, target) in shown.plan.targets.iter().enumerate() {
            if let Some(Cell { correct, fooled, source_fooled, both, .. }) = shown.part.matrix.cell(s, t) {
                text += &format!("{source},{target},{correct},{fooled},{source_fooled},{both}\n");
            }
        }
    }
    text
}
