//! The controls of the Lab: data set, model, attack, norm, ε and everything else an experiment says.

use leptos::prelude::*;

use crate::attack::Aim;
use crate::data::Dataset;
use crate::experiment::{AttackSettings, Experiment, Scale};
use crate::nn::zoo;
use crate::page::control::{Choice, NumberControl, Pick};
use crate::page::lab::{attacks, plane};
use crate::page::notice::Notices;
use crate::page::state::Lab;
use crate::threat::{Norm, Threat};

/// All of them.
#[component]
pub fn Controls() -> impl IntoView {
    let lab = Lab::get();
    let notices = Notices::get();
    let reset = move |_| {
        let fresh = |experiment: &mut Experiment| {
            experiment.threat = Threat::usual(experiment.dataset, Norm::default());
            experiment.attack = AttackSettings::default();
            experiment.seed = 0;
            experiment.view = Default::default();
        };
        notices.check(lab.edit("reset", fresh));
    };
    view! {
        <section class="controls" aria-label="Experiment">
            // What is moved most comes first.
            <div class="group">{attacks::norm(lab)} {budget(lab)}</div>
            <div class="group">{subject(lab)}</div>
            <div class="group">{attacks::choice(lab)} {goal(lab)} {attacks::settings(lab)} {seed(lab)}</div>
            <div class="group">{scale(lab)} {plane::axes(lab)}</div>
            <button type="button" class="quiet" on:click=reset>"Reset attack and view"</button>
        </section>
    }
}

/// A callback for a control whose every choice is valid.
pub(super) fn choosing(
    lab: Lab,
    kind: &'static str,
    change: impl Fn(&mut Experiment, String) + Send + Sync + 'static,
) -> Callback<String> {
    let notices = Notices::get();
    Callback::new(move |key: String| notices.check(lab.edit(kind, |experiment| change(experiment, key))))
}

/// A callback for a number; what is out of range comes back as a sentence.
pub(super) fn setting(
    lab: Lab,
    kind: &'static str,
    change: impl Fn(&mut Experiment, f64) + Send + Sync + 'static,
) -> Callback<f64, Result<(), String>> {
    Callback::new(move |number: f64| lab.edit(kind, |experiment| change(experiment, number)))
}

fn subject(lab: Lab) -> AnyView {
    let notices = Notices::get();
    let datasets = Dataset::ALL.map(|dataset| (dataset.key(), dataset.title().to_string())).to_vec();
    let dataset = lab.memo(|experiment| experiment.dataset);
    let choose_dataset = Callback::new(move |key: String| {
        if let Some(dataset) = Dataset::from_key(&key) {
            notices.check(lab.choose_dataset(dataset));
        }
    });
    let models = Signal::derive(move || {
        zoo::of(dataset.get()).map(|card| (card.name.clone(), card.title.clone())).collect::<Vec<_>>()
    });
    let model = lab.memo(|experiment| experiment.model.clone());
    let choose_model = choosing(lab, "model", |experiment, name| {
        // The two that are compared swap rather than become one.
        if experiment.compare.as_ref() == Some(&name) {
            experiment.compare = Some(experiment.model.clone());
        }
        experiment.model = name;
    });
    let compare = lab.memo(|experiment| experiment.compare.clone().unwrap_or_default());
    let others = Signal::derive(move || {
        let mut options = vec![(String::new(), "no other model".to_string())];
        let rest = models.get().into_iter().filter(|(name, _)| *name != model.get());
        options.extend(rest);
        options
    });
    let choose_compare =
        choosing(lab, "compare", |experiment, name| experiment.compare = (!name.is_empty()).then_some(name));
    view! {
        <Choice name="dataset" label="Data set" options=datasets
            value=Signal::derive(move || dataset.get().key().to_string()) set=choose_dataset />
        <Pick id="model" label="Model" options=models value=model.into() set=choose_model />
        <Pick id="compare" label="Side by side with" options=others value=compare.into() set=choose_compare />
    }
    .into_any()
}

/// The slider of ε; the phone layout shows it a second time, always at hand.
pub fn epsilon(lab: Lab, id: &'static str) -> AnyView {
    let threat = lab.memo(|experiment| experiment.threat);
    let value = Signal::derive(move || threat.get().epsilon as f64);
    let max = Signal::derive(move || threat.get().norm.greatest_epsilon() as f64);
    let step = Signal::derive(move || match threat.get().norm {
        Norm::Linf => 0.005,
        Norm::L2 => 0.1,
        Norm::L1 => 0.5,
    });
    let aim = lab.memo(|experiment| experiment.attack.method.aim());
    let note = Signal::derive(move || {
        let length = match threat.get() {
            Threat { norm: Norm::Linf, epsilon } => format!("= {}/255 for every pixel", trimmed(epsilon * 255.0)),
            Threat { norm, .. } => format!("{norm} length of δ"),
        };
        match aim.get() {
            Aim::Strongest => length,
            Aim::Smallest => format!("{length}: only says which δ is small enough"),
            Aim::Transformation => "not used: no norm measures this change".into(),
        }
    });
    let idle = Signal::derive(move || aim.get() == Aim::Transformation);
    let set = setting(lab, "epsilon", |experiment, number| experiment.threat.epsilon = number as f32);
    view! { <NumberControl id=id label="ε" value=value min=0.0 max=max step=step note=note set=set disabled=idle /> }
        .into_any()
}

fn budget(lab: Lab) -> AnyView {
    epsilon(lab, "epsilon")
}

fn goal(lab: Lab) -> AnyView {
    let dataset = lab.memo(|experiment| experiment.dataset);
    let options = Signal::derive(move || {
        let mut options = vec![(String::new(), "untargeted: away from the true class".to_string())];
        let classes = dataset.get().classes().iter().enumerate();
        options.extend(classes.map(|(class, name)| (class.to_string(), format!("towards {name}"))));
        options
    });
    let target = lab.memo(|experiment| experiment.attack.target.map(|class| class.to_string()).unwrap_or_default());
    let choose = choosing(lab, "target", |experiment, key| experiment.attack.target = key.parse().ok());
    view! { <Pick id="target" label="Goal" options=options value=target.into() set=choose /> }.into_any()
}

fn scale(lab: Lab) -> AnyView {
    let options = vec![("own", "its own".to_string()), ("same", "the same".to_string())];
    let value = lab.memo(|experiment| if experiment.view.scale == Scale::Same { "same" } else { "own" }.to_string());
    let choose = choosing(lab, "scale", |experiment, key| {
        experiment.view.scale = if key == "same" { Scale::Same } else { Scale::Own };
    });
    view! { <Choice name="scale" label="Colour scale of δ and gradients" options=options value=value.into() set=choose /> }.into_any()
}

fn seed(lab: Lab) -> AnyView {
    let seed = lab.memo(|experiment| experiment.seed as f64);
    let set = Callback::new(move |number: f64| {
        if !(0.0..=u32::MAX as f64).contains(&number) {
            return Err(format!("A seed is a whole number from 0 to {}.", u32::MAX));
        }
        lab.edit("seed", |experiment| experiment.seed = number as u32)
    });
    let constant = |number: f64| Signal::derive(move || number);
    view! {
        <NumberControl id="seed" label="Seed" value=seed.into() min=0.0 max=constant(99.0) step=constant(1.0) whole=true
            note=Signal::derive(|| "of random starts and the plane’s second axis".to_string()) set=set />
    }
    .into_any()
}

/// At most one decimal.
fn trimmed(number: f32) -> String {
    let text = format!("{number:.1}");
    text.trim_end_matches(".0").to_string()
}
