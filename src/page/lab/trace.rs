//! Loss and leading probabilities at each step.

use leptos::prelude::*;

use super::subject::Subject;
use crate::page::figure::TraceChart;
use crate::page::notice::Notices;

/// The trace; a click on it shows that step.
pub fn trace(subject: Subject) -> AnyView {
    let lab = subject.lab;
    let notices = Notices::get();
    let classes = Signal::derive(move || subject.dataset.get().classes());
    let step = Signal::derive(move || Some(subject.step.get() as u32));
    let pick = Callback::new(move |step: u32| {
        notices.check(lab.edit("step", |experiment| experiment.view.step = Some(step)));
    });
    view! {
        <TraceChart part=subject.slot.attack classes=classes step=step on_pick=pick
            caption=subject.caption("Loss (cross-entropy of the true class) and the leading probabilities at each step")
            name=subject.file("steps") />
    }
    .into_any()
}
