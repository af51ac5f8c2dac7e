//! What an adversarial example is: a square whose true boundary is known, and the boundary that a network has learnt.

use std::sync::Arc;

use leptos::prelude::*;

use super::work::{Stage, Work};
use crate::attack::Method;
use crate::engine::study::gap::{ATTACKS, Learnt, Point, Square};
use crate::engine::study::{self, Lane, Study};
use crate::experiment::{AttackSettings, Experiment};
use crate::page::control::{Choice, NumberControl, Pick, Toggle};
use crate::page::extra::Extra;
use crate::page::figure::{SceneDrawing, SceneFigure, format};
use crate::page::worker;
use crate::scene::{Fate, Scene};
use crate::threat::{Norm, Threat};
use crate::trainer::handle::Trainer;
use crate::trainer::protocol::{Attacker, Job, Reply, Request};

/// Points that are drawn from the square and attacked.
const TRIED: u32 = 200;
/// The greatest ε, a part of the square's side.
const GREATEST: f64 = 0.3;

/// How the training stands.
#[derive(Clone, Debug, PartialEq)]
enum Training {
    Waiting,
    Under { step: u32, steps: u32, loss: f32 },
    Done(f32),
    Failed(String),
}

/// What is learnt, and from what.
#[derive(Clone, Copy, PartialEq)]
struct Lesson {
    scene: Scene,
    examples: u32,
    seed: u32,
    against: Option<Threat>,
}

impl Lesson {
    fn job(self) -> Job {
        let attacker = self.against.map(|threat| Attacker { threat, steps: 5 });
        Job { attacker, ..Job::of_scene(self.scene, self.examples as usize, self.seed) }
    }
}

/// The page's state.
#[derive(Clone, Copy)]
struct Gap {
    scene: RwSignal<Scene>,
    examples: RwSignal<u32>,
    seed: RwSignal<u32>,
    robust: RwSignal<bool>,
    norm: RwSignal<Norm>,
    epsilon: RwSignal<f64>,
    method: RwSignal<Method>,
    at: RwSignal<[f32; 2]>,
    weights: RwSignal<Option<Arc<Vec<u8>>>>,
    training: RwSignal<Training>,
    square: RwSignal<Option<Arc<Square>>>,
    point: RwSignal<Option<Arc<Point>>>,
    shows_examples: RwSignal<bool>,
    shows_moves: RwSignal<bool>,
}

impl Gap {
    fn threat(self) -> Threat {
        Threat { norm: self.norm.get(), epsilon: self.epsilon.get() as f32 }
    }

    fn lesson(self) -> Lesson {
        let against = self.robust.get().then(|| self.threat());
        Lesson { scene: self.scene.get(), examples: self.examples.get(), seed: self.seed.get(), against }
    }

    fn experiment(self) -> Experiment {
        let attack = AttackSettings { method: self.method.get(), ..AttackSettings::default() };
        Experiment { threat: self.threat(), attack, ..Experiment::default() }
    }

    fn learnt(self) -> Option<Learnt> {
        let weights = self.weights.get()?;
        Some(Learnt { scene: self.scene.get(), weights: weights.to_vec() })
    }
}

/// The page.
#[component]
pub fn GapPage() -> impl IntoView {
    let gap = Gap {
        scene: RwSignal::new(Scene::Wave),
        examples: RwSignal::new(60),
        seed: RwSignal::new(0),
        robust: RwSignal::new(false),
        norm: RwSignal::new(Norm::L2),
        epsilon: RwSignal::new(0.1),
        method: RwSignal::new(Method::PGD),
        at: RwSignal::new([0.08, 0.78]),
        weights: RwSignal::new(None),
        training: RwSignal::new(Training::Waiting),
        square: RwSignal::new(None),
        point: RwSignal::new(None),
        shows_examples: RwSignal::new(true),
        shows_moves: RwSignal::new(false),
    };
    links(gap);
    train(gap);
    let (of_square, of_point) = (Work::new(Lane::Aside), Work::new(Lane::Live));
    Effect::new(move || {
        let Some(learnt) = gap.learnt() else { return };
        of_square.ask(gap.experiment(), Study::Square(learnt, TRIED), move |part| {
            if let study::Part::Square(square) = part {
                gap.square.set(Some(Arc::from(square)));
            }
        });
    });
    Effect::new(move || {
        let at = gap.at.get();
        let Some(learnt) = gap.learnt() else { return };
        of_point.ask(gap.experiment(), Study::Point(learnt, at), move |part| {
            if let study::Part::Point(point) = part {
                gap.point.set(Some(Arc::from(point)));
            }
        });
    });
    let is_busy = move || {
        let trains = matches!(gap.training.get(), Training::Waiting | Training::Under { .. });
        trains || of_square.is_busy() || of_point.is_busy()
    };
    let failed = move || {
        [of_square, of_point].into_iter().find_map(|work| match work.stage.get() {
            Stage::Failed(sentence) => Some(format!("This could not be computed: {sentence}.")),
            _ => None,
        })
    };
    let examples = Memo::new(move |_| {
        let Lesson { scene, examples, seed, .. } = gap.lesson();
        Arc::new(scene.sample(examples as usize, seed))
    });
    let drawing = Signal::derive(move || SceneDrawing {
        scene: gap.scene.get(),
        square: gap.square.get(),
        point: gap.point.get(),
        at: gap.at.get(),
        threat: gap.threat(),
        examples: examples.get(),
        shows_examples: gap.shows_examples.get(),
        shows_moves: gap.shows_moves.get(),
    });
    let caption = "The square: colours are what the network says, the thick line is the true boundary, and between them, \
                   hatched, is the gap";
    view! {
        <div class="study">
            <div class="study-head">
                <h1>"The gap"</h1>
                <p class="lead">
                    "What is an adversarial example? Here the task’s true boundary is known: the thick line. A small network, trained "
                    "in this page on the few points shown, draws a boundary of its own; where the two disagree lies the gap. An "
                    "adversarial example is a point that is moved by no more than ε into the gap, while its true class stays the same. "
                    "Drag the point, look for places from which the attack reaches the gap, then give the network more examples "
                    "or train it against PGD."
                </p>
            </div>
            <div class="gap" aria-busy=move || is_busy().to_string()>
                <section class="panel gap-figure" aria-label="The scene">
                    <SceneFigure drawing=drawing on_move=Callback::new(move |at| gap.at.set(at))
                        caption=Signal::derive(move || caption.to_string())
                        name=Signal::derive(move || format!("gap-{}", gap.scene.get().key())) />
                    {key()}
                </section>
                <div class="gap-side">
                    {verdict(gap)}
                    <p class="failure" role="alert">{failed}</p>
                    {controls(gap)}
                    {counts(gap)}
                </div>
            </div>
        </div>
    }
}

/// What of the page stands in its link.
fn links(gap: Gap) {
    let extra = Extra::get();
    let usual = |is_usual: bool, key: &str| (!is_usual).then(|| key.to_string());
    extra.bind("gap.scene", gap.scene, move |scene| usual(*scene == Scene::Wave, scene.key()), Scene::from_key);
    extra.bind("gap.norm", gap.norm, move |norm| usual(*norm == Norm::L2, norm.key()), Norm::from_key);
    extra.bind(
        "gap.attack",
        gap.method,
        move |method| usual(*method == Method::PGD, method.key()),
        |key| ATTACKS.contains(&key).then(|| Method::from_key(key)).flatten(),
    );
    if !gap.method.get_untracked().norms().contains(&gap.norm.get_untracked()) {
        gap.method.set(Method::PGD);
    }
    extra.whole("gap.examples", gap.examples, 60, (10, 1000));
    extra.whole("gap.draw", gap.seed, 0, (0, u32::MAX));
    extra.switch("gap.robust", gap.robust, false);
    extra.switch("gap.show-examples", gap.shows_examples, true);
    extra.switch("gap.show-moves", gap.shows_moves, false);
    extra.number("gap.epsilon", gap.epsilon, 0.1, (0.0, GREATEST));
    extra.bind(
        "gap.at",
        gap.at,
        |[x, y]| Some(format!("{x:.4},{y:.4}")),
        |text| {
            let (x, y) = text.split_once(',')?;
            let [x, y] = [x, y].map(|value| value.parse::<f32>().ok().filter(|value| (0.0..=1.0).contains(value)));
            Some([x?, y?])
        },
    );
}

/// Keeps a trainer at work on the present lesson.
fn train(gap: Gap) {
    let Gap { weights, training, square, point, .. } = gap;
    let newest = StoredValue::new(0u32);
    let on_reply = move |reply| {
        let is_newest = |id: u32| newest.try_get_value() == Some(id);
        match reply {
            Reply::Report { id, report } if is_newest(id) => {
                training.set(Training::Under { step: report.step, steps: report.steps, loss: report.loss });
                weights.set(Some(Arc::new(report.weights)));
            }
            Reply::Trained { id, weights: learnt, milliseconds } if is_newest(id) => {
                weights.set(Some(Arc::new(learnt)));
                training.set(Training::Done(milliseconds));
            }
            Reply::Failed { id, message } if is_newest(id) => training.set(Training::Failed(message)),
            _ => {}
        }
    };
    let on_crash = move |message| drop(training.try_set(Training::Failed(message)));
    let trainer = StoredValue::new_local(match worker::start_trainer(on_reply, on_crash) {
        Ok(trainer) => Some(trainer),
        Err(message) => {
            training.set(Training::Failed(message));
            None::<Trainer>
        }
    });
    // The worker ends with the page.
    on_cleanup(move || drop(trainer.try_update_value(Option::take)));
    let lesson = Memo::new(move |_| gap.lesson());
    Effect::new(move |before: Option<Scene>| {
        let lesson = lesson.get();
        if before != Some(lesson.scene) {
            weights.set(None);
            square.set(None);
            point.set(None);
        }
        newest.update_value(|id| *id += 1);
        training.set(Training::Waiting);
        trainer.with_value(|trainer| {
            if let Some(trainer) = trainer {
                trainer.send(&Request::Train { id: newest.get_value(), job: Box::new(lesson.job()) });
            }
        });
        lesson.scene
    });
}

/// What became of the point, in a sentence.
fn verdict(gap: Gap) -> AnyView {
    let Gap { point, method, .. } = gap;
    let sentence = move || {
        point.get().map_or_else(
            || (false, "The network is being trained.".to_string()),
            |point| {
                let length = format::number(point.norms.of(gap.norm.get()), 3);
                let method = method.get();
                let says = format!("the network says class {} ({})", point.end_predicted, format::percent(point.end_confidence));
                if point.predicted != point.label {
                    let sure = format::percent(point.confidence);
                    return (true, format!(
                        "In the gap already: the point is of class {}, and the network says class {} ({sure}) without any attack.",
                        point.label, point.predicted
                    ));
                }
                match point.fate {
                    Fate::Right => (false, format!("Right: {method} moved it by {length}, and {says}, as is true.")),
                    Fate::Adversarial => (true, format!(
                        "Adversarial: {method} moved it by {length} into the gap. It is still of class {}, but {says}.",
                        point.label
                    )),
                    Fate::Changed => (false, format!(
                        "No error: {method} moved it by {length} across the true boundary. It is of class {} now, and {says}.",
                        1 - point.label
                    )),
                    Fate::Unnoticed => (true, format!(
                        "Unnoticed: {method} moved it by {length} across the true boundary. It is of class {} now, but {says}.",
                        1 - point.label
                    )),
                }
            },
        )
    };
    view! {
        <p class="verdict" role="status" class:fooled=move || sentence().0 class:holds=move || point.read().is_some() && !sentence().0>
            {move || sentence().1}
        </p>
    }
    .into_any()
}

fn controls(gap: Gap) -> AnyView {
    let Gap { scene, examples, seed, robust, norm, epsilon, method, at, training, shows_examples, shows_moves, .. } =
        gap;
    let constant = |number: f64| Signal::derive(move || number);
    let scenes = Scene::ALL.map(|scene| (scene.key(), scene.to_string())).to_vec();
    let set_scene = Callback::new(move |key: String| scene.set(Scene::from_key(&key).unwrap_or_default()));
    let within = |name: &'static str, least: f64, greatest: f64, number: f64| {
        if (least..=greatest).contains(&number) {
            Ok(())
        } else {
            Err(format!("Choose {name} from {least} to {greatest}."))
        }
    };
    let set_examples = Callback::new(move |number: f64| {
        within("a number", 10.0, 1000.0, number).map(|()| examples.set(number as u32))
    });
    let set_epsilon =
        Callback::new(move |number: f64| within("ε", 0.0, GREATEST, number).map(|()| epsilon.set(number)));
    let coordinate = move |axis: usize| {
        Callback::new(move |number: f64| {
            within("a place", 0.0, 1.0, number).map(|()| at.update(|at| at[axis] = number as f32))
        })
    };
    let methods = Signal::derive(move || {
        let known = ATTACKS.iter().filter_map(|key| Method::from_key(key));
        let fits = known.filter(|method| method.norms().contains(&norm.get()));
        fits.map(|method| (method.key().to_string(), method.to_string())).collect::<Vec<_>>()
    });
    let set_method = Callback::new(move |key: String| method.set(Method::from_key(&key).unwrap_or_default()));
    let norms = Norm::ALL.map(|norm| (norm.key(), norm.to_string())).to_vec();
    let set_norm = Callback::new(move |key: String| {
        let chosen = Norm::from_key(&key).unwrap_or_default();
        if !method.get_untracked().norms().contains(&chosen) {
            method.set(Method::default());
        }
        norm.set(chosen);
    });
    let trained = move || match training.get() {
        Training::Waiting => "Training begins…".to_string(),
        Training::Under { step, steps, loss } => {
            format!("Training: step {step} of {steps}, loss {}", format::number(loss, 2))
        }
        Training::Done(milliseconds) => format!("Trained in this page in {}", format::milliseconds(milliseconds)),
        Training::Failed(_) => String::new(),
    };
    let failed = move || match training.get() {
        Training::Failed(sentence) => Some(format!("It could not be trained: {}.", sentence.trim_end_matches('.'))),
        _ => None,
    };
    let name = move || match training.get() {
        Training::Done(_) => "done",
        Training::Failed(_) => "failed",
        _ => "working",
    };
    let share = move || match training.get() {
        Training::Under { step, steps, .. } => (step as f32 / steps.max(1) as f32).to_string(),
        Training::Done(_) => "1".into(),
        _ => "0".into(),
    };
    let look = move |_| {
        let Some(square) = gap.square.get_untracked() else { return };
        let wrong: Vec<usize> =
            (0..square.cells.truth.len()).filter(|i| square.cells.truth[*i] != square.cells.predicted[*i]).collect();
        if let Some(&cell) = wrong.get((js_sys::Math::random() * wrong.len() as f64) as usize) {
            let n = square.cells.side as usize;
            let middle = |i: usize| ((i as f32 + 0.5) / n as f32 * 1e4).round() / 1e4;
            at.set([middle(cell % n), 1.0 - middle(cell / n)]);
        }
    };
    let none = move || gap.square.with(|square| square.as_ref().is_none_or(|square| square.cells.wrong() == 0.0));
    view! {
        <section class="panel" aria-labelledby="learn-title">
            <div class="panel-bar">
                <h2 id="learn-title">"The network"</h2>
                <p class="status-line" role="status" data-state=name>{trained}</p>
            </div>
            <progress class="whole" max="1" value=share aria-label="Training"></progress>
            <p class="failure" role="alert">{failed}</p>
            <div class="gap-controls">
                <Choice name="scene" label="True boundary" options=scenes
                    value=Signal::derive(move || scene.get().key().to_string()) set=set_scene />
                <NumberControl id="examples" label="Examples to learn from" value=Signal::derive(move || f64::from(examples.get()))
                    min=10.0 max=constant(1000.0) step=constant(10.0) whole=true set=set_examples />
                <Toggle label="Train against PGD, within this norm and ε" value=robust.into()
                    set=Callback::new(move |on| robust.set(on)) />
                <button type="button" on:click=move |_| seed.update(|seed| *seed += 1)>"Draw other examples"</button>
            </div>
        </section>
        <section class="panel" aria-labelledby="point-title">
            <h2 id="point-title">"The point and its attack"</h2>
            <div class="gap-controls">
                <NumberControl id="point-x" label="x" value=Signal::derive(move || f64::from(at.get()[0])) min=0.0
                    max=constant(1.0) step=constant(0.01) set=coordinate(0) />
                <NumberControl id="point-y" label="y" value=Signal::derive(move || f64::from(at.get()[1])) min=0.0
                    max=constant(1.0) step=constant(0.01) set=coordinate(1) />
                <button type="button" on:click=look disabled=none>"Go to a point in the gap"</button>
                <Pick id="attack" label="Attack" options=methods value=Signal::derive(move || method.get().key().to_string()) set=set_method />
                <Choice name="norm" label="Norm of δ" options=norms value=Signal::derive(move || norm.get().key().to_string()) set=set_norm />
                <NumberControl id="epsilon" label="ε" value=epsilon.into() min=0.0 max=constant(GREATEST) step=constant(0.01)
                    note=Signal::derive(|| "of the square’s side".to_string()) set=set_epsilon />
                <Toggle label="Show the examples" value=shows_examples.into() set=Callback::new(move |on| shows_examples.set(on)) />
                <Toggle label=format!("Show the attack on {TRIED} points") value=shows_moves.into()
                    set=Callback::new(move |on| shows_moves.set(on)) />
            </div>
        </section>
    }
    .into_any()
}

/// What becomes of many points.
fn counts(gap: Gap) -> AnyView {
    let rows = move || {
        gap.square.get().map(|square| {
            let all = square.fates.len();
            let count = |keep: &dyn Fn(usize) -> bool| (0..all).filter(|i| keep(*i)).count();
            let wrong = count(&|i| square.wrong[i]);
            let of = |fate: Fate| count(&|i| !square.wrong[i] && square.fates[i] == fate);
            [
                ("wrong before any attack", wrong),
                ("adversarial: moved into the gap", of(Fate::Adversarial)),
                ("right after the attack", of(Fate::Right)),
                ("truly of the other class now, and said so", of(Fate::Changed)),
                ("truly of the other class now, not noticed", of(Fate::Unnoticed)),
            ]
            .map(|(what, number)| {
                view! {
                    <tr>
                        <th scope="row">{what}</th>
                        <td class="figure-number">{number}</td>
                        <td class="figure-number">{format::percent(number as f32 / all.max(1) as f32)}</td>
                    </tr>
                }
            })
            .collect_view()
        })
    };
    let share = move || {
        gap.square
            .get()
            .map(|square| format!("The gap takes {} of the square.", format::percent(square.cells.wrong() as f32)))
    };
    view! {
        <section class="panel" aria-labelledby="counts-title">
            <h2 id="counts-title">{format!("{TRIED} points, drawn evenly and attacked")}</h2>
            <p class="gap-share">{share}</p>
            <table>
                <caption class="visually-hidden">"What became of the points"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Point"</th>
                        <th scope="col" class="figure-number">"Number"</th>
                        <th scope="col" class="figure-number">"Share"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </section>
    }
    .into_any()
}

/// What the marks mean.
fn key() -> AnyView {
    view! {
        <ul class="scene-key">
            <li><span class="key-class zero" aria-hidden="true">"●"</span>" class 0"</li>
            <li><span class="key-class one" aria-hidden="true">"■"</span>" class 1"</li>
            <li><span class="key-line" aria-hidden="true"></span>" true boundary"</li>
            <li><span class="key-gap" aria-hidden="true"></span>" the gap"</li>
            <li><span class="key-point" aria-hidden="true">"●"</span>" the point and its ε ball"</li>
            <li><span aria-hidden="true">"×"</span>" where the attack ends"</li>
        </ul>
    }
    .into_any()
}
