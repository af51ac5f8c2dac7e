//! Scrubbing and playing through the steps of an iterative attack: pictures, bars and the point on the plane move
//! together, for both models.

use std::time::Duration;

use leptos::prelude::*;

use crate::page::control::NumberControl;
use crate::page::notice::Notices;
use crate::page::state::Lab;

/// How long a step stays on screen while playing.
const STEP_TIME: Duration = Duration::from_millis(350);

/// The bar above the pictures.
#[component]
pub fn StepBar() -> impl IntoView {
    let lab = Lab::get();
    let notices = Notices::get();
    let step = lab.step(0);
    let attack = lab.slots[0].attack;
    let last = Memo::new(move |_| {
        attack.with(|attack| attack.as_ref().map_or(0, |attack| attack.losses.len().saturating_sub(1)))
    });
    // One step alone is seen without a slider.
    let iterates = move || last.get() > 1;
    let show = move |step: Option<u32>| lab.edit("step", |experiment| experiment.view.step = step);
    let playing = StoredValue::new_local(None::<IntervalHandle>);
    let plays = RwSignal::new(false);
    let pause = move || {
        playing.update_value(|playing| {
            if let Some(playing) = playing.take() {
                playing.clear();
            }
        });
        plays.set(false);
    };
    let advance = move || {
        let next = step.get_untracked() + 1;
        if next > last.get_untracked() {
            pause();
        } else {
            notices.check(show(Some(next as u32)));
        }
    };
    let play = move |_| {
        if plays.get_untracked() {
            return pause();
        }
        if step.get_untracked() >= last.get_untracked() {
            notices.check(show(Some(0)));
        }
        playing.set_value(set_interval_with_handle(advance, STEP_TIME).ok());
        plays.set(true);
    };
    on_cleanup(move || {
        playing.try_update_value(|playing| {
            if let Some(playing) = playing.take() {
                playing.clear();
            }
        });
    });
    let set = Callback::new(move |number: f64| {
        pause();
        show(Some(number.clamp(0.0, last.get_untracked() as f64) as u32))
    });
    let result = move |_| {
        pause();
        notices.check(show(None));
    };
    let chosen = lab.memo(|experiment| experiment.view.step);
    let word = move || if plays.get() { "Pause" } else { "Play the steps" };
    view! {
        <div class="step-bar" class:hidden=move || !iterates()>
            <button type="button" on:click=play disabled=move || last.get() == 0>{word}</button>
            <NumberControl id="step" label="Step on screen" value=Signal::derive(move || step.get() as f64) min=0.0
                max=Signal::derive(move || last.get() as f64) step=Signal::derive(|| 1.0) whole=true
                note=Signal::derive(move || format!("of {}", last.get())) set=set />
            <button type="button" on:click=result disabled=move || chosen.get().is_none()>"Show the result"</button>
        </div>
    }
}
