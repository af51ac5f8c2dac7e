//! Which attack, and its settings: everything follows from what the attack declares of itself.

use leptos::prelude::*;

use super::controls::{choosing, setting};
use crate::attack::{Access, Aim, Kind, Method, Parameter};
use crate::experiment::{AttackSettings, Experiment, MAX_RESTARTS, MAX_STEPS};
use crate::page::control::{Choice, NumberControl, Pick, Toggle};
use crate::page::notice::Notices;
use crate::page::state::Lab;
use crate::threat::{Norm, Threat};

/// The least step size that the slider offers.
const LEAST_ALPHA: f64 = 0.001;

/// All attacks, in groups, and what there is to know of the chosen one.
pub fn choice(lab: Lab) -> AnyView {
    let method = lab.memo(|experiment| experiment.attack.method);
    let choose = choosing(lab, "method", |experiment, key| {
        experiment.choose_attack(Method::from_key(&key).unwrap_or_default());
        experiment.view.step = None;
    });
    let mut groups: Vec<(&str, Vec<Method>)> = Vec::new();
    for method in Method::all() {
        let name = group(method);
        match groups.iter_mut().find(|(other, _)| *other == name) {
            Some((_, methods)) => methods.push(method),
            None => groups.push((name, vec![method])),
        }
    }
    let button = move |of: Method| {
        view! {
            <label class="option">
                <input
                    type="radio"
                    name="method"
                    value=of.key()
                    prop:checked=move || method.get() == of
                    on:change=move |_| choose.run(of.key().to_string())
                />
                <span>{of.title()}</span>
            </label>
        }
    };
    let groups = groups
        .into_iter()
        .map(|(name, methods)| {
            let buttons = methods.into_iter().map(button).collect_view();
            view! {
                <div class="attack-group" role="group" aria-label=name>
                    <p class="group-name" aria-hidden="true">{name}</p>
                    <div class="options">{buttons}</div>
                </div>
            }
        })
        .collect_view();
    let about = move || {
        let method = method.get();
        view! {
            <p>{method.summary()}</p>
            <p class="soft">"The attacker sees " {sees(method.access())} "."</p>
            <p class="soft paper">{method.paper()}</p>
        }
    };
    view! {
        <fieldset class="choice attacks">
            <legend>"Attack"</legend>
            {groups}
        </fieldset>
        <details class="about">
            <summary>{move || format!("About {}", method.get().title())}</summary>
            {about}
        </details>
    }
    .into_any()
}

fn group(method: Method) -> &'static str {
    match (method.access(), method.aim()) {
        (_, Aim::Transformation) => "Another kind of change",
        (Access::Nothing, _) => "For comparison",
        (Access::Scores | Access::Label, _) => "Without gradients (black box)",
        (Access::Gradients, Aim::Strongest) => "Strongest δ within ε",
        (Access::Gradients, Aim::Smallest) => "Smallest δ",
    }
}

fn sees(access: Access) -> &'static str {
    match access {
        Access::Gradients => "the whole network: its gradients (white box)",
        Access::Scores => "only the scores that the network gives to pictures (black box)",
        Access::Label => "only the class that the network gives to pictures (black box)",
        Access::Nothing => "nothing of the network",
    }
}

/// The norm, of those that the attack is defined for.
pub fn norm(lab: Lab) -> AnyView {
    let method = lab.memo(|experiment| experiment.attack.method);
    let norm = lab.memo(|experiment| experiment.threat.norm.key().to_string());
    let choose = choosing(lab, "norm", |experiment, key| {
        let norm = Norm::from_key(&key).unwrap_or_default();
        experiment.threat = Threat::usual(experiment.dataset, norm);
        experiment.attack.alpha = None;
    });
    let view = move || {
        let norms = method.get().norms();
        if norms.is_empty() {
            return ().into_any();
        }
        let options = norms.iter().map(|norm| (norm.key(), norm.to_string())).collect::<Vec<_>>();
        view! { <Choice name="norm" label="Norm of δ" options=options value=norm.into() set=choose /> }.into_any()
    };
    view.into_any()
}

/// The settings that attacks have in common, those of them that this one uses, and its own.
pub fn settings(lab: Lab) -> AnyView {
    let method = lab.memo(|experiment| experiment.attack.method);
    let view = move || {
        let method = method.get();
        let uses = method.uses();
        let common = uses.steps || uses.alpha || uses.random_start || uses.restarts;
        let own = method.parameters();
        if !common && own.is_empty() {
            return ().into_any();
        }
        let own = own.iter().map(|parameter| parameter_control(lab, parameter)).collect_view();
        view! {
            <fieldset class="iterations">
                <legend>"Settings of " {method.title()}</legend>
                {uses.steps.then(|| steps(lab))}
                {uses.alpha.then(|| alpha(lab, method))}
                {uses.random_start.then(|| random_start(lab, uses.restarts))}
                {uses.restarts.then(|| restarts(lab))}
                {own}
                {(method == Method::PGD).then(|| composer(lab))}
            </fieldset>
        }
        .into_any()
    };
    view.into_any()
}

fn constant(number: f64) -> Signal<f64> {
    Signal::derive(move || number)
}

fn steps(lab: Lab) -> AnyView {
    let value = lab.memo(|experiment| experiment.attack.steps as f64);
    let set = setting(lab, "steps", |experiment, number| {
        experiment.attack.steps = number as u32;
        experiment.view.step = None;
    });
    view! {
        <NumberControl id="steps" label="Steps T" value=value.into() min=1.0 max=constant(MAX_STEPS as f64)
            step=constant(1.0) whole=true set=set />
    }
    .into_any()
}

fn alpha(lab: Lab, method: Method) -> AnyView {
    let notices = Notices::get();
    let norm = lab.memo(|experiment| experiment.threat.norm);
    let value = lab.memo(|experiment| experiment.attack.alpha_for(experiment.threat.epsilon) as f64);
    let max = Signal::derive(move || norm.get().greatest_epsilon() as f64 / 2.0);
    let step = Signal::derive(move || match norm.get() {
        Norm::Linf => 0.001,
        Norm::L2 => 0.05,
        Norm::L1 => 0.25,
    });
    let set = setting(lab, "alpha", |experiment, number| experiment.attack.alpha = Some(number as f32));
    let follows = lab.memo(|experiment| experiment.attack.alpha.is_none());
    let set_follows = Callback::new(move |follows: bool| {
        notices.check(lab.edit("follows", |experiment| {
            let greatest = experiment.threat.norm.greatest_epsilon();
            let alpha = experiment.attack.alpha_for(experiment.threat.epsilon).clamp(LEAST_ALPHA as f32, greatest);
            experiment.attack.alpha = (!follows).then_some(alpha);
        }));
    });
    let note = Signal::derive(move || if follows.get() { format!("= {}", method.alpha_rule()) } else { String::new() });
    view! {
        <NumberControl id="alpha" label="Step size α" value=value.into() min=LEAST_ALPHA max=max step=step note=note set=set />
        <Toggle label="α follows ε" value=follows.into() set=set_follows />
    }
    .into_any()
}

fn random_start(lab: Lab, restarts: bool) -> AnyView {
    let notices = Notices::get();
    let random = lab.memo(|experiment| experiment.attack.random_start);
    let set = Callback::new(move |random: bool| {
        notices.check(lab.edit("random", |experiment| {
            experiment.attack.random_start = random;
            // Restarts from one and the same point would all go the same way.
            if !random && restarts {
                experiment.attack.restarts = 1;
            }
        }));
    });
    view! { <Toggle label="Random start in the ball" value=random.into() set=set /> }.into_any()
}

fn restarts(lab: Lab) -> AnyView {
    let value = lab.memo(|experiment| experiment.attack.restarts as f64);
    let set = setting(lab, "restarts", |experiment, number| {
        experiment.attack.restarts = number as u32;
        if number > 1.0 {
            experiment.attack.random_start = true;
        }
    });
    view! {
        <NumberControl id="restarts" label="Restarts" value=value.into() min=1.0 max=constant(MAX_RESTARTS as f64)
            step=constant(1.0) whole=true set=set />
    }
    .into_any()
}

/// The control of one of the attack's own parameters.
fn parameter_control(lab: Lab, parameter: &'static Parameter) -> AnyView {
    let notices = Notices::get();
    let value = lab.memo(move |experiment| experiment.attack.get(parameter));
    let change = move |experiment: &mut Experiment, number: f32| {
        experiment.attack.set(parameter, number);
        experiment.view.step = None;
    };
    let control = match parameter.kind {
        Kind::Number { least, greatest, step, whole, .. } => {
            let set = setting(lab, parameter.key, move |experiment, number| change(experiment, number as f32));
            let unit = parameter.unit;
            let value = Signal::derive(move || value.get() as f64);
            view! {
                <NumberControl id=parameter.key label=parameter.label value=value min=least as f64
                    max=constant(greatest as f64) step=constant(step as f64) whole=whole
                    note=Signal::derive(move || unit.to_string()) set=set />
            }
            .into_any()
        }
        Kind::Choice { options, .. } => {
            let all = options.iter().map(|(key, name)| (key.to_string(), name.to_string())).collect::<Vec<_>>();
            let value = Signal::derive(move || parameter.written(value.get()));
            let set = choosing(lab, parameter.key, move |experiment, key| {
                if let Some(number) = parameter.read(&key) {
                    change(experiment, number);
                }
            });
            view! { <Pick id=parameter.key label=parameter.label options=Signal::derive(move || all.clone()) value=value set=set /> }
                .into_any()
        }
        Kind::Switch { .. } => {
            let set = Callback::new(move |on: bool| {
                notices.check(lab.edit(parameter.key, |experiment| change(experiment, on as u8 as f32)));
            });
            let value = Signal::derive(move || value.get() != 0.0);
            view! { <Toggle label=parameter.label value=value set=set /> }.into_any()
        }
    };
    view! { <div class="own-setting">{control}<p class="help">{parameter.help}</p></div> }.into_any()
}

/// The settings for a given ε.
type Compose = fn(f32) -> AttackSettings;

/// What the parts of PGD make when they are put together in known ways.
const COMPOSED: [(&str, Compose); 5] = [
    ("FGSM", |epsilon| AttackSettings { steps: 1, alpha: positive(epsilon), ..AttackSettings::default() }),
    ("PGD", |_| AttackSettings::default()),
    ("PGD on the margin", |_| AttackSettings::default().with("objective", 1.0)),
    ("MI-FGSM", |epsilon| {
        AttackSettings { steps: 10, alpha: positive(epsilon / 10.0), ..AttackSettings::default() }.with("momentum", 1.0)
    }),
    ("Auto-PGD", |_| AttackSettings { random_start: true, ..AttackSettings::default() }.with("pace", 1.0)),
];

/// A step size, if it is one: with ε = 0 it follows ε.
fn positive(alpha: f32) -> Option<f32> {
    (alpha > 0.0).then_some(alpha)
}

/// Known attacks as settings of this one.
fn composer(lab: Lab) -> AnyView {
    let notices = Notices::get();
    let settings = lab.memo(|experiment| (experiment.attack.clone(), experiment.threat.epsilon));
    let is = move |of: Compose| {
        let (present, epsilon) = settings.get();
        present == AttackSettings { target: present.target, ..of(epsilon) }
    };
    let buttons = COMPOSED
        .map(|(name, of)| {
            let compose = move |_| {
                notices.check(lab.edit("composer", |experiment| {
                    let target = experiment.attack.target;
                    experiment.attack = AttackSettings { target, ..of(experiment.threat.epsilon) };
                    experiment.view.step = None;
                }));
            };
            view! {
                <button type="button" aria-pressed=move || is(of).to_string() on:click=compose>{name}</button>
            }
        })
        .collect_view();
    let said = move || match COMPOSED.iter().find(|(_, of)| is(*of)) {
        Some((name, _)) => format!("These parts make {name}."),
        None => "These parts make an attack of your own.".into(),
    };
    view! {
        <div class="composer" role="group" aria-labelledby="composer-name">
            <p class="group-name" id="composer-name">"Composer: known attacks from these parts"</p>
            <div class="buttons">{buttons}</div>
            <p class="help" aria-live="polite">{said}</p>
        </div>
    }
    .into_any()
}
