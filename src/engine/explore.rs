//! The answer to an experiment, part by part, the cheap ones first.
//!
//! Nothing here knows of browsers: what to do between two pieces of work, and what time it is, is the [`Host`]'s.

use std::collections::VecDeque;

use super::grid::{Band, Grid, Section, Survey};
use super::protocol::{AttackPart, CurvePart, GradientPart, Part, PlanePart};
use crate::attack::{Aim, Goal, Item, Outcome, Record, Run, Story, Task};
use crate::evaluate::Curve;
use crate::experiment::Experiment;
use crate::explain::{PlaneView, Sampled, gradient_map};
use crate::nn::{Classifier, Executor, softmax};
use crate::threat::length;

/// Values of ε on the curve, 0 and the greatest included.
const CURVE_POINTS: usize = 33;
/// How much longer than the δ that was found the curve along it is.
const BEYOND: f32 = 2.0;
/// Pictures that all attacks of a curve against ε may ask about together: a curve that takes longer is not drawn.
const CURVE_COST: u32 = 200_000;
/// An attack that takes longer than this gives way to a newer experiment, in milliseconds. Shorter ones are finished:
/// while a slider moves, every experiment is soon an old one, and something must be shown.
const PATIENCE: f64 = 120.0;

/// What an experiment needs to be answered.
pub struct Materials {
    /// The picture, 784 values in [0, 1].
    pub image: Vec<f32>,
    /// Its own key of random numbers.
    pub id: u32,
    /// Its true class, as far as it is known.
    pub label: Option<u8>,
    /// The two pictures that span the plane, if pictures do.
    pub others: Option<[Vec<f32>; 2]>,
    /// The model, and the one it is compared with.
    pub classifiers: Vec<Executor>,
    /// The same for sampling planes; they need not agree to the last bit.
    pub for_planes: Vec<Executor>,
}

/// The surroundings of the work.
pub trait Host {
    /// Takes a part of the answer for the model in a slot.
    fn say(&mut self, slot: u8, part: Part);
    /// Milliseconds since some moment.
    fn now(&self) -> f64;
    /// Lets others work for a moment; says whether this answer is still wanted.
    fn go_on(&mut self) -> impl Future<Output = bool>;
    /// Tells helpers, if there are any, of the planes that bands will be of, one for each slot.
    fn share(&mut self, _sections: &[Section]) {}
    /// Gives a band to a helper who has room for it; says whether one had. It need not come back.
    fn give(&mut self, _band: Band) -> bool {
        false
    }
    /// Takes a band that a helper has brought back.
    fn take(&mut self) -> Option<(Band, Sampled)> {
        None
    }
}

/// Answers an experiment. Returns whether all of it was said; it ends early when it is no longer wanted.
pub async fn explore(experiment: &Experiment, materials: Materials, host: &mut impl Host) -> bool {
    let Materials { image, id, label, others, mut classifiers, mut for_planes } = materials;
    let label = label.unwrap_or_else(|| {
        // Nobody knows better than the first model.
        let mut logits = vec![0.0; classifiers[0].classes()];
        classifiers[0].logits(&image, &mut logits);
        softmax::predicted(&logits) as u8
    });
    let item = Item { id, label, target: experiment.attack.target, epsilon: experiment.threat.epsilon };

    let mut outcomes = Vec::with_capacity(classifiers.len());
    for (slot, classifier) in classifiers.iter_mut().enumerate() {
        let started = host.now();
        let task = Task {
            images: image.clone(),
            items: vec![item],
            norm: experiment.threat.norm,
            settings: experiment.attack.clone(),
            seed: experiment.seed,
            others: Vec::new(),
        };
        let mut run = Run::new(classifier.input(), classifier.classes(), task, Record::Trace);
        let mut breath = started;
        while !run.step(classifier) {
            if host.now() - breath > PATIENCE {
                if !host.go_on().await {
                    return false;
                }
                let (done, all) = run.progress();
                host.say(slot as u8, Part::Progress(done as f32 / all.max(1) as f32));
                breath = host.now();
            }
        }
        let outcome = run.finish().remove(0);
        let milliseconds = (host.now() - started) as f32;
        host.say(slot as u8, Part::Attack(attack_part(&image, label, &outcome, milliseconds)));
        outcomes.push(outcome);
    }
    if !host.go_on().await {
        return false;
    }

    let (mut sections, mut drawings) = (Vec::new(), Vec::new());
    for (slot, (classifier, outcome)) in classifiers.iter_mut().zip(&outcomes).enumerate() {
        let both = [&image[..], &outcome.adversarial].concat();
        let gradients = gradient_map(classifier, &both, &[label, label]);
        let (at_image, at_adversarial) = gradients.split_at(image.len());
        let (section, drawing) = view(experiment, &image, outcome, at_image, &others);
        sections.push(section);
        drawings.push(drawing);
        let part = GradientPart { at_image: at_image.to_vec().into(), at_adversarial: at_adversarial.to_vec().into() };
        host.say(slot as u8, Part::Gradient(part));
    }
    let mut curves = Vec::new();
    for (slot, (classifier, outcome)) in classifiers.iter_mut().zip(&outcomes).enumerate() {
        match experiment.attack.method.aim() {
            Aim::Strongest if experiment.attack.method.cost(&experiment.attack) <= CURVE_COST / CURVE_POINTS as u32 => {
                curves.push((slot, curve(experiment, &image, item, classifier)));
            }
            Aim::Smallest => host.say(slot as u8, Part::Curve(along(experiment, &image, item, outcome, classifier))),
            // A long attack for each ε, or nothing that grows with ε: there is no curve.
            Aim::Strongest | Aim::Transformation => host.say(slot as u8, Part::Curve(CurvePart::default())),
        }
    }
    planes_and_curves([&mut classifiers, &mut for_planes], &sections, &drawings, curves, host).await
}

/// Samples the planes and draws the curves: first the coarse planes, then the curves, then what is left of the planes, so
/// that all is seen early.
async fn planes_and_curves(
    [classifiers, for_planes]: [&mut [Executor]; 2],
    sections: &[Section],
    drawings: &[PlanePart],
    curves: Vec<(usize, (Vec<f32>, Curve))>,
    host: &mut impl Host,
) -> bool {
    let mut survey = Survey::new(classifiers.len());
    let mut curves = VecDeque::from(curves);
    let mut sample = |band: Band| {
        let slot = usize::from(band.slot);
        sections[slot].sample(&mut for_planes[slot], band)
    };

    // While a control moves it seldom comes to more than this, done alone: other cores are then needed to draw.
    while let Some(band) = survey.next_coarse() {
        if !host.go_on().await {
            return false;
        }
        survey.put(band, &sample(band));
    }
    say_planes(&mut survey, drawings, host);

    host.share(sections);
    while host.go_on().await {
        while let Some((band, sampled)) = host.take() {
            survey.put(band, &sampled);
        }
        while let Some(band) = survey.open()
            && host.give(band)
        {
            survey.lend(band);
        }
        if let Some((slot, (epsilon, curve))) = curves.front_mut() {
            if curve.step(&mut classifiers[*slot]) {
                host.say(*slot as u8, Part::Curve(curve_part(epsilon, curve)));
                curves.pop_front();
            }
        } else if let Some(band) = survey.next() {
            survey.put(band, &sample(band));
        }
        say_planes(&mut survey, drawings, host);
        if curves.is_empty() && survey.next().is_none() {
            return true;
        }
    }
    false
}

/// Says the planes that are complete.
fn say_planes(survey: &mut Survey, drawings: &[PlanePart], host: &mut impl Host) {
    while let Some(Grid { slot, side, sampled, finest }) = survey.take() {
        let Sampled { classes, confidence } = sampled;
        let part = PlanePart { side: side as u16, classes, confidence, finest, ..drawings[slot].clone() };
        host.say(slot as u8, Part::Plane(part));
    }
}

fn attack_part(image: &[f32], label: u8, outcome: &Outcome, milliseconds: f32) -> AttackPart {
    let classes = outcome.logits.len();
    let trace = outcome.trace.clone().unwrap_or_default();
    AttackPart {
        image: image.to_vec().into(),
        label,
        logits: outcome.logits.clone().into(),
        probabilities: softmax::probabilities(&outcome.logits, classes).into(),
        adversarial: outcome.adversarial.clone().into(),
        adversarial_logits: outcome.adversarial_logits.clone().into(),
        adversarial_probabilities: softmax::probabilities(&outcome.adversarial_logits, classes).into(),
        success: outcome.success,
        reached: outcome.reached,
        already_wrong: outcome.already_wrong,
        norms: outcome.norms,
        step_probabilities: trace.probabilities(classes).into(),
        losses: trace.losses.into(),
        step_norms: trace.norms,
        iterates: trace.iterates.into(),
        best_step: outcome.best_step,
        restart: outcome.restart,
        alpha: outcome.alpha,
        gradients: outcome.gradients,
        forwards: outcome.forwards,
        story: outcome.story.clone(),
        milliseconds,
    }
}

/// The plane of one model, and what is drawn on it but the decisions.
fn view(
    experiment: &Experiment,
    image: &[f32],
    outcome: &Outcome,
    gradient: &[f32],
    others: &Option<[Vec<f32>; 2]>,
) -> (Section, PlanePart) {
    let PlaneView { plane, extent, path, off_plane, landmarks, ball } =
        PlaneView::of(experiment, image, outcome, gradient, others.as_ref());
    let mut part = PlanePart {
        extent,
        path: path.into(),
        off_plane: off_plane.into(),
        landmarks: landmarks.into(),
        ball: ball.into(),
        ..PlanePart::default()
    };
    if let Some(Story::Boundaries(steps)) = &outcome.story {
        let along = |axis: &[f32], normal: &[f32]| axis.iter().zip(normal).map(|(a, n)| a * n).sum::<f32>();
        for step in steps {
            let [u, v] = plane.axes();
            part.lines.0.extend([step.at_image, along(u, &step.normal), along(v, &step.normal)]);
            part.line_classes.push(step.chosen);
        }
    }
    (Section { plane, extent }, part)
}

/// A curve that is still to be computed, and its values of ε.
fn curve(experiment: &Experiment, image: &[f32], item: Item, classifier: &Executor) -> (Vec<f32>, Curve) {
    let norm = experiment.threat.norm;
    let (input, classes) = (classifier.input(), classifier.classes());
    let greatest = norm.greatest_epsilon();
    let epsilon: Vec<f32> = (0..CURVE_POINTS).map(|i| greatest * i as f32 / (CURVE_POINTS - 1) as f32).collect();
    let curve = Curve::new(input, classes, image, item, norm, epsilon.clone(), &experiment.attack, experiment.seed);
    (epsilon, curve)
}

fn curve_part(epsilon: &[f32], curve: &Curve) -> CurvePart {
    let points = curve.points();
    CurvePart {
        epsilon: epsilon.to_vec().into(),
        probabilities: points.probabilities.clone().into(),
        smallest: points.smallest,
        along: false,
    }
}

/// What the classifier says at x + t · δ, cut to the box, for t from 0 to a little beyond 1.
fn along(
    experiment: &Experiment,
    image: &[f32],
    item: Item,
    outcome: &Outcome,
    classifier: &mut Executor,
) -> CurvePart {
    let norm = experiment.threat.norm;
    let full = length(norm, outcome.adversarial.iter().zip(image).map(|(after, x)| after - x)) as f32;
    if full == 0.0 {
        return CurvePart::default();
    }
    let shares: Vec<f32> = (0..CURVE_POINTS).map(|i| BEYOND * i as f32 / (CURVE_POINTS - 1) as f32).collect();
    let at =
        |share: f32| image.iter().zip(&outcome.adversarial).map(move |(x, a)| (x + share * (a - x)).clamp(0.0, 1.0));
    let pictures: Vec<f32> = shares.iter().flat_map(|&share| at(share)).collect();
    let classes = classifier.classes();
    let mut logits = vec![0.0; shares.len() * classes];
    classifier.logits(&pictures, &mut logits);
    let goal = Goal::new(item.label, item.target);
    let reached = logits.chunks_exact(classes).position(|logits| goal.reached(logits));
    CurvePart {
        epsilon: shares.iter().map(|share| share * full).collect::<Vec<_>>().into(),
        probabilities: softmax::probabilities(&logits, classes).into(),
        smallest: reached.map(|first| shares[first] * full),
        along: true,
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::collections::BTreeSet;

    use super::super::protocol;
    use super::*;
    use crate::attack::Method;
    use crate::data::{self, Dataset, PIXELS};
    use crate::experiment::{Picture, PlaneAxes};
    use crate::nn::{Architecture, Layer, Shape, Weights, weights::needed, zoo};
    use crate::random::{Random, Stream};
    use crate::threat::{Norm, Norms};

    const ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");

    fn materials(experiment: &Experiment) -> Materials {
        let examples = data::test_pictures(ASSETS.as_ref(), experiment.dataset).unwrap();
        let unit = |index: u32| data::to_unit(examples.picture(index as usize));
        let Picture::Test(index) = experiment.picture else { panic!("a test picture") };
        let classifiers: Vec<_> = std::iter::once(&experiment.model)
            .chain(&experiment.compare)
            .map(|name| {
                let card = zoo::find(experiment.dataset, name).unwrap();
                let bytes = std::fs::read(format!("{ASSETS}/models/{}", card.weights.file)).unwrap();
                Executor::new(&card.architecture, &Weights::read(&bytes).unwrap()).unwrap()
            })
            .collect();
        Materials {
            image: unit(index),
            id: index,
            label: Some(data::labels(experiment.dataset)[index as usize]),
            others: match experiment.view.plane {
                PlaneAxes::AttackAndRandom => None,
                PlaneAxes::Pictures(first, second) => Some([unit(first), unit(second)]),
            },
            for_planes: classifiers.clone(),
            classifiers,
        }
    }

    /// Takes down what is said, and stops the work after some breaths. Its helpers do a band each at every breath.
    #[derive(Default)]
    struct Clerk {
        said: Vec<(u8, Part)>,
        breaths: usize,
        helpers: Vec<Helper>,
        classifiers: Vec<Executor>,
        sections: Vec<Section>,
        back: VecDeque<(Band, Sampled)>,
    }

    /// What a helper has still to do, and how many bands it does before it is gone.
    struct Helper {
        bands: VecDeque<Band>,
        strength: usize,
    }

    impl Host for Clerk {
        fn say(&mut self, slot: u8, part: Part) {
            self.said.push((slot, part));
        }

        fn now(&self) -> f64 {
            0.0
        }

        async fn go_on(&mut self) -> bool {
            self.breaths = self.breaths.saturating_sub(1);
            for helper in self.helpers.iter_mut().filter(|helper| helper.strength > 0) {
                if let Some(band) = helper.bands.pop_front() {
                    let slot = usize::from(band.slot);
                    self.back.push_back((band, self.sections[slot].sample(&mut self.classifiers[slot], band)));
                    helper.strength -= 1;
                }
            }
            self.breaths > 0
        }

        fn share(&mut self, sections: &[Section]) {
            self.sections = sections.to_vec();
        }

        fn give(&mut self, band: Band) -> bool {
            let free = self.helpers.iter_mut().find(|helper| helper.bands.len() < 3);
            free.map(|helper| helper.bands.push_back(band)).is_some()
        }

        fn take(&mut self) -> Option<(Band, Sampled)> {
            self.back.pop_front()
        }
    }

    fn explored(experiment: &Experiment, breaths: usize) -> (bool, Vec<(u8, Part)>) {
        let mut clerk = Clerk { breaths, ..Clerk::default() };
        let done = futures::executor::block_on(explore(experiment, materials(experiment), &mut clerk));
        (done, clerk.said)
    }

    fn kind(part: &Part) -> &'static str {
        match part {
            Part::Progress(_) => "progress",
            Part::Attack(_) => "attack",
            Part::Gradient(_) => "gradient",
            Part::Curve(_) => "curve",
            Part::Plane(_) => "plane",
        }
    }

    #[test]
    fn the_cheap_parts_come_first_and_for_both_models() {
        let (said, _) = with_helpers(&[]);
        for slot in 0..2 {
            let parts: Vec<_> = said.iter().filter(|(to, _)| *to == slot).map(|(_, part)| kind(part)).collect();
            assert_eq!(parts, ["attack", "gradient", "plane", "curve", "plane", "plane"]);
        }
        let finest = said.iter().filter(|(_, part)| matches!(part, Part::Plane(plane) if plane.finest)).count();
        assert_eq!(finest, 2);
    }

    #[test]
    fn work_that_is_no_longer_wanted_stops() {
        let (done, said) = explored(&Experiment::default(), 2);
        assert!(!done);
        assert!(said.iter().all(|(_, part)| !matches!(part, Part::Curve(_))));
        assert!(matches!(said[0], (0, Part::Attack(_))), "the attack is always shown");
    }

    /// A network of one layer, so that planes are quickly sampled.
    fn linear(seed: u64) -> Executor {
        let head = Layer::Linear { name: "head".into(), out: 10 };
        let input = Shape { channels: 1, height: 28, width: 28 };
        let architecture = Architecture { input, layers: vec![Layer::Flatten, head] };
        let (mut weights, mut random) = (Weights::default(), Random::new(seed, Stream::Order, 0));
        for (name, shape) in needed(&architecture).unwrap() {
            let data = (0..shape.iter().product()).map(|_| random.normal()).collect();
            weights.insert(&name, shape, data).unwrap();
        }
        Executor::new(&architecture, &weights).unwrap()
    }

    /// Everything that is said of two networks, and the breaths it took.
    fn with_helpers(strengths: &[usize]) -> (Vec<(u8, Part)>, usize) {
        let experiment = Experiment { compare: Some("adversarial".into()), ..Experiment::default() };
        let classifiers = vec![linear(1), linear(2)];
        let helpers = strengths.iter().map(|&strength| Helper { bands: VecDeque::new(), strength }).collect();
        let mut clerk = Clerk { breaths: usize::MAX, helpers, classifiers: classifiers.clone(), ..Clerk::default() };
        let materials = Materials { for_planes: classifiers.clone(), classifiers, ..materials(&experiment) };
        assert!(futures::executor::block_on(explore(&experiment, materials, &mut clerk)));
        (clerk.said, usize::MAX - clerk.breaths)
    }

    /// To the bit, whatever the order.
    fn content(said: &[(u8, Part)]) -> BTreeSet<Vec<u8>> {
        said.iter().map(protocol::encode).collect()
    }

    #[test]
    fn helpers_make_it_faster_and_change_nothing() {
        let (said, alone) = with_helpers(&[]);
        for helpers in 1..=3 {
            let (helped, breaths) = with_helpers(&vec![usize::MAX; helpers]);
            assert!(content(&helped) == content(&said), "{helpers} helpers");
            assert!(breaths < alone / (helpers + 1) + 30, "{helpers} helpers: {breaths} breaths, {alone} alone");
        }
    }

    #[test]
    fn nothing_is_lost_with_helpers_who_stop() {
        // One never does anything, one stops at once, one in the finest grid.
        assert!(content(&with_helpers(&[0, 2, 50]).0) == content(&with_helpers(&[]).0));
    }

    #[test]
    fn parts_agree_with_one_another() {
        let mut experiment = Experiment { dataset: Dataset::Digits, ..Experiment::default() };
        experiment.picture = Picture::Test(3);
        // One of the curve's own values of ε.
        experiment.threat.epsilon = experiment.threat.norm.greatest_epsilon() * 8.0 / 32.0;
        let (_, said) = explored(&experiment, usize::MAX);
        let (mut attack, mut curve, mut plane) = (None, None, None);
        for (_, part) in said {
            match part {
                Part::Attack(part) => attack = Some(part),
                Part::Curve(part) => curve = Some(part),
                Part::Plane(part) => plane = Some(part),
                Part::Gradient(_) | Part::Progress(_) => {}
            }
        }
        let (attack, curve, plane) = (attack.unwrap(), curve.unwrap(), plane.unwrap());

        let steps = experiment.attack.steps as usize + 1;
        assert_eq!(attack.losses.len(), steps);
        assert_eq!(attack.iterates.len(), steps * PIXELS);
        assert_eq!(attack.iterates[..PIXELS], attack.image[..], "without a random start the path begins at x");
        assert_eq!(attack.norms, Norms::between(&attack.image, &attack.adversarial));

        let classes = attack.probabilities.len();
        assert_eq!(curve.epsilon[8], experiment.threat.epsilon);
        assert_eq!(curve.probabilities[8 * classes..9 * classes], attack.adversarial_probabilities[..]);
        assert_eq!(attack.success, curve.smallest.is_some_and(|smallest| smallest <= experiment.threat.epsilon));

        // The path ends in the plane, its end is ‖δ‖₂ from x, and the middle of the view is x itself.
        assert!(plane.off_plane[steps - 1].abs() < 1e-4);
        assert!((plane.path[2 * (steps - 1)] - attack.step_norms[steps - 1].l2).abs() < 1e-4);
        assert_eq!(plane.classes.len(), plane.side as usize * plane.side as usize);
    }

    #[test]
    fn for_the_smallest_perturbation_the_curve_follows_it_and_the_plane_shows_the_linearised_boundaries() {
        let mut experiment = Experiment::default();
        experiment.choose_attack(Method::from_key("deepfool").unwrap());
        experiment.threat = crate::threat::Threat { norm: Norm::L2, epsilon: 1.5 };
        let (_, said) = explored(&experiment, 20);
        let attack =
            said.iter().find_map(|(_, part)| if let Part::Attack(part) = part { Some(part) } else { None }).unwrap();
        let curve =
            said.iter().find_map(|(_, part)| if let Part::Curve(part) = part { Some(part) } else { None }).unwrap();
        let plane =
            said.iter().find_map(|(_, part)| if let Part::Plane(part) = part { Some(part) } else { None }).unwrap();
        assert!(attack.success && curve.along);
        let smallest = curve.smallest.unwrap();
        assert!(smallest > 0.0 && smallest <= attack.norms.l2 * 1.0001, "{smallest} of {}", attack.norms.l2);
        // x lies before the boundary as it is linearised there, and the first step goes towards it; the box may cut it.
        let lines: Vec<_> = plane.lines.chunks_exact(3).collect();
        assert!(!lines.is_empty() && lines.len() == plane.line_classes.len());
        let at =
            |line: &[f32], step: usize| line[0] + plane.path[2 * step] * line[1] + plane.path[2 * step + 1] * line[2];
        assert!(at(lines[0], 0) < 0.0 && at(lines[0], 1).abs() < 0.8 * at(lines[0], 0).abs());
    }
}
