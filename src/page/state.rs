//! The page's state: the experiment, its history, and what the worker has answered so far.

use std::sync::Arc;

use leptos::prelude::*;

use crate::data::Dataset;
use crate::engine::protocol::{AttackPart, CurvePart, GradientPart, Part, PlanePart};
use crate::experiment::{Experiment, Picture};
use crate::nn::Arithmetic;
use crate::nn::zoo::{self, ModelCard};

/// What is known of one model under the present experiment. Each part stays on screen until its successor arrives.
#[derive(Clone, Copy)]
pub struct Slot {
    /// How far an attack that takes its time has come, from 0 to 1.
    pub progress: RwSignal<Option<f32>>,
    /// The attack on the picture.
    pub attack: RwSignal<Option<Arc<AttackPart>>>,
    /// Gradient maps.
    pub gradient: RwSignal<Option<Arc<GradientPart>>>,
    /// Class probabilities against ε.
    pub curve: RwSignal<Option<Arc<CurvePart>>>,
    /// The decision boundary.
    pub plane: RwSignal<Option<Arc<PlanePart>>>,
}

impl Slot {
    fn new() -> Self {
        Self {
            progress: RwSignal::new(None),
            attack: RwSignal::new(None),
            gradient: RwSignal::new(None),
            curve: RwSignal::new(None),
            plane: RwSignal::new(None),
        }
    }

    /// Puts a part in its place.
    pub fn show(&self, part: Part) {
        match part {
            Part::Progress(share) => self.progress.set(Some(share)),
            Part::Attack(part) => {
                self.progress.set(None);
                self.attack.set(Some(Arc::new(part)));
            }
            Part::Gradient(part) => self.gradient.set(Some(Arc::new(part))),
            Part::Curve(part) => self.curve.set(Some(Arc::new(part))),
            Part::Plane(part) => self.plane.set(Some(Arc::new(part))),
        }
    }

    /// Forgets everything: what is on screen belongs to another data set or model.
    pub fn clear(&self) {
        self.attack.set(None);
        self.gradient.set(None);
        self.curve.set(None);
        self.plane.set(None);
    }
}

/// What the worker is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// The worker or a model is being loaded.
    Loading,
    /// Some parts are still being computed.
    Working,
    /// Everything on screen is of the present experiment; it took this many milliseconds.
    Done(f32),
    /// Something failed; the sentence says what and what to do.
    Failed(String),
}

/// An edit within this time of the last one of the same kind is one gesture: one step of undo.
const GESTURE_MS: f64 = 700.0;

#[derive(Default)]
struct History {
    past: Vec<Experiment>,
    future: Vec<Experiment>,
    last_kind: &'static str,
    last_time: f64,
}

/// The state shared by everything on the Lab page.
#[derive(Clone, Copy)]
pub struct Lab {
    experiment: RwSignal<Experiment>,
    /// The experiment's model, and the one beside it.
    pub slots: [Slot; 2],
    /// What the worker is doing.
    pub status: RwSignal<Status>,
    /// How the worker samples planes, once it listens.
    pub arithmetic: RwSignal<Option<Arithmetic>>,
    history: StoredValue<History>,
    /// How many steps can be undone and redone.
    pub depth: RwSignal<(usize, usize)>,
}

impl Lab {
    /// Starts from an experiment.
    pub fn new(experiment: Experiment) -> Self {
        Self {
            experiment: RwSignal::new(experiment),
            slots: [Slot::new(), Slot::new()],
            status: RwSignal::new(Status::Loading),
            arithmetic: RwSignal::new(None),
            history: StoredValue::new(History::default()),
            depth: RwSignal::new((0, 0)),
        }
    }

    /// The Lab of the page.
    pub fn get() -> Self {
        expect_context()
    }

    /// The present experiment, tracked.
    pub fn experiment(&self) -> Experiment {
        self.experiment.get()
    }

    /// The present experiment, untracked.
    pub fn now(&self) -> Experiment {
        self.experiment.get_untracked()
    }

    /// A memo of something about the experiment: whoever reads it is told only when that changes.
    pub fn memo<T: Clone + PartialEq + Send + Sync + 'static>(
        &self,
        of: impl Fn(&Experiment) -> T + Send + Sync + 'static,
    ) -> Memo<T> {
        let experiment = self.experiment;
        Memo::new(move |_| experiment.with(|experiment| of(experiment)))
    }

    /// Changes the experiment. `kind` names the gesture: successive edits of one kind are undone together.
    ///
    /// An edit that would make the experiment invalid changes nothing and is returned as a sentence.
    ///
    /// # Errors
    /// What is wrong with the edited experiment.
    pub fn edit(&self, kind: &'static str, change: impl FnOnce(&mut Experiment)) -> Result<(), String> {
        let before = self.now();
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        after.validate().map_err(|invalid| invalid.to_string())?;
        let now = js_sys::Date::now();
        self.history.update_value(|history| {
            let same_gesture = history.last_kind == kind && now - history.last_time < GESTURE_MS;
            if !same_gesture || history.past.is_empty() {
                history.past.push(before);
                // A lecture's worth of steps; the oldest go.
                if history.past.len() > 500 {
                    history.past.remove(0);
                }
            }
            history.future.clear();
            history.last_kind = kind;
            history.last_time = now;
        });
        self.put(after);
        Ok(())
    }

    /// Replaces the experiment without a step of undo, as when a link is opened.
    pub fn replace(&self, experiment: Experiment) {
        if experiment != self.now() {
            self.put(experiment);
        }
    }

    fn put(&self, experiment: Experiment) {
        let before = self.now();
        if before.dataset != experiment.dataset || before.model != experiment.model {
            self.slots[0].clear();
        }
        if before.dataset != experiment.dataset || before.compare != experiment.compare {
            self.slots[1].clear();
        }
        self.depth.set(self.history.with_value(|history| (history.past.len(), history.future.len())));
        self.experiment.set(experiment);
    }

    /// Takes back the last step.
    pub fn undo(&self) {
        self.travel(|history| (&mut history.past, &mut history.future));
    }

    /// Takes back the last undo.
    pub fn redo(&self) {
        self.travel(|history| (&mut history.future, &mut history.past));
    }

    fn travel(&self, direction: impl Fn(&mut History) -> (&mut Vec<Experiment>, &mut Vec<Experiment>)) {
        let now = self.now();
        let found = self.history.try_update_value(|history| {
            history.last_kind = "";
            let (from, to) = direction(history);
            let found = from.pop();
            if found.is_some() {
                to.push(now);
            }
            found
        });
        if let Some(Some(experiment)) = found {
            self.put(experiment);
        }
    }

    /// Changes the data set, keeping whatever makes sense in the other one.
    pub fn choose_dataset(&self, dataset: Dataset) -> Result<(), String> {
        self.edit("dataset", |experiment| {
            experiment.dataset = dataset;
            experiment.picture = Picture::Test(0);
            experiment.threat = crate::threat::Threat::usual(dataset, experiment.threat.norm);
            experiment.attack.alpha = None;
            experiment.view.step = None;
            experiment.view.plane = Default::default();
            if zoo::find(dataset, &experiment.model).is_none() {
                experiment.model = Experiment::default().model;
            }
            if experiment.compare.as_ref().is_some_and(|name| zoo::find(dataset, name).is_none()) {
                experiment.compare = None;
            }
        })
    }

    /// The card of the model in a slot.
    pub fn card(&self, slot: usize) -> Memo<Option<&'static ModelCard>> {
        self.memo(move |experiment| {
            let name = if slot == 0 { Some(&experiment.model) } else { experiment.compare.as_ref() };
            name.and_then(|name| zoo::find(experiment.dataset, name))
        })
    }

    /// The step of the attack on screen in a slot: the chosen one, or the result's.
    pub fn step(&self, slot: usize) -> Memo<usize> {
        let chosen = self.memo(|experiment| experiment.view.step);
        let attack = self.slots[slot].attack;
        Memo::new(move |_| {
            attack.with(|attack| {
                let Some(attack) = attack else { return 0 };
                let last = attack.losses.len().saturating_sub(1);
                chosen.get().map_or(attack.best_step as usize, |step| step as usize).min(last)
            })
        })
    }
}
