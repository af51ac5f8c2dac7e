//! The science, natively and in the browser: every layer's gradient against finite differences, and attacks that end at
//! the same picture on every platform.

use epsilon_lab::attack::{self, Item, Method, Record, Task};
use epsilon_lab::experiment::AttackSettings;
use epsilon_lab::nn::{Architecture, Arithmetic, Classifier, Executor, Layer, Padding, Shape};
use epsilon_lab::nn::{Weights, weights::needed};
use epsilon_lab::random::{Random, Stream};
use epsilon_lab::threat::Norm;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Checks the input gradient of a network, entry by entry, against central differences: direction and scale. Weights
/// are multiples of 2⁻³, pictures of 2⁻⁶ and steps 2⁻⁸, so that nothing is rounded; entries whose slopes ahead and behind
/// disagree lie at a kink and are left out.
fn check(channels: usize, layers: Vec<Layer>) {
    let architecture = Architecture { input: Shape { channels, height: 8, width: 8 }, layers };
    let mut random = Random::new(2, Stream::Weights, 0);
    let mut eighths = |length: usize| (0..length).map(|_| (random.below(9) as f32 - 4.0) / 8.0).collect::<Vec<_>>();
    let mut weights = Weights::default();
    for (name, shape) in needed(&architecture).unwrap() {
        let data = eighths(shape.iter().product());
        weights.insert(&name, shape, data).unwrap();
    }
    let mut network = Executor::new(&architecture, &weights).unwrap();
    let (image, direction) = (eighths(architecture.input.len()), eighths(network.classes()));
    // Off the multiples of 1/8, where ties and zeros are.
    let image: Vec<f32> = image.iter().enumerate().map(|(i, x)| x + (i % 7) as f32 / 64.0).collect();
    let (mut logits, mut gradient) = (vec![0.0; direction.len()], vec![0.0; image.len()]);
    network.input_gradient(&image, &mut logits, &mut |_, c| c.copy_from_slice(&direction), &mut gradient);
    let (mut checked, mut moving) = (0, 0);
    for at in 0..image.len() {
        let mut objective = |h: f32| {
            let mut moved = image.clone();
            moved[at] += h;
            network.logits(&moved, &mut logits);
            logits.iter().zip(&direction).map(|(z, d)| (z * d) as f64).sum::<f64>()
        };
        let h = 1.0 / 256.0;
        let (here, ahead, behind) = (objective(0.0), objective(h), objective(-h));
        if ahead - here == here - behind {
            let slope = (ahead - behind) / (2.0 * h as f64);
            checked += 1;
            moving += (slope != 0.0) as usize;
            assert!((slope - gradient[at] as f64).abs() < 1e-6 * (1.0 + slope.abs()), "{slope} {}", gradient[at]);
        }
    }
    assert!(checked * 10 >= image.len() * 7 && moving * 8 >= image.len(), "{checked} checked, {moving} not zero");
}

fn conv(out: usize, kernel: usize, stride: usize, padding: usize) -> Layer {
    Layer::Conv2d { name: format!("conv{out}"), out, kernel, stride, padding: padding.into(), groups: 1 }
}

fn linear(out: usize) -> Layer {
    Layer::Linear { name: format!("linear{out}"), out }
}

#[test]
fn the_gradient_of_convolutions_is_that_of_finite_differences() {
    check(1, vec![conv(5, 3, 1, 1)]);
    check(3, vec![conv(9, 3, 2, 1)]);
    check(2, vec![conv(17, 4, 1, 0)]);
    check(20, vec![conv(3, 3, 1, 1)]);
}

#[test]
fn the_gradient_of_convolution_relu_and_pooling_is_that_of_finite_differences() {
    let pool = |size| Layer::MaxPool2d { size };
    check(1, vec![conv(16, 3, 1, 1), Layer::Relu, pool(2)]);
    check(3, vec![conv(4, 3, 1, 1), pool(3)]);
    check(20, vec![conv(10, 3, 1, 1), pool(2), Layer::Relu]);
    check(2, vec![conv(8, 3, 1, 1), Layer::Relu]);
}

#[test]
fn the_gradient_of_layers_that_stand_alone_is_that_of_finite_differences() {
    check(3, vec![Layer::Relu]);
    check(3, vec![Layer::MaxPool2d { size: 2 }]);
    check(3, vec![Layer::AvgPool2d { size: 2 }]);
    check(4, vec![Layer::GlobalAvgPool]);
    check(3, vec![Layer::LeakyRelu { slope: 0.25 }, Layer::Relu6]);
    check(3, vec![Layer::Normalize { mean: vec![0.5; 3], std: vec![0.5, 1.0, 2.0] }, Layer::Dropout { share: 0.5 }]);
}

#[test]
fn the_gradient_of_grouped_convolutions_and_residual_blocks_is_that_of_finite_differences() {
    let grouped = |name: &str, out, kernel, stride, groups| {
        let padding = Padding::same(8, kernel, stride);
        Layer::Conv2d { name: name.into(), out, kernel, stride, padding, groups }
    };
    check(6, vec![grouped("a", 6, 3, 1, 6), Layer::Relu6]);
    check(6, vec![grouped("a", 6, 3, 2, 6), Layer::Relu]);
    check(4, vec![grouped("a", 6, 3, 1, 2)]);
    check(5, vec![grouped("a", 20, 1, 1, 1), Layer::Relu]);
    check(4, vec![Layer::Residual { layers: vec![grouped("a", 4, 3, 1, 4), Layer::Relu, grouped("b", 4, 1, 1, 1)] }]);
}

#[test]
fn the_gradient_of_linear_layers_is_that_of_finite_differences() {
    check(1, vec![Layer::Flatten, linear(10)]);
    check(3, vec![Layer::Flatten, linear(40), Layer::Relu, linear(10)]);
    let pool = Layer::MaxPool2d { size: 2 };
    check(2, vec![conv(8, 3, 1, 1), Layer::Relu, pool, Layer::Flatten, linear(21), Layer::Relu, linear(3)]);
}

#[test]
fn fused_arithmetic_is_exact_within_rounding() {
    let weights = Weights::read(include_bytes!("reference/std.safetensors")).unwrap();
    let mut random = Random::new(11, Stream::Order, 0);
    let images: Vec<f32> = (0..8 * 784).map(|_| random.uniform()).collect();
    let cotangents: Vec<f32> = (0..8 * 10).map(|_| random.normal()).collect();
    let [exact, fused] = [Arithmetic::Exact, Arithmetic::Fused].map(|arithmetic| {
        let mut network = Executor::with(&Architecture::small_cnn(), &weights, arithmetic).unwrap();
        let (mut logits, mut gradient) = (vec![0.0; 8 * 10], vec![0.0; images.len()]);
        network.input_gradient(&images, &mut logits, &mut |_, c| c.copy_from_slice(&cotangents), &mut gradient);
        [logits, gradient]
    });
    for (exact, fused) in exact.iter().zip(&fused) {
        let size = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v * v)).sum::<f64>().sqrt();
        let apart = size(&mut exact.iter().zip(fused).map(|(a, b)| a - b)) / size(&mut exact.iter().copied());
        assert!(apart <= 1e-5, "{apart}");
        // Otherwise it was not fused.
        assert_eq!(apart > 0.0, Arithmetic::fastest() == Arithmetic::Fused);
    }
    if cfg!(target_arch = "wasm32") {
        assert_eq!(Arithmetic::fastest(), Arithmetic::Fused, "these tests are built for relaxed SIMD");
    }
}

/// FNV-1a over the bits of all results of an attack on eight pictures.
fn fingerprint(settings: AttackSettings, norm: Norm, epsilon: f32) -> u32 {
    let weights = Weights::read(include_bytes!("reference/std.safetensors")).unwrap();
    let mut network = Executor::new(&Architecture::small_cnn(), &weights).unwrap();
    let mut random = Random::new(11, Stream::Order, 0);
    let images: Vec<f32> = (0..8 * 784).map(|_| random.uniform()).collect();
    let settings = AttackSettings { steps: 5, restarts: 2, ..settings };
    let items = (0..8).map(|i| Item { id: i, label: i as u8, target: (i % 2 == 1).then_some(0), epsilon }).collect();
    let outcomes =
        attack::run(&mut network, Task { images, items, norm, settings, seed: 4, others: Vec::new() }, Record::Trace);
    let numbers = outcomes.iter().flat_map(|o| o.adversarial.iter().chain(&o.logits).chain(&o.adversarial_logits));
    numbers.fold(0x811c_9dc5, |hash: u32, n| (hash ^ n.to_bits()).wrapping_mul(0x0100_0193))
}

#[test]
fn attacks_end_at_the_same_picture_to_the_bit_on_every_platform() {
    let fingerprints: Vec<u32> = [Method::FGSM, Method::PGD]
        .into_iter()
        .flat_map(|method| [(Norm::Linf, 0.1), (Norm::L2, 1.5), (Norm::L1, 10.0)].map(|(n, e)| (method, n, e)))
        .map(|(method, norm, epsilon)| {
            let settings = AttackSettings { method, random_start: method == Method::PGD, ..Default::default() };
            fingerprint(settings, norm, epsilon)
        })
        .collect();
    assert_eq!(
        fingerprints,
        [0x3c14_3940, 0x429c_c4b0, 0x068a_1a80, 0x745f_1037, 0xb885_ff9f, 0xbd64_8313],
        "{fingerprints:#x?}"
    );
}

/// An attack's key, a norm, and parameters that keep it short.
type Case = (&'static str, Norm, &'static [(&'static str, f32)]);

#[test]
fn so_do_the_attacks_that_are_no_settings_of_pgd() {
    let little: &[Case] = &[
        ("mi-fgsm", Norm::Linf, &[]),
        ("apgd", Norm::Linf, &[("objective", 2.0)]),
        ("noise", Norm::L1, &[]),
        ("deepfool", Norm::L2, &[]),
        ("deepfool", Norm::Linf, &[]),
        ("cw", Norm::L2, &[("searches", 3.0), ("iterations", 20.0)]),
        ("cw", Norm::Linf, &[("searches", 3.0), ("iterations", 20.0)]),
        ("lbfgs", Norm::L2, &[("searches", 3.0), ("iterations", 10.0)]),
        ("spatial", Norm::Linf, &[]),
        ("spatial", Norm::Linf, &[("search", 1.0)]),
        ("flow", Norm::Linf, &[("iterations", 20.0)]),
        ("square", Norm::Linf, &[("queries", 60.0)]),
        ("square", Norm::L2, &[("queries", 60.0)]),
        ("boundary", Norm::L2, &[("queries", 150.0)]),
    ];
    let fingerprints: Vec<u32> = little
        .iter()
        .map(|&(key, norm, set)| {
            let settings = AttackSettings { method: Method::from_key(key).unwrap(), ..Default::default() };
            fingerprint(set.iter().fold(settings, |settings, (key, value)| settings.with(key, *value)), norm, 0.2)
        })
        .collect();
    let expected = [
        0xac66_250a,
        0xe8b4_36e7,
        0xaf2f_047a,
        0x2db4_ea64,
        0xca81_9da5,
        0xebed_1c35,
        0x2319_c8e9,
        0x5855_860a,
        0xe7f6_79a3,
        0xcbac_1c11,
        0x55a8_89af,
        0x3432_e0d6,
        0x26e2_dd6e,
        0x633d_7a28,
    ];
    assert_eq!(fingerprints, expected, "{fingerprints:#x?}");
}
