//! The science against values computed by independent libraries (tests/reference).

use epsilon_lab::nn::{Architecture, Classifier, Executor, Weights, softmax};
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
