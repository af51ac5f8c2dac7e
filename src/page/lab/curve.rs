//! Class probabilities against ε.

use leptos::prelude::*;

use super::subject::Subject;
use crate::page::figure::CurveChart;
use crate::page::notice::Notices;

/// The curve; a click on it sets ε.
pub fn curve(subject: Subject) -> AnyView {
    let lab = subject.lab;
    let notices = Notices::get();
    let norm = lab.memo(|experiment| experiment.threat.norm);
    let epsilon = lab.memo(|experiment| experiment.threat.epsilon);
    let classes = Signal::derive(move || subject.dataset.get().classes());
    let pick = Callback::new(move |epsilon: f32| {
        notices.check(lab.edit("epsilon", |experiment| experiment.threat.epsilon = epsilon));
    });
    view! {
        <CurveChart part=subject.slot.curve classes=classes norm=norm epsilon=epsilon on_pick=pick
            caption=subject.caption("Class probabilities of the attacked picture against ε, all other settings as they are")
            name=subject.file("curve") />
    }
    .into_any()
}
