//! What a trained model reaches on pictures that it never saw.

use rayon::prelude::*;

use crate::attack::Method;
use crate::data::{Dataset, Examples, PIXELS};
use crate::evaluate::{Pictures, Tally, robust_accuracy};
use crate::experiment::AttackSettings;
use crate::nn::softmax::predicted;
use crate::nn::zoo::Outcome;
use crate::nn::{Classifier, Executor};
use crate::threat::{Norm, Threat};

/// Pictures that a thread takes at a time.
const CHUNK: usize = 16;

/// How many pictures the network classifies correctly as they are.
pub fn clean(network: &Executor, pictures: &Examples) -> usize {
    let chunks = pictures.pixels.par_chunks(CHUNK * PIXELS).zip(pictures.labels.par_chunks(CHUNK));
    let right = chunks.map(|(pixels, labels)| {
        let mut network = network.clone();
        let classes = network.classes();
        let mut logits = vec![0.0; labels.len() * classes];
        network.logits(&crate::data::to_unit(pixels), &mut logits);
        logits.chunks_exact(classes).zip(labels).filter(|(row, label)| predicted(row) == **label as usize).count()
    });
    right.sum()
}

/// How many pictures the network still classifies correctly under attack, at every step of it. The seed is 0.
pub fn under_attack(network: &Executor, pictures: &Examples, threat: Threat, settings: &AttackSettings) -> usize {
    let images = pictures.images();
    let chunks = images.par_chunks(CHUNK * PIXELS).zip(pictures.labels.par_chunks(CHUNK)).enumerate();
    let tallies: Vec<Tally> = chunks
        .map(|(chunk, (images, labels))| {
            let pictures = Pictures { images, labels, first: (chunk * CHUNK) as u32 };
            robust_accuracy(&mut network.clone(), pictures, threat, settings, 0)
        })
        .collect();
    tallies.iter().map(|tally| tally.total().robust as usize).sum()
}

/// Accuracy on the test pictures: all that are given as they are, the shipped ones as they are and under attack. Each
/// outcome is told as soon as it is known.
pub fn measure(dataset: Dataset, network: &Executor, test: &Examples, mut told: impl FnMut(&Outcome)) -> Vec<Outcome> {
    let shipped = test.first(dataset.pictures() as usize);
    let all_shipped = shipped.len() == test.len();
    let first = format!("the first {} test pictures", shipped.len());
    let whole = match dataset {
        Dataset::Fashion if all_shipped => first.clone(),
        Dataset::Fashion => format!("the whole test set of {}", test.len()),
        Dataset::Digits => format!("the {} held-out digits", test.len()),
    };
    let part = if all_shipped { whole.clone() } else { first };
    let mut outcomes = Vec::new();
    let mut tell = |what: String, pictures: &str, correct: usize, of: usize| {
        let outcome = Outcome { what, pictures: pictures.into(), correct, of };
        told(&outcome);
        outcomes.push(outcome);
    };
    tell("clean".into(), &whole, clean(network, test), test.len());
    if !all_shipped {
        tell("clean".into(), &part, clean(network, &shipped), shipped.len());
    }
    let threat = Threat::usual(dataset, Norm::Linf);
    let Threat { norm, epsilon } = threat;
    let alpha = epsilon / 10.0;
    let attacks = [
        (format!("FGSM, {norm}, ε = {epsilon}"), AttackSettings { method: Method::FGSM, ..Default::default() }),
        (
            format!("PGD-40, {norm}, ε = {epsilon}, α = {alpha}"),
            AttackSettings { method: Method::PGD, steps: 40, alpha: Some(alpha), ..Default::default() },
        ),
    ];
    for (what, settings) in attacks {
        tell(what, &part, under_attack(network, &shipped, threat, &settings), shipped.len());
    }
    outcomes
}
