//! What is on screen of one model: the attack at the chosen step, as signals that figures can follow.

use std::sync::Arc;

use leptos::prelude::*;

use crate::data::{Dataset, PIXELS};
use crate::engine::protocol::AttackPart;
use crate::nn::zoo::ModelCard;
use crate::page::state::{Lab, Slot};
use crate::threat::Norms;

/// Values of a picture or of classes, shared with whoever draws them.
pub type Values = Arc<[f32]>;

/// One model under the present experiment.
#[derive(Clone, Copy)]
pub struct Subject {
    /// The page's state.
    pub lab: Lab,
    /// What the worker said of it.
    pub slot: Slot,
    /// Its card.
    pub card: Memo<Option<&'static ModelCard>>,
    /// The data set of picture and model.
    pub dataset: Memo<Dataset>,
    /// The step on screen.
    pub step: Memo<usize>,
}

impl Subject {
    /// The model in a slot of the Lab.
    pub fn new(lab: Lab, slot: usize) -> Self {
        Self {
            lab,
            slot: lab.slots[slot],
            card: lab.card(slot),
            dataset: lab.memo(|experiment| experiment.dataset),
            step: lab.step(slot),
        }
    }

    /// Something about the attack, as long as there is one.
    pub fn of<T: Send + Sync + 'static>(
        self,
        of: impl Fn(&AttackPart, usize) -> T + Send + Sync + 'static,
    ) -> Signal<Option<T>> {
        let Self { slot, step, .. } = self;
        Signal::derive(move || slot.attack.with(|attack| attack.as_ref().map(|attack| of(attack, step.get()))))
    }

    /// The picture x.
    pub fn image(self) -> Signal<Option<Values>> {
        self.of(|attack, _| attack.image[..].into())
    }

    /// The picture at the step on screen.
    pub fn iterate(self) -> Signal<Option<Values>> {
        self.of(|attack, step| iterate(attack, step).into())
    }

    /// The perturbation at the step on screen.
    pub fn perturbation(self) -> Signal<Option<Values>> {
        self.of(|attack, step| {
            iterate(attack, step).iter().zip(attack.image.iter()).map(|(after, x)| after - x).collect()
        })
    }

    /// Class probabilities at x.
    pub fn before(self) -> Signal<Option<Values>> {
        self.of(|attack, _| attack.probabilities[..].into())
    }

    /// Class probabilities at the step on screen.
    pub fn after(self) -> Signal<Option<Values>> {
        self.of(|attack, step| probabilities(attack, step).into())
    }

    /// Norms of the perturbation on screen.
    pub fn norms(self) -> Signal<Option<Norms>> {
        self.of(|attack, step| attack.step_norms.get(step).copied().unwrap_or(attack.norms))
    }

    /// The name of files about this model, without ending: "fashion-12-standard-gradient".
    pub fn file(self, what: &'static str) -> Signal<String> {
        let lab = self.lab;
        let card = self.card;
        Signal::derive(move || {
            let model = card.get().map_or("model", |card| card.name.as_str());
            format!("{}-{model}-{what}", picture_name(lab))
        })
    }

    /// A caption that names the model only where there are two.
    pub fn caption(self, text: &'static str) -> Signal<String> {
        Signal::derive(move || text.to_string())
    }
}

/// "fashion-12" or "digits-own".
pub fn picture_name(lab: Lab) -> String {
    let experiment = lab.experiment();
    let picture = match experiment.picture {
        crate::experiment::Picture::Test(index) => index.to_string(),
        crate::experiment::Picture::Own { .. } => "own".into(),
    };
    format!("{}-{picture}", experiment.dataset.key())
}

/// The picture at a step; the result itself where no steps were recorded.
fn iterate(attack: &AttackPart, step: usize) -> &[f32] {
    attack.iterates.get(step * PIXELS..(step + 1) * PIXELS).unwrap_or(&attack.adversarial)
}

/// Class probabilities at a step.
pub fn probabilities(attack: &AttackPart, step: usize) -> &[f32] {
    let classes = attack.probabilities.len();
    attack.step_probabilities.get(step * classes..(step + 1) * classes).unwrap_or(&attack.adversarial_probabilities)
}

/// The class of greatest probability, with it.
pub fn top(probabilities: &[f32]) -> (usize, f32) {
    let better = |best: (usize, f32), (class, p): (usize, f32)| if p > best.1 { (class, p) } else { best };
    probabilities.iter().copied().enumerate().fold((0, f32::NEG_INFINITY), better)
}
