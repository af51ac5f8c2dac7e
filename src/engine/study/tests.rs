use std::rc::Rc;

use super::*;
use crate::attack::Method;
use crate::engine::protocol::{decode, encode};
use crate::evaluate;
use crate::explain::{self, Detail, MapSettings};
use crate::nn::zoo;
use crate::scene::{Fate, Scene};
use crate::threat::{Norm, Threat};

const ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");

/// Takes down what is said, and stops the study after some breaths.
struct Clerk {
    experiment: Experiment,
    said: Vec<Part>,
    breaths: usize,
    time: std::cell::Cell<f64>,
}

impl Host for Clerk {
    fn say(&mut self, part: Part) {
        // What cannot travel is of no use.
        self.said.push(decode(&encode(&part)).unwrap());
    }

    fn now(&self) -> f64 {
        // Time enough passes between any two looks at the clock for a breath.
        self.time.set(self.time.get() + 20.0);
        self.time.get()
    }

    async fn go_on(&mut self) -> bool {
        self.breaths = self.breaths.saturating_sub(1);
        self.breaths > 0
    }

    async fn model(&mut self, name: &str) -> Result<Network, String> {
        let card = zoo::find(self.experiment.dataset, name).ok_or("no such model")?;
        let bytes = std::fs::read(format!("{ASSETS}/models/{}", card.weights.file)).unwrap();
        let weights = Weights::read(&bytes).unwrap();
        let executor = Executor::new(&card.architecture, &weights).unwrap();
        Ok(Network { card, executor, weights: Rc::new(weights) })
    }

    async fn picture(&mut self, index: u32) -> Result<Vec<f32>, String> {
        let examples = data::test_pictures(ASSETS.as_ref(), self.experiment.dataset).unwrap();
        Ok(data::to_unit(examples.picture(index as usize)))
    }
}

fn done(study: &Study, experiment: &Experiment, breaths: usize) -> (Result<bool, String>, Vec<Part>) {
    let mut clerk = Clerk { experiment: experiment.clone(), said: Vec::new(), breaths, time: 0.0.into() };
    let outcome = futures::executor::block_on(run(study, experiment, &mut clerk));
    (outcome, clerk.said)
}

fn all(study: &Study, experiment: &Experiment) -> Vec<Part> {
    let (outcome, said) = done(study, experiment, usize::MAX);
    assert_eq!(outcome, Ok(true));
    said
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// Under L2 and with few steps, so that every attack is quick.
fn quick() -> Experiment {
    let mut experiment = Experiment { threat: Threat { norm: Norm::Linf, epsilon: 0.1 }, ..Experiment::default() };
    experiment.attack.steps = 5;
    experiment
}

#[test]
fn a_study_that_is_no_longer_wanted_stops_at_the_next_breath() {
    let plan = inside::Plan {
        models: names(&["standard"]),
        class: inside::Class::True,
        maps: explain::Method::all().map(MapSettings::of).collect(),
    };
    for study in [Study::Smallest, Study::Inside(plan), Study::Row(names(&["standard", "adversarial"]))] {
        let (outcome, _) = done(&study, &quick(), 3);
        assert_eq!(outcome, Ok(false), "{study:?}");
    }
}

#[test]
fn the_smallest_perturbation_of_an_attack_is_what_the_search_finds_by_itself() {
    let experiment = quick();
    let mut clerk = Clerk { experiment: experiment.clone(), said: Vec::new(), breaths: usize::MAX, time: 0.0.into() };
    // The dear attacks come last: the first rows are enough.
    let mut rows: Vec<Box<smallest::Row>> = Vec::new();
    clerk.breaths = 400;
    let _ = futures::executor::block_on(run(&Study::Smallest, &experiment, &mut clerk));
    let mut image = None;
    for part in clerk.said {
        match part {
            Part::Smallest(smallest::Part::Row(row)) => rows.push(row),
            Part::Smallest(smallest::Part::Picture { image: found, label, .. }) => image = Some((found, label)),
            _ => {}
        }
    }
    let (image, label) = image.unwrap();
    let fgsm = rows.iter().find(|row| row.method == Method::FGSM).expect("the cheapest is among the first");
    let mut classifier = futures::executor::block_on(async {
        let mut clerk = Clerk { experiment: quick(), said: Vec::new(), breaths: 9, time: 0.0.into() };
        clerk.model("standard").await.unwrap().executor
    });
    let item = crate::attack::Item { id: 0, label, target: None, epsilon: 0.0 };
    let settings = smallest::settings(&experiment, Method::FGSM);
    let minimum = evaluate::smallest(&mut classifier, &image, item, Norm::Linf, &settings, experiment.seed);
    let (found, expected) = (fgsm.found.as_ref().unwrap(), minimum.found.unwrap());
    assert_eq!((found.norms, found.epsilon), (expected.norms, expected.epsilon));
    assert_eq!((fgsm.runs, fgsm.gradients, fgsm.forwards), (minimum.runs, minimum.gradients, minimum.forwards));
}

#[test]
fn an_attack_keeps_its_own_settings_and_others_get_their_usual_ones() {
    let mut experiment = quick();
    experiment.attack = experiment.attack.with("momentum", 1.0);
    experiment.attack.alpha = Some(0.03);
    assert_eq!(smallest::settings(&experiment, Method::PGD), experiment.attack);
    let other = smallest::settings(&experiment, Method::FGSM);
    assert_eq!((other.values.len(), other.alpha, other.steps), (0, None, 5));
}

#[test]
fn every_map_of_every_model_is_shown_at_x_and_at_the_adversarial_picture() {
    let maps: Vec<_> = explain::Method::all().map(MapSettings::of).collect();
    let models = names(&["standard", "mlp"]);
    let plan = inside::Plan { models, class: inside::Class::Reached, maps: maps.clone() };
    let said = all(&Study::Inside(plan), &quick());
    let (mut attacked, mut shown, mut sums) = (0, 0, 0);
    for part in said {
        match part {
            Part::Inside(inside::Part::Attacked(part)) => {
                attacked += 1;
                let after = &part.probabilities[1];
                assert!(after.iter().all(|p| *p <= after[usize::from(part.class)]), "the class that is reached leads");
            }
            Part::Inside(inside::Part::Map { model, map, shown: Err(sentence), .. }) => {
                assert_eq!((model, maps[usize::from(map)].map.key()), (1, "grad-cam"), "{sentence}");
            }
            Part::Inside(inside::Part::Map { shown: Ok(map), .. }) => {
                shown += 1;
                assert_eq!(map.values.len(), data::PIXELS);
                sums += u32::from(matches!(map.detail, Detail::Completeness(_)));
            }
            _ => panic!("another part"),
        }
    }
    assert_eq!((attacked, shown, sums), (2, 2 * (2 * maps.len()) - 2, 4));
}

#[test]
fn lines_of_all_models_are_about_one_class_and_pass_through_the_picture() {
    let models = names(&["standard", "tanh"]);
    let plan = linearity::Plan { models, reach: 0.2, clipped: true };
    let said = all(&Study::Linearity(plan), &quick());
    assert_eq!(said.len(), 2);
    for (place, part) in said.into_iter().enumerate() {
        let Part::Linearity(linearity::Part { place: found, label, line }) = part else { panic!("another part") };
        assert_eq!((usize::from(found), label), (place, data::labels(data::Dataset::Fashion)[0]));
        assert_eq!(line.t[line.t.len() / 2], 0.0);
        assert_eq!((line.t[0], line.logits.len()), (-0.2, 10 * line.t.len()));
    }
}

#[test]
fn dot_products_grow_up_to_the_greatest_length() {
    let said = all(&Study::Dots(linearity::Dots { n: 784, m: 0.05, epsilon: 0.1 }), &quick());
    let Some(Part::Dots(dots)) = said.into_iter().next() else { panic!("another part") };
    assert_eq!(dots.last().unwrap().n, 784);
    assert!(dots.windows(2).all(|pair| pair[0].n < pair[1].n && pair[0].worst <= pair[1].worst));
    let few = all(&Study::Dots(linearity::Dots { n: 2, m: 0.05, epsilon: 0.1 }), &quick());
    assert!(matches!(&few[0], Part::Dots(dots) if dots.iter().map(|dot| dot.n).eq([1, 2])));
}

#[test]
fn the_matrix_is_counted_for_the_models_that_were_chosen_and_comes_with_its_pictures() {
    let plan =
        transfer::Plan { sources: names(&["standard"]), targets: names(&["adversarial", "standard"]), pictures: 8 };
    let said = all(&Study::Transfer(plan), &quick());
    let Some(Part::Transfer(transfer::Part { matrix, pictures })) = said.into_iter().last() else {
        panic!("another part")
    };
    assert_eq!((matrix.pictures, matrix.cells.len()), (8, 2));
    let [robust, itself] = [0, 1].map(|target| matrix.cell(0, target).unwrap());
    assert_eq!(itself.fooled, itself.both);
    assert!(itself.fooled >= robust.fooled);
    for example in matrix.cells.iter().flat_map(|cell| &cell.examples) {
        assert!(pictures.iter().any(|(id, image)| *id == example.id && image.len() == data::PIXELS));
    }
    let nothing = transfer::Plan { sources: Vec::new(), targets: names(&["standard"]), pictures: 8 };
    assert!(done(&Study::Transfer(nothing), &quick(), 9).0.unwrap_err().contains("at least one source"));
}

#[test]
fn the_row_shows_the_same_perturbation_to_all() {
    let models = names(&["standard", "adversarial"]);
    let said = all(&Study::Row(models), &quick());
    let Some(Part::Row(row)) = said.into_iter().next() else { panic!("another part") };
    assert!(row.success);
    assert_eq!(row.said[0].model, "standard");
    assert!(row.said[0].after != row.label && row.said[0].before == row.label);
    assert!(row.norms.linf <= 0.1001);
}

/// A network for the scene that says class 1 above y = ½ + `shift`, whatever x is.
fn learnt(shift: f32) -> gap::Learnt {
    let architecture = crate::trainer::protocol::Job::of_scene(Scene::Wave, 1, 0).architecture;
    let mut weights = Weights::default();
    for (name, shape) in crate::nn::weights::needed(&architecture).unwrap() {
        let mut values = vec![0.0; shape.iter().product()];
        // The second input, from −1 to 1, is carried up and down by two units of each layer to the two logits.
        match name.as_str() {
            "fc1.weight" => (values[1], values[3]) = (1.0, -1.0),
            "fc1.bias" => (values[0], values[1]) = (-2.0 * shift, 2.0 * shift),
            "fc2.weight" => (values[0], values[33]) = (1.0, 1.0),
            "fc3.weight" => (values[1], values[32]) = (9.0, 9.0),
            _ => {}
        }
        weights.insert(&name, shape, values).unwrap();
    }
    gap::Learnt { scene: Scene::Wave, weights: weights.write(crate::nn::weights::Dtype::Float32).unwrap() }
}

fn in_the_square(norm: Norm, epsilon: f32) -> Experiment {
    Experiment { threat: Threat { norm, epsilon }, ..Experiment::default() }
}

#[test]
fn a_point_is_attacked_as_a_picture_is_and_its_fate_is_told() {
    // The true boundary is at y = 0.72 where x = ¼; the network believes in ½.
    let point = |at: [f32; 2], epsilon: f32| {
        let said = all(&Study::Point(learnt(0.0), at), &in_the_square(Norm::L2, epsilon));
        let Some(Part::Point(point)) = said.into_iter().next() else { panic!("another part") };
        *point
    };
    let gap = point([0.25, 0.6], 0.05);
    assert_eq!((gap.label, gap.predicted), (0, 1), "between the boundaries the network errs");
    let near = point([0.25, 0.45], 0.1);
    assert_eq!((near.label, near.predicted, near.end_predicted, near.fate), (0, 0, 1, Fate::Adversarial));
    assert!(near.norms.l2 <= 0.1001 && near.end[1] > 0.5);
    assert_eq!(near.path[..2], [0.25, 0.45]);
    let far = point([0.25, 0.2], 0.1);
    assert_eq!((far.end_predicted, far.fate), (0, Fate::Right));
    let across = point([0.5, 0.45], 0.1);
    assert_eq!((across.label, across.fate), (0, Fate::Changed), "there the boundaries meet");
}

#[test]
fn every_attack_that_the_scene_offers_runs_on_points() {
    for key in gap::ATTACKS {
        let method = Method::from_key(key).unwrap();
        for &norm in method.norms() {
            let mut experiment = in_the_square(norm, 0.1);
            experiment.attack.method = method;
            let said = all(&Study::Point(learnt(0.0), [0.25, 0.45]), &experiment);
            let Some(Part::Point(point)) = said.into_iter().next() else { panic!("another part") };
            assert!(point.end.iter().all(|value| (0.0..=1.0).contains(value)), "{key}");
            assert!(key == "noise" || point.fate == Fate::Adversarial, "{key} under {norm}: {:?}", point.end);
        }
    }
}

#[test]
fn many_points_are_counted_by_their_fates() {
    let said = all(&Study::Square(learnt(0.0), 50), &in_the_square(Norm::Linf, 0.05));
    let Some(Part::Square(square)) = said.into_iter().next() else { panic!("another part") };
    // ∫ 0.22 · |sin 2πx| dx = 0.44 / π.
    assert!((square.cells.wrong() - 0.14).abs() < 0.01, "{}", square.cells.wrong());
    assert_eq!((square.fates.len(), square.moves.len()), (50, 200));
    for (i, ends) in square.moves.chunks_exact(4).enumerate() {
        assert!((ends[0] - ends[2]).abs().max((ends[1] - ends[3]).abs()) <= 0.0501);
        assert_eq!(square.labels[i], Scene::Wave.class([ends[0], ends[1]]));
        if square.fates[i] == Fate::Adversarial {
            assert_eq!(Scene::Wave.class([ends[2], ends[3]]), square.labels[i]);
        }
    }
}
