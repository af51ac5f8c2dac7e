//! One sentence that says what the attack did.

use leptos::prelude::*;

use super::subject::{Subject, top};
use crate::attack::Aim;
use crate::engine::protocol::AttackPart;
use crate::experiment::Experiment;
use crate::page::figure::format;

/// How the attack ended.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Waiting,
    Fooled,
    Holds,
}

/// The sentence, and for those who do not see it: said once the numbers have come to rest.
pub fn verdict(subject: Subject) -> AnyView {
    let lab = subject.lab;
    let state = Memo::new(move |_| {
        let experiment = lab.experiment();
        subject.slot.attack.with(|attack| match attack {
            Some(attack) => describe(&experiment, attack),
            None => (Mood::Waiting, "Loading the model…".to_string()),
        })
    });
    let settled = RwSignal::new(String::new());
    let timer = StoredValue::new_local(None::<TimeoutHandle>);
    Effect::new(move |_| {
        let (_, text) = state.get();
        timer.update_value(|timer| {
            if let Some(timer) = timer.take() {
                timer.clear();
            }
            *timer = set_timeout_with_handle(move || settled.set(text), std::time::Duration::from_millis(900)).ok();
        });
    });
    on_cleanup(move || {
        timer.update_value(|timer| {
            if let Some(timer) = timer.take() {
                timer.clear();
            }
        });
    });
    let is = move |mood: Mood| move || state.read().0 == mood;
    view! {
        <p class="verdict" class:fooled=is(Mood::Fooled) class:holds=is(Mood::Holds)>{move || state.get().1}</p>
        <p class="visually-hidden" role="status">{settled}</p>
    }
    .into_any()
}

fn describe(experiment: &Experiment, attack: &AttackPart) -> (Mood, String) {
    let names = experiment.dataset.classes();
    let name = |class: usize| names.get(class).copied().unwrap_or("?");
    let said = |probabilities: &[f32]| {
        let (class, p) = top(probabilities);
        (class, format!("“{}” ({})", name(class), format::percent(p)))
    };
    let (first, before) = said(&attack.probabilities);
    let (last, after) = said(&attack.adversarial_probabilities);
    let threat = experiment.threat;
    let budget = format!("{} ≤ {}", threat.norm, format::epsilon(threat.epsilon));
    let method = experiment.attack.method;
    if method.aim() != Aim::Strongest && !attack.already_wrong {
        return found(experiment, attack, method.aim(), (before, after));
    }
    match experiment.attack.target {
        Some(target) if attack.success && first == target as usize => {
            (Mood::Fooled, format!("The model says {before} before any attack: the target is where it already is."))
        }
        Some(target) if attack.success => {
            (Mood::Fooled, format!("Reached “{}”: {before} became {after} within {budget}.", name(target as usize)))
        }
        Some(target) => {
            (Mood::Holds, format!("Not “{}” yet: {before} is now {after} within {budget}.", name(target as usize)))
        }
        None if attack.already_wrong => (
            Mood::Fooled,
            format!(
                "Wrong without any attack: the model says {before} where “{}” is true.",
                name(attack.label as usize)
            ),
        ),
        None if attack.success => (Mood::Fooled, format!("Fooled: {before} became {after} within {budget}.")),
        None if first == last => (Mood::Holds, format!("Holds: {before} is still {after} within {budget}.")),
        None => (Mood::Holds, format!("Holds: {before} is now {after} within {budget}.")),
    }
}

/// What an attack says that does not fill a budget.
fn found(experiment: &Experiment, attack: &AttackPart, aim: Aim, (before, after): (String, String)) -> (Mood, String) {
    let threat = experiment.threat;
    let length = format!("{} = {}", threat.norm, format::epsilon(attack.norms.of(threat.norm)));
    match (attack.reached, aim) {
        (true, Aim::Smallest) if attack.success => {
            (Mood::Fooled, format!("Fooled: {before} became {after} with a δ of {length}, within ε."))
        }
        (true, Aim::Smallest) => {
            let budget = format::epsilon(threat.epsilon);
            (Mood::Holds, format!("{before} became {after} only with a δ of {length}: longer than ε = {budget}."))
        }
        (true, _) => (Mood::Fooled, format!("Fooled: {before} became {after}.")),
        (false, _) => (Mood::Holds, format!("The attack found nothing: it still says {after}.")),
    }
}
