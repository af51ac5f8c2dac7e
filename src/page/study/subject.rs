//! What a page is about, and the controls that change it: the same experiment as the Lab's.

use leptos::prelude::*;

use crate::attack::{Aim, Method};
use crate::data::Dataset;
use crate::experiment::Experiment;
use crate::nn::zoo;
use crate::page::control::{Choice, Pick};
use crate::page::figure::format;
use crate::page::lab::controls;
use crate::page::notice::Notices;
use crate::page::state::Lab;
use crate::threat::{Norm, Threat};

/// Which controls a page offers.
#[derive(Clone, Copy, Default)]
pub struct Offers {
    /// The model.
    pub model: bool,
    /// The attack.
    pub attack: bool,
    /// The norm.
    pub norm: bool,
    /// ε.
    pub epsilon: bool,
    /// Away from the true class, or towards another.
    pub goal: bool,
}

/// The controls in a row.
#[component]
pub fn SubjectBar(
    /// Which.
    offers: Offers,
    /// Further ones, of the page's own.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let lab = Lab::get();
    view! {
        <section class="subject-bar" aria-label="Experiment">
            {dataset(lab)}
            {offers.model.then(|| model(lab))}
            {offers.attack.then(|| attack(lab))}
            {offers.norm.then(|| norm(lab))}
            {offers.epsilon.then(|| controls::epsilon(lab, "epsilon"))}
            {offers.goal.then(|| goal(lab))}
            {children.map(|children| children())}
        </section>
    }
}

fn choosing(
    lab: Lab,
    kind: &'static str,
    change: impl Fn(&mut Experiment, String) + Send + Sync + 'static,
) -> Callback<String> {
    let notices = Notices::get();
    Callback::new(move |key: String| notices.check(lab.edit(kind, |experiment| change(experiment, key))))
}

fn dataset(lab: Lab) -> AnyView {
    let notices = Notices::get();
    let options = Dataset::ALL.map(|dataset| (dataset.key(), dataset.title().to_string())).to_vec();
    let value = lab.memo(|experiment| experiment.dataset.key().to_string());
    let set = Callback::new(move |key: String| {
        if let Some(dataset) = Dataset::from_key(&key) {
            notices.check(lab.choose_dataset(dataset));
        }
    });
    view! { <Choice name="dataset" label="Data set" options=options value=value.into() set=set /> }.into_any()
}

fn model(lab: Lab) -> AnyView {
    let dataset = lab.memo(|experiment| experiment.dataset);
    let options = Signal::derive(move || {
        zoo::of(dataset.get()).map(|card| (card.name.clone(), card.title.clone())).collect::<Vec<_>>()
    });
    let value = lab.memo(|experiment| experiment.model.clone());
    let set = choosing(lab, "model", |experiment, name| {
        // The two that are compared swap rather than become one.
        if experiment.compare.as_ref() == Some(&name) {
            experiment.compare = Some(experiment.model.clone());
        }
        experiment.model = name;
    });
    view! { <Pick id="model" label="Model" options=options value=value.into() set=set /> }.into_any()
}

fn attack(lab: Lab) -> AnyView {
    let options = Signal::derive(|| {
        let all = Method::all().map(|method| (method.key().to_string(), method.to_string()));
        all.collect::<Vec<_>>()
    });
    let value = lab.memo(|experiment| experiment.attack.method.key().to_string());
    let set = choosing(lab, "method", |experiment, key| {
        experiment.choose_attack(Method::from_key(&key).unwrap_or_default());
        experiment.view.step = None;
    });
    view! { <Pick id="attack" label="Attack" options=options value=value.into() set=set /> }.into_any()
}

fn norm(lab: Lab) -> AnyView {
    let options = Norm::ALL.map(|norm| (norm.key(), norm.to_string())).to_vec();
    let value = lab.memo(|experiment| experiment.threat.norm.key().to_string());
    let set =
        choosing(lab, "norm", |experiment, key| choose_norm(experiment, Norm::from_key(&key).unwrap_or_default()));
    view! { <Choice name="norm" label="Norm of δ" options=options value=value.into() set=set /> }.into_any()
}

/// Takes another norm at its usual ε; an attack that is not defined under it gives way to PGD.
pub fn choose_norm(experiment: &mut Experiment, norm: Norm) {
    let method = experiment.attack.method;
    if method.aim() != Aim::Transformation && !method.norms().contains(&norm) {
        experiment.choose_attack(Method::default());
    }
    experiment.threat = Threat::usual(experiment.dataset, norm);
    experiment.attack.alpha = None;
}

fn goal(lab: Lab) -> AnyView {
    let dataset = lab.memo(|experiment| experiment.dataset);
    let options = Signal::derive(move || {
        let mut options = vec![(String::new(), "untargeted: away from the true class".to_string())];
        let classes = dataset.get().classes().iter().enumerate();
        options.extend(classes.map(|(class, name)| (class.to_string(), format!("towards {name}"))));
        options
    });
    let value = lab.memo(|experiment| experiment.attack.target.map(|class| class.to_string()).unwrap_or_default());
    let set = choosing(lab, "target", |experiment, key| experiment.attack.target = key.parse().ok());
    view! { <Pick id="target" label="Goal" options=options value=value.into() set=set /> }.into_any()
}

/// A change of every pixel in grey levels: "= 25.5/255".
pub fn epsilon_note(epsilon: f64) -> String {
    format!("= {}", format::in_255ths(epsilon as f32))
}
