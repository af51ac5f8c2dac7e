//! What attacks promise, on small classifiers whose best attacks are known.

use super::*;
use crate::nn::{Classifier, Shape};
use crate::threat::{Norms, rounding_slack};

const PIXELS: usize = 16;
const CLASSES: usize = 3;

/// A smooth, curved classifier: logits are rows of W · x + ½ · (V · x)², entry by entry.
#[derive(Clone)]
struct Curved {
    w: Vec<f32>,
    v: Vec<f32>,
    shift: f32,
    calls: Vec<usize>,
}

impl Curved {
    fn new(scale: f32) -> Self {
        let mut random = crate::random::Random::new(4, crate::random::Stream::Weights, 0);
        let mut draw = |n: usize| (0..n).map(|_| scale * random.normal()).collect();
        Self { w: draw(CLASSES * PIXELS), v: draw(CLASSES * PIXELS), shift: 0.0, calls: Vec::new() }
    }

    fn products(&self, image: &[f32]) -> Vec<(f32, f32)> {
        let dot = |row: &[f32]| row.iter().zip(image).map(|(w, x)| w * (x - 0.5)).sum::<f32>();
        self.w.chunks(PIXELS).zip(self.v.chunks(PIXELS)).map(|(w, v)| (dot(w), dot(v))).collect()
    }
}

impl Classifier for Curved {
    fn input(&self) -> Shape {
        Shape { channels: 1, height: 4, width: 4 }
    }

    fn classes(&self) -> usize {
        CLASSES
    }

    fn logits(&mut self, images: &[f32], logits: &mut [f32]) {
        self.calls.push(images.len() / PIXELS);
        for (image, logits) in images.chunks(PIXELS).zip(logits.chunks_mut(CLASSES)) {
            for ((w, v), logit) in self.products(image).into_iter().zip(logits) {
                *logit = self.shift + w + 0.5 * v * v;
            }
        }
    }

    fn input_gradient(
        &mut self,
        images: &[f32],
        logits: &mut [f32],
        cotangent: &mut dyn FnMut(&[f32], &mut [f32]),
        gradient: &mut [f32],
    ) {
        self.logits(images, logits);
        let mut cotangents = vec![0.0; logits.len()];
        cotangent(logits, &mut cotangents);
        gradient.fill(0.0);
        for (i, image) in images.chunks(PIXELS).enumerate() {
            for (k, (_, v)) in self.products(image).into_iter().enumerate() {
                let c = cotangents[i * CLASSES + k];
                for p in 0..PIXELS {
                    gradient[i * PIXELS + p] += c * (self.w[k * PIXELS + p] + v * self.v[k * PIXELS + p]);
                }
            }
        }
    }
}

/// Pictures with the labels that the classifier gives them.
fn pictures(classifier: &mut Curved, n: usize) -> (Vec<f32>, Vec<u8>) {
    let mut random = crate::random::Random::new(9, crate::random::Stream::Order, 0);
    // Black, white and grey pixels.
    let images: Vec<f32> = (0..n * PIXELS).map(|_| (1.5 * random.uniform() - 0.25).clamp(0.0, 1.0)).collect();
    let mut logits = vec![0.0; n * CLASSES];
    classifier.logits(&images, &mut logits);
    let labels = logits.chunks(CLASSES).map(|logits| crate::nn::softmax::predicted(logits) as u8).collect();
    (images, labels)
}

fn task(images: &[f32], labels: &[u8], norm: Norm, epsilon: f32, settings: &AttackSettings) -> Task {
    let items = labels.iter().zip(0..).map(|(&label, id)| Item { id, label, target: settings.target, epsilon });
    Task { images: images.to_vec(), items: items.collect(), norm, settings: settings.clone(), seed: 3 }
}

fn budget(norm: Norm) -> f32 {
    match norm {
        Norm::Linf => 0.15,
        Norm::L2 => 0.6,
        Norm::L1 => 1.5,
    }
}

/// Every attack under every norm, with and without randomness.
fn table() -> impl Iterator<Item = (Norm, AttackSettings)> {
    Norm::ALL.into_iter().flat_map(|norm| {
        Method::ALL.into_iter().flat_map(move |method| {
            [(false, 1), (true, 1), (false, 3)].map(|(random_start, restarts)| {
                (norm, AttackSettings { method, steps: 10, random_start, restarts, ..Default::default() })
            })
        })
    })
}

#[test]
fn every_iterate_of_every_attack_lies_in_the_ball_and_the_box() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 12);
    for (norm, settings) in table() {
        let epsilon = budget(norm);
        let most = epsilon + rounding_slack(norm, epsilon, PIXELS);
        let outcomes = run(&mut classifier, task(&images, &labels, norm, epsilon, &settings), Record::Trace);
        for outcome in outcomes {
            let trace = outcome.trace.unwrap();
            assert_eq!(trace.iterates.len(), (settings.method.schedule(&settings).steps as usize + 1) * PIXELS);
            assert!(trace.iterates.iter().chain(&outcome.adversarial).all(|p| (0.0..=1.0).contains(p)));
            assert!(trace.norms.iter().chain([&outcome.norms]).all(|n| n.of(norm) <= most), "{norm} {settings:?}");
            assert_eq!(
                outcome.adversarial,
                trace.iterates[outcome.best_step as usize * PIXELS..][..PIXELS],
                "{norm} {settings:?}"
            );
        }
    }
}

#[test]
fn a_pictures_result_depends_neither_on_the_batch_nor_on_who_is_in_it() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 12);
    for (norm, settings) in table() {
        for record in [Record::FirstSuccess, Record::Strongest, Record::Trace] {
            let all = task(&images, &labels, norm, budget(norm), &settings);
            let together = run(&mut classifier, all.clone(), record);
            for i in [0, 5, 11] {
                let images = images[i * PIXELS..][..PIXELS].to_vec();
                let alone = Task { images, items: vec![all.items[i]], ..all.clone() };
                assert_eq!(run(&mut classifier, alone, record), together[i..=i], "{norm} {settings:?}");
            }
        }
    }
}

#[test]
fn stopping_early_succeeds_exactly_where_running_on_does_and_takes_less() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 30);
    for (norm, settings) in table() {
        let task = task(&images, &labels, norm, budget(norm), &settings);
        let early = run(&mut classifier, task.clone(), Record::FirstSuccess);
        let late = run(&mut classifier, task, Record::Trace);
        let successes = |outcomes: &[Outcome]| outcomes.iter().map(|o| o.success).collect::<Vec<_>>();
        assert_eq!(successes(&early), successes(&late), "{norm} {settings:?}");
        for (early, late) in early.iter().zip(&late) {
            assert!(early.gradients <= late.gradients);
            let schedule = settings.method.schedule(&settings);
            assert_eq!(late.gradients, schedule.steps * schedule.restarts);
        }
        let found = early.iter().filter(|o| o.success).count();
        assert!(0 < found, "{norm} {settings:?}: nothing succeeded, so nothing was tested");
    }
}

#[test]
fn the_batch_shrinks_as_pictures_succeed() {
    let mut classifier = Curved::new(3.0);
    let (images, labels) = pictures(&mut classifier, 30);
    classifier.calls.clear();
    let settings = AttackSettings { steps: 20, ..Default::default() };
    run(&mut classifier, task(&images, &labels, Norm::Linf, 0.3, &settings), Record::FirstSuccess);
    let (first, last) = (classifier.calls[1], classifier.calls[classifier.calls.len() - 2]);
    assert_eq!(first, 30);
    assert!(last < 15, "{:?}", classifier.calls);
}

#[test]
fn misclassified_pictures_are_left_alone_and_counted_as_such_but_shown_under_attack() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 6);
    let wrong: Vec<u8> = labels.iter().map(|label| (label + 1) % CLASSES as u8).collect();
    let settings = AttackSettings { random_start: true, ..Default::default() };
    let task = task(&images, &wrong, Norm::Linf, 0.1, &settings);
    for (i, outcome) in run(&mut classifier, task.clone(), Record::FirstSuccess).into_iter().enumerate() {
        assert!(outcome.already_wrong && outcome.success);
        assert_eq!(outcome.adversarial, images[i * PIXELS..][..PIXELS]);
        assert_eq!((outcome.gradients, outcome.norms), (0, Norms::default()));
    }
    for outcome in run(&mut classifier, task, Record::Trace) {
        assert!(outcome.already_wrong);
        assert_eq!(outcome.gradients, settings.steps);
        assert_eq!(outcome.trace.unwrap().losses.len(), settings.steps as usize + 1);
    }
}

#[test]
fn a_failed_attack_gives_its_strongest_iterate_and_says_that_it_failed() {
    let mut classifier = Curved::new(0.01);
    let (images, labels) = pictures(&mut classifier, 8);
    let settings = AttackSettings { steps: 10, ..Default::default() };
    for record in [Record::FirstSuccess, Record::Trace] {
        let outcomes = run(&mut classifier, task(&images, &labels, Norm::Linf, 1e-4, &settings), record);
        assert!(outcomes.iter().any(|outcome| !outcome.success));
        for (outcome, label) in outcomes.iter().zip(&labels) {
            let goal = Goal::Leave(*label);
            assert_eq!(outcome.success, goal.reached(&outcome.adversarial_logits));
            assert!(goal.objective(&outcome.adversarial_logits) > goal.objective(&outcome.logits));
        }
    }
}

#[test]
fn targeted_attacks_lower_the_targets_loss_and_reach_it_given_room() {
    let mut classifier = Curved::new(2.0);
    let (images, labels) = pictures(&mut classifier, 20);
    let settings = AttackSettings { target: Some(1), steps: 40, ..Default::default() };
    let outcomes = run(&mut classifier, task(&images, &labels, Norm::Linf, 0.5, &settings), Record::Trace);
    let reached = outcomes.iter().filter(|outcome| outcome.success).count();
    assert!(reached > 15, "{reached} of 20");
    for outcome in &outcomes {
        let goal = Goal::Reach(1);
        assert_eq!(outcome.success, crate::nn::softmax::predicted(&outcome.adversarial_logits) == 1);
        assert!(goal.objective(&outcome.adversarial_logits) >= goal.objective(&outcome.logits));
    }
}

#[test]
fn confident_pictures_are_moved_all_the_same() {
    // Logits tens apart: softmax in single precision is exactly 1 and 1 − p is 0, and so would the gradient be.
    let mut classifier = Curved::new(5.0);
    let (images, labels) = pictures(&mut classifier, 40);
    let settings = AttackSettings { method: Method::Fgsm, ..Default::default() };
    let outcomes = run(&mut classifier, task(&images, &labels, Norm::Linf, 0.05, &settings), Record::Trace);
    let mut confident = 0;
    for (outcome, label) in outcomes.into_iter().zip(labels) {
        let mut p = [0.0; CLASSES];
        crate::nn::softmax::softmax(&outcome.logits, &mut p);
        // Beyond e⁻⁸⁷ the gradient itself is no longer a single-precision number.
        let others = (0..CLASSES).filter(|&k| k != label as usize).map(|k| outcome.logits[k]).fold(f32::MIN, f32::max);
        if p[label as usize] == 1.0 && outcome.logits[label as usize] - others < 80.0 {
            confident += 1;
            assert!(outcome.trace.unwrap().norms[1].linf > 0.04);
        }
    }
    assert!(confident > 5, "{confident}");
}

#[test]
fn a_shift_of_all_logits_changes_nothing() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 10);
    let settings = AttackSettings::default();
    let task = task(&images, &labels, Norm::L2, 0.6, &settings);
    let plain = run(&mut classifier, task.clone(), Record::Trace);
    classifier.shift = -64.0;
    let shifted = run(&mut classifier, task, Record::Trace);
    for (plain, shifted) in plain.iter().zip(&shifted) {
        assert_eq!(plain.success, shifted.success);
        assert!(plain.adversarial.iter().zip(&shifted.adversarial).all(|(p, s)| (p - s).abs() < 1e-2));
    }
}

#[test]
fn small_steps_from_the_picture_never_lower_the_loss_by_more_than_rounding() {
    let mut classifier = Curved::new(0.5);
    let (images, labels) = pictures(&mut classifier, 20);
    let settings = AttackSettings { steps: 20, alpha: Some(1e-3), ..Default::default() };
    for norm in Norm::ALL {
        let task = task(&images, &labels, norm, budget(norm), &settings);
        let outcomes = run(&mut classifier, task, Record::Trace);
        let mut mean = [0.0f32; 21];
        for outcome in outcomes {
            let losses = outcome.trace.unwrap().losses;
            mean.iter_mut().zip(losses).for_each(|(mean, loss)| *mean += loss / 20.0);
        }
        assert!(mean.windows(2).all(|pair| pair[1] > pair[0] - 1e-5), "{norm}: {mean:?}");
        assert!(mean[20] > mean[0]);
    }
}

#[test]
fn more_restarts_are_never_weaker_and_start_elsewhere() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 20);
    let with = |restarts| AttackSettings { steps: 3, restarts, ..Default::default() };
    let one = run(&mut classifier, task(&images, &labels, Norm::L2, 0.3, &with(1)), Record::Strongest);
    let many = run(&mut classifier, task(&images, &labels, Norm::L2, 0.3, &with(5)), Record::Strongest);
    for (one, many) in one.iter().zip(&many) {
        assert!(many.success >= one.success);
    }
    assert!(many.iter().any(|outcome| outcome.restart > 0));
}

#[test]
fn what_leaves_the_ball_or_the_box_is_no_success() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 1);
    let judge = |classifier: &mut Curved, adversarial: &[f32], label, epsilon| {
        let threat = crate::threat::Threat { norm: Norm::Linf, epsilon };
        let goal = Goal::Leave(label);
        verify(classifier, &[Proposal { image: &images, adversarial, goal, threat }]).remove(0)
    };
    let wrong = (labels[0] + 1) % CLASSES as u8;
    assert!(judge(&mut classifier, &images, wrong, 0.0).success);
    let mut far = images.clone();
    far[0] = 1.0 - far[0].round();
    assert!(!judge(&mut classifier, &far, wrong, 0.1).allowed);
    assert!(judge(&mut classifier, &far, wrong, 1.0).allowed);
    far[0] = 1.01;
    assert!(!judge(&mut classifier, &far, wrong, 2.0).success);
    far[0] = f32::NAN;
    assert!(!judge(&mut classifier, &far, wrong, 2.0).success);
}
