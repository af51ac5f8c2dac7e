//! Training, and the models that are shipped.
#![cfg(not(target_arch = "wasm32"))]

use std::path::{Path, PathBuf};

use epsilon_lab::attack::Method;
use epsilon_lab::data::prepare::prepare;
use epsilon_lab::data::source::{FASHION_DIR, load};
use epsilon_lab::data::{Dataset, Examples, SIDE, test_pictures};
use epsilon_lab::experiment::AttackSettings;
use epsilon_lab::nn::train::{Recipe, clean, learn, under_attack};
use epsilon_lab::nn::zoo::{self, ModelCard, Outcome};
use epsilon_lab::nn::{Executor, Weights};
use epsilon_lab::threat::{Norm, Threat};
use sha2::{Digest, Sha256};

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")
}

fn file(card: &ModelCard) -> Vec<u8> {
    std::fs::read(assets().join("models").join(&card.weights.file)).unwrap()
}

fn shipped(card: &ModelCard) -> Executor {
    Executor::new(&card.architecture, &Weights::read(&file(card)).unwrap()).unwrap()
}

/// What a card says of the shipped pictures.
fn told<'a>(card: &'a ModelCard, what: &str) -> &'a Outcome {
    let of = card.dataset.pictures() as usize;
    card.results.iter().find(|outcome| outcome.what.starts_with(what) && outcome.of == of).unwrap()
}

fn share(correct: usize, of: usize) -> f64 {
    correct as f64 / of as f64
}

#[test]
fn every_card_describes_its_file_of_weights() {
    for card in zoo::all() {
        let file = file(card);
        assert_eq!(card.weights.bytes, file.len() as u64, "{}", card.weights.file);
        let sha256: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(card.weights.sha256, sha256, "{}", card.weights.file);
        assert_eq!(card.weights.dtype, "float16");
        let recipe = Recipe::find(&card.training.recipe).unwrap();
        assert_eq!(card.training.adversarial, recipe.adversary.map(|adversary| adversary.threat));
        let numbers: usize = Weights::read(&file).unwrap().tensors().map(|(_, tensor)| tensor.data.len()).sum();
        assert_eq!(numbers, card.architecture.parameters());
        assert!(file.len() < 2 * numbers + 2048, "two bytes for each number and a short head");
        assert!(file.len() < 450_000, "{}: small enough to load while someone waits", card.weights.file);
    }
}

#[test]
fn the_shipped_weights_for_fashion_reach_what_their_card_says() {
    zoo::of(Dataset::Fashion).for_each(reaches_what_its_card_says);
}

#[test]
fn the_shipped_weights_for_digits_reach_what_their_card_says() {
    zoo::of(Dataset::Digits).for_each(reaches_what_its_card_says);
}

fn reaches_what_its_card_says(card: &ModelCard) {
    let (network, pictures) = (shipped(card), test_pictures(&assets(), card.dataset).unwrap());
    assert_eq!(clean(&network, &pictures), told(card, "clean").correct, "{}", card.weights.file);
    let threat = Threat::usual(card.dataset, Norm::Linf);
    let fgsm = AttackSettings { method: Method::FGSM, ..Default::default() };
    assert_eq!(under_attack(&network, &pictures, threat, &fgsm), told(card, "FGSM").correct, "{}", card.weights.file);
    // All pictures would take long: a hundred estimate the share to within 0.13 (three standard deviations and less), and
    // so do twenty-five where next to nothing holds.
    let number = if card.training.adversarial.is_some() { 100 } else { 25 };
    let (few, alpha) = (pictures.first(number), Some(threat.epsilon / 10.0));
    let pgd = AttackSettings { method: Method::PGD, steps: 40, alpha, ..Default::default() };
    let told = told(card, "PGD-40");
    let difference = share(under_attack(&network, &few, threat, &pgd), few.len()) - share(told.correct, told.of);
    assert!(difference.abs() < 0.13, "{}: {difference}", card.weights.file);
}

#[test]
fn the_shipped_models_reach_what_the_lab_promises() {
    for card in zoo::all() {
        let best = |what: &str| {
            let outcome = card.results.iter().find(|outcome| outcome.what.starts_with(what)).unwrap();
            share(outcome.correct, outcome.of)
        };
        let (clean, robust) = match (card.dataset, card.name.as_str()) {
            (Dataset::Fashion, "standard") => (0.905, 0.0),
            (Dataset::Fashion, "adversarial") => (0.80, 0.68),
            (Dataset::Fashion, "mlp") => (0.88, 0.0),
            (Dataset::Fashion, _) => (0.90, 0.0),
            (Dataset::Digits, "standard") => (0.975, 0.0),
            (Dataset::Digits, "adversarial") => (0.94, 0.75),
            (Dataset::Digits, _) => (0.97, 0.0),
        };
        assert!(best("clean") >= clean, "{}: clean {}", card.weights.file, best("clean"));
        assert!(best("PGD-40") >= robust, "{}: PGD-40 {}", card.weights.file, best("PGD-40"));
    }
}

#[test]
fn the_two_halves_share_no_training_picture_and_each_names_its_own() {
    for dataset in Dataset::ALL {
        let [first, second] = ["half-a", "half-b"].map(|name| zoo::find(dataset, name).unwrap());
        let all = zoo::find(dataset, "standard").unwrap().training.examples;
        assert_eq!(first.training.examples + second.training.examples, all);
        let part = |card: &ModelCard| Recipe::find(&card.training.recipe).unwrap().part.unwrap().indices(all);
        let seen: std::collections::HashSet<usize> = part(first).into_iter().chain(part(second)).collect();
        assert_eq!(seen.len(), all);
        assert!(first.training.method.contains("part 1 of 2") && second.training.method.contains("part 2 of 2"));
        assert!(first.training.seed != second.training.seed);
    }
}

/// A recipe cut down to seconds, and digits to train on.
fn small(name: &str) -> (Recipe, Examples) {
    let mut recipe = Recipe::find(name).unwrap();
    (recipe.epochs, recipe.batch, recipe.average) = (4, 30, 0.5);
    if let Some(adversary) = &mut recipe.adversary {
        adversary.steps = 2;
        adversary.threat.epsilon = 0.05;
    }
    let digits = load(Dataset::Digits, Path::new(FASHION_DIR), &assets()).unwrap().train;
    (recipe, digits.select(&(0..digits.len()).step_by(15).collect::<Vec<_>>()))
}

#[test]
fn training_lowers_the_loss_and_does_not_depend_on_the_number_of_threads() {
    for name in ["digits-standard", "digits-adversarial"] {
        let (recipe, examples) = small(name);
        let train = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut losses = Vec::new();
            let weights = pool.install(|| learn(&recipe, &examples, |step| losses.push(step.loss)).unwrap());
            (weights, losses)
        };
        let (weights, losses) = train(1);
        assert_eq!(losses.len(), 40);
        let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
        assert!(mean(&losses[34..]) < 0.85 * mean(&losses[..6]), "{name}: {losses:?}");
        let network = Executor::new(&(recipe.architecture)(), &weights).unwrap();
        assert!(share(clean(&network, &examples), examples.len()) > 0.4, "{name}");
        assert!(train(2) == (weights, losses), "{name}: two threads gave other weights");
    }
}

#[test]
fn another_seed_gives_other_weights() {
    let (mut recipe, examples) = small("digits-standard");
    recipe.epochs = 1;
    let first = learn(&recipe, &examples, |_| ()).unwrap();
    recipe.seed += 1;
    assert!(learn(&recipe, &examples, |_| ()).unwrap() != first);
}

#[test]
fn redrawn_test_digits_are_mostly_read_as_the_originals() {
    let digits = test_pictures(&assets(), Dataset::Digits).unwrap().first(200);
    // Black on white, ten times as large, off the centre of a larger sheet of paper.
    let (scale, side) = (10, 400);
    let mut redrawn = Examples { pixels: Vec::new(), labels: digits.labels.clone() };
    for index in 0..digits.len() {
        let (left, top) = (10 + 13 * (index % 8), 5 + 11 * (index % 9));
        let mut paper = vec![255u8; side * side * 4];
        for (place, &ink) in digits.picture(index).iter().enumerate() {
            for dot in 0..scale * scale {
                let (x, y) = (place % SIDE * scale + dot % scale + left, place / SIDE * scale + dot / scale + top);
                paper[(y * side + x) * 4..][..3].fill(255 - ink);
            }
        }
        redrawn.pixels.extend(prepare(Dataset::Digits, side, side, &paper).unwrap().pixels);
    }
    for name in ["standard", "adversarial"] {
        let network = shipped(zoo::find(Dataset::Digits, name).unwrap());
        let (before, after) = (clean(&network, &digits), clean(&network, &redrawn));
        assert!(share(after, digits.len()) > 0.93, "{name}: {after} of {} redrawn, {before} original", digits.len());
    }
}
