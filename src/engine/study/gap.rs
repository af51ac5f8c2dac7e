//! The scene: what a small network says of a square whose true boundary is known, and what attacks make of its points.

use serde::{Deserialize, Serialize};

use super::{Host, Pace};
use crate::attack::{Item, Outcome, Record, Run, Task};
use crate::engine::protocol::Floats;
use crate::experiment::Experiment;
use crate::nn::{Classifier, Executor, Weights, softmax};
use crate::scene::{self, Cells, Fate, INPUT, Scene, survey};
use crate::threat::Norms;
use crate::trainer::protocol::Job;

/// The attacks that are offered: those that make sense for two inputs.
pub const ATTACKS: [&str; 7] = ["fgsm", "pgd", "mi-fgsm", "apgd", "deepfool", "cw", "noise"];
/// Cells along a side of the square.
const SIDE: usize = 100;
/// Points that are attacked at once, at most.
const MOST: usize = 400;

/// Which scene, and what has been learnt of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    /// The scene.
    pub scene: Scene,
    /// The network's weights as a safetensors file, for the architecture of [`Job::of_scene`].
    pub weights: Vec<u8>,
}

/// The whole square.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Square {
    /// True and predicted classes.
    pub cells: Cells,
    /// Where points that were drawn evenly lie before and after the attack, (N, 4): x, y, x′, y′.
    pub moves: Floats,
    /// Their true classes before the attack.
    pub labels: Vec<u8>,
    /// What became of them.
    pub fates: Vec<Fate>,
    /// Whether the network was wrong about them before.
    pub wrong: Vec<bool>,
}

/// One point under attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its true class.
    pub label: u8,
    /// What the network says of it, and with which probability.
    pub predicted: u8,
    /// The probability of that class.
    pub confidence: f32,
    /// The iterates, pairs (x, y); the first is the point or the attack's random start.
    pub path: Floats,
    /// Where the attack ends.
    pub end: [f32; 2],
    /// What the network says there.
    pub end_predicted: u8,
    /// The probability of that class.
    pub end_confidence: f32,
    /// What became of the point.
    pub fate: Fate,
    /// How far it was moved.
    pub norms: Norms,
    /// Gradient evaluations.
    pub gradients: u32,
    /// Forward evaluations beyond those.
    pub forwards: u32,
}

fn network(learnt: &Learnt) -> Result<Executor, String> {
    let weights = Weights::read(&learnt.weights).map_err(|error| error.to_string())?;
    Executor::new(&Job::of_scene(learnt.scene, 1, 0).architecture, &weights).map_err(|error| error.to_string())
}

/// Attacks points with the same code as pictures.
async fn attacked(
    executor: &mut Executor,
    scene: Scene,
    points: &[f32],
    record: Record,
    experiment: &Experiment,
    host: &mut impl Host,
) -> Option<Vec<Outcome>> {
    let mut pace = Pace::new(host);
    let items = points.chunks_exact(2).zip(0..).map(|(point, id)| Item {
        id,
        label: scene.class([point[0], point[1]]),
        target: None,
        epsilon: experiment.threat.epsilon,
    });
    let task = Task {
        images: points.to_vec(),
        items: items.collect(),
        norm: experiment.threat.norm,
        settings: experiment.attack.clone(),
        seed: experiment.seed,
        others: Vec::new(),
    };
    let mut run = Run::new(INPUT, executor.classes(), task, record);
    while !run.step(executor) {
        if !pace.go_on(host).await {
            return None;
        }
    }
    Some(run.finish())
}

/// Classifies the square, and attacks `points` points that are drawn from it.
pub async fn square(
    learnt: &Learnt,
    points: u32,
    experiment: &Experiment,
    host: &mut impl Host,
) -> Result<bool, String> {
    let mut executor = network(learnt)?;
    let scene = learnt.scene;
    let cells = survey(scene, &mut executor, SIDE);
    let (positions, labels) = scene.sample((points as usize).min(MOST), experiment.seed);
    let Some(outcomes) = attacked(&mut executor, scene, &positions, Record::FirstSuccess, experiment, host).await
    else {
        return Ok(false);
    };
    let mut moves = Vec::with_capacity(2 * positions.len());
    let (mut fates, mut wrong) = (Vec::new(), Vec::new());
    for ((outcome, &label), at) in outcomes.iter().zip(&labels).zip(positions.chunks_exact(2)) {
        let to = [outcome.adversarial[0], outcome.adversarial[1]];
        moves.extend_from_slice(at);
        moves.extend(to);
        fates.push(scene::fate(scene, label, to, softmax::predicted(&outcome.adversarial_logits) as u8));
        wrong.push(outcome.already_wrong);
    }
    host.say(super::Part::Square(Box::new(Square { cells, moves: moves.into(), labels, fates, wrong })));
    Ok(true)
}

/// Attacks one point and keeps its path.
pub async fn point(
    learnt: &Learnt,
    at: [f32; 2],
    experiment: &Experiment,
    host: &mut impl Host,
) -> Result<bool, String> {
    let mut executor = network(learnt)?;
    let at = at.map(|value| value.clamp(0.0, 1.0));
    let scene = learnt.scene;
    let Some(mut outcomes) = attacked(&mut executor, scene, &at, Record::Trace, experiment, host).await else {
        return Ok(false);
    };
    let outcome = outcomes.remove(0);
    let label = scene.class(at);
    let end = [outcome.adversarial[0], outcome.adversarial[1]];
    let (predicted, confidence) = softmax::confidence(&outcome.logits);
    let (end_predicted, end_confidence) = softmax::confidence(&outcome.adversarial_logits);
    host.say(super::Part::Point(Box::new(Point {
        label,
        predicted: predicted as u8,
        confidence,
        path: outcome.trace.map(|trace| trace.iterates).unwrap_or_default().into(),
        end,
        end_predicted: end_predicted as u8,
        end_confidence,
        fate: scene::fate(scene, label, end, end_predicted as u8),
        norms: outcome.norms,
        gradients: outcome.gradients,
        forwards: outcome.forwards,
    })));
    Ok(true)
}
