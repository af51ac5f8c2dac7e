//! The smallest perturbation of this picture that each attack finds.

use std::sync::Arc;

use leptos::prelude::*;

use super::subject::{Offers, SubjectBar};
use super::work::{Stage, StageLine, Work};
use crate::attack::{Access, Aim, Method};
use crate::engine::study::smallest::{self, Found, Part, Row};
use crate::engine::study::{self, Lane, Study};
use crate::experiment::{Experiment, Scale};
use crate::page::control::Choice;
use crate::page::figure::{Thumb, download, format, greatest, scale_bar};
use crate::page::lab::picker::Picker;
use crate::page::notice::Notices;
use crate::page::place::Place;
use crate::page::state::Lab;
use crate::threat::Norm;

/// The picture as the model sees it.
#[derive(Clone, PartialEq)]
struct Seen {
    image: Arc<[f32]>,
    label: u8,
    class: u8,
    confidence: f32,
}

/// An attack and how far it is.
#[derive(Clone, PartialEq)]
struct Entry {
    method: Method,
    share: f32,
    best: Option<f32>,
    row: Option<Arc<Row>>,
}

impl Entry {
    fn found(&self) -> Option<&Found> {
        self.row.as_ref().and_then(|row| row.found.as_ref())
    }
}

/// The page.
#[component]
pub fn SmallestPage() -> impl IntoView {
    let lab = Lab::get();
    let seen = RwSignal::new(None::<Seen>);
    let entries = RwSignal::new(Vec::<Entry>::new());
    let work = Work::new(Lane::Long);
    // What the answer depends on: neither ε nor anything that is only looked at.
    let asked = lab.memo(|experiment| Experiment {
        threat: crate::threat::Threat::usual(experiment.dataset, experiment.threat.norm),
        attack: crate::experiment::AttackSettings { alpha: None, ..experiment.attack.clone() },
        compare: None,
        view: Default::default(),
        ..experiment.clone()
    });
    Effect::new(move || {
        let experiment = asked.get();
        let begun = |method| Entry { method, share: 0.0, best: None, row: None };
        entries.set(smallest::methods(experiment.threat.norm).map(begun).collect());
        work.ask(experiment, Study::Smallest, move |part| {
            let study::Part::Smallest(part) = part else { return };
            take(part, seen, entries);
        });
    });

    let norm = lab.memo(|experiment| experiment.threat.norm);
    let order = Memo::new(move |_| {
        let rank = |entry: &Entry| match (entry.found(), &entry.row) {
            (Some(found), _) => (0, found.norms.of(norm.get())),
            (None, None) => (1, 0.0),
            (None, Some(_)) => (2, 0.0),
        };
        let mut entries = entries.get();
        entries.sort_by(|a, b| rank(a).0.cmp(&rank(b).0).then(rank(a).1.total_cmp(&rank(b).1)));
        entries.into_iter().map(|entry| entry.method).collect::<Vec<_>>()
    });
    let longest = Memo::new(move |_| {
        let norms = |entry: &Entry| entry.found().map_or(0.0, |found| found.norms.of(norm.get()));
        entries.with(|entries| entries.iter().map(norms).fold(0.0, f32::max))
    });
    let strongest = Signal::derive(move || {
        let of = |entry: &Entry| entry.found().map_or(0.0, |found| found.norms.linf);
        entries.with(|entries| Some(entries.iter().map(of).fold(0.0, f32::max)).filter(|limit| *limit > 0.0))
    });
    let same = lab.memo(|experiment| experiment.view.scale == Scale::Same);
    let limit = Signal::derive(move || strongest.get().filter(|_| same.get()));
    let list = List { lab, norm, seen, longest, limit };
    let save = move |_| download::save_csv(&csv(&entries.get_untracked()), &file(lab));
    let done = move || entries.with(|entries| entries.iter().filter(|entry| entry.row.is_some()).count());
    view! {
        <div class="study">
            <div class="study-head">
                <h1>"The smallest δ"</h1>
                <p class="lead">
                    "How little must this picture change before the model errs? Each attack is asked for the smallest δ it "
                    "can find, in one norm: some, such as DeepFool and Carlini–Wagner, search for it themselves; those that need an ε "
                    "are run at some thirty values of it until the gap before the smallest that suffices is 1/4096 of the range. "
                    "No attack proves that nothing smaller exists: the least of them all is an upper bound. Try the model "
                    "trained against PGD, then a picture that looks like another class."
                </p>
            </div>
            <Picker />
            <SubjectBar offers=Offers { model: true, norm: true, goal: true, ..Offers::default() }>
                {scale(lab)}
            </SubjectBar>
            <section class="panel" aria-labelledby="smallest-title" aria-busy=move || work.is_busy().to_string()>
                <div class="panel-bar">
                    <h2 id="smallest-title">{move || format!("Smallest δ found, in {}", norm.get())}</h2>
                    <StageLine work=work />
                </div>
                <progress class="whole" max=move || entries.with(Vec::len).to_string() value=move || done().to_string()
                    aria-label="Attacks that are done"></progress>
                <div class="subject-now">
                    <div class="subject-picture">
                        <Thumb pixels=Signal::derive(move || seen.get().map(|seen| seen.image))
                            label=Signal::derive(move || format!("x, the picture: {}", says(lab, &seen))) />
                        <p>{move || says(lab, &seen)}</p>
                    </div>
                    <Show when=move || same.get()>
                        <div class="common-scale">
                            <p class="soft">"δ of all rows on one scale"</p>
                            {scale_bar(true, strongest)}
                        </div>
                    </Show>
                </div>
                <p class="soft">
                    "In δ orange is lighter, blue darker, white unchanged; the number under it is the end of its colour scale. "
                    "A name opens the attack in the Lab."
                </p>
                <ol class="smallest">
                    <For each=move || order.get() key=|method| method.key() let:method>
                        {row(list, method, entries)}
                    </For>
                </ol>
                <div class="buttons">
                    <button type="button" on:click=save disabled=move || done() == 0>"Download the rows (CSV)"</button>
                    <button type="button" on:click=move |_| work.stop() disabled=move || work.stage.get() != Stage::Working>
                        "Stop"
                    </button>
                </div>
            </section>
        </div>
    }
}

fn take(part: Part, seen: RwSignal<Option<Seen>>, entries: RwSignal<Vec<Entry>>) {
    let change = |method: Method, change: &dyn Fn(&mut Entry)| {
        entries.update(|entries| entries.iter_mut().filter(|entry| entry.method == method).for_each(change));
    };
    match part {
        Part::Picture { image, label, class, confidence } => {
            seen.set(Some(Seen { image: image.0.into(), label, class, confidence }));
        }
        Part::Progress { method, share, best } => change(method, &|entry| {
            entry.share = share;
            entry.best = best;
        }),
        Part::Row(row) => {
            let row = Arc::new(*row);
            change(row.method, &|entry| entry.row = Some(row.clone()));
        }
    }
}

/// "Ankle boot, and the model says Ankle boot 99.9 %".
fn says(lab: Lab, seen: &RwSignal<Option<Seen>>) -> String {
    let classes = lab.experiment().dataset.classes();
    let name = |class: u8| classes.get(usize::from(class)).copied().unwrap_or("?");
    seen.with(|seen| {
        seen.as_ref().map_or_else(String::new, |seen| {
            let (class, confidence) = (name(seen.class), format::percent(seen.confidence));
            if seen.class == seen.label {
                format!("x is of class {class}; the model says so with {confidence}.")
            } else {
                format!("x is of class {}; the model says {class} {confidence} without any attack.", name(seen.label))
            }
        })
    })
}

fn scale(lab: Lab) -> AnyView {
    let notices = Notices::get();
    let options = vec![("own", "its own".to_string()), ("same", "the same".to_string())];
    let value = lab.memo(|experiment| if experiment.view.scale == Scale::Same { "same" } else { "own" }.to_string());
    let set = Callback::new(move |key: String| {
        let scale = if key == "same" { Scale::Same } else { Scale::Own };
        notices.check(lab.edit("scale", |experiment| experiment.view.scale = scale));
    });
    view! { <Choice name="scale" label="Colour scale of δ" options=options value=value.into() set=set /> }.into_any()
}

/// What all rows share.
#[derive(Clone, Copy)]
struct List {
    lab: Lab,
    norm: Memo<Norm>,
    seen: RwSignal<Option<Seen>>,
    longest: Memo<f32>,
    limit: Signal<Option<f32>>,
}

fn row(list: List, method: Method, entries: RwSignal<Vec<Entry>>) -> AnyView {
    let List { lab, norm, seen, longest, limit } = list;
    let place: RwSignal<Place> = expect_context();
    let notices = Notices::get();
    let entry = Memo::new(move |_| entries.with(|all| all.iter().find(|entry| entry.method == method).cloned()));
    let found = Memo::new(move |_| entry.get().and_then(|entry| entry.found().cloned()));
    let adversarial =
        Signal::derive(move || found.with(|found| found.as_ref().map(|found| Arc::from(&found.adversarial[..]))));
    let delta = Signal::derive(move || {
        seen.with(|seen| {
            found.with(|found| {
                let (seen, found) = (seen.as_ref()?, found.as_ref()?);
                Some(
                    found.adversarial.iter().zip(seen.image.iter()).map(|(after, x)| after - x).collect::<Arc<[f32]>>(),
                )
            })
        })
    });
    let length = Memo::new(move |_| found.with(|found| found.as_ref().map(|found| found.norms.of(norm.get()))));
    let reached = move || {
        found.with(|found| {
            found.as_ref().map(|found| {
                let classes = lab.experiment().dataset.classes();
                let name = classes.get(usize::from(found.class)).copied().unwrap_or("?");
                (name, format!("{name} {}", format::percent(found.confidence)))
            })
        })
    };
    let headline = move || match (length.get(), entry.get()) {
        (Some(0.0), _) => "0: no attack is needed".to_string(),
        (Some(length), _) => with_unit(length, norm.get()),
        (None, Some(Entry { row: Some(_), .. })) => {
            format!("none found up to ε = {}", format::epsilon(norm.get().greatest_epsilon()))
        }
        (None, Some(Entry { best: Some(best), .. })) => format!("{} so far", with_unit(best, norm.get())),
        _ => "searching…".into(),
    };
    let width = move || match (length.get(), longest.get()) {
        (Some(length), longest) if longest > 0.0 => format!("{:.1}%", 100.0 * length / longest),
        _ => "0%".into(),
    };
    let waits = move || entry.with(|entry| entry.as_ref().is_some_and(|entry| entry.row.is_none()));
    let share = move || entry.with(|entry| entry.as_ref().map_or(0.0, |entry| entry.share)).to_string();
    let norms = move || {
        found.with(|found| {
            found.as_ref().map(|Found { norms, .. }| {
                let number = |value: f32| format::number(value, 3);
                format!(
                    "L∞ {}, L2 {}, L1 {}, {} pixels",
                    number(norms.linf),
                    number(norms.l2),
                    number(norms.l1),
                    norms.l0
                )
            })
        })
    };
    let cost = move || {
        entry.with(|entry| {
            entry.as_ref().and_then(|entry| entry.row.as_ref()).map(|row| {
                let runs = if row.runs == 1 { "1 run".into() } else { format!("{} runs", row.runs) };
                let (gradients, forwards) = (row.gradients, row.forwards);
                let time = format::milliseconds(row.milliseconds);
                format!("{runs}: {gradients} gradients and {forwards} forward passes, {time}")
            })
        })
    };
    let open = move |_| {
        let found = found.get_untracked();
        let changed = lab.edit("open", |experiment| {
            experiment.attack = smallest::settings(experiment, method);
            experiment.attack.alpha = None;
            experiment.view.step = None;
            let norm = experiment.threat.norm;
            if let Some(found) = &found {
                let epsilon = found.epsilon.unwrap_or(found.norms.of(norm));
                experiment.threat.epsilon = epsilon.min(norm.greatest_epsilon());
            }
        });
        notices.check(changed);
        place.set(Place::Lab);
    };
    let end = Signal::derive(move || delta.get().map(|delta| limit.get().unwrap_or_else(|| greatest(&delta))));
    let scale_note = move || end.get().filter(|end| *end > 0.0).map(|end| format!("± {}", format::number(end, 2)));
    let picture_label = Signal::derive(move || match reached() {
        Some((_, says)) => format!("x + δ of {method}: {says}"),
        None => format!("x + δ of {method}: nothing yet"),
    });
    let delta_label = Signal::derive(move || match (length.get(), end.get()) {
        (Some(length), Some(end)) => format!(
            "δ of {method}: {} in {}, colours from {} to {}",
            format::number(length, 3),
            norm.get(),
            format::signed(-end, 2),
            format::signed(end, 2)
        ),
        _ => format!("δ of {method}: nothing yet"),
    });
    view! {
        <li class="smallest-row" class:waits=waits class:failed=move || !waits() && found.with(Option::is_none)>
            <div class="smallest-name">
                <button type="button" class="link" on:click=open title=method.summary()>
                    {method.title()}<span class="visually-hidden">": open in the Lab"</span>
                </button>
                <span class="soft">{knows(method)}</span>
            </div>
            <div class="smallest-length">
                <p class="smallest-number">{headline}</p>
                <Show when=waits fallback=move || view! {
                    <div class="length-bar" aria-hidden="true"><span style:width=width></span></div>
                }>
                    <progress max="1" value=share aria-label=format!("Progress of {method}")></progress>
                </Show>
                <p class="soft">{norms}</p>
            </div>
            <div class="smallest-pictures">
                <div><Thumb pixels=adversarial label=picture_label /><span class="soft">"x + δ"</span></div>
                <div>
                    <Thumb pixels=delta signed=true limit=limit label=delta_label />
                    <span class="soft">"δ " {scale_note}</span>
                </div>
            </div>
            <div class="smallest-cost">
                <p>{move || reached().map(|(_, says)| format!("becomes {says}"))}</p>
                <p class="soft">{cost}</p>
            </div>
        </li>
    }
    .into_any()
}

fn with_unit(length: f32, norm: Norm) -> String {
    match norm {
        Norm::Linf => format!("{} ({})", format::number(length, 3), format::in_255ths(length)),
        Norm::L2 | Norm::L1 => format::number(length, 3),
    }
}

/// What an attack must know, and how it was asked.
fn knows(method: Method) -> String {
    let access = match method.access() {
        Access::Gradients => "uses gradients",
        Access::Scores => "sees scores",
        Access::Label => "sees only the label",
        Access::Nothing => "knows nothing",
    };
    let asked = if method.aim() == Aim::Smallest { "searches itself" } else { "over ε" };
    format!("{access}, {asked}")
}

fn file(lab: Lab) -> String {
    let experiment = lab.now();
    let picture = match experiment.picture {
        crate::experiment::Picture::Test(index) => index.to_string(),
        crate::experiment::Picture::Own { .. } => "own".into(),
    };
    format!("{}-{picture}-{}-smallest-{}", experiment.dataset.key(), experiment.model, experiment.threat.norm.key())
}

fn csv(entries: &[Entry]) -> String {
    let mut text = String::from("attack,found,L0,L1,L2,Linf,epsilon,class,probability,runs,gradients,forwards,ms\n");
    for row in entries.iter().filter_map(|entry| entry.row.as_ref()) {
        text += &format!("{},", row.method.key());
        match &row.found {
            Some(Found { norms, epsilon, class, confidence, .. }) => {
                let epsilon = epsilon.map(format::csv).unwrap_or_default();
                let [l1, l2, linf] = [norms.l1, norms.l2, norms.linf].map(format::csv);
                let confidence = format::csv(*confidence);
                text += &format!("yes,{},{l1},{l2},{linf},{epsilon},{class},{confidence}", norms.l0);
            }
            None => text += "no,,,,,,,",
        }
        text += &format!(",{},{},{},{:.1}\n", row.runs, row.gradients, row.forwards, row.milliseconds);
    }
    text
}
