//! An attack on any number of pictures, as a state machine: one call of the classifier per step, for all pictures that
//! still need it, so that a worker can stop or turn to newer work in between.
//!
//! Every picture has its own label, target, ε, random numbers and search, and its result does not depend on the batch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::oracle::{Answer, Oracle, Question};
use super::subject::{Found, Subject};
use super::{Aim, Goal, Method, Proposal, Searching, Story, Verdict, verify};
use crate::experiment::AttackSettings;
use crate::nn::{Classifier, Shape, softmax};
use crate::threat::{Norm, Norms, Threat};

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
    /// Other pictures, (M, C, H, W) in [0, 1], at which attacks may start that must start beyond the boundary. None are
    /// needed: such attacks then start from noise.
    pub others: Vec<f32>,
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
    /// What was found, C·H·W values: the strongest picture, also when the attack has failed, or the one with the smallest
    /// perturbation that reaches the goal, and x itself if there is none.
    pub adversarial: Vec<f32>,
    /// Whether the verification found that it is allowed and reaches the goal.
    pub success: bool,
    /// Whether it reaches the goal with pixels in [0, 1], be its perturbation allowed or greater than ε.
    pub reached: bool,
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
    /// The step size that was used last; 0 if the attack has none.
    pub alpha: f32,
    /// Gradient evaluations.
    pub gradients: u32,
    /// Forward evaluations beyond those within gradients, those of the verification included.
    pub forwards: u32,
    /// The steps of that restart, if they were to be kept.
    pub trace: Option<Trace>,
    /// What else the attack has to tell, with [`Record::Trace`].
    pub story: Option<Story>,
}

/// The path of one restart: T steps, T + 1 entries; entry 0 is the start. Long searches leave steps out.
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

/// Pictures that the classifier is asked about at once, at most, unless one search alone asks about more.
const BATCH: usize = 256;

/// An attack on a batch under way.
pub struct Run {
    method: Method,
    task: Task,
    input: Shape,
    record: Record,
    classes: usize,
    states: Vec<State>,
    phase: Phase,
    /// The searches that wait for an answer, in the order in which they get one.
    waiting: VecDeque<Waiting>,
    logits: Vec<f32>,
    gradient: Vec<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The logits at x.
    Clean,
    /// The searches.
    Search,
    /// Judging the results.
    Verify,
    Done,
}

/// A search and what it waits for.
struct Waiting {
    /// Which picture.
    index: usize,
    search: Searching,
    oracle: Oracle,
    question: Question,
}

/// What is known of one picture.
struct State {
    goal: Goal,
    clean: Vec<f32>,
    found: Option<Found>,
    gradients: u32,
    forwards: u32,
    verdict: Option<Verdict>,
}

impl Run {
    /// Prepares an attack on pictures of the shape `input`, for a classifier with `classes` classes.
    ///
    /// # Panics
    /// If there are not as many pictures as items, or a label or target is not a class.
    pub fn new(input: Shape, classes: usize, task: Task, record: Record) -> Self {
        let pixels = input.len();
        assert_eq!(task.images.len(), task.items.len() * pixels, "one picture of {pixels} values for each item");
        assert!(task.others.len().is_multiple_of(pixels), "other pictures of {pixels} values");
        let state = |item: &Item| {
            assert!((item.label as usize) < classes, "label {} of {classes} classes", item.label);
            assert!(item.target.is_none_or(|target| (target as usize) < classes), "a target of {classes} classes");
            let goal = Goal::new(item.label, item.target);
            State { goal, clean: Vec::new(), found: None, gradients: 0, forwards: 0, verdict: None }
        };
        Self {
            method: task.settings.method,
            input,
            record,
            classes,
            states: task.items.iter().map(state).collect(),
            task,
            phase: Phase::Clean,
            waiting: VecDeque::new(),
            logits: Vec::new(),
            gradient: Vec::new(),
        }
    }

    /// Does the next piece of work: at most one call of the classifier. Says whether the attack is done.
    ///
    /// # Panics
    /// If the classifier has another shape or another number of classes than the run was prepared for.
    pub fn step(&mut self, classifier: &mut dyn Classifier) -> bool {
        match self.phase {
            Phase::Clean => self.clean(classifier),
            Phase::Search => self.answer(classifier),
            Phase::Verify => self.verify(classifier),
            Phase::Done => {}
        }
        self.phase == Phase::Done
    }

    /// How much of how much has been done, roughly.
    pub fn progress(&self) -> (u32, u32) {
        let each = self.method.cost(&self.task.settings) + 2;
        let all = each * self.states.len() as u32;
        let mut done = self.states.len() as u32 * each;
        for Waiting { index, .. } in &self.waiting {
            let state = &self.states[*index];
            done -= each - (state.gradients + state.forwards).min(each - 1);
        }
        match self.phase {
            Phase::Clean => (0, all),
            Phase::Search | Phase::Verify => (done.min(all - 1), all),
            Phase::Done => (all, all),
        }
    }

    /// The results, one for each item in order.
    ///
    /// # Panics
    /// If the attack is not done.
    pub fn finish(self) -> Vec<Outcome> {
        assert!(self.phase == Phase::Done, "step until the attack is done");
        let record = self.record;
        self.states
            .into_iter()
            .zip(&self.task.items)
            .filter_map(|(state, item)| {
                let (found, verdict) = (state.found?, state.verdict?);
                Some(Outcome {
                    adversarial: found.adversarial,
                    success: verdict.success,
                    reached: verdict.reached,
                    already_wrong: Goal::Leave(item.label).reached(&state.clean),
                    logits: state.clean,
                    adversarial_logits: verdict.logits,
                    norms: verdict.norms,
                    best_step: found.best_step,
                    restart: found.restart,
                    alpha: found.alpha,
                    gradients: state.gradients,
                    forwards: state.forwards,
                    trace: (record == Record::Trace).then_some(found.trace),
                    story: found.story.filter(|_| record == Record::Trace),
                })
            })
            .collect()
    }

    /// The logits at x, and the beginning of every search that is needed.
    fn clean(&mut self, classifier: &mut dyn Classifier) {
        let found = (classifier.input(), classifier.classes());
        assert_eq!(found, (self.input, self.classes), "another classifier");
        self.logits.resize(self.states.len() * self.classes, 0.0);
        classifier.logits(&self.task.images, &mut self.logits);
        let others: Arc<[f32]> = std::mem::take(&mut self.task.others).into();
        let pixels = self.input.len();
        for (index, item) in self.task.items.iter().enumerate() {
            let state = &mut self.states[index];
            let image = &self.task.images[index * pixels..][..pixels];
            state.clean = self.logits[index * self.classes..][..self.classes].to_vec();
            state.forwards += 1;
            if self.record == Record::FirstSuccess && state.goal.reached(&state.clean) {
                state.found = Some(Found {
                    adversarial: image.to_vec(),
                    alpha: self.method.alpha(&self.task.settings, item.epsilon),
                    ..Found::default()
                });
                continue;
            }
            let subject = Subject {
                image: image.to_vec(),
                shape: self.input,
                clean: state.clean.clone(),
                item: *item,
                goal: state.goal,
                norm: self.task.norm,
                settings: self.task.settings.clone(),
                seed: self.task.seed,
                record: self.record,
                others: others.clone(),
            };
            let (oracle, ours) = Oracle::pair();
            let search = self.method.search(subject, oracle);
            self.waiting.extend(state.resume(index, search, ours));
        }
        self.phase = if self.waiting.is_empty() { Phase::Verify } else { Phase::Search };
    }

    /// Answers as many questions of one kind as fit into a batch, and lets their searches go on.
    fn answer(&mut self, classifier: &mut dyn Classifier) {
        let pixels = self.input.len();
        let with_gradient = self.waiting.front().is_some_and(|first| first.question.cotangent.is_some());
        let (mut asked, mut rest, mut images) = (Vec::new(), VecDeque::new(), Vec::new());
        for waiting in self.waiting.drain(..) {
            let fits = images.is_empty() || images.len() + waiting.question.pictures.len() <= BATCH * pixels;
            if fits && waiting.question.cotangent.is_some() == with_gradient {
                images.extend_from_slice(&waiting.question.pictures);
                asked.push(waiting);
            } else {
                rest.push_back(waiting);
            }
        }
        self.waiting = rest;
        let classes = self.classes;
        self.logits.resize(images.len() / pixels * classes, 0.0);
        if with_gradient {
            self.gradient.resize(images.len(), 0.0);
            let mut cotangent = |logits: &[f32], cotangent: &mut [f32]| {
                let mut rows = logits.chunks_exact(classes).zip(cotangent.chunks_exact_mut(classes));
                for Question { pictures, cotangent } in asked.iter_mut().map(|waiting| &mut waiting.question) {
                    let rows = rows.by_ref().take(pictures.len() / pixels);
                    for (n, (logits, row)) in rows.enumerate() {
                        if let Some(cotangent) = cotangent {
                            cotangent(n, logits, row);
                        }
                    }
                }
            };
            classifier.input_gradient(&images, &mut self.logits, &mut cotangent, &mut self.gradient);
        } else {
            classifier.logits(&images, &mut self.logits);
            self.gradient.clear();
        }
        let mut from = 0;
        for Waiting { index, search, oracle, question } in asked {
            let to = from + question.pictures.len() / pixels;
            let gradient = if with_gradient { &self.gradient[from * pixels..to * pixels] } else { &[] };
            oracle.answer(Answer {
                logits: self.logits[from * classes..to * classes].to_vec(),
                gradient: gradient.to_vec(),
            });
            let state = &mut self.states[index];
            let count = if with_gradient { &mut state.gradients } else { &mut state.forwards };
            *count += (to - from) as u32;
            self.waiting.extend(state.resume(index, search, oracle));
            from = to;
        }
        if self.waiting.is_empty() {
            self.phase = Phase::Verify;
        }
    }

    fn verify(&mut self, classifier: &mut dyn Classifier) {
        let measured = self.method.aim() != Aim::Transformation;
        let proposals: Vec<Proposal> = self
            .states
            .iter()
            .zip(&self.task.items)
            .zip(self.task.images.chunks_exact(self.input.len()))
            .map(|((state, item), image)| Proposal {
                image,
                adversarial: state.found.as_ref().map_or(image, |found| &found.adversarial),
                goal: state.goal,
                threat: Threat { norm: self.task.norm, epsilon: if measured { item.epsilon } else { f32::INFINITY } },
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
    /// Lets a search go on until its next question. It waits for nothing else.
    fn resume(&mut self, index: usize, mut search: Searching, oracle: Oracle) -> Option<Waiting> {
        match search.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(found) => {
                self.found = Some(found);
                None
            }
            Poll::Pending => {
                let question = oracle.take().expect("a search waits for nothing but its oracle");
                Some(Waiting { index, search, oracle, question })
            }
        }
    }
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
