//! Maps of the reference network against captum's (tests/reference).

use epsilon_lab::explain::{Detail, MapSettings, Method, Subject, explain};
use epsilon_lab::nn::{Architecture, Classifier, Executor, Weights};
use safetensors::SafeTensors;

fn reference(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/reference/{file}.safetensors", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The map of each of the eight pictures, of the logit of its label.
fn maps(key: &str, values: &[(&str, f32)]) -> Vec<epsilon_lab::explain::Explanation> {
    let golden = reference("golden");
    let golden = SafeTensors::deserialize(&golden).unwrap();
    let images = numbers(&golden, "x");
    let labels = golden.tensor("y").unwrap().data().as_chunks::<8>().0;
    let (architecture, weights) = (Architecture::small_cnn(), Weights::read(&reference("std")).unwrap());
    let mut network = Executor::new(&architecture, &weights).unwrap();
    let mut settings = MapSettings::of(Method::from_key(key).unwrap());
    settings.values = values.iter().map(|&(key, value)| (key.into(), value)).collect();
    let map = |(image, label): (&[f32], &[u8; 8])| {
        let (input, classes) = (network.input(), network.classes());
        let class = i64::from_le_bytes(*label) as u8;
        let subject =
            Subject { image, input, classes, class, id: 0, seed: 0, network: Some((&architecture, &weights)) };
        explain(&mut network, &subject, &settings).unwrap()
    };
    images.chunks(784).zip(labels).map(map).collect()
}

fn numbers(file: &SafeTensors, name: &str) -> Vec<f32> {
    let numbers = file.tensor(name).unwrap().data().as_chunks::<4>().0;
    numbers.iter().map(|&number| f32::from_le_bytes(number)).collect()
}

/// ‖found − expected‖ / ‖expected‖ for each picture is small.
fn agree<'a>(name: &str, found: impl Iterator<Item = &'a [f32]>, within: f64) {
    let golden = reference("golden");
    let expected = numbers(&SafeTensors::deserialize(&golden).unwrap(), name);
    let found: Vec<&[f32]> = found.collect();
    for (picture, (found, expected)) in found.iter().zip(expected.chunks(expected.len() / 8)).enumerate() {
        assert_eq!(found.len(), expected.len());
        let square = |v: f64| v * v;
        let error: f64 = found.iter().zip(expected).map(|(&f, &e)| square(f64::from(f) - f64::from(e))).sum();
        let error = (error / expected.iter().map(|&e| square(f64::from(e))).sum::<f64>()).sqrt();
        assert!(error < within, "{name}, picture {picture}: {error}");
    }
    assert_eq!(found.len(), 8);
}

#[test]
fn saliency_is_that_of_captum() {
    let magnitudes: Vec<Vec<f32>> =
        maps("gradient", &[]).iter().map(|map| map.values.iter().map(|g| g.abs()).collect()).collect();
    agree("saliency_abs", magnitudes.iter().map(|map| &map[..]), 1e-4);
}

/// On the way from black to the picture a pixel's contribution jumps where the network bends; of fifty points one may lie
/// on the other side of such a bend by rounding.
#[test]
fn integrated_gradients_are_those_of_captum_and_as_complete() {
    let gauss = maps("integrated-gradients", &[]);
    agree("ig_zero_gausslegendre50", gauss.iter().map(|map| &map.values[..]), 1e-3);
    for map in &gauss {
        let Detail::Completeness(complete) = &map.detail else { panic!("another detail") };
        assert!(complete.error().abs() < 0.02 * (complete.score - complete.baseline).abs(), "{complete:?}");
    }
    let riemann = maps("integrated-gradients", &[("rule", 1.0)]);
    agree("ig_zero_riemann_right50", riemann.iter().map(|map| &map.values[..]), 1e-3);
}

#[test]
fn grad_cam_is_that_of_captum_before_it_is_enlarged() {
    for (name, positive) in [("gradcam_conv2_relu", 1.0), ("gradcam_conv2_norelu", 0.0)] {
        let maps = maps("grad-cam", &[("layer", 1.0), ("positive", positive)]);
        let coarse = maps.iter().map(|map| match &map.detail {
            Detail::Coarse { rows: 14, columns: 14, values } => &values[..],
            other => panic!("{other:?}"),
        });
        agree(name, coarse, 1e-4);
    }
}
