//! The loop that all iterative attacks share, as a state machine: one call of the classifier per step, on all pictures
//! that still need it, so that a worker can stop or turn to newer work in between.
//!
//! Every picture has its own label, target, ε and random numbers, and its result does not depend on the batch.

use super::{Advance, Goal, Iterative, Proposal, Verdict, verify};
use crate::experiment::AttackSettings;
use crate::nn::{Classifier, Shape, softmax};
use crate::random::{Random, Stream};
use crate::threat::{self, Norm, Norms, Threat};

/// Pictures to attack, and how.
#[derive(Clone, Debug)]
pub struct Task {
    /// The pictures, (N, C, H, W), in [0, 1].
    pub images: Vec<f32>,
    /// What is to be attacked in each, and with which budget; N of them.
    pub items: Vec<Item>,
    /// How perturbations are measured.
    pub norm: Norm,
    /// The attack and its parameters. Its target is not used: every item has its own.
    pub settings: AttackSettings,
    /// Key of the random numbers.
    pub seed: u32,
}

/// One picture of a [`Task`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item {
    /// The picture's own key of random numbers, such as its index in the data set: equal ids start equally.
    pub id: u32,
    /// The true class.
    pub label: u8,
    /// The class to reach; none is untargeted.
    pub target: Option<u8>,
    /// The greatest ‖δ‖.
    pub epsilon: f32,
}

/// How far an attack goes, and what it keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Record {
    /// For counting: stops at a picture's first success, and leaves pictures alone that need no attack because the goal
    /// is reached at x.
    #[default]
    FirstSuccess,
    /// For curves: runs all steps and restarts and gives the strongest iterate.
    Strongest,
    /// For showing: as [`Record::Strongest`], and keeps every iterate of the restart that gave the result.
    Trace,
}

/// The result for one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The strongest picture that was found, C·H·W values. When the attack has failed too.
    pub adversarial: Vec<f32>,
    /// Whether the verification found that it is allowed and reaches the goal.
    pub success: bool,
    /// Whether x itself is misclassified.
    pub already_wrong: bool,
    /// K logits at x.
    pub logits: Vec<f32>,
    /// K logits at the adversarial picture.
    pub adversarial_logits: Vec<f32>,
    /// Norms of the perturbation.
    pub norms: Norms,
    /// The step, 0 for the start, whose iterate is the result.
    pub best_step: u32,
    /// The restart, from 0, that gave the result.
    pub restart: u32,
    /// The step size that was used.
    pub alpha: f32,
    /// Gradient evaluations.
    pub gradients: u32,
    /// Forward evaluations beyond those within gradients, those of the verification included.
    pub forwards: u32,
    /// The steps of that restart, if they were to be kept.
    pub trace: Option<Trace>,
}

/// The path of one restart: T steps, T + 1 entries; entry 0 is the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The iterates, (T + 1, C·H·W).
    pub iterates: Vec<f32>,
    /// Their logits, (T + 1, K).
    pub logits: Vec<f32>,
    /// The cross-entropy of the label at each, T + 1.
    pub losses: Vec<f32>,
    /// The norms of x′ − x at each, T + 1.
    pub norms: Vec<Norms>,
}

impl Trace {
    /// The class probabilities at each step, (T + 1, K) for K `classes`.
    pub fn probabilities(&self, classes: usize) -> Vec<f32> {
        softmax::probabilities(&self.logits, classes)
    }
}

/// An attack on a batch under way.
pub struct Run {
    attack: &'static dyn Iterative,
    task: Task,
    record: Record,
    pixels: usize,
    classes: usize,
    states: Vec<State>,
    phase: Phase,
    /// The pictures that are still attacked, in order.
    active: Vec<usize>,
    buffers: Buffers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The logits at x.
    Clean,
    /// From iterate `step` of `restart` to the next; at the last one only its logits.
    Step {
        restart: u32,
        step: u32,
    },
    /// Judging the results.
    Verify,
    Done,
}

#[derive(Default)]
struct Buffers {
    images: Vec<f32>,
    logits: Vec<f32>,
    gradient: Vec<f32>,
}

/// What is known of one picture.
struct State {
    goal: Goal,
    clean: Vec<f32>,
    point: Vec<f32>,
    best: Option<Best>,
    trace: Trace,
    best_trace: Trace,
    gradients: u32,
    forwards: u32,
    verdict: Option<Verdict>,
}

/// The strongest iterate so far.
struct Best {
    picture: Vec<f32>,
    /// Compared first to last: success beats failure, the last iterate beats an earlier one if both succeed, then the
    /// objective decides, and of equals the first.
    rank: (bool, bool, f32),
    step: u32,
    restart: u32,
}

impl Run {
    /// Prepares an attack on pictures of the shape `input`, for a classifier with `classes` classes.
    ///
    /// # Panics
    /// If there are not as many pictures as items, or a label or target is not a class.
    pub fn new(input: Shape, classes: usize, task: Task, record: Record) -> Self {
        let pixels = input.len();
        assert_eq!(task.images.len(), task.items.len() * pixels, "one picture of {pixels} values for each item");
        let states = task
            .items
            .iter()
            .zip(task.images.chunks_exact(pixels))
            .map(|(item, image)| {
                assert!((item.label as usize) < classes, "label {} of {classes} classes", item.label);
                assert!(item.target.is_none_or(|target| (target as usize) < classes), "a target of {classes} classes");
                State {
                    goal: Goal::new(item.label, item.target),
                    clean: Vec::new(),
                    point: image.to_vec(),
                    best: None,
                    trace: Trace::default(),
                    best_trace: Trace::default(),
                    gradients: 0,
                    forwards: 0,
                    verdict: None,
                }
            })
            .collect();
        let active = (0..task.items.len()).collect();
        let attack = task.settings.method.iterative();
        Self { attack, task, record, pixels, classes, states, phase: Phase::Clean, active, buffers: Buffers::default() }
    }

    /// Does the next piece of work: at most one call of the classifier. Says whether the attack is done.
    ///
    /// # Panics
    /// If the classifier has another shape or another number of classes than the run was prepared for.
    pub fn step(&mut self, classifier: &mut dyn Classifier) -> bool {
        match self.phase {
            Phase::Clean => self.clean(classifier),
            Phase::Step { restart, step } => self.advance(classifier, restart, step),
            Phase::Verify => self.verify(classifier),
            Phase::Done => {}
        }
        self.phase == Phase::Done
    }

    /// How many steps of how many have been done, roughly.
    pub fn progress(&self) -> (u32, u32) {
        let schedule = self.attack.schedule(&self.task.settings);
        let each = schedule.steps + 1;
        let all = 2 + each * schedule.restarts;
        let done = match self.phase {
            Phase::Clean => 0,
            Phase::Step { restart, step } => 1 + restart * each + step,
            Phase::Verify => all - 1,
            Phase::Done => all,
        };
        (done, all)
    }

    /// The results, one for each item in order.
    ///
    /// # Panics
    /// If the attack is not done.
    pub fn finish(self) -> Vec<Outcome> {
        assert!(self.phase == Phase::Done, "step until the attack is done");
        let (attack, settings, record) = (self.attack, self.task.settings, self.record);
        self.states
            .into_iter()
            .zip(&self.task.items)
            .filter_map(|(state, item)| {
                let (best, verdict) = (state.best?, state.verdict?);
                Some(Outcome {
                    adversarial: best.picture,
                    success: verdict.success,
                    already_wrong: Goal::Leave(item.label).reached(&state.clean),
                    logits: state.clean,
                    adversarial_logits: verdict.logits,
                    norms: verdict.norms,
                    best_step: best.step,
                    restart: best.restart,
                    alpha: attack.alpha(&settings, item.epsilon),
                    gradients: state.gradients,
                    forwards: state.forwards,
                    trace: (record == Record::Trace).then_some(state.best_trace),
                })
            })
            .collect()
    }

    fn clean(&mut self, classifier: &mut dyn Classifier) {
        assert_eq!((classifier.input().len(), classifier.classes()), (self.pixels, self.classes), "another classifier");
        self.evaluate(classifier, false);
        for (state, logits) in self.states.iter_mut().zip(self.buffers.logits.chunks_exact(self.classes)) {
            state.clean = logits.to_vec();
            state.forwards += 1;
            if self.record == Record::FirstSuccess {
                // x itself is the result of what needs no attack, and of what cannot be evaluated.
                let rank = (state.goal.reached(logits), false, f32::NEG_INFINITY);
                state.best = Some(Best { picture: state.point.clone(), rank, step: 0, restart: 0 });
            }
        }
        self.retain_unfinished();
        self.begin_restart(0);
    }

    /// Lets go of pictures that are done, so that the batch shrinks.
    fn retain_unfinished(&mut self) {
        if self.record == Record::FirstSuccess {
            let states = &self.states;
            self.active.retain(|&i| !states[i].best.as_ref().is_some_and(|best| best.rank.0));
        }
    }

    fn begin_restart(&mut self, restart: u32) {
        let schedule = self.attack.schedule(&self.task.settings);
        if restart >= schedule.restarts || self.active.is_empty() {
            self.phase = Phase::Verify;
            return;
        }
        for &i in &self.active {
            let item = self.task.items[i];
            let image = &self.task.images[i * self.pixels..][..self.pixels];
            let state = &mut self.states[i];
            state.trace = Trace::default();
            if restart > 0 || schedule.random_start {
                let mut random = Random::new(self.task.seed.into(), Stream::Start, stream(item.id, restart));
                threat::random_start(self.task.norm, item.epsilon, image, &mut random, &mut state.point);
            } else {
                state.point.copy_from_slice(image);
            }
        }
        self.phase = Phase::Step { restart, step: 0 };
    }

    fn advance(&mut self, classifier: &mut dyn Classifier, restart: u32, step: u32) {
        let steps = self.attack.schedule(&self.task.settings).steps;
        let last = step == steps;
        self.evaluate(classifier, !last);
        for (row, &i) in self.active.iter().enumerate() {
            let item = self.task.items[i];
            let image = &self.task.images[i * self.pixels..][..self.pixels];
            let state = &mut self.states[i];
            let logits = &self.buffers.logits[row * self.classes..][..self.classes];
            state.consider(logits, restart, step, last);
            if self.record == Record::Trace {
                state.trace.iterates.extend_from_slice(&state.point);
                state.trace.logits.extend_from_slice(logits);
                state.trace.losses.push(softmax::cross_entropy(logits, item.label as usize));
                state.trace.norms.push(Norms::between(image, &state.point));
                if last && state.best.as_ref().is_some_and(|best| best.restart == restart) {
                    state.best_trace = std::mem::take(&mut state.trace);
                }
            }
            if last {
                state.forwards += 1;
            } else {
                state.gradients += 1;
                self.attack.advance(Advance {
                    norm: self.task.norm,
                    epsilon: item.epsilon,
                    alpha: self.attack.alpha(&self.task.settings, item.epsilon),
                    image,
                    gradient: &self.buffers.gradient[row * self.pixels..][..self.pixels],
                    point: &mut state.point,
                });
            }
        }
        self.retain_unfinished();
        if last || self.active.is_empty() {
            self.begin_restart(restart + 1);
        } else {
            self.phase = Phase::Step { restart, step: step + 1 };
        }
    }

    /// Runs the classifier on the iterates of the active pictures.
    fn evaluate(&mut self, classifier: &mut dyn Classifier, with_gradient: bool) {
        let Buffers { images, logits, gradient } = &mut self.buffers;
        images.clear();
        for &i in &self.active {
            images.extend_from_slice(&self.states[i].point);
        }
        logits.resize(self.active.len() * self.classes, 0.0);
        if with_gradient {
            gradient.resize(images.len(), 0.0);
            let (states, active, classes) = (&self.states, &self.active, self.classes);
            let mut cotangent = |logits: &[f32], cotangent: &mut [f32]| {
                let rows = logits.chunks_exact(classes).zip(cotangent.chunks_exact_mut(classes));
                for (&i, (logits, cotangent)) in active.iter().zip(rows) {
                    states[i].goal.cotangent(logits, cotangent);
                }
            };
            classifier.input_gradient(images, logits, &mut cotangent, gradient);
        } else {
            classifier.logits(images, logits);
        }
    }

    fn verify(&mut self, classifier: &mut dyn Classifier) {
        let proposals: Vec<Proposal> = self
            .states
            .iter()
            .zip(&self.task.items)
            .zip(self.task.images.chunks_exact(self.pixels))
            .map(|((state, item), image)| Proposal {
                image,
                adversarial: state.best.as_ref().map_or(image, |best| &best.picture),
                goal: state.goal,
                threat: Threat { norm: self.task.norm, epsilon: item.epsilon },
            })
            .collect();
        let verdicts = verify(classifier, &proposals);
        for (state, verdict) in self.states.iter_mut().zip(verdicts) {
            state.forwards += 1;
            state.verdict = Some(verdict);
        }
        self.phase = Phase::Done;
    }
}

impl State {
    /// Takes the present iterate as the strongest if it is.
    fn consider(&mut self, logits: &[f32], restart: u32, step: u32, last: bool) {
        let success = self.goal.reached(logits);
        // What is not a number is never the strongest.
        let objective = self.goal.objective(logits);
        let objective = if objective.is_nan() { f32::NEG_INFINITY } else { objective };
        let rank = (success, success && last, objective);
        let better = match &self.best {
            None => true,
            Some(best) => match (rank.0, rank.1).cmp(&(best.rank.0, best.rank.1)) {
                std::cmp::Ordering::Greater => true,
                std::cmp::Ordering::Equal => rank.2 > best.rank.2,
                std::cmp::Ordering::Less => false,
            },
        };
        if better {
            self.best = Some(Best { picture: self.point.clone(), rank, step, restart });
        }
    }
}

/// The sub-stream of a restart on a picture. There are fewer than 2⁸ restarts.
fn stream(id: u32, restart: u32) -> u64 {
    (id as u64) << 8 | restart as u64
}

/// Runs an attack to its end.
///
/// # Panics
/// As [`Run::new`].
pub fn run(classifier: &mut dyn Classifier, task: Task, record: Record) -> Vec<Outcome> {
    let mut run = Run::new(classifier.input(), classifier.classes(), task, record);
    while !run.step(classifier) {}
    run.finish()
}
