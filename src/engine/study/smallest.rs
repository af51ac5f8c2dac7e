//! The smallest perturbation of the picture that each attack finds, one row per attack.

use serde::{Deserialize, Serialize};

use super::{Host, Pace, subject};
use crate::attack::{Aim, Item, Method};
use crate::engine::protocol::Floats;
use crate::evaluate::Smallest;
use crate::experiment::{AttackSettings, Experiment};
use crate::nn::Classifier;
use crate::nn::softmax;
use crate::threat::{Norm, Norms};

/// How often progress is said, in milliseconds.
const NEWS: f64 = 150.0;

/// News of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Part {
    /// The picture, and what the model says of it.
    Picture {
        /// 784 values in [0, 1].
        image: Floats,
        /// The class that counts as true.
        label: u8,
        /// What the model says.
        class: u8,
        /// The probability it gives to that class.
        confidence: f32,
    },
    /// An attack is under way.
    Progress {
        /// Which.
        method: Method,
        /// 0 to 1.
        share: f32,
        /// The smallest ‖δ‖ so far.
        best: Option<f32>,
    },
    /// An attack is done.
    Row(Box<Row>),
}

/// What one attack came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The attack.
    pub method: Method,
    /// The smallest perturbation that reached the goal; none if none did.
    pub found: Option<Found>,
    /// How many times the attack was run.
    pub runs: u32,
    /// Gradient evaluations of all runs.
    pub gradients: u32,
    /// Forward evaluations of all runs beyond those within gradients.
    pub forwards: u32,
    /// What it took.
    pub milliseconds: f32,
}

/// A perturbation that reaches the goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// x + δ, 784 values in [0, 1].
    pub adversarial: Floats,
    /// Its class.
    pub class: u8,
    /// The probability that the model gives to that class.
    pub confidence: f32,
    /// Norms of δ.
    pub norms: Norms,
    /// The ε of the run that found it, if the attack needs one.
    pub epsilon: Option<f32>,
}

/// The attacks that are measured by this norm, in the order in which they are offered.
pub fn methods(norm: Norm) -> impl Iterator<Item = Method> {
    Method::all().filter(move |method| method.aim() != Aim::Transformation && method.norms().contains(&norm))
}

/// The settings with which an attack is run: the experiment's own if it is its attack, otherwise the attack's usual
/// parameters with the steps, start and goal of the experiment.
pub fn settings(experiment: &Experiment, method: Method) -> AttackSettings {
    let attack = &experiment.attack;
    if attack.method == method {
        return attack.clone();
    }
    AttackSettings { method, values: Default::default(), alpha: None, ..attack.clone() }
}

/// Runs the attacks, the cheap ones first.
pub async fn run(experiment: &Experiment, host: &mut impl Host) -> Result<bool, String> {
    let mut classifier = host.model(&experiment.model).await?.executor;
    let subject = subject(experiment, &mut classifier, host).await?;
    let (input, classes) = (classifier.input(), classifier.classes());
    let mut logits = vec![0.0; classes];
    classifier.logits(&subject.image, &mut logits);
    let (class, confidence) = softmax::confidence(&logits);
    host.say(super::Part::Smallest(Part::Picture {
        image: subject.image.clone().into(),
        label: subject.label,
        class: class as u8,
        confidence,
    }));

    let norm = experiment.threat.norm;
    let item = Item { id: subject.id, label: subject.label, target: experiment.attack.target, epsilon: 0.0 };
    let mut planned: Vec<_> = methods(norm).map(|method| settings(experiment, method)).collect();
    planned.sort_by_key(|settings| {
        let runs = if settings.method.aim() == Aim::Smallest { 1 } else { 29 };
        u64::from(settings.method.cost(settings)) * runs
    });
    let mut pace = Pace::new(host);
    for settings in planned {
        let method = settings.method;
        let mut search = Smallest::new(input, classes, &subject.image, item, norm, &settings, experiment.seed);
        let (mut worked, mut told) = (0.0, f64::NEG_INFINITY);
        loop {
            let before = host.now();
            let done = search.step(&mut classifier);
            let after = host.now();
            worked += after - before;
            if done {
                break;
            }
            if after - told > NEWS {
                told = after;
                let best = search.minimum().found.as_ref().map(|found| found.norms.of(norm));
                host.say(super::Part::Smallest(Part::Progress { method, share: search.progress(), best }));
            }
            if !pace.go_on(host).await {
                return Ok(false);
            }
        }
        let minimum = search.minimum();
        let found = minimum.found.as_ref().map(|found| {
            let (class, confidence) = softmax::confidence(&found.logits);
            Found {
                adversarial: found.adversarial.clone().into(),
                class: class as u8,
                confidence,
                norms: found.norms,
                epsilon: found.epsilon,
            }
        });
        host.say(super::Part::Smallest(Part::Row(Box::new(Row {
            method,
            found,
            runs: minimum.runs,
            gradients: minimum.gradients,
            forwards: minimum.forwards,
            milliseconds: worked as f32,
        }))));
    }
    Ok(true)
}
