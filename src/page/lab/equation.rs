//! The equation of the panda slide: x + δ = adversarial picture, with what the model says of both.

use std::sync::Arc;

use leptos::prelude::*;

use super::subject::{Subject, Values, top};
use crate::experiment::Scale;
use crate::page::figure::{ClassBars, Picture, SignedPicture, format};

/// The three pictures and the class bars.
pub fn equation(subject: Subject) -> AnyView {
    let lab = subject.lab;
    let scale = lab.memo(|experiment| experiment.view.scale);
    let limit = Signal::derive(move || (scale.get() == Scale::Same).then_some(1.0));
    let perturbation = subject.perturbation();
    let amplified = Signal::derive(move || match (perturbation.get(), scale.get()) {
        (Some(delta), Scale::Own) => {
            let greatest = crate::page::figure::greatest(&delta);
            if greatest > 0.0 {
                format!("shown {} times as strong", format::number(1.0 / greatest, 2))
            } else {
                "no change".into()
            }
        }
        (Some(_), Scale::Same) => "on the scale of the pixels".into(),
        (None, _) => String::new(),
    });
    let after_caption = Signal::derive(move || {
        let steps = subject.of(|attack, step| (step, attack.losses.len().saturating_sub(1), attack.best_step as usize));
        match steps.get() {
            Some((step, last, best)) if step != best => format!("x after step {step} of {last}"),
            _ => "x + δ, the adversarial picture".into(),
        }
    });
    let truth = Signal::derive(move || subject.slot.attack.with(|attack| attack.as_ref().map(|attack| attack.label)));
    let target = lab.memo(|experiment| experiment.attack.target);
    let classes = Signal::derive(move || subject.dataset.get().classes());
    view! {
        <div class="equation">
            <Picture pixels=subject.image() caption=subject.caption("x, the picture") name=subject.file("x")
                label=says(subject, subject.before()) />
            <span class="operator" aria-hidden="true">"+"</span>
            <SignedPicture pixels=perturbation limit=limit caption=subject.caption("δ, the perturbation")
                name=subject.file("perturbation") label=amplified />
            <span class="operator" aria-hidden="true">"="</span>
            <Picture pixels=subject.iterate() caption=after_caption name=subject.file("adversarial")
                label=says(subject, subject.after()) />
            <ClassBars classes=classes before=subject.before() after=subject.after() truth=truth target=target
                caption=subject.caption("Class probabilities before and after") name=subject.file("probabilities") />
        </div>
    }
    .into_any()
}

/// "Sneaker 97.1 %".
fn says(subject: Subject, probabilities: Signal<Option<Values>>) -> Signal<String> {
    Signal::derive(move || {
        let classes = subject.dataset.get().classes();
        probabilities.get().map_or(String::new(), |probabilities: Arc<[f32]>| {
            let (class, p) = top(&probabilities);
            format!("{} {}", classes.get(class).copied().unwrap_or("?"), format::percent(p))
        })
    })
}
