//! What becomes of each picture under an attack, at several ε at once.

use serde::{Deserialize, Serialize};

use super::Pictures;
use crate::attack::{Aim, Record, Run};
use crate::experiment::AttackSettings;
use crate::nn::Classifier;
use crate::threat::{Threat, rounding_slack};

/// Pictures that are attacked together. It changes no verdict.
const CHUNK: usize = 64;

/// What became of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Its index in the data set.
    pub id: u32,
    /// Its true class.
    pub label: u8,
    /// Whether it was classified correctly before the attack.
    pub clean: bool,
    /// Bit k is set if the attack reached its goal within the k-th ε.
    pub fooled: u32,
}

/// The verdicts on some pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// One for each picture; in a targeted attack none for pictures of the target class.
    pub pictures: Vec<Verdict>,
    /// Gradient evaluations that were used.
    pub gradients: u64,
}

/// Attacks pictures within each of some ε. An attack that looks for the smallest perturbation, or for a transformation that
/// no norm measures, runs once for all of them.
///
/// # Panics
/// If there are more than 32 values of ε, not as many images as labels, or a label or the target is not a class.
pub fn verdicts(
    classifier: &mut dyn Classifier,
    pictures: Pictures,
    threats: &[Threat],
    settings: &AttackSettings,
    seed: u32,
) -> Verdicts {
    assert!(threats.len() <= 32, "a verdict has 32 bits");
    let mut verdicts = Verdicts::default();
    let Some(&greatest) = threats.iter().max_by(|a, b| a.epsilon.total_cmp(&b.epsilon)) else { return verdicts };
    let (input, classes) = (classifier.input(), classifier.classes());
    let aim = settings.method.aim();
    let (runs, record) = match aim {
        Aim::Strongest => (threats.to_vec(), Record::FirstSuccess),
        Aim::Smallest | Aim::Transformation => (vec![greatest], Record::Strongest),
    };
    for (k, threat) in runs.iter().enumerate() {
        let mut place = 0;
        for task in pictures.tasks(input.len(), *threat, settings, seed, CHUNK) {
            let items = task.items.clone();
            let mut run = Run::new(input, classes, task, record);
            while !run.step(classifier) {}
            for (item, outcome) in items.into_iter().zip(run.finish()) {
                if k == 0 {
                    let clean = !outcome.already_wrong;
                    verdicts.pictures.push(Verdict { id: item.id, label: item.label, clean, fooled: 0 });
                }
                let fooled = &mut verdicts.pictures[place].fooled;
                *fooled |= match aim {
                    Aim::Strongest => u32::from(outcome.success) << k,
                    Aim::Transformation => all(threats.iter().map(|_| outcome.success)),
                    Aim::Smallest => all(threats.iter().map(|Threat { norm, epsilon }| {
                        let slack = rounding_slack(*norm, *epsilon, input.len());
                        outcome.reached && outcome.norms.of(*norm) <= epsilon + slack
                    })),
                };
                verdicts.gradients += u64::from(outcome.gradients);
                place += 1;
            }
        }
    }
    verdicts
}

/// The bits as a number.
fn all(bits: impl Iterator<Item = bool>) -> u32 {
    bits.enumerate().fold(0, |all, (k, bit)| all | u32::from(bit) << k)
}
