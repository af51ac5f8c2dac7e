//! The science against values computed by independent libraries (tests/reference).

use epsilon_lab::attack::{self, Item, Method, Record, Task};
use epsilon_lab::experiment::AttackSettings;
use epsilon_lab::explain::gradient_map;
use epsilon_lab::nn::{Architecture, Classifier, Executor, Weights, softmax};
use epsilon_lab::threat::{Norm, Norms};
use safetensors::SafeTensors;

fn reference(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/reference/{file}.safetensors", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn network(name: &str) -> Executor {
    Executor::new(&Architecture::small_cnn(), &Weights::read(&reference(name)).unwrap()).unwrap()
}

/// A golden tensor of 32-bit numbers, and the labels.
struct Golden(Vec<u8>);

impl Golden {
    fn open() -> Self {
        Self(reference("golden"))
    }

    fn get(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let numbers = file.tensor(name).unwrap().data().as_chunks::<4>().0;
        numbers.iter().map(|&number| f32::from_le_bytes(number)).collect()
    }

    fn labels(&self) -> Vec<u8> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let numbers = file.tensor("y").unwrap().data().as_chunks::<8>().0;
        numbers.iter().map(|&number| u8::try_from(i64::from_le_bytes(number)).unwrap()).collect()
    }
}

fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    let square = |v: f64| v * v;
    let error: f64 = found.iter().zip(expected).map(|(&f, &e)| square(f as f64 - e as f64)).sum();
    (error / expected.iter().map(|&e| square(e as f64)).sum::<f64>()).sqrt()
}

#[test]
fn logits_and_input_gradient_are_those_of_pytorch() {
    let golden = Golden::open();
    let (images, labels) = (golden.get("x"), golden.labels());
    let mut network = network("std");
    let (mut logits, mut gradient) = (vec![0.0; 80], vec![0.0; images.len()]);
    let mut cotangent = |logits: &[f32], cotangent: &mut [f32]| {
        for (i, &label) in labels.iter().enumerate() {
            let at = i * 10..(i + 1) * 10;
            softmax::cross_entropy_gradient(&logits[at.clone()], label as usize, 1.0, &mut cotangent[at]);
        }
    };
    network.input_gradient(&images, &mut logits, &mut cotangent, &mut gradient);
    assert!(relative_error(&logits, &golden.get("logits")) < 1e-5);
    let expected = golden.get("grad_ce_sum");
    let error = relative_error(&gradient, &expected);
    assert!(error < 1e-4, "{error}");
    // Picture by picture. Where the network is sure, the reference's p − 1 was rounded to a multiple of 2⁻²⁴.
    for (i, (found, expected)) in gradient.chunks(784).zip(expected.chunks(784)).enumerate() {
        let doubt = 1.0 - (-softmax::cross_entropy(&logits[i * 10..][..10], labels[i] as usize) as f64).exp();
        let error = relative_error(found, expected);
        assert!(error < 1e-4 + 2f64.powi(-23) / doubt, "picture {i}: {error}");
    }
}

fn task(golden: &Golden, norm: Norm, epsilon: f32, settings: AttackSettings) -> Task {
    let items = golden.labels().into_iter().zip(0..).map(|(label, id)| Item { id, label, target: None, epsilon });
    Task { images: golden.get("x"), items: items.collect(), norm, settings, seed: 0, others: Vec::new() }
}

fn pgd(steps: u32, alpha: Option<f32>) -> AttackSettings {
    AttackSettings { method: Method::PGD, steps, alpha, ..Default::default() }
}

#[test]
fn fgsm_is_that_of_four_libraries_to_the_bit() {
    let golden = Golden::open();
    let settings = AttackSettings { method: Method::FGSM, ..Default::default() };
    let outcomes = attack::run(&mut network("std"), task(&golden, Norm::Linf, 0.1, settings), Record::Trace);
    for (outcome, expected) in outcomes.iter().zip(golden.get("fgsm").chunks(784)) {
        let path = outcome.trace.as_ref().unwrap();
        assert_eq!(path.iterates.len(), 2 * 784);
        assert_eq!(&path.iterates[784..], expected);
    }
}

/// The order of summation differs from PyTorch's: where the gradient of a pixel is zero but for rounding its sign may
/// differ, and paths part. They part nowhere else, and still end equally high.
#[test]
fn forty_steps_of_pgd_end_where_they_do_in_three_libraries() {
    let golden = Golden::open();
    let (expected, labels) = (golden.get("pgd40_linf"), golden.labels());
    let mut network = network("std");
    let outcomes = attack::run(&mut network, task(&golden, Norm::Linf, 0.1, pgd(40, Some(0.01))), Record::Trace);
    let mut logits = vec![0.0; 80];
    network.logits(&expected, &mut logits);
    let mut equal = 0;
    for (i, (outcome, expected)) in outcomes.iter().zip(expected.chunks(784)).enumerate() {
        let trace = outcome.trace.as_ref().unwrap();
        equal += (&trace.iterates[40 * 784..] == expected) as usize;
        let loss = softmax::cross_entropy(&logits[i * 10..][..10], labels[i] as usize);
        assert!((trace.losses[40] - loss).abs() < 0.01 * loss, "picture {i}: {} against {loss}", trace.losses[40]);
        if &trace.iterates[40 * 784..] != expected {
            let gradients = gradient_map(&mut network, &trace.iterates[..40 * 784], &[labels[i]; 40]);
            let doubtful = gradients.chunks(784).any(|gradient| {
                let rounding = 4e-6 * gradient.iter().fold(0.0f32, |most, g| most.max(g.abs()));
                gradient.iter().any(|g| *g != 0.0 && g.abs() < rounding)
            });
            assert!(doubtful, "picture {i}: no sign was in doubt");
        }
    }
    assert!(equal >= 4, "{equal} of 8 are the same to the bit");
}

#[test]
fn forty_steps_of_l2_pgd_succeed_where_the_reference_does_and_go_as_far() {
    let golden = Golden::open();
    let mut network = network("std");
    let outcomes = attack::run(&mut network, task(&golden, Norm::L2, 1.5, pgd(40, None)), Record::Trace);
    let expected = golden.get("pgd40_l2");
    let mut logits = vec![0.0; 80];
    network.logits(&expected, &mut logits);
    let pictures = golden.get("x");
    for (i, (outcome, label)) in outcomes.iter().zip(golden.labels()).enumerate() {
        let reference = softmax::predicted(&logits[i * 10..][..10]) != label as usize;
        assert_eq!(outcome.success, reference, "picture {i}");
        let at = i * 784..(i + 1) * 784;
        let norm = Norms::between(&pictures[at.clone()], &expected[at]).l2;
        // The reference clips after projecting and so gives a little of the budget away.
        let last = outcome.trace.as_ref().unwrap().norms[40].l2;
        assert!((norm - 1e-4..1.5 + 1e-4).contains(&last) && last - norm < 0.03, "picture {i}: {last} against {norm}");
    }
}
