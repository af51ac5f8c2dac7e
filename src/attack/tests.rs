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
    Task {
        images: images.to_vec(),
        items: items.collect(),
        norm,
        settings: settings.clone(),
        seed: 3,
        others: Vec::new(),
    }
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
        Method::all().filter(move |method| method.norms().contains(&norm)).flat_map(move |method| {
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
            assert_eq!(trace.iterates.len(), trace.losses.len() * PIXELS);
            assert!(trace.iterates.iter().chain(&outcome.adversarial).all(|p| (0.0..=1.0).contains(p)));
            let bounded = trace.norms.iter().chain([&outcome.norms]).all(|n| n.of(norm) <= most);
            assert!(bounded || settings.method.aim() != Aim::Strongest, "{norm} {settings:?}");
            assert_eq!(outcome.success, outcome.reached && outcome.norms.of(norm) <= most, "{norm} {settings:?}");
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
            assert!(late.gradients <= settings.method.cost(&settings) + 1, "{settings:?}: {}", late.gradients);
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
            assert!(
                Objective::CrossEntropy.value(goal, &outcome.adversarial_logits)
                    > Objective::CrossEntropy.value(goal, &outcome.logits)
            );
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
        assert!(
            Objective::CrossEntropy.value(goal, &outcome.adversarial_logits)
                >= Objective::CrossEntropy.value(goal, &outcome.logits)
        );
    }
}

#[test]
fn confident_pictures_are_moved_all_the_same() {
    // Logits tens apart: softmax in single precision is exactly 1 and 1 − p is 0, and so would the gradient be.
    let mut classifier = Curved::new(5.0);
    let (images, labels) = pictures(&mut classifier, 40);
    let settings = AttackSettings { method: Method::FGSM, ..Default::default() };
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
fn attacks_have_names_of_their_own_and_parameters_that_links_can_carry() {
    let taken = [
        "data", "picture", "own", "label", "model", "compare", "norm", "eps", "attack", "steps", "alpha", "start",
        "restarts", "target", "seed", "step", "plane", "scale",
    ];
    for (i, method) in Method::all().enumerate() {
        assert!(Method::all().skip(i + 1).all(|other| other.key() != method.key() && other.title() != method.title()));
        assert_eq!(Method::from_key(method.key()), Some(method));
        assert_eq!(serde_json::from_str::<Method>(&serde_json::to_string(&method).unwrap()).unwrap(), method);
        assert!(!method.summary().is_empty() && !method.paper().is_empty());
        let parameters = method.parameters();
        for (i, parameter) in parameters.iter().enumerate() {
            assert!(parameter.allows(parameter.default()) && !parameter.allows(f32::NAN), "{parameter:?}");
            assert_eq!(parameter.read(&parameter.written(parameter.default())), Some(parameter.default()));
            assert!(!taken.contains(&parameter.key) && !parameter.label.is_empty() && !parameter.help.is_empty());
            assert!(parameters[i + 1..].iter().all(|other| other.key != parameter.key));
        }
    }
    assert!(serde_json::from_str::<Method>("\"magic\"").unwrap_err().to_string().contains("choose one of fgsm, pgd"));
}

#[test]
fn objectives_grow_along_their_gradients_whatever_the_shift_of_the_logits() {
    let logits = [0.5f32, -1.25, 2.0, 0.125, 1.0];
    for objective in [Objective::CrossEntropy, Objective::Margin, Objective::Dlr] {
        for goal in (0..5).flat_map(|class| [Goal::Leave(class), Goal::Reach(class)]) {
            let mut slope = [0.0; 5];
            objective.cotangent(goal, &logits, &mut slope);
            for class in 0..5 {
                let at = |h: f32| {
                    let mut moved = logits;
                    moved[class] += h;
                    objective.value(goal, &moved)
                };
                let difference = (at(0.01) - at(-0.01)) / 0.02;
                assert!(
                    (difference - slope[class]).abs() < 2e-3,
                    "{objective:?} {goal:?} {class}: {difference} {slope:?}"
                );
            }
            // A mask of 0 instead of −∞ would be the maximum here.
            let shifted = logits.map(|logit| logit - 100.0);
            let (plain, moved) = (objective.value(goal, &logits), objective.value(goal, &shifted));
            assert!((plain - moved).abs() < 1e-4, "{objective:?} {goal:?}: {plain} {moved}");
            let mut again = [0.0; 5];
            objective.cotangent(goal, &shifted, &mut again);
            assert!(slope.iter().zip(again).all(|(a, b)| (a - b).abs() < 1e-4));
            if objective != Objective::CrossEntropy {
                assert_eq!(plain > 0.0, goal.reached(&logits));
            }
        }
    }
}

#[test]
fn one_step_of_pgd_as_long_as_the_ball_is_wide_is_fgsm() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 12);
    let fgsm = AttackSettings { method: Method::FGSM, ..Default::default() };
    let pgd = AttackSettings { steps: 1, alpha: Some(0.125), ..Default::default() };
    let [one, other] = [fgsm, pgd]
        .map(|settings| run(&mut classifier, task(&images, &labels, Norm::Linf, 0.125, &settings), Record::Trace));
    assert_eq!(one, other);
}

#[test]
fn pgd_with_their_settings_is_mi_fgsm_and_auto_pgd() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 12);
    let plain = AttackSettings { steps: 8, ..Default::default() };
    let named = |key: &str| AttackSettings { method: Method::from_key(key).unwrap(), ..plain.clone() };
    let mi_fgsm = AttackSettings { alpha: Some(0.125 / 8.0), ..plain.clone() }.with("momentum", 1.0);
    let apgd = plain.clone().with("pace", 1.0);
    for (settings, key) in [(mi_fgsm, "mi-fgsm"), (apgd, "apgd")] {
        for norm in [Norm::Linf, Norm::L2] {
            let mut run =
                |settings| run(&mut classifier, task(&images, &labels, norm, 0.125, &settings), Record::Trace);
            assert_eq!(run(settings.clone()), run(named(key)), "{key} {norm}");
            assert_ne!(run(settings.clone()), run(plain.clone()), "{key} {norm}");
        }
    }
}

#[test]
fn adaptive_steps_climb_higher_and_their_story_has_the_checkpoints_of_the_paper() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 30);
    let settings = AttackSettings { steps: 100, ..Default::default() };
    let adaptive = settings.clone().with("pace", 1.0);
    let [constant, adaptive] = [settings, adaptive]
        .map(|settings| run(&mut classifier, task(&images, &labels, Norm::Linf, 0.1, &settings), Record::Trace));
    for (constant, adaptive) in constant.iter().zip(&adaptive) {
        let loss = |outcome: &Outcome, goal: Goal| Objective::CrossEntropy.value(goal, &outcome.adversarial_logits);
        let goal = Goal::Leave(crate::nn::softmax::predicted(&constant.logits) as u8);
        assert!(loss(adaptive, goal) > 0.999 * loss(constant, goal));
        let Some(Story::Pace { alphas, checkpoints }) = &adaptive.story else { panic!("no story") };
        let steps: Vec<u32> = checkpoints.iter().map(|checkpoint| checkpoint.step).collect();
        assert_eq!(steps, [22, 41, 57, 70, 80, 87, 93, 99]);
        assert_eq!((alphas.len(), alphas[0]), (100, 0.2));
        for Checkpoint { step, halved, .. } in checkpoints {
            let step = *step as usize;
            assert_eq!(alphas[step], alphas[step - 1] * if *halved { 0.5 } else { 1.0 });
        }
    }
}

#[test]
fn momentum_adds_up_normalised_gradients_and_zero_gradients_do_no_harm() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 4);
    let settings = AttackSettings { steps: 5, ..Default::default() }.with("momentum", 0.5);
    for outcome in run(&mut classifier, task(&images, &labels, Norm::Linf, 0.1, &settings), Record::Trace) {
        let Some(Story::Momentum { gradients, accumulated, cosines }) = outcome.story else { panic!("no story") };
        assert_eq!((gradients.len(), accumulated.len(), cosines.len()), (5 * PIXELS, 5 * PIXELS, 5));
        assert!((cosines[0] - 1.0).abs() < 1e-6);
        for (step, gradient) in gradients.chunks(PIXELS).enumerate() {
            assert!((gradient.iter().map(|g| g.abs()).sum::<f32>() - 1.0).abs() < 1e-5);
            for (p, g) in gradient.iter().enumerate() {
                let before = if step == 0 { 0.0 } else { accumulated[(step - 1) * PIXELS + p] };
                assert_eq!(accumulated[step * PIXELS + p], 0.5 * before + g);
            }
        }
    }
    let mut flat = Curved::new(0.0);
    let outcomes = run(&mut flat, task(&images, &[0; 4], Norm::Linf, 0.1, &settings), Record::Trace);
    for (outcome, image) in outcomes.iter().zip(images.chunks(PIXELS)) {
        assert_eq!(outcome.adversarial, image);
    }
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

/// The minimal attacks, under the norms that they know.
fn minimal() -> impl Iterator<Item = (Norm, AttackSettings)> {
    let minimal = Method::all().filter(|method| method.aim() == Aim::Smallest);
    minimal.flat_map(|method| {
        method.norms().iter().map(move |&norm| (norm, AttackSettings { method, ..Default::default() }))
    })
}

#[test]
fn minimal_attacks_give_a_perturbation_that_reaches_the_goal_whatever_epsilon_is() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 12);
    for (norm, settings) in minimal() {
        let tight = run(&mut classifier, task(&images, &labels, norm, 1e-6, &settings), Record::Strongest);
        let wide = run(&mut classifier, task(&images, &labels, norm, 100.0, &settings), Record::Strongest);
        for (tight, wide) in tight.iter().zip(&wide) {
            assert_eq!(
                (&tight.adversarial, tight.reached, tight.success),
                (&wide.adversarial, true, false),
                "{settings:?}"
            );
            assert!(wide.success, "{settings:?}");
        }
    }
}

#[test]
fn minimal_attacks_leave_misclassified_pictures_as_they_are() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 4);
    let wrong: Vec<u8> = labels.iter().map(|label| (label + 1) % CLASSES as u8).collect();
    for (norm, settings) in minimal() {
        for (i, outcome) in
            run(&mut classifier, task(&images, &wrong, norm, 0.1, &settings), Record::Trace).into_iter().enumerate()
        {
            assert!(outcome.success && outcome.already_wrong);
            assert_eq!(outcome.adversarial, images[i * PIXELS..][..PIXELS], "{settings:?}");
        }
    }
}

#[test]
fn a_minimal_attack_that_fails_gives_the_picture_itself_and_says_so() {
    // A classifier that says the same of every picture.
    let mut flat = Curved::new(0.0);
    let images = vec![0.25; 2 * PIXELS];
    for (norm, settings) in minimal() {
        for outcome in run(&mut flat, task(&images, &[0, 0], norm, 100.0, &settings), Record::Trace) {
            assert!(!outcome.success && !outcome.reached, "{settings:?}");
            assert_eq!(outcome.adversarial, images[..PIXELS]);
        }
    }
}

#[test]
fn minimal_attacks_towards_a_target_reach_it_or_say_that_they_failed() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 12);
    for (norm, settings) in minimal() {
        let settings = AttackSettings { target: Some(1), ..settings };
        let outcomes = run(&mut classifier, task(&images, &labels, norm, 100.0, &settings), Record::Strongest);
        for outcome in &outcomes {
            assert_eq!(outcome.success, crate::nn::softmax::predicted(&outcome.adversarial_logits) == 1);
        }
        let reached = outcomes.iter().filter(|outcome| outcome.success).count();
        assert!(reached >= 9, "{norm} {settings:?}: {reached} of 12");
    }
}

/// Logits that are linear in the picture: z_k = 4 · (x_k + x_{k+3} + …) in the middle of the box.
fn linear() -> Curved {
    let mut linear = Curved::new(0.0);
    for p in 0..PIXELS {
        linear.w[p % CLASSES * PIXELS + p] = 4.0;
    }
    linear
}

#[test]
fn deepfool_needs_one_step_on_a_linear_classifier_and_its_overshoot_stretches_the_whole_way() {
    let mut classifier = linear();
    // Class 0 leads class 1 by 4 · (6 · 0.1 − 5 · 0.02) = 2, and class 2 by 4; each boundary has the normal 4 · (±1)¹¹.
    let images: Vec<f32> = (0..PIXELS).map(|p| [0.6, 0.52, 0.42][p % 3]).collect();
    for (norm, distance) in [(Norm::L2, 2.0 / (4.0 * 11f32.sqrt())), (Norm::Linf, 2.0 / 44.0)] {
        let settings = AttackSettings { method: Method::from_key("deepfool").unwrap(), ..Default::default() };
        let outcome = run(&mut classifier, task(&images, &[0], norm, 1.0, &settings), Record::Trace).remove(0);
        assert!(outcome.success);
        let stretched = 1.02 * (distance + 1e-4);
        assert!((outcome.norms.of(norm) - stretched).abs() < 1e-5, "{norm}: {} {stretched}", outcome.norms.of(norm));
        let Some(Story::Boundaries(steps)) = outcome.story else { panic!("no story") };
        let [step] = &steps[..] else { panic!("{} steps", steps.len()) };
        assert_eq!((step.from, step.chosen), (0, 1));
        assert!((step.distance - distance).abs() < 1e-5 && (step.at_image + 2.0).abs() < 1e-4, "{step:?}");
        assert!((step.margins[2] / step.slopes[2]).abs() > step.distance);
    }
}

#[test]
fn carlini_wagner_finds_the_nearest_picture_of_a_linear_classifier_also_from_black_and_white() {
    let mut classifier = linear();
    // In black and white, where a change of variables through tanh has no slope: class 0 leads class 1 by 2, and the
    // five black pixels of class 1 and one white one of class 0 can come together.
    let images: Vec<f32> = (0..PIXELS).map(|p| if p == 0 { 1.0 } else { 0.0 }).collect();
    let settings = AttackSettings { method: Method::from_key("cw").unwrap(), ..Default::default() };
    let outcome = run(&mut classifier, task(&images, &[0], Norm::L2, 1.0, &settings), Record::Trace).remove(0);
    assert!(outcome.success);
    // Six pixels move by 1/12 each.
    let nearest = 0.5 / 6f32.sqrt();
    assert!((nearest..1.01 * nearest).contains(&outcome.norms.l2), "{} {nearest}", outcome.norms.l2);
    let Some(Story::Weights(rows)) = outcome.story else { panic!("no story") };
    assert_eq!(rows.len(), 9);
    assert!(rows.iter().any(|row| row.reached) && rows.last().unwrap().smallest.unwrap() < 1.02 * nearest);
}

#[test]
fn confidence_asks_for_a_margin() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 6);
    let settings = AttackSettings { method: Method::from_key("cw").unwrap(), ..Default::default() };
    for norm in [Norm::L2, Norm::Linf] {
        let [plain, sure] = [0.0, 0.5].map(|kappa| {
            run(
                &mut classifier,
                task(&images, &labels, norm, 100.0, &settings.clone().with("kappa", kappa)),
                Record::Strongest,
            )
        });
        for ((plain, sure), &label) in plain.iter().zip(&sure).zip(&labels) {
            assert!(sure.reached && sure.norms.of(norm) > plain.norms.of(norm));
            assert!(Goal::Leave(label).margin(&sure.adversarial_logits) >= 0.499);
        }
    }
}

fn method(key: &str) -> AttackSettings {
    AttackSettings { method: Method::from_key(key).unwrap(), ..Default::default() }
}

#[test]
fn the_best_trace_entry_is_the_result_and_only_traces_tell_stories() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 3);
    for attack in Method::all() {
        let settings = AttackSettings { method: attack, ..Default::default() };
        let norm = attack.norms().first().copied().unwrap_or_default();
        let task = task(&images, &labels, norm, budget(norm), &settings);
        for outcome in run(&mut classifier, task.clone(), Record::Trace) {
            let trace = outcome.trace.unwrap();
            assert_eq!(
                outcome.adversarial,
                trace.iterates[outcome.best_step as usize * PIXELS..][..PIXELS],
                "{attack}"
            );
            assert_eq!(trace.losses.len(), trace.norms.len());
            assert!(outcome.gradients + outcome.forwards > 2);
        }
        for outcome in run(&mut classifier, task, Record::Strongest) {
            assert!(outcome.trace.is_none() && outcome.story.is_none(), "{attack}");
        }
    }
}

#[test]
fn the_loss_at_the_result_is_never_below_that_at_the_picture() {
    let mut classifier = Curved::new(0.5);
    let (images, labels) = pictures(&mut classifier, 8);
    // Noise goes anywhere.
    for attack in Method::all().filter(|attack| attack.key() != "noise" && attack.key() != "square") {
        for &norm in if attack.norms().is_empty() { &[Norm::Linf] } else { attack.norms() } {
            let settings = AttackSettings { method: attack, ..Default::default() };
            let task = task(&images, &labels, norm, budget(norm), &settings);
            for (outcome, &label) in run(&mut classifier, task, Record::Strongest).iter().zip(&labels) {
                let loss = |logits: &[f32]| Objective::CrossEntropy.value(Goal::Leave(label), logits);
                assert!(loss(&outcome.adversarial_logits) >= loss(&outcome.logits), "{attack} {norm}");
            }
        }
    }
}

#[test]
fn the_grid_of_rotations_has_all_combinations_and_its_worst_is_the_result() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 3);
    let settings = method("spatial").with("grid", 3.0).with("shift", 1.0);
    for (outcome, &label) in
        run(&mut classifier, task(&images, &labels, Norm::Linf, 0.0, &settings), Record::Trace).iter().zip(&labels)
    {
        let Some(Story::Grid(grid)) = &outcome.story else { panic!("no story") };
        let Grid { angles, shifts, losses, reached, chosen } = &**grid;
        assert_eq!((&angles[..], &shifts[..]), (&[-30.0, 0.0, 30.0][..], &[-1.0, 0.0, 1.0][..]));
        let worst = losses
            .iter()
            .zip(reached)
            .map(|(loss, reached)| (*reached, *loss))
            .reduce(|a, b| if b > a { b } else { a });
        let loss = Objective::CrossEntropy.value(Goal::Leave(label), &outcome.adversarial_logits);
        assert_eq!(worst, Some((outcome.success, loss)));
        // No rotation and no shift is the picture itself.
        let clean = Objective::CrossEntropy.value(Goal::Leave(label), &outcome.logits);
        assert!((losses[13] - clean).abs() < 1e-5 && angles.contains(&chosen.angle));
        // ε is 0 and plays no part.
        assert_eq!(outcome.success, outcome.reached);
    }
}

#[test]
fn following_the_slope_of_angle_and_shift_raises_the_loss() {
    let mut classifier = Curved::new(0.3);
    let (images, labels) = pictures(&mut classifier, 10);
    let settings = method("spatial").with("search", 1.0).with("shift", 1.0);
    let mut rises = 0;
    for outcome in run(&mut classifier, task(&images, &labels, Norm::Linf, 0.0, &settings), Record::Trace) {
        let Some(Story::Path(path)) = &outcome.story else { panic!("no story") };
        assert_eq!(path.len(), 21);
        assert_eq!(path[0], Transform { angle: 0.0, down: 0.0, right: 0.0 });
        assert!(path.iter().all(|at| at.angle.abs() <= 30.0 && at.down.abs() <= 1.0 && at.right.abs() <= 1.0));
        let losses = outcome.trace.unwrap().losses;
        rises += (losses[20] > losses[0]) as u32;
    }
    assert!(rises >= 8, "{rises} of 10");
}

#[test]
fn a_flow_reaches_the_goal_and_gets_smoother() {
    let mut classifier = Curved::new(2.0);
    let (images, labels) = pictures(&mut classifier, 10);
    let settings = method("flow").with("rate", 0.1);
    let outcomes = run(&mut classifier, task(&images, &labels, Norm::Linf, 0.0, &settings), Record::Trace);
    let mut reached = 0;
    for outcome in outcomes {
        let Some(Story::Flow { field, roughnesses }) = &outcome.story else { panic!("no story") };
        assert_eq!((field.len(), roughnesses.len()), (2 * PIXELS, outcome.trace.unwrap().losses.len()));
        assert_eq!(outcome.success, field.iter().any(|shift| *shift != 0.0));
        reached += outcome.success as u32;
    }
    assert!(reached >= 6, "{reached} of 10");
}

#[test]
fn queries_are_counted_and_progress_only_improves() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 6);
    for (key, norm) in [("square", Norm::Linf), ("square", Norm::L2), ("boundary", Norm::L2)] {
        let settings = method(key).with("queries", 200.0);
        for outcome in run(&mut classifier, task(&images, &labels, norm, 0.05, &settings), Record::Trace) {
            let Some(Story::Queries { measure, points, steps }) = &outcome.story else { panic!("no story") };
            assert_eq!(outcome.gradients, 0);
            // Those at x and of the judge are not the attack's.
            let asked = outcome.forwards - 2;
            assert!(asked <= 200 + 1 && points.last().unwrap().0 <= asked, "{key}: {asked}");
            assert_eq!(steps.len(), outcome.trace.unwrap().losses.len(), "{key}");
            let improves = |pair: &[(u32, f32)]| match measure {
                Measure::Margin => pair[1].1 > pair[0].1,
                Measure::Length => pair[1].1 < pair[0].1,
            };
            assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && improves(pair)));
        }
    }
}

#[test]
fn the_boundary_attack_sees_nothing_but_the_class_and_starts_at_a_picture_that_is_offered() {
    let mut classifier = Curved::new(1.0);
    let (images, labels) = pictures(&mut classifier, 6);
    let other = labels.iter().position(|label| *label != labels[0]).expect("two classes");
    let others = images[other * PIXELS..][..PIXELS].to_vec();
    let task =
        Task { others: others.clone(), ..task(&images[..PIXELS], &labels[..1], Norm::L2, 0.1, &method("boundary")) };
    let plain = run(&mut classifier, task.clone(), Record::Trace).remove(0);
    let Some(Story::Queries { points, .. }) = &plain.story else { panic!("no story") };
    assert_eq!(points[0], (1, Norms::between(&images[..PIXELS], &others).l2));
    assert!(plain.norms.l2 < 0.5 * points[0].1, "{points:?}");
    // All scores shifted: the same walk.
    classifier.shift = -100.0;
    let shifted = run(&mut classifier, task, Record::Trace).remove(0);
    assert!((shifted.norms.l2 - plain.norms.l2).abs() < 1e-3);
}
