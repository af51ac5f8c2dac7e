//! Transfer: the matrix over many pictures, and one perturbation shown to every model.

use serde::{Deserialize, Serialize};

use super::{Host, Pace, subject};
use crate::attack::{Item, Record, Run, Task};
use crate::data;
use crate::engine::protocol::Floats;
use crate::evaluate::Pictures;
use crate::evaluate::transfer::{Matrix, Plan as Science, Transfer};
use crate::experiment::Experiment;
use crate::nn::{Classifier, softmax};
use crate::threat::Norms;

/// Examples that a cell keeps of either kind.
const KEEP: u32 = 4;
/// How often the matrix is said while it grows, in milliseconds.
const NEWS: f64 = 600.0;

/// A matrix of which models over how many pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Models that are attacked.
    pub sources: Vec<String>,
    /// Models that are shown the result.
    pub targets: Vec<String>,
    /// The first so many test pictures.
    pub pictures: u32,
}

/// The matrix as it stands. Sources and targets are places in the plan's lists, those of the sources first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What has been counted.
    pub matrix: Matrix,
    /// The pictures, in the order of their ids, that examples are of: (id, 784 values).
    pub pictures: Vec<(u32, Floats)>,
}

/// One perturbation and what all models make of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The picture x.
    pub image: Floats,
    /// The picture that the attack on the experiment's model found.
    pub adversarial: Floats,
    /// The class that counts as true.
    pub label: u8,
    /// Whether the attack succeeded at its source.
    pub success: bool,
    /// Norms of the perturbation.
    pub norms: Norms,
    /// What each model says, in the order of the question.
    pub said: Vec<Said>,
}

/// What a model says at x and at x + δ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The model.
    pub model: String,
    /// Its class at x.
    pub before: u8,
    /// The probability of that class.
    pub before_confidence: f32,
    /// Its class at x + δ.
    pub after: u8,
    /// The probability of that class.
    pub after_confidence: f32,
}

/// Counts over the pictures.
pub async fn run(plan: &Plan, experiment: &Experiment, host: &mut impl Host) -> Result<bool, String> {
    let Plan { sources, targets, pictures } = plan;
    let count = (*pictures).min(experiment.dataset.pictures());
    if sources.is_empty() || targets.is_empty() || count == 0 {
        return Err("choose at least one source, one target and one picture".into());
    }
    let mut names: Vec<&String> = Vec::new();
    for name in sources.iter().chain(targets) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut models = Vec::with_capacity(names.len());
    for name in &names {
        models.push(host.model(name).await?.executor);
    }
    let mut images = Vec::new();
    for index in 0..count {
        images.extend(host.picture(index).await?);
    }
    let labels = data::labels(experiment.dataset).get(..count as usize).ok_or("there are not so many test pictures")?;
    let places = |of: &[String]| -> Vec<usize> {
        of.iter().filter_map(|name| names.iter().position(|known| *known == name)).collect()
    };
    let (input, classes) = (models[0].input(), models[0].classes());
    let mut work = Transfer::new(
        input,
        classes,
        Science {
            sources: places(sources),
            targets: places(targets),
            pictures: Pictures { images: &images, labels, first: 0 },
            threat: experiment.threat,
            attack: &experiment.attack,
            seed: experiment.seed,
            keep: KEEP,
        },
    );
    let part = |matrix: &Matrix| {
        let mut ids: Vec<u32> = matrix.cells.iter().flat_map(|cell| &cell.examples).map(|example| example.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let of = |id: u32| Floats(images[id as usize * input.len()..][..input.len()].to_vec());
        super::Part::Transfer(Part {
            matrix: matrix.clone(),
            pictures: ids.into_iter().map(|id| (id, of(id))).collect(),
        })
    };
    let (mut pace, mut told) = (Pace::new(host), host.now());
    while !work.step(&mut models) {
        if host.now() - told > NEWS {
            told = host.now();
            host.say(part(work.matrix()));
        }
        if !pace.go_on(host).await {
            return Ok(false);
        }
    }
    host.say(part(work.matrix()));
    Ok(true)
}

/// Attacks the picture on the experiment's model and shows the result to all `models`.
pub async fn row(models: &[String], experiment: &Experiment, host: &mut impl Host) -> Result<bool, String> {
    let mut pace = Pace::new(host);
    let mut source = host.model(&experiment.model).await?.executor;
    let subject = subject(experiment, &mut source, host).await?;
    let item = Item {
        id: subject.id,
        label: subject.label,
        target: experiment.attack.target,
        epsilon: experiment.threat.epsilon,
    };
    let task = Task {
        images: subject.image.clone(),
        items: vec![item],
        norm: experiment.threat.norm,
        settings: experiment.attack.clone(),
        seed: experiment.seed,
        others: Vec::new(),
    };
    let mut run = Run::new(source.input(), source.classes(), task, Record::Strongest);
    while !run.step(&mut source) {
        if !pace.go_on(host).await {
            return Ok(false);
        }
    }
    let outcome = run.finish().remove(0);
    let both = [&subject.image[..], &outcome.adversarial].concat();
    let mut said = Vec::with_capacity(models.len());
    for name in models {
        let mut model = host.model(name).await?.executor;
        let classes = model.classes();
        let mut logits = vec![0.0; 2 * classes];
        model.logits(&both, &mut logits);
        let [(before, before_confidence), (after, after_confidence)] =
            [&logits[..classes], &logits[classes..]].map(softmax::confidence);
        let (before, after) = (before as u8, after as u8);
        said.push(Said { model: name.clone(), before, before_confidence, after, after_confidence });
        if !pace.go_on(host).await {
            return Ok(false);
        }
    }
    host.say(super::Part::Row(Box::new(Row {
        image: subject.image.into(),
        adversarial: outcome.adversarial.into(),
        label: subject.label,
        success: outcome.success,
        norms: outcome.norms,
        said,
    })));
    Ok(true)
}
