//! Maps of networks whose right explanation is known, and what must hold for all.

use super::split::Split;
use super::*;
use crate::nn::weights::needed;
use crate::nn::{Architecture, Executor, Layer, Shape, Weights};
use crate::random::{Random, Stream};

struct Net {
    architecture: Architecture,
    weights: Weights,
    executor: Executor,
    image: Vec<f32>,
}

impl Net {
    fn new(architecture: Architecture) -> Self {
        let mut random = Random::new(9, Stream::Weights, 0);
        let mut weights = Weights::default();
        for (name, shape) in needed(&architecture).unwrap() {
            let inputs = shape[1..].iter().product::<usize>().max(4);
            let scale = (2.0 / inputs as f32).sqrt();
            let data = (0..shape.iter().product()).map(|_| scale * random.normal()).collect();
            weights.insert(&name, shape, data).unwrap();
        }
        let executor = Executor::new(&architecture, &weights).unwrap();
        let image = (0..architecture.input.len()).map(|_| random.uniform()).collect();
        Self { architecture, weights, executor, image }
    }

    fn linear() -> Self {
        Self::new(Architecture {
            input: Shape { channels: 2, height: 6, width: 5 },
            layers: vec![Layer::Flatten, Layer::Linear { name: "a".into(), out: 3 }],
        })
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            image: &self.image,
            input: self.architecture.input,
            classes: self.executor.classes(),
            class: 1,
            id: 3,
            seed: 5,
            network: Some((&self.architecture, &self.weights)),
        }
    }

    fn map(&self, settings: &MapSettings) -> Explanation {
        explain(&mut self.executor.clone(), &self.subject(), settings).unwrap()
    }

    fn logits(&self, image: &[f32]) -> Vec<f32> {
        let mut logits = vec![0.0; self.executor.classes()];
        self.executor.clone().logits(image, &mut logits);
        logits
    }
}

fn settings(key: &str, values: &[(&str, f32)]) -> MapSettings {
    let values = values.iter().map(|&(key, value)| (key.into(), value)).collect();
    let settings = MapSettings { map: Method::from_key(key).unwrap(), values, ..Default::default() };
    settings.validate().unwrap();
    settings
}

fn close(found: &[f32], expected: &[f32], within: f32) {
    assert_eq!(found.len(), expected.len());
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() < within, "{i}: {f}, not {e}");
    }
}

#[test]
fn of_a_linear_classifier_every_map_shows_its_weights() {
    let net = Net::linear();
    let weights = &net.weights.get("a.weight", &[3, 60]).unwrap()[60..120];
    let parts: Vec<f32> = weights.iter().zip(&net.image).map(|(w, x)| w * x).collect();
    close(&net.map(&settings("gradient", &[])).values, weights, 1e-6);
    close(&net.map(&settings("smoothgrad", &[])).values, weights, 1e-6);
    close(&net.map(&settings("gradient-input", &[])).values, &parts, 1e-6);
    close(&net.map(&settings("integrated-gradients", &[])).values, &parts, 1e-6);
    close(&net.map(&settings("occlusion", &[("side", 1.0), ("stride", 1.0)])).values, &both_colours(&parts), 1e-5);
}

/// A patch covers all colours of a pixel.
fn both_colours(parts: &[f32]) -> Vec<f32> {
    let (first, second) = parts.split_at(30);
    first.iter().zip(second).map(|(a, b)| a + b).collect::<Vec<_>>().repeat(2)
}

#[test]
fn a_pixel_is_worth_the_mean_of_the_patches_that_cover_it() {
    let net = Net::linear();
    let found = net.map(&settings("occlusion", &[("side", 3.0), ("stride", 3.0)]));
    // Rows 0 and 3, columns 0 and 2: column 2 is covered twice.
    let Detail::Coarse { rows: 2, columns: 2, values } = found.detail else { panic!("another detail") };
    assert_eq!(found.values[0], values[0]);
    assert_eq!(found.values[2], (values[0] + values[1]) / 2.0);
    assert_eq!(found.values[5 * 5 + 4], values[3]);
    let covered: Vec<f32> =
        net.image.iter().enumerate().map(|(i, &x)| if i % 30 / 5 < 3 && i % 5 < 3 { 0.0 } else { x }).collect();
    let drop = net.logits(&net.image)[1] - net.logits(&covered)[1];
    assert!((drop - values[0]).abs() < 1e-6);
}

#[test]
fn the_gradient_is_the_slope_of_every_score() {
    let net = Net::new(Architecture::tanh_cnn());
    for score in Score::ALL {
        let gradient = net.map(&MapSettings { score, ..Default::default() }).values;
        let mut random = Random::new(1, Stream::Order, 0);
        let direction: Vec<f32> = gradient.iter().map(|_| random.normal() / 28.0).collect();
        let at = |h: f32| {
            let moved: Vec<f32> = net.image.iter().zip(&direction).map(|(x, d)| x + h * d).collect();
            score.value(&net.logits(&moved), 1)
        };
        let slope = (at(0.01) - at(-0.01)) / 0.02;
        let expected: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
        assert!((slope - expected).abs() < 2e-3 * (1.0 + expected.abs()), "{score}: {slope}, {expected}");
    }
}

#[test]
fn integrated_gradients_are_complete_and_the_better_rule_errs_less() {
    for architecture in [Architecture::small_cnn(), Architecture::tanh_cnn(), Architecture::residual_cnn()] {
        let net = Net::new(architecture);
        for score in Score::ALL {
            let error = |values: &[(&str, f32)]| {
                let found = net.map(&MapSettings { score, ..settings("integrated-gradients", values) });
                let Detail::Completeness(complete) = found.detail else { panic!("another detail") };
                assert!((found.values.iter().map(|&v| f64::from(v)).sum::<f64>() - complete.sum).abs() < 1e-4);
                assert_eq!(complete.score, score.value(&net.logits(&net.image), 1));
                complete.error().abs() / (complete.score - complete.baseline).abs().max(1.0)
            };
            assert!(error(&[]) < 0.02, "{score}: {}", error(&[]));
            assert!(error(&[("points", 300.0)]) < 0.005, "{score}: {}", error(&[("points", 300.0)]));
            assert!(error(&[("points", 4.0), ("rule", 1.0)]) > error(&[]));
            assert!(error(&[("baseline", 2.0), ("points", 200.0)]) < 0.05, "{score}: {}", error(&[("baseline", 2.0)]));
        }
    }
}

#[test]
fn smoothgrad_without_noise_is_the_gradient_and_its_noise_follows_the_seed() {
    let net = Net::new(Architecture::small_cnn());
    let gradient = net.map(&settings("gradient", &[])).values;
    close(&net.map(&settings("smoothgrad", &[("sigma", 0.0)])).values, &gradient, 1e-6);
    let smooth = settings("smoothgrad", &[("samples", 20.0)]);
    let first = net.map(&smooth);
    assert_eq!(net.map(&smooth), first);
    for other in [Subject { seed: 6, ..net.subject() }, Subject { id: 4, ..net.subject() }] {
        assert!(explain(&mut net.executor.clone(), &other, &smooth).unwrap().values != first.values);
    }
    assert!(first.values != gradient);
}

#[test]
fn the_two_parts_of_a_network_are_the_whole() {
    let all = [Architecture::small_cnn(), Architecture::tanh_cnn(), Architecture::residual_cnn()];
    let shapes = [[(28, 32, 14), (14, 32, 14)], [(14, 32, 14), (7, 32, 7)], [(7, 40, 7), (7, 40, 7)]];
    for (architecture, shapes) in all.into_iter().zip(shapes) {
        let net = Net::new(architecture);
        for (after, (_, channels, height)) in [false, true].into_iter().zip(shapes) {
            let Split { mut head, mut tail, between } =
                Split::new(&net.architecture, &net.weights, after).unwrap().unwrap();
            assert_eq!((between.channels, between.height), (channels, height));
            let mut activation = vec![0.0; between.len()];
            head.logits(&net.image, &mut activation);
            if after && net.architecture != Architecture::tanh_cnn() {
                assert!(activation.iter().all(|&a| a >= 0.0) && activation.contains(&0.0));
            } else {
                assert!(activation.iter().any(|&a| a < 0.0));
            }
            let mut logits = vec![0.0; 10];
            tail.logits(&activation, &mut logits);
            close(&logits, &net.logits(&net.image), 1e-4);
        }
    }
}

#[test]
fn grad_cam_weighs_channels_by_their_mean_gradient() {
    // Channel 0 is the picture, channel 1 its negative; the class takes 3 · mean of the first − mean of the second.
    let architecture = Architecture {
        input: Shape { channels: 1, height: 4, width: 4 },
        layers: vec![
            Layer::Conv2d { name: "a".into(), out: 2, kernel: 1, stride: 1, padding: 0.into(), groups: 1 },
            Layer::GlobalAvgPool,
            Layer::Flatten,
            Layer::Linear { name: "b".into(), out: 2 },
        ],
    };
    let mut net = Net::new(architecture);
    let mut weights = Weights::default();
    weights.insert("a.weight", vec![2, 1, 1, 1], vec![1.0, -1.0]).unwrap();
    weights.insert("a.bias", vec![2], vec![0.0, 0.0]).unwrap();
    weights.insert("b.weight", vec![2, 2], vec![0.0, 0.0, 3.0, -1.0]).unwrap();
    weights.insert("b.bias", vec![2], vec![0.0, 0.0]).unwrap();
    net.weights = weights;
    let found = net.map(&settings("grad-cam", &[]));
    let expected: Vec<f32> = net.image.iter().map(|x| (3.0 * x + x) / 16.0).collect();
    close(&found.values, &expected, 1e-6);
    assert!(!found.signed);
    let nothing = explain(
        &mut net.executor.clone(),
        &Subject { class: 0, ..net.subject() },
        &settings("grad-cam", &[("positive", 0.0)]),
    )
    .unwrap();
    assert!(nothing.signed && nothing.values.iter().all(|&v| v == 0.0));
}

#[test]
fn a_network_without_convolutions_has_no_grad_cam_and_says_so() {
    let net = Net::linear();
    let cam = settings("grad-cam", &[]);
    assert!(!cam.map.suits(&net.architecture) && cam.map.suits(&Architecture::residual_cnn()));
    let refused = |subject: &Subject| explain(&mut net.executor.clone(), subject, &cam).unwrap_err();
    assert_eq!(refused(&net.subject()), Unavailable::NoConvolution);
    assert_eq!(refused(&Subject { network: None, ..net.subject() }), Unavailable::NoNetwork);
}

#[test]
fn every_map_says_what_it_is_and_counts_its_work() {
    let net = Net::new(Architecture::small_cnn());
    let mut keys = std::collections::HashSet::new();
    for map in Method::all() {
        assert!(keys.insert(map.key()) && !map.title().is_empty() && map.summary().ends_with('.'));
        assert!(map.paper().contains("20"), "{map} has a year");
        for parameter in map.parameters() {
            assert!(parameter.allows(parameter.default()), "{map}: {}", parameter.key);
        }
        let settings = MapSettings::of(map);
        let mut work = map.begin(&net.subject(), &settings).unwrap();
        let (mut executor, mut steps, mut last) = (net.executor.clone(), 0, work.progress());
        assert_eq!(last.0, 0);
        while !work.step(&mut executor) {
            steps += 1;
            let (done, all) = work.progress();
            assert!(done > last.0 && all == last.1 && steps <= all, "{map}: {done} of {all}");
            last = (done, all);
        }
        assert_eq!(work.progress().0, work.progress().1);
        let found = work.finish();
        assert_eq!(found.values.len(), 784);
        assert!(found.values.iter().all(|v| v.is_finite()), "{map}");
        // What speaks for a class may be nothing.
        assert!(!found.signed || found.values.iter().any(|&v| v != 0.0), "{map}");
        assert!(found.signed || found.values.iter().all(|&v| v >= 0.0));
        assert!(found.evaluations >= 1);
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<MapSettings>(&text).unwrap(), settings);
    }
    assert_eq!(serde_json::from_str::<MapSettings>("{}").unwrap(), MapSettings::default());
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    let mut settings = MapSettings::of(Method::from_key("smoothgrad").unwrap());
    let samples = settings.map.parameters()[0];
    settings.set(samples, 0.0);
    let message = settings.validate().unwrap_err().to_string();
    assert!(message.contains(samples.label) && message.contains("200"), "{message}");
    settings.set(samples, samples.default());
    assert!(settings.values.is_empty() && settings.validate().is_ok());
    settings.values.insert("kappa".into(), 1.0);
    assert!(settings.validate().unwrap_err().to_string().contains("kappa"));
}
