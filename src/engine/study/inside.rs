//! What models look at: maps of the picture and of its adversarial version, model beside model.

use serde::{Deserialize, Serialize};

use super::{Host, Network, Pace, subject};
use crate::attack::{Item, Record, Run, Task};
use crate::engine::protocol::Floats;
use crate::experiment::Experiment;
use crate::explain::{self, Detail, Explanation, MapSettings};
use crate::nn::{Classifier, softmax};
use crate::threat::Norms;

/// Which maps of which models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Names of the models.
    pub models: Vec<String>,
    /// Whose score is explained.
    pub class: Class,
    /// The maps.
    pub maps: Vec<MapSettings>,
}

/// A class, named by its part in the attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class {
    /// The true one.
    #[default]
    True,
    /// The one that each model predicts for the adversarial picture.
    Reached,
    /// This one.
    Fixed(u8),
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Part {
    /// The attack on a model.
    Attacked(Box<Attacked>),
    /// A map, or why there is none.
    Map {
        /// The model's place in the plan.
        model: u8,
        /// The map's place in the plan.
        map: u8,
        /// 0 at x, 1 at the adversarial picture.
        at: u8,
        /// The map; otherwise a sentence.
        shown: Result<Shown, String>,
    },
}

/// A picture before and after the attack, as one model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attacked {
    /// The model's place in the plan.
    pub model: u8,
    /// The class whose score is explained.
    pub class: u8,
    /// The class that counts as true.
    pub label: u8,
    /// Whether the attack succeeded.
    pub success: bool,
    /// x and x′, 784 values each.
    pub images: [Floats; 2],
    /// Class probabilities at both.
    pub probabilities: [Floats; 2],
    /// The logit of `class` at both.
    pub scores: [f32; 2],
    /// Norms of x′ − x.
    pub norms: Norms,
}

/// A map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// 784 values.
    pub values: Floats,
    /// Whether negative values may occur.
    pub signed: bool,
    /// How many pictures the model was asked about.
    pub evaluations: u32,
    /// What else there is to say.
    pub detail: Detail,
}

/// Attacks every model, then computes map after map.
pub async fn run(plan: &Plan, experiment: &Experiment, host: &mut impl Host) -> Result<bool, String> {
    let mut pace = Pace::new(host);
    let mut networks = Vec::with_capacity(plan.models.len());
    for name in &plan.models {
        networks.push(host.model(name).await?);
    }
    let Some(first) = networks.first_mut() else { return Ok(true) };
    let subject = subject(experiment, &mut first.executor, host).await?;
    let item = Item {
        id: subject.id,
        label: subject.label,
        target: experiment.attack.target,
        epsilon: experiment.threat.epsilon,
    };
    let mut sights = Vec::with_capacity(networks.len());
    for (place, Network { executor, .. }) in networks.iter_mut().enumerate() {
        let task = Task {
            images: subject.image.clone(),
            items: vec![item],
            norm: experiment.threat.norm,
            settings: experiment.attack.clone(),
            seed: experiment.seed,
            others: Vec::new(),
        };
        let classes = executor.classes();
        let mut run = Run::new(executor.input(), classes, task, Record::Strongest);
        while !run.step(executor) {
            if !pace.go_on(host).await {
                return Ok(false);
            }
        }
        let outcome = run.finish().remove(0);
        let class = match plan.class {
            Class::True => subject.label,
            Class::Reached => softmax::predicted(&outcome.adversarial_logits) as u8,
            Class::Fixed(class) => class.min(classes as u8 - 1),
        };
        let probabilities = |logits: &[f32]| softmax::probabilities(logits, classes).into();
        host.say(super::Part::Inside(Part::Attacked(Box::new(Attacked {
            model: place as u8,
            class,
            label: subject.label,
            success: outcome.success,
            images: [subject.image.clone().into(), outcome.adversarial.clone().into()],
            probabilities: [probabilities(&outcome.logits), probabilities(&outcome.adversarial_logits)],
            scores: [outcome.logits[usize::from(class)], outcome.adversarial_logits[usize::from(class)]],
            norms: outcome.norms,
        }))));
        sights.push((class, outcome.adversarial));
    }
    for (map, settings) in plan.maps.iter().enumerate() {
        settings.validate().map_err(|invalid| invalid.to_string())?;
        for (model, (network, (class, adversarial))) in networks.iter_mut().zip(&sights).enumerate() {
            for (at, image) in [&subject.image, adversarial].into_iter().enumerate() {
                let Network { card, executor, weights } = network;
                let looked_at = explain::Subject {
                    image,
                    input: executor.input(),
                    classes: executor.classes(),
                    class: *class,
                    id: subject.id,
                    seed: experiment.seed,
                    network: Some((&card.architecture, weights)),
                };
                let shown = match settings.map.begin(&looked_at, settings) {
                    Ok(mut work) => {
                        while !work.step(executor) {
                            if !pace.go_on(host).await {
                                return Ok(false);
                            }
                        }
                        let Explanation { values, signed, evaluations, detail } = work.finish();
                        Ok(Shown { values: values.into(), signed, evaluations, detail })
                    }
                    Err(unavailable) => Err(unavailable.to_string()),
                };
                let (model, map, at) = (model as u8, map as u8, at as u8);
                host.say(super::Part::Inside(Part::Map { model, map, at, shown }));
            }
        }
    }
    Ok(true)
}
