//! How linear models are around the picture (Goodfellow, Shlens, Szegedy 2015).

use std::sync::Arc;

use leptos::prelude::*;

use super::subject::{Offers, SubjectBar, epsilon_note};
use super::work::{StageLine, Work};
use crate::engine::study::linearity::{Dots, Part, Plan};
use crate::engine::study::{self, Lane, Study};
use crate::experiment::Experiment;
use crate::explain::DotProduct;
use crate::nn::zoo::{self, ModelCard};
use crate::nn::{Layer, softmax};
use crate::page::control::{Choice, NumberControl, Toggle};
use crate::page::extra::Extra;
use crate::page::figure::{LineChart, Lines, Series, Tone, format};
use crate::page::lab::picker::Picker;
use crate::page::state::Lab;

/// The line of one model.
type Found = Arc<Part>;

/// The page.
#[component]
pub fn LinearityPage() -> impl IntoView {
    let lab = Lab::get();
    view! {
        <div class="study">
            <div class="study-head">
                <h1>"Linearity"</h1>
                <p class="lead">
                    "Goodfellow, Shlens and Szegedy explain adversarial examples by linearity: where logits change linearly, a "
                    "step along the sign of the gradient adds up over all pixels. See how far that holds. Below, the picture moves "
                    "along x + t · sign(∇L), and the logits of all classes follow; R² says how well one straight line fits. Move t, "
                    "change the range, compare ReLU with tanh and the standard with the robust model, and let pixels leave [0, 1]: "
                    "cutting them off at black and white bends the lines, too."
                </p>
            </div>
            <Picker />
            {lines(lab)}
            {dots(lab)}
        </div>
    }
}

fn lines(lab: Lab) -> AnyView {
    let dataset = lab.memo(|experiment| experiment.dataset);
    // Models that were taken out: a new data set shows all of its own.
    let hidden = RwSignal::new(Vec::<String>::new());
    let shown = Memo::new(move |_| {
        let cards = zoo::of(dataset.get()).filter(|card| !hidden.read().contains(&card.name));
        cards.map(|card| card.name.clone()).collect::<Vec<_>>()
    });
    let reach = RwSignal::new(0.25f64);
    let clipped = RwSignal::new(true);
    let t = RwSignal::new(0.1f64);
    let extra = Extra::get();
    extra.number("linearity.reach", reach, 0.25, (0.01, 0.5));
    extra.number("linearity.t", t, 0.1, (-0.5, 0.5));
    extra.switch("linearity.box", clipped, true);
    extra.bind(
        "linearity.without",
        hidden,
        |hidden| (!hidden.is_empty()).then(|| hidden.join(",")),
        |text| Some(text.split(',').map(String::from).collect()),
    );
    let found = RwSignal::new(Vec::<(String, Found)>::new());
    let work = Work::new(Lane::Live);
    let asked = lab.memo(|experiment| Experiment {
        model: Experiment::default().model,
        compare: None,
        threat: crate::threat::Threat::usual(experiment.dataset, Default::default()),
        attack: Default::default(),
        view: Default::default(),
        ..experiment.clone()
    });
    Effect::new(move || {
        let models = shown.get();
        found.update(|found| found.retain(|(name, _)| models.contains(name)));
        let plan = Plan { models: models.clone(), reach: reach.get() as f32, clipped: clipped.get() };
        work.ask(asked.get(), Study::Linearity(plan), move |part| {
            let study::Part::Linearity(part) = part else { return };
            let Some(name) = models.get(usize::from(part.place)) else { return };
            let part = Arc::new(part);
            found.update(|found| match found.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = part,
                None => found.push((name.clone(), part)),
            });
        });
    });
    let constant = |number: f64| Signal::derive(move || number);
    let set_reach = Callback::new(move |number: f64| {
        if !(0.01..=0.5).contains(&number) {
            return Err("Choose a range from 0.01 to 0.5.".to_string());
        }
        reach.set(number);
        t.update(|t| *t = t.clamp(-number, number));
        Ok(())
    });
    let set_t = Callback::new(move |number: f64| {
        let reach = reach.get_untracked();
        if number.abs() > reach + 1e-9 {
            return Err(format!("The lines reach from −{reach} to {reach}."));
        }
        t.set(number);
        Ok(())
    });
    // The slider counts from its least value, which the control takes once: t is shown from −0.5, and cut.
    let note = Signal::derive(move || epsilon_note(t.get()));
    let charts = move || {
        let cards = shown.get().into_iter().filter_map(move |name| zoo::find(dataset.get_untracked(), &name));
        cards.map(|card| chart(lab, card, found, t)).collect_view()
    };
    let choices = move || {
        zoo::of(dataset.get())
            .map(|card| {
                let name = card.name.clone();
                let (of, to) = (name.clone(), name);
                let value = Signal::derive(move || !hidden.read().contains(&of));
                let set = Callback::new(move |on: bool| {
                    hidden.update(|hidden| {
                        hidden.retain(|name| *name != to);
                        if !on {
                            hidden.push(to.clone());
                        }
                    });
                });
                view! { <Toggle label=card.title.clone() value=value set=set /> }
            })
            .collect_view()
    };
    view! {
        <SubjectBar offers=Offers::default()>
            <NumberControl id="reach" label="Range of t" value=Signal::derive(move || reach.get()) min=0.01 max=constant(0.5)
                step=constant(0.05) note=Signal::derive(move || format!("from −{0} to {0}", reach.get())) set=set_reach />
            <NumberControl id="t" label="t on screen" value=Signal::derive(move || t.get()) min=-0.5 max=constant(0.5)
                step=constant(0.01) note=note set=set_t />
            <Toggle label="Keep pixels in [0, 1]" value=clipped.into() set=Callback::new(move |on| clipped.set(on)) />
            <fieldset class="many"><legend>"Models"</legend><div class="many-options">{choices}</div></fieldset>
        </SubjectBar>
        <section class="panel" aria-labelledby="lines-title" aria-busy=move || work.is_busy().to_string()>
            <div class="panel-bar">
                <h2 id="lines-title">"Logits along x + t · sign(∇L)"</h2>
                <StageLine work=work />
            </div>
            <div class="charts">{charts}</div>
            {summary(lab, found)}
        </section>
    }
    .into_any()
}

/// The lines of one model, and what it says at t.
fn chart(lab: Lab, card: &'static ModelCard, found: RwSignal<Vec<(String, Found)>>, t: RwSignal<f64>) -> AnyView {
    let classes = card.dataset.classes();
    let part = Memo::new(move |_| {
        found.with(|found| found.iter().find(|(name, _)| *name == card.name).map(|(_, part)| part.clone()))
    });
    let data = Signal::derive(move || part.get().map(|part| drawn(&part, classes, t.get())));
    let says = move || {
        part.get().map(|part| {
            let at = nearest(&part.line.t, t.get() as f32);
            let logits = &part.line.logits[at * classes.len()..(at + 1) * classes.len()];
            let (class, confidence) = softmax::confidence(logits);
            let own = format::number(logits[usize::from(part.label)], 3);
            format!(
                "At t = {}: {} {}; logit of {} {own}. R² of that logit: {}.",
                format::number(part.line.t[at], 3),
                classes[class],
                format::percent(confidence),
                classes[usize::from(part.label)],
                format::fixed(part.line.label.r2 as f32, 3)
            )
        })
    };
    let caption = format!("{} ({})", card.title, activations(card));
    let name = Signal::derive(move || format!("{}-linearity", file(lab, &card.name)));
    view! {
        <div class="chart-of-model">
            <LineChart lines=data caption=Signal::derive(move || caption.clone()) name=name />
            <p class="readout">{says}</p>
        </div>
    }
    .into_any()
}

/// The true class and those that are ever predicted by name; the others as one thin family.
fn drawn(part: &Part, classes: &'static [&'static str], t: f64) -> Lines {
    let line = &part.line;
    let k = classes.len();
    let points = |class: usize| {
        line.t.iter().zip(line.logits.chunks_exact(k)).map(move |(t, row)| (f64::from(*t), f64::from(row[class])))
    };
    let mut named = vec![usize::from(part.label)];
    for row in line.logits.chunks_exact(k) {
        let class = softmax::predicted(row);
        if !named.contains(&class) {
            named.push(class);
        }
    }
    let hole = [(f64::NAN, f64::NAN)];
    let others = (0..k).filter(|class| !named.contains(class)).flat_map(|class| points(class).chain(hole)).collect();
    let others = Series { name: "other classes".into(), tone: Tone::Faint, points: others, dots: false };
    let of = |class: usize| Series {
        name: if class == usize::from(part.label) {
            format!("{} (true)", classes[class])
        } else {
            classes[class].into()
        },
        tone: Tone::Class(class),
        points: points(class).collect(),
        dots: false,
    };
    Lines {
        // What is drawn first lies under the others.
        series: [others].into_iter().chain(named.into_iter().map(of)).collect(),
        x: "t, change of every pixel along sign(∇L)".into(),
        y: "logit".into(),
        now: Some(t),
        ..Lines::default()
    }
}

/// What can be compared in numbers.
fn summary(lab: Lab, found: RwSignal<Vec<(String, Found)>>) -> AnyView {
    let dataset = lab.memo(|experiment| experiment.dataset);
    let rows = move || {
        let all = found.get();
        let cards = zoo::of(dataset.get());
        cards
            .filter_map(|card| all.iter().find(|(name, _)| *name == card.name).map(|(_, part)| (card, part.clone())))
            .map(|(card, part)| {
                let line = &part.line;
                let number = |value: f64| format::number(value as f32, 3);
                view! {
                    <tr>
                        <th scope="row">{card.title.clone()}</th>
                        <td>{activations(card)}</td>
                        <td class="figure-number">{format::fixed(line.label.r2 as f32, 3)}</td>
                        <td class="figure-number">{format::fixed(line.margin.r2 as f32, 3)}</td>
                        <td class="figure-number">{number(line.label.slope_at_picture)}</td>
                        <td class="figure-number">{number(line.label.slope)}</td>
                    </tr>
                }
            })
            .collect_view()
    };
    view! {
        <div class="table-room" tabindex="0" role="region" aria-label="How straight; it may be wider than the page">
            <table>
                <caption>
                    "How straight: R² is the share of the variance that the best straight line explains, 1 for a straight line. "
                    "The slopes are of the true class’s logit per unit of t."
                </caption>
                <thead>
                    <tr>
                        <th scope="col">"Model"</th>
                        <th scope="col">"Activations"</th>
                        <th scope="col" class="figure-number">"R², logit"</th>
                        <th scope="col" class="figure-number">"R², margin"</th>
                        <th scope="col" class="figure-number">"Slope by the gradient at x"</th>
                        <th scope="col" class="figure-number">"Slope of the best line"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// "ReLU, max-pool": what bends a network's logits.
fn activations(card: &ModelCard) -> String {
    fn collect(layers: &[Layer], names: &mut Vec<&'static str>) {
        for layer in layers {
            let name = match layer {
                Layer::Relu => "ReLU",
                Layer::Relu6 => "ReLU6",
                Layer::LeakyRelu { .. } => "leaky ReLU",
                Layer::Sigmoid => "sigmoid",
                Layer::Tanh => "tanh",
                Layer::Residual { layers } => {
                    collect(layers, names);
                    continue;
                }
                _ => continue,
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let mut names = Vec::new();
    collect(&card.architecture.layers, &mut names);
    if names.is_empty() { "no activation".into() } else { names.join(", ") }
}

fn nearest(values: &[f32], value: f32) -> usize {
    let distance = |at: &usize| (values[*at] - value).abs();
    (0..values.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
}

fn file(lab: Lab, model: &str) -> String {
    let experiment = lab.experiment();
    let picture = match experiment.picture {
        crate::experiment::Picture::Test(index) => index.to_string(),
        crate::experiment::Picture::Own { .. } => "own".into(),
    };
    format!("{}-{picture}-{model}", experiment.dataset.key())
}

/// Sizes of pictures for which the dot product is known to students.
const SIZES: [(&str, &str, u32); 4] = [
    ("2", "2 (a point in the plane)", 2),
    ("784", "784 = 28 · 28 (this picture)", 784),
    ("3072", "3 072 = 3 · 32 · 32", 3072),
    ("150528", "150 528 = 3 · 224 · 224", 150_528),
];

/// The dot-product argument.
fn dots(lab: Lab) -> AnyView {
    let n = RwSignal::new(784u32);
    let m = RwSignal::new(0.05f64);
    let epsilon = RwSignal::new(0.1f64);
    let extra = Extra::get();
    extra.whole("linearity.n", n, 784, (1, 150_528));
    extra.number("linearity.m", m, 0.05, (0.001, 1.0));
    extra.number("linearity.epsilon", epsilon, 0.1, (0.0, 0.4));
    let found = RwSignal::new(None::<Arc<Vec<DotProduct>>>);
    let work = Work::new(Lane::Aside);
    let seed = lab.memo(|experiment| experiment.seed);
    Effect::new(move || {
        let dots = Dots { n: n.get(), m: m.get(), epsilon: epsilon.get() };
        let experiment = Experiment { seed: seed.get(), ..Experiment::default() };
        work.ask(experiment, Study::Dots(dots), move |part| {
            if let study::Part::Dots(dots) = part {
                found.set(Some(Arc::new(dots)));
            }
        });
    });
    let data = Signal::derive(move || {
        found.get().map(|dots| {
            let series = |name: &str, tone: Tone, of: &dyn Fn(&DotProduct) -> f64, dots_only: bool| Series {
                name: name.into(),
                tone,
                points: dots.iter().map(|dot| (f64::from(dot.n), of(dot))).collect(),
                dots: dots_only,
            };
            Lines {
                series: vec![
                    series("worst case: η = ε · sign(w)", Tone::Danger, &|dot| dot.worst, false),
                    series("noise: η = ±ε at random", Tone::Accent, &|dot| dot.random, true),
                    series("one standard deviation of the noise", Tone::Soft, &|dot| dot.expected_random, false),
                ],
                x: "n, number of weights".into(),
                y: "w · η, change of the unit’s output".into(),
                level: Some((0.0, String::new())),
                ..Lines::default()
            }
        })
    });
    let sentence = move || {
        found.get().and_then(|dots| dots.last().copied()).map(|dot| {
            let number = |value: f64| format::number(value as f32, 3);
            format!(
                "ε · m · n = {} · {} · {} = {}. The {} weights that were drawn give {} in the worst case and {} with random \
                 signs (standard deviation {}): the worst case is {} times as large.",
                number(epsilon.get()),
                number(m.get()),
                n.get(),
                number(dot.expected_worst),
                dot.n,
                number(dot.worst),
                number(dot.random),
                number(dot.expected_random),
                format::number((dot.worst / dot.expected_random) as f32, 3)
            )
        })
    };
    let constant = |number: f64| Signal::derive(move || number);
    let within = |name: &'static str, least: f64, greatest: f64, number: f64| {
        if (least..=greatest).contains(&number) {
            Ok(())
        } else {
            Err(format!("Choose {name} from {least} to {greatest}."))
        }
    };
    let set_n = Callback::new(move |number: f64| within("n", 1.0, 150_528.0, number).map(|()| n.set(number as u32)));
    let set_m = Callback::new(move |number: f64| within("m", 0.001, 1.0, number).map(|()| m.set(number)));
    let set_epsilon = Callback::new(move |number: f64| within("ε", 0.0, 0.4, number).map(|()| epsilon.set(number)));
    let sizes = SIZES.map(|(key, name, _)| (key, name.to_string())).to_vec();
    let size = Signal::derive(move || n.get().to_string());
    let set_size = Callback::new(move |key: String| n.set(key.parse().unwrap_or(784)));
    view! {
        <section class="panel" aria-labelledby="dots-title">
            <h2 id="dots-title">"Many small changes add up: w · (x + η) = w · x + w · η"</h2>
            <p class="lead">
                "A single linear unit with n weights of mean magnitude m: if no input changes by more than ε, its output can "
                "still change by ε · m · n. That grows with the number of inputs, while no single input changes visibly; noise "
                "of the same size grows only with √n. Move n from 2 to the size of a photograph."
            </p>
            <div class="subject-bar flat">
                <NumberControl id="dots-n" label="n, inputs" value=Signal::derive(move || f64::from(n.get())) min=1.0
                    max=constant(150_528.0) step=constant(784.0) whole=true set=set_n />
                <NumberControl id="dots-m" label="m, mean |w|" value=Signal::derive(move || m.get()) min=0.001
                    max=constant(1.0) step=constant(0.01) set=set_m />
                <NumberControl id="dots-epsilon" label="ε, change of each input" value=Signal::derive(move || epsilon.get()) min=0.0
                    max=constant(0.4) step=constant(0.01) note=Signal::derive(move || epsilon_note(epsilon.get())) set=set_epsilon />
                <Choice name="dots-size" label="n of" options=sizes value=size set=set_size />
            </div>
            <LineChart lines=data caption=Signal::derive(|| "Change of one linear unit against n; the weights of a greater n begin with those of a smaller one".to_string())
                name=Signal::derive(|| "dot-product".to_string()) />
            <p class="result-line" role="status">{sentence}</p>
        </section>
    }
    .into_any()
}
