//! What a model looks at: maps of the picture before and after the attack, model beside model.

use std::collections::HashMap;
use std::sync::Arc;

use leptos::prelude::*;

use super::subject::{Offers, SubjectBar};
use super::work::{StageLine, Work};
use crate::attack::{Kind, Parameter};
use crate::engine::study::inside::{Attacked, Class, Part, Plan, Shown};
use crate::engine::study::{self, Lane, Study};
use crate::experiment::{Experiment, Scale};
use crate::explain::{Completeness, Detail, MapSettings, Method};
use crate::nn::zoo;
use crate::page::control::{Choice, NumberControl, Pick, Toggle};
use crate::page::extra::Extra;
use crate::page::figure::{Picture, SignedPicture, format, greatest};
use crate::page::lab::picker::Picker;
use crate::page::notice::Notices;
use crate::page::state::Lab;

/// Maps by model, map and place.
type Maps = HashMap<(u8, u8, u8), Result<Arc<Shown>, String>>;

/// The page's own state.
#[derive(Clone, Copy)]
struct Inside {
    lab: Lab,
    models: Memo<Vec<String>>,
    class: RwSignal<Class>,
    settings: RwSignal<Vec<MapSettings>>,
    attacked: RwSignal<[Option<Arc<Attacked>>; 2]>,
    maps: RwSignal<Maps>,
}

/// The page.
#[component]
pub fn InsidePage() -> impl IntoView {
    let lab = Lab::get();
    // Robust beside standard unless the experiment says otherwise.
    let models = lab.memo(|experiment| {
        let other = if experiment.model == "adversarial" { "standard" } else { "adversarial" };
        let compare = experiment.compare.clone().unwrap_or_else(|| other.into());
        vec![experiment.model.clone(), compare]
    });
    let page = Inside {
        lab,
        models,
        class: RwSignal::new(Class::True),
        settings: RwSignal::new(Method::all().map(MapSettings::of).collect()),
        attacked: RwSignal::new([None, None]),
        maps: RwSignal::new(Maps::new()),
    };
    let extra = Extra::get();
    extra.bind("inside.class", page.class, |class| (*class != Class::True).then(|| class_key(*class)), class_of);
    extra.bind("inside.maps", page.settings, |settings| written(settings), read);
    let work = Work::new(Lane::Live);
    let asked = lab.memo(|experiment| Experiment { view: Default::default(), ..experiment.clone() });
    let Inside { class, settings, attacked, maps, .. } = page;
    Effect::new(move |before: Option<Vec<String>>| {
        let models = models.get();
        // What stands there would be taken for another model's.
        if before.as_ref() != Some(&models) {
            attacked.set([None, None]);
            maps.update(HashMap::clear);
        }
        let plan = Plan { models: models.clone(), class: class.get(), maps: settings.get() };
        work.ask(asked.get(), Study::Inside(plan), move |part| {
            let study::Part::Inside(part) = part else { return };
            match part {
                Part::Attacked(part) => attacked.update(|attacked| {
                    if let Some(slot) = attacked.get_mut(usize::from(part.model)) {
                        *slot = Some(Arc::from(part));
                    }
                }),
                Part::Map { model, map, at, shown } => {
                    maps.update(|maps| drop(maps.insert((model, map, at), shown.map(Arc::new))));
                }
            }
        });
        models
    });
    view! {
        <div class="study">
            <div class="study-head">
                <h1>"Inside: what the model looks at"</h1>
                <p class="lead">
                    "Each map gives every pixel a value that explains one number: the logit of a class, at x and at x + δ, which "
                    "is the result of the attack chosen here. Orange speaks for the class, blue against it. Compare the standard "
                    "model with the one trained against PGD: the gradients of the robust one look like the object "
                    "(Tsipras et al. 2019). Then explain the class that the attack reached, and see what the model now sees."
                </p>
            </div>
            <Picker />
            <SubjectBar offers=Offers { model: true, attack: true, norm: true, epsilon: true, goal: true }>
                {beside(page)} {of_class(page)} {scale(lab)}
            </SubjectBar>
            {map_settings(page)}
            <div class="panel-bar loose"><StageLine work=work /></div>
            <div class="insides" aria-busy=move || work.is_busy().to_string()>
                {model(page, 0)} {model(page, 1)}
            </div>
        </div>
    }
}

fn beside(page: Inside) -> AnyView {
    let Inside { lab, models, .. } = page;
    let notices = Notices::get();
    let options = Signal::derive(move || {
        let experiment = lab.experiment();
        let cards = zoo::of(experiment.dataset).filter(|card| card.name != experiment.model);
        cards.map(|card| (card.name.clone(), card.title.clone())).collect::<Vec<_>>()
    });
    let value = Signal::derive(move || models.get().pop().unwrap_or_default());
    let set = Callback::new(move |name: String| {
        notices.check(lab.edit("compare", |experiment| experiment.compare = Some(name)));
    });
    view! { <Pick id="compare" label="Side by side with" options=options value=value set=set /> }.into_any()
}

fn of_class(page: Inside) -> AnyView {
    let Inside { lab, class, .. } = page;
    let dataset = lab.memo(|experiment| experiment.dataset);
    let options = Signal::derive(move || {
        let mut options =
            vec![("true".to_string(), "the true class".to_string()), ("reached".into(), "the class at x + δ".into())];
        let classes = dataset.get().classes().iter().enumerate();
        options.extend(classes.map(|(class, name)| (class.to_string(), name.to_string())));
        options
    });
    let value = Signal::derive(move || class_key(class.get()));
    let set = Callback::new(move |key: String| class.set(class_of(&key).unwrap_or_default()));
    view! { <Pick id="explained" label="Explain the logit of" options=options value=value set=set /> }.into_any()
}

fn class_key(class: Class) -> String {
    match class {
        Class::True => "true".to_string(),
        Class::Reached => "reached".into(),
        Class::Fixed(class) => class.to_string(),
    }
}

fn class_of(key: &str) -> Option<Class> {
    match key {
        "true" => Some(Class::True),
        "reached" => Some(Class::Reached),
        key => key.parse().ok().filter(|class| *class < 10).map(Class::Fixed),
    }
}

/// The maps' parameters that are not as usual: "samples:3,points:20". No two maps have parameters of one name.
fn written(settings: &[MapSettings]) -> Option<String> {
    let all = settings.iter().flat_map(|settings| {
        let parameters = settings.map.parameters().iter();
        let others =
            parameters.filter_map(|parameter| settings.values.get(parameter.key).map(|value| (parameter, *value)));
        others.map(|(parameter, value)| format!("{}:{}", parameter.key, parameter.written(value)))
    });
    let all: Vec<_> = all.collect();
    (!all.is_empty()).then(|| all.join(","))
}

/// The inverse of [`written`].
fn read(text: &str) -> Option<Vec<MapSettings>> {
    let mut all: Vec<_> = Method::all().map(MapSettings::of).collect();
    for part in text.split(',') {
        let (key, value) = part.split_once(':')?;
        let fits = |settings: &&mut MapSettings| settings.map.parameters().iter().any(|parameter| parameter.key == key);
        let settings = all.iter_mut().find(fits)?;
        let parameter = settings.map.parameters().iter().find(|parameter| parameter.key == key)?;
        let value = parameter.read(value).filter(|value| parameter.allows(*value))?;
        settings.set(parameter, value);
    }
    Some(all)
}

fn scale(lab: Lab) -> AnyView {
    let notices = Notices::get();
    let options = vec![("own", "its own".to_string()), ("same", "the same in a row".to_string())];
    let value = lab.memo(|experiment| if experiment.view.scale == Scale::Same { "same" } else { "own" }.to_string());
    let set = Callback::new(move |key: String| {
        let scale = if key == "same" { Scale::Same } else { Scale::Own };
        notices.check(lab.edit("scale", |experiment| experiment.view.scale = scale));
    });
    view! { <Choice name="scale" label="Colour scale of each map" options=options value=value.into() set=set /> }
        .into_any()
}

/// The maps' own parameters, as they are declared.
fn map_settings(page: Inside) -> AnyView {
    let groups = Method::all()
        .enumerate()
        .filter(|(_, method)| !method.parameters().is_empty())
        .map(|(place, method)| {
            let controls = method.parameters().iter().map(|parameter| control(page, place, parameter)).collect_view();
            view! {
                <fieldset class="map-settings">
                    <legend>{method.title()}</legend>
                    {controls}
                </fieldset>
            }
        })
        .collect_view();
    view! {
        <details class="panel">
            <summary>"Settings of the maps"</summary>
            <div class="map-groups">{groups}</div>
        </details>
    }
    .into_any()
}

fn control(page: Inside, place: usize, parameter: &'static Parameter) -> AnyView {
    let settings = page.settings;
    let value = Memo::new(move |_| settings.with(|settings| settings[place].get(parameter)));
    let set = move |value: f32| {
        if !parameter.allows(value) {
            return Err(format!("Choose {}.", parameter.range()));
        }
        settings.update(|settings| settings[place].set(parameter, value));
        Ok(())
    };
    let unit = if parameter.unit.is_empty() { String::new() } else { format!(" ({})", parameter.unit) };
    let label = format!("{}{unit}", parameter.label);
    match parameter.kind {
        Kind::Number { least, greatest, step, whole, .. } => {
            let set = Callback::new(move |number: f64| set(number as f32));
            let constant = |number: f32| Signal::derive(move || f64::from(number));
            let value = Signal::derive(move || f64::from(value.get()));
            view! {
                <div class="with-help">
                    <NumberControl id=parameter.key label=label value=value min=f64::from(least) max=constant(greatest)
                        step=constant(step) whole=whole set=set />
                    <p class="soft">{parameter.help}</p>
                </div>
            }
            .into_any()
        }
        Kind::Choice { options, .. } => {
            let names = options.iter().map(|(key, name)| (*key, name.to_string())).collect();
            let value = Signal::derive(move || parameter.written(value.get()));
            let set = Callback::new(move |key: String| {
                if let Some(value) = parameter.read(&key) {
                    let _ = set(value);
                }
            });
            view! {
                <div class="with-help">
                    <Choice name=parameter.key label=label options=names value=value set=set />
                    <p class="soft">{parameter.help}</p>
                </div>
            }
            .into_any()
        }
        Kind::Switch { .. } => {
            let value = Signal::derive(move || value.get() == 1.0);
            let set = Callback::new(move |on: bool| drop(set(f32::from(u8::from(on)))));
            view! {
                <div class="with-help">
                    <Toggle label=label value=value set=set />
                    <p class="soft">{parameter.help}</p>
                </div>
            }
            .into_any()
        }
    }
}

/// Everything about one model.
fn model(page: Inside, place: u8) -> AnyView {
    let Inside { lab, models, attacked, .. } = page;
    let heading = ["inside-0", "inside-1"][usize::from(place)];
    let card = Memo::new(move |_| {
        models.with(|models| models.get(usize::from(place)).and_then(|name| zoo::find(lab.experiment().dataset, name)))
    });
    let title = move || card.get().map_or(String::new(), |card| card.title.clone());
    let seen = Memo::new(move |_| attacked.with(|attacked| attacked[usize::from(place)].clone()));
    let file = move |what: String| {
        Signal::derive(move || {
            let experiment = lab.experiment();
            let picture = match experiment.picture {
                crate::experiment::Picture::Test(index) => index.to_string(),
                crate::experiment::Picture::Own { .. } => "own".into(),
            };
            let model = card.get().map_or("model", |card| card.name.as_str());
            format!("{}-{picture}-{model}-{what}", experiment.dataset.key())
        })
    };
    let class_name =
        move |class: u8| lab.experiment().dataset.classes().get(usize::from(class)).copied().unwrap_or("?");
    let picture = move |at: usize| {
        let pixels = Signal::derive(move || seen.get().map(|seen| Arc::<[f32]>::from(&seen.images[at][..])));
        let label = Signal::derive(move || {
            seen.get().map_or(String::new(), |seen| {
                let probabilities = &seen.probabilities[at];
                let best = (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
                let best = best.unwrap_or(0);
                format!("{} {}", class_name(best as u8), format::percent(probabilities[best]))
            })
        });
        let caption = ["x, the picture", "x + δ"][at];
        let name = file(["x", "adversarial"][at].into());
        view! { <Picture pixels=pixels caption=Signal::derive(move || caption.to_string()) name=name label=label bare=true /> }
    };
    let says = move || {
        seen.get().map(|seen| {
            let experiment = lab.experiment();
            let norm = experiment.threat.norm;
            let length = format::number(seen.norms.of(norm), 3);
            let verdict = if seen.success { "reaches its goal" } else { "does not reach its goal" };
            format!(
                "{} {verdict} with ‖δ‖ = {length} in {norm}. Logit of {}: {} at x, {} at x + δ.",
                experiment.attack.method,
                class_name(seen.class),
                format::number(seen.scores[0], 3),
                format::number(seen.scores[1], 3)
            )
        })
    };
    let rows = Method::all()
        .enumerate()
        .map(|(map, method)| {
            let pictures = [0, 1].map(|at| map_picture(page, (place, map as u8, at), method, file)).collect_view();
            view! {
                <div class="map-row">
                    <h3 title=method.summary()>{method.title()}</h3>
                    <div class="pair">{pictures}</div>
                    {completeness(page, place, map as u8)}
                </div>
            }
        })
        .collect_view();
    view! {
        <section class="panel inside" aria-labelledby=heading>
            <h2 id=heading>{title}</h2>
            <div class="pair">{picture(0)} {picture(1)}</div>
            <p class="says">{says}</p>
            {rows}
        </section>
    }
    .into_any()
}

fn map_picture(
    page: Inside,
    key: (u8, u8, u8),
    method: Method,
    file: impl Fn(String) -> Signal<String> + Copy + 'static,
) -> AnyView {
    let Inside { lab, maps, .. } = page;
    let shown = Memo::new(move |_| maps.with(|maps| maps.get(&key).cloned()));
    let same = lab.memo(|experiment| experiment.view.scale == Scale::Same);
    let limit = Signal::derive(move || {
        same.get().then(|| {
            let of = |shown: &Result<Arc<Shown>, String>| shown.as_ref().map_or(0.0, |shown| greatest(&shown.values));
            let row = |maps: &Maps| {
                maps.iter().filter(|((_, map, _), _)| *map == key.1).map(|(_, shown)| of(shown)).fold(0.0, f32::max)
            };
            maps.with(row)
        })
    });
    let pixels = Signal::derive(move || {
        shown.get().and_then(|shown| shown.ok()).map(|shown| Arc::<[f32]>::from(&shown.values[..]))
    });
    let place = ["at x", "at x + δ"][usize::from(key.2)];
    let caption = Signal::derive(move || format!("{} {place}", method.title()));
    let name = file(format!("{}-at-{}", method.key(), ["x", "adversarial"][usize::from(key.2)]));
    let unavailable = move || shown.get().and_then(|shown| shown.err());
    view! {
        <Show when=move || unavailable().is_none() fallback=move || view! {
            <p class="unavailable">{move || unavailable().map(|sentence| format!("Not for this model: {sentence}."))}</p>
        }>
            <SignedPicture pixels=pixels limit=limit caption=caption name=name />
        </Show>
    }
    .into_any()
}

/// How well integrated gradients add up.
fn completeness(page: Inside, place: u8, map: u8) -> AnyView {
    let maps = page.maps;
    let text = move |at: u8| {
        maps.with(|maps| match maps.get(&(place, map, at)) {
            Some(Ok(shown)) => match &shown.detail {
                Detail::Completeness(complete) => Some(sum(complete)),
                _ => None,
            },
            _ => None,
        })
    };
    let line = move |at: u8| {
        text(at).map(|sentence| view! { <p class="soft">{["At x: ", "At x + δ: "][usize::from(at)]} {sentence}</p> })
    };
    view! { <div class="completeness">{move || line(0)} {move || line(1)}</div> }.into_any()
}

/// "Σ = 3.21; F(x) − F(x₀) = 3.4 − 0.2 = 3.2; error 0.01."
fn sum(complete: &Completeness) -> String {
    let number = |value: f64| format::number(value as f32, 4);
    format!(
        "all pixels sum to {}; F(x) − F(x₀) = {} − ({}) = {}; error of the integral {}.",
        number(complete.sum),
        number(complete.score),
        number(complete.baseline),
        number(complete.score - complete.baseline),
        number(complete.error())
    )
}
