//! The perturbation in numbers, and what the attack took.

use leptos::prelude::*;

use super::subject::Subject;
use crate::attack::Aim;
use crate::nn::Arithmetic;
use crate::page::figure::{NormTable, format};

/// Norms and costs.
pub fn facts(subject: Subject) -> AnyView {
    let lab = subject.lab;
    let aim = lab.memo(|experiment| experiment.attack.method.aim());
    let norm = lab.memo(|experiment| experiment.threat.norm);
    let limited = Signal::derive(move || (aim.get() != Aim::Transformation).then_some(norm.get()));
    let epsilon = lab.memo(|experiment| experiment.threat.epsilon);
    let limit = Signal::derive(move || {
        let epsilon = format::epsilon(epsilon.get());
        if aim.get() == Aim::Strongest { format!("at most ε = {epsilon}") } else { format!("ε = {epsilon}") }
    });
    let fact = move |name: &'static str, value: Signal<Option<String>>| {
        view! {
            <dt>{name}</dt>
            <dd>{move || value.get().unwrap_or_else(|| "–".into())}</dd>
        }
    };
    let uses = lab.memo(|experiment| experiment.attack.method.uses());
    let success = subject.of(|attack, _| match (attack.already_wrong, attack.reached) {
        (true, _) => "not needed: wrong before".to_string(),
        (false, true) => "yes".to_string(),
        (false, false) => "no".to_string(),
    });
    let loss = subject.of(|attack, step| {
        let at = |step: usize| attack.losses.get(step).map_or("–".into(), |loss| format::number(*loss, 4));
        format!("{} → {}", at(0), at(step))
    });
    let arithmetic = Signal::derive(move || {
        lab.arithmetic.get().map(|arithmetic| match arithmetic {
            Arithmetic::Exact => "exact".to_string(),
            Arithmetic::Fused => "exact; decisions on the plane fused".to_string(),
        })
    });
    view! {
        <div class="facts">
            <NormTable norms=subject.norms() limited=limited limit=limit />
            <dl>
                {fact("Goal reached", success)}
                {fact("Loss, before → now", loss)}
                {fact("Gradients used", subject.of(|attack, _| attack.gradients.to_string()))}
                {fact("Forward passes beside them", subject.of(|attack, _| attack.forwards.to_string()))}
                {move || uses.get().alpha.then(|| fact("Step size α", subject.of(|attack, _| format::number(attack.alpha, 3))))}
                {move || {
                    uses.get().restarts.then(|| fact("Restart that won", subject.of(|attack, _| (attack.restart + 1).to_string())))
                }}
                {fact("Time for the attack", subject.of(|attack, _| format::milliseconds(attack.milliseconds)))}
                {fact("Arithmetic", arithmetic)}
            </dl>
        </div>
    }
    .into_any()
}
