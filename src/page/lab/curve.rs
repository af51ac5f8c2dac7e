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
    let none =
        Memo::new(move |_| subject.slot.curve.with(|part| part.as_ref().is_some_and(|part| part.epsilon.is_empty())));
    let along = Memo::new(move |_| subject.slot.curve.with(|part| part.as_ref().is_some_and(|part| part.along)));
    let caption = Signal::derive(move || {
        if along.get() {
            "Class probabilities at x + t · δ against its length: the δ that was found, made shorter and longer".into()
        } else {
            "Class probabilities of the attacked picture against ε, all other settings as they are".to_string()
        }
    });
    let view = move || {
        if none.get() {
            return ().into_any();
        }
        view! {
            <CurveChart part=subject.slot.curve classes=classes norm=norm epsilon=epsilon on_pick=pick caption=caption
                name=subject.file("curve") />
        }
        .into_any()
    };
    view.into_any()
}
