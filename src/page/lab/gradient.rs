//! Gradient maps of the loss with respect to the picture.

use leptos::prelude::*;

use super::subject::Subject;
use crate::attack::Access;
use crate::engine::protocol::GradientPart;
use crate::experiment::Scale;
use crate::page::figure::{SignedPicture, greatest};

/// At x and at the adversarial picture.
pub fn gradients(subject: Subject) -> AnyView {
    let lab = subject.lab;
    let scale = lab.memo(|experiment| experiment.view.scale);
    // The common scale covers every gradient map on screen, of both models.
    let common = Signal::derive(move || {
        (scale.get() == Scale::Same).then(|| {
            let of = |part: &GradientPart| greatest(&part.at_image).max(greatest(&part.at_adversarial));
            let all = lab.slots.iter().map(|slot| slot.gradient.with(|part| part.as_deref().map_or(0.0, of)));
            all.fold(0.0, f32::max)
        })
    });
    let map = move |of: fn(&GradientPart) -> &[f32]| {
        Signal::derive(move || subject.slot.gradient.with(|part| part.as_deref().map(|part| of(part).into())))
    };
    let seen = lab.memo(|experiment| experiment.attack.method.access() == Access::Gradients);
    let view = move || {
        // Who attacks without gradients does not see them.
        if !seen.get() {
            return ().into_any();
        }
        view! {
        <div class="pair">
            <SignedPicture pixels=map(|part| &part.at_image) limit=common
                caption=subject.caption("∂loss/∂x at x") name=subject.file("gradient-at-x") />
            <SignedPicture pixels=map(|part| &part.at_adversarial) limit=common
                caption=subject.caption("∂loss/∂x at x + δ") name=subject.file("gradient-at-adversarial") />
        </div>
        }
        .into_any()
    };
    view.into_any()
}
