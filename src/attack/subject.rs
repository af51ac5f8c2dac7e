//! What a search is given, and what it gives back.

use super::{Goal, Item, Objective, Record, Story, Trace};
use crate::experiment::AttackSettings;
use crate::nn::{Shape, softmax};
use crate::random::{Random, Stream};
use crate::threat::{self, Norm, Norms};

/// One picture under attack, and everything a search needs to know.
#[derive(Clone, Debug)]
pub struct Subject {
    /// x, C·H·W values in [0, 1].
    pub image: Vec<f32>,
    /// Its shape.
    pub shape: Shape,
    /// K logits at x.
    pub clean: Vec<f32>,
    /// Its label, target and budget.
    pub item: Item,
    /// What is wanted.
    pub goal: Goal,
    /// How δ is measured.
    pub norm: Norm,
    /// The attack's settings.
    pub settings: AttackSettings,
    /// Key of the random numbers.
    pub seed: u32,
    /// How far to go, and what to keep.
    pub record: Record,
    /// Pictures at which a search may start, (M, C, H, W); there may be none.
    pub others: std::sync::Arc<[f32]>,
}

impl Subject {
    /// ε.
    pub fn epsilon(&self) -> f32 {
        self.item.epsilon
    }

    /// Whether the steps are to be kept.
    pub fn traces(&self) -> bool {
        self.record == Record::Trace
    }

    /// Whether to stop at the first success.
    pub fn stops(&self) -> bool {
        self.record == Record::FirstSuccess
    }

    /// The numbers that this picture's search draws; `nth` of fewer than 2⁸ independent sequences.
    pub fn random(&self, nth: u32) -> Random {
        Random::new(self.seed.into(), Stream::Search, sub_stream(self.item.id, nth))
    }

    /// A random point of the ball and the box, where restart `restart` begins.
    pub fn random_start(&self, restart: u32) -> Vec<f32> {
        let mut start = self.image.clone();
        let mut random = Random::new(self.seed.into(), Stream::Start, sub_stream(self.item.id, restart));
        threat::random_start(self.norm, self.item.epsilon, &self.image, &mut random, &mut start);
        start
    }

    /// Adds a point to a trace.
    pub fn log(&self, trace: &mut Trace, point: &[f32], logits: &[f32]) {
        trace.iterates.extend_from_slice(point);
        trace.logits.extend_from_slice(logits);
        trace.losses.push(softmax::cross_entropy(logits, self.item.label as usize));
        trace.norms.push(Norms::between(&self.image, point));
    }
}

fn sub_stream(id: u32, nth: u32) -> u64 {
    (id as u64) << 8 | nth as u64
}

/// What a search found for one picture, before it is judged.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The picture it proposes; x itself if it found nothing better.
    pub adversarial: Vec<f32>,
    /// The step whose iterate that is.
    pub best_step: u32,
    /// The restart that gave it.
    pub restart: u32,
    /// The step size that was used; 0 if there is none.
    pub alpha: f32,
    /// The steps, if they were to be kept.
    pub trace: Trace,
    /// What else there is to tell, if it was to be kept.
    pub story: Option<Story>,
}

/// Keeps the strongest of the pictures that it is shown: of those that reach the goal, or else of all, the one with the
/// greatest cross-entropy objective; of equals the first.
#[derive(Default)]
pub(super) struct Strongest {
    picture: Vec<f32>,
    /// Its logits.
    pub(super) logits: Vec<f32>,
    rank: Option<(bool, f32)>,
    step: u32,
    restart: u32,
}

impl Strongest {
    /// Takes note of a picture, found at a step of a restart. Says whether it is the strongest.
    pub(super) fn consider(
        &mut self,
        subject: &Subject,
        picture: &[f32],
        logits: &[f32],
        (step, restart): (u32, u32),
    ) -> bool {
        let objective = Objective::CrossEntropy.value(subject.goal, logits);
        // What is not a number is never the strongest.
        let rank = (subject.goal.reached(logits), if objective.is_nan() { f32::NEG_INFINITY } else { objective });
        let better = self.rank.is_none_or(|best| rank > best);
        if better {
            self.rank = Some(rank);
            self.picture = picture.to_vec();
            self.logits = logits.to_vec();
            (self.step, self.restart) = (step, restart);
        }
        better
    }

    /// Whether one of them reaches the goal.
    pub(super) fn succeeded(&self) -> bool {
        self.rank.is_some_and(|rank| rank.0)
    }

    /// The strongest, x itself if there was none.
    pub(super) fn found(&self, subject: &Subject) -> Found {
        let picture = if self.rank.is_some() { &self.picture } else { &subject.image };
        Found { adversarial: picture.clone(), best_step: self.step, restart: self.restart, ..Found::default() }
    }
}

/// Keeps the smallest of the perturbations that reach the goal.
pub(super) struct Smallest {
    picture: Vec<f32>,
    /// Its logits; those at x if there is none.
    pub(super) logits: Vec<f32>,
    /// Its length; infinite if there is none.
    pub(super) length: f32,
}

impl Smallest {
    /// None yet, unless x itself reaches the goal: no perturbation is smaller than that.
    pub(super) fn new(subject: &Subject) -> Self {
        let length = if subject.goal.reached(&subject.clean) { 0.0 } else { f32::INFINITY };
        Self { picture: subject.image.clone(), logits: subject.clean.clone(), length }
    }

    /// Takes a picture in the box if it reaches the goal and is nearer. Says whether it was.
    pub(super) fn consider(&mut self, subject: &Subject, picture: &[f32], logits: &[f32]) -> bool {
        let length = Norms::between(&subject.image, picture).of(subject.norm);
        let better = length < self.length && subject.goal.reached(logits);
        if better {
            self.length = length;
            self.picture.copy_from_slice(picture);
            self.logits = logits.to_vec();
        }
        better
    }

    /// The nearest, x itself if there is none.
    pub(super) fn picture(&self) -> &[f32] {
        &self.picture
    }

    /// Whether one of them reaches the goal.
    pub(super) fn reached(&self) -> bool {
        self.length < f32::INFINITY
    }

    /// Whether the search can end: nothing can be better, or one small enough was all that was wanted.
    pub(super) fn suffices(&self, subject: &Subject) -> bool {
        self.length == 0.0 || (subject.stops() && self.length <= subject.epsilon())
    }

    /// The nearest, x itself if the attack has failed; it is the last entry of the trace.
    pub(super) fn found(&self, subject: &Subject, mut trace: Trace, story: Option<Story>) -> Found {
        if subject.traces() {
            let pixels = subject.image.len();
            if trace.iterates.rchunks_exact(pixels).next() != Some(&self.picture) {
                subject.log(&mut trace, &self.picture, &self.logits);
            }
        }
        let best_step = (trace.losses.len() as u32).saturating_sub(1);
        Found { adversarial: self.picture.clone(), best_step, trace, story, ..Found::default() }
    }
}
