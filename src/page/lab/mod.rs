//! The Lab: one picture, one attack, everything it shows, live.

mod attacks;
pub mod controls;
mod curve;
mod equation;
mod export;
mod facts;
mod gradient;
mod own;
pub mod picker;
mod plane;
mod robust;
mod status;
mod steps;
mod story;
mod subject;
mod trace;
mod verdict;

use leptos::prelude::*;

use crate::page::state::{Lab, Status};
use subject::Subject;

/// The page.
#[component]
pub fn LabPage() -> impl IntoView {
    let lab = Lab::get();
    let compares = lab.memo(|experiment| experiment.compare.is_some());
    view! {
        <div class="lab">
            <h1 class="visually-hidden">"Lab: attack a neural network"</h1>
            <picker::Picker />
            <controls::Controls />
            <div class="stage" class:compares=compares>
                <div class="stage-bar">
                    <steps::StepBar />
                    <status::StatusLine />
                </div>
                {column(lab, 0)}
                <Show when=move || compares.get()>{column(lab, 1)}</Show>
            </div>
            <robust::RobustPanel />
            <export::ExportPanel />
            <div class="hand">{controls::epsilon(lab, "epsilon-at-hand")}</div>
        </div>
    }
}

/// Everything about one model.
fn column(lab: Lab, slot: usize) -> AnyView {
    let subject = Subject::new(lab, slot);
    let heading = ["model-0", "model-1"][slot];
    let title = move || subject.card.get().map_or(String::new(), |card| card.title.clone());
    let busy = move || (!matches!(lab.status.get(), Status::Done(_))).to_string();
    view! {
        <section class="column" aria-labelledby=heading aria-busy=busy>
            <h2 class="column-title" id=heading>{title}</h2>
            {verdict::verdict(subject)}
            {equation::equation(subject)}
            <div class="figures">
                {plane::plane(subject)}
                {gradient::gradients(subject)}
                {story::story(subject)}
                {curve::curve(subject)}
                {trace::trace(subject)}
                {facts::facts(subject)}
            </div>
        </section>
    }
    .into_any()
}
