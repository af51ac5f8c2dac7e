//! The attacks of Carlini and Wagner: the smallest δ, as a minimisation in which the goal has a weight c.
//!
//! The goal is written as max(κ − margin, 0) with the margin of the logits ([`Goal::margin`]): 0 as soon as the class has
//! changed by a margin of κ. [`l2`] minimises it together with ‖δ‖², [`linf`] together with what exceeds a shrinking
//! threshold.
//!
//! Carlini, Wagner, "Towards evaluating the robustness of neural networks", IEEE Symposium on Security and Privacy 2017.

mod l2;
mod linf;

use super::parameter::{Kind, Parameter};
use super::subject::{Found, Smallest};
use super::{Access, Aim, Attack, Goal, Oracle, Searching, Subject, Trace, Uses};
use crate::experiment::AttackSettings;
use crate::threat::{Norm, Threat};

/// The attacks of Carlini and Wagner.
pub(super) struct CarliniWagner;

const KAPPA: Parameter = Parameter {
    key: "kappa",
    label: "Confidence κ",
    unit: "",
    help: "By how much the wanted logit has to exceed the others. The greater, the surer the network is of its mistake, \
           and the larger δ.",
    kind: Kind::Number { default: 0.0, least: 0.0, greatest: 50.0, step: 1.0, whole: false },
};

const ITERATIONS: Parameter = Parameter {
    key: "iterations",
    label: "Iterations",
    unit: "",
    help: "How many steps the minimisation takes for each weight c.",
    kind: Kind::Number { default: 100.0, least: 10.0, greatest: 1000.0, step: 10.0, whole: true },
};

const SEARCHES: Parameter = Parameter {
    key: "searches",
    label: "Values of c",
    unit: "",
    help: "How many weights c of the goal are tried, each chosen by how the one before did.",
    kind: Kind::Number { default: 9.0, least: 1.0, greatest: 20.0, step: 1.0, whole: true },
};

const RATE: Parameter = Parameter {
    key: "rate",
    label: "Learning rate",
    unit: "",
    help: "The size of the first steps of each minimisation; they shrink to nothing by its end.",
    kind: Kind::Number { default: 0.1, least: 0.001, greatest: 0.5, step: 0.01, whole: false },
};

/// Iterates that a trace keeps of a minimisation, at most.
const KEPT: u32 = 50;

impl Attack for CarliniWagner {
    fn key(&self) -> &'static str {
        "cw"
    }

    fn title(&self) -> &'static str {
        "Carlini–Wagner"
    }

    fn summary(&self) -> &'static str {
        "Minimises the length of δ and, with a weight c, what is missing to another class. A search over c finds the \
         balance that just suffices. Slow, and very hard to defend against."
    }

    fn paper(&self) -> &'static str {
        "Carlini, Wagner: Towards evaluating the robustness of neural networks. IEEE Symposium on Security and Privacy \
         2017"
    }

    fn access(&self) -> Access {
        Access::Gradients
    }

    fn aim(&self) -> Aim {
        Aim::Smallest
    }

    fn norms(&self) -> &'static [Norm] {
        &[Norm::L2, Norm::Linf]
    }

    fn uses(&self) -> Uses {
        Uses::default()
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&KAPPA, &SEARCHES, &ITERATIONS, &RATE]
    }

    fn cost(&self, settings: &AttackSettings) -> u32 {
        (settings.get(&SEARCHES) * settings.get(&ITERATIONS)) as u32
    }

    fn pytorch(&self, settings: &AttackSettings, threat: &Threat) -> Option<String> {
        (threat.norm == Norm::L2).then(|| l2::pytorch(settings))
    }

    fn search(&self, subject: Subject, oracle: Oracle) -> Searching {
        match subject.norm {
            Norm::Linf => Box::pin(linf::minimise(subject, oracle)),
            _ => Box::pin(l2::minimise(subject, oracle)),
        }
    }
}

/// What both minimisations know of the goal.
struct Hinge {
    goal: Goal,
    kappa: f32,
}

impl Hinge {
    fn new(subject: &Subject) -> Self {
        Self { goal: subject.goal, kappa: subject.settings.get(&KAPPA) }
    }

    /// What is missing: max(κ − margin, 0).
    fn missing(&self, logits: &[f32]) -> f32 {
        (self.kappa - self.goal.margin(logits)).max(0.0)
    }

    /// Takes a picture if it goes beyond the boundary by κ. Says whether it does.
    fn consider(&self, subject: &Subject, smallest: &mut Smallest, picture: &[f32], logits: &[f32]) -> bool {
        let beyond = self.goal.reached(logits) && self.goal.margin(logits) >= self.kappa;
        if beyond {
            smallest.consider(subject, picture, logits);
        }
        beyond
    }
}

/// The logits at a picture and the gradient of the margin.
async fn slope(subject: &Subject, oracle: &Oracle, picture: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let goal = subject.goal;
    let answer = oracle
        .gradient(picture, move |_, logits, cotangent| super::Objective::Margin.cotangent(goal, logits, cotangent))
        .await;
    (answer.logits, answer.gradient)
}

/// Bisects between x and the best picture for one that is nearer and still suffices, on the straight line.
async fn pull_back(subject: &Subject, oracle: &Oracle, hinge: &Hinge, smallest: &mut Smallest) {
    if !smallest.reached() || smallest.length == 0.0 {
        return;
    }
    let far = smallest.picture().to_vec();
    let (mut low, mut high) = (0.0f32, 1.0f32);
    for _ in 0..10 {
        let middle = 0.5 * (low + high);
        let picture: Vec<f32> = far.iter().zip(&subject.image).map(|(f, x)| x + middle * (f - x)).collect();
        let logits = oracle.logits(&picture).await;
        if hinge.consider(subject, smallest, &picture, &logits) { high = middle } else { low = middle }
    }
}

/// Ends a search.
fn finish(subject: &Subject, smallest: &Smallest, trace: Trace, story: super::Story) -> Found {
    smallest.found(subject, trace, subject.traces().then_some(story))
}
