//! The executor against the plain network in double precision, and against itself.

use proptest::prelude::*;

use super::*;
use crate::nn::reference;
use crate::nn::{Layer, Padding, weights::needed};
use crate::random::{Random, Stream};

fn conv(name: &'static str) -> impl Strategy<Value = Layer> {
    // The number of groups divides that of the input's channels or the network is dropped.
    let groups = prop_oneof![4 => Just(1usize), 1 => Just(2), 1 => Just(3)];
    let shape = (groups, 1usize..20, prop::option::weighted(0.2, Just(())));
    (shape, 1usize..5, 1usize..3, 0usize..3, 0usize..3).prop_map(
        move |((groups, out, deep), kernel, stride, before, after)| {
            let out = if deep.is_some() { groups } else { out.next_multiple_of(groups) };
            let padding = Padding { before, after };
            Layer::Conv2d { name: name.into(), out, kernel, stride, padding, groups }
        },
    )
}

fn linear(name: &'static str) -> impl Strategy<Value = Vec<Layer>> {
    let clip = prop_oneof![Just(None), Just(Some(Layer::Relu)), Just(Some(Layer::Relu6))];
    (1usize..70, clip)
        .prop_map(move |(out, clip)| std::iter::once(Layer::Linear { name: name.into(), out }).chain(clip).collect())
}

/// A network with all kinds of piecewise linear layers in all kinds of orders.
fn architecture() -> impl Strategy<Value = Architecture> {
    let plain = || {
        let layer = prop_oneof![
            3 => Just(Layer::Relu),
            3 => (1usize..4).prop_map(|size| Layer::MaxPool2d { size }),
            1 => Just(Layer::Relu6),
            1 => Just(Layer::LeakyRelu { slope: 0.25 }),
        ];
        prop::collection::vec(layer, 0..4)
    };
    let head = prop_oneof![
        1 => Just(vec![]),
        1 => Just(vec![Layer::Flatten]),
        4 => (linear("c"), linear("d")).prop_map(|(c, d)| [vec![Layer::Flatten], c, d].concat()),
    ];
    let shape = (1usize..4, 4usize..14, 4usize..14);
    fitting(
        shape,
        (plain(), conv("a"), plain(), prop::option::of((conv("b"), plain())), head).prop_map(
            |(first, a, second, b, head)| {
                let b = b.map_or(vec![], |(b, plain)| [vec![b], plain].concat());
                [first, vec![a], second, b, head].concat()
            },
        ),
    )
}

/// A network with the others: smooth functions, means, residual blocks. Nothing after a smooth function has a kink, on
/// whose two sides rounding could put a value.
fn smooth_architecture() -> impl Strategy<Value = Architecture> {
    let smooth = || prop_oneof![Just(Layer::Sigmoid), Just(Layer::Tanh)];
    let mean = prop_oneof![
        Just(vec![]),
        (1usize..4).prop_map(|size| vec![Layer::AvgPool2d { size }]),
        Just(vec![Layer::GlobalAvgPool]),
        Just(vec![Layer::AvgPool2d { size: 2 }, Layer::GlobalAvgPool]),
    ];
    let layers = ((1usize..40, any::<bool>()), conv("a"), smooth(), smooth(), mean, prop::option::of(linear("d")));
    fitting(
        (Just(3), 4usize..14, 4usize..14),
        layers.prop_map(|((channels, depthwise), a, one, two, mean, linear)| {
            let conv = |name: &str, kernel, groups| {
                let padding = Padding { before: (kernel - 1) / 2, after: kernel / 2 };
                Layer::Conv2d { name: name.into(), out: channels, kernel, stride: 1, padding, groups }
            };
            let groups = if depthwise { channels } else { 1 };
            let block = vec![conv("r", 3, groups), one, Layer::Dropout { share: 0.5 }, conv("s", 2, 1)];
            let first = Layer::Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] };
            let head = linear.map_or(vec![], |mut linear| {
                linear.truncate(1);
                [vec![Layer::Flatten], linear].concat()
            });
            [vec![first, a, Layer::Relu6, conv("q", 1, 1), Layer::Residual { layers: block }, two], mean, head].concat()
        }),
    )
}

/// A network whose second convolution is computed by Winograd's algorithm.
fn tiled_architecture() -> impl Strategy<Value = Architecture> {
    let clip = prop_oneof![Just(None), Just(Some(Layer::Relu)), Just(Some(Layer::Relu6))];
    let padding = (0usize..3, 0usize..3).prop_map(|(before, after)| Padding { before, after });
    let head = prop_oneof![Just(vec![]), linear("d").prop_map(|linear| [vec![Layer::Flatten], linear].concat())];
    fitting(
        (1usize..3, 4usize..14, 4usize..14),
        (1usize..5, 1usize..4, 1usize..40, padding, clip, head).prop_map(
            |(eights, kernel, out, padding, clip, head)| {
                let conv = |name: &str, out, kernel, padding| Layer::Conv2d {
                    name: name.into(),
                    out,
                    kernel,
                    stride: 1,
                    padding,
                    groups: 1,
                };
                let first = vec![conv("a", 8 * eights, kernel, 1.into()), Layer::Relu, conv("b", out, 3, padding)];
                [first, clip.into_iter().collect(), vec![Layer::MaxPool2d { size: 2 }], head].concat()
            },
        ),
    )
}

/// Those whose layers fit together.
fn fitting(
    shape: impl Strategy<Value = (usize, usize, usize)>,
    layers: impl Strategy<Value = Vec<Layer>>,
) -> impl Strategy<Value = Architecture> {
    (shape, layers).prop_filter_map("the layers must fit", |((channels, height, width), layers)| {
        let network = Architecture { input: Shape { channels, height, width }, layers };
        network.costs().is_ok().then_some(network)
    })
}

/// Multiples of 1/8: sums of products of them are exact in single precision, and ties abound.
fn eighths(random: &mut Random, length: usize) -> Vec<f32> {
    (0..length).map(|_| (random.below(9) as f32 - 4.0) / 8.0).collect()
}

fn trained(architecture: &Architecture, random: &mut Random) -> Weights {
    let mut weights = Weights::default();
    for (name, shape) in needed(architecture).unwrap() {
        let data = eighths(random, shape.iter().product());
        weights.insert(&name, shape, data).unwrap();
    }
    weights
}

/// Logits and input gradient for given cotangents.
fn run(executor: &mut Executor, images: &[f32], cotangents: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut logits, mut gradient) = (vec![0.0; cotangents.len()], vec![f32::NAN; images.len()]);
    executor.input_gradient(images, &mut logits, &mut |_, out| out.copy_from_slice(cotangents), &mut gradient);
    (logits, gradient)
}

/// Within 1e-5 of the expected length. Where every unit is saturated little more than rounding is left of a gradient: then
/// within `floor`.
fn close(found: &[f32], expected: &[f64], floor: f64) -> bool {
    let size = expected.iter().map(|e| e * e).sum::<f64>().sqrt();
    let apart = found.iter().zip(expected).map(|(&f, &e)| (f as f64 - e) * (f as f64 - e)).sum::<f64>().sqrt();
    apart <= 1e-5 * size + floor
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Logits and gradients against the definition.
fn check(network: &Architecture, pictures: usize, seed: u64) {
    let mut random = Random::new(seed, Stream::Weights, 0);
    let weights = trained(network, &mut random);
    for arithmetic in [Arithmetic::Exact, Arithmetic::Fused] {
        let mut executor = Executor::with(network, &weights, arithmetic).unwrap();
        let (pixels, classes) = (network.input.len(), executor.classes());
        let images = eighths(&mut random, pictures * pixels);
        let cotangents = eighths(&mut random, pictures * classes);
        let (logits, gradient) = run(&mut executor, &images, &cotangents);
        let double = |v: &[f32]| v.iter().map(|&v| v as f64).collect::<Vec<_>>();
        for i in 0..pictures {
            let (image, cotangent) = (&images[i * pixels..][..pixels], &cotangents[i * classes..][..classes]);
            let (expected, slope) = reference::run(network, &weights, &double(image), &double(cotangent));
            // What nearly cancels is as exact as its terms, which are of the order of 1.
            assert!(close(&logits[i * classes..][..classes], &expected, 1e-6), "logits of {i}");
            let floor = 1e-6 * cotangent.iter().map(|c| f64::from(c * c)).sum::<f64>().sqrt();
            assert!(close(&gradient[i * pixels..][..pixels], &slope, floor), "gradient of {i}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_network_gives_the_logits_and_gradients_of_its_definition(
        network in prop_oneof![3 => architecture(), 1 => tiled_architecture()],
        pictures in prop_oneof![1usize..6, 14usize..20],
        seed: u64,
    ) {
        check(&network, pictures, seed);
    }

    #[test]
    fn so_do_networks_of_smooth_functions_means_and_residual_blocks(
        network in smooth_architecture(), pictures in 1usize..6, seed: u64,
    ) {
        check(&network, pictures, seed);
    }

    #[test]
    fn pictures_of_a_plane_have_the_logits_of_the_definition_in_any_company(
        network in prop_oneof![2 => architecture(), 1 => tiled_architecture(), 1 => smooth_architecture()],
        points in prop::collection::vec((-8i8..8, -2i8..2), 1..20),
        seed: u64,
    ) {
        let mut random = Random::new(seed, Stream::Weights, 0);
        let weights = trained(&network, &mut random);
        let plane = [(); 3].map(|_| eighths(&mut random, network.input.len()));
        let plane = plane.each_ref().map(|picture| &picture[..]);
        let points: Vec<[f32; 2]> = points.iter().map(|(a, b)| [f32::from(*a) / 4.0, f32::from(*b) / 2.0]).collect();
        for arithmetic in [Arithmetic::Exact, Arithmetic::Fused] {
            let mut executor = Executor::with(&network, &weights, arithmetic).unwrap();
            let classes = executor.classes();
            let mut logits = vec![0.0; points.len() * classes];
            executor.logits_on_plane(plane, &points, &mut logits);
            for (point, logits) in points.iter().zip(logits.chunks_exact(classes)) {
                let at = |i: usize| f64::from(plane[0][i] + point[0] * plane[1][i] + point[1] * plane[2][i]);
                let picture: Vec<f64> = (0..network.input.len()).map(at).collect();
                let (expected, _) = reference::run(&network, &weights, &picture, &vec![0.0; classes]);
                prop_assert!(close(logits, &expected, 0.0));
                let mut alone = vec![0.0; classes];
                executor.logits_on_plane(plane, &[*point], &mut alone);
                prop_assert_eq!(bits(logits), bits(&alone));
            }
        }
    }

    #[test]
    fn results_are_the_same_to_the_bit_for_any_number_of_lanes_and_any_batch(
        network in prop_oneof![architecture(), smooth_architecture(), tiled_architecture()],
        pictures in 1usize..20,
        seed: u64,
    ) {
        let mut random = Random::new(seed, Stream::Weights, 0);
        let mut weights = trained(&network, &mut random);
        // Numbers that round, unlike eighths.
        for (name, shape) in needed(&network).unwrap() {
            let data = (0..shape.iter().product()).map(|_| random.normal()).collect();
            weights.insert(&name, shape, data).unwrap();
        }
        let mut wide = Executor::new(&network, &weights).unwrap();
        let mut portable = Executor::portable(&network, &weights).unwrap();
        let (pixels, classes) = (network.input.len(), wide.classes());
        let images: Vec<f32> = (0..pictures * pixels).map(|_| random.uniform()).collect();
        let cotangents: Vec<f32> = (0..pictures * classes).map(|_| random.normal()).collect();
        let (logits, gradient) = run(&mut wide, &images, &cotangents);
        let (narrow_logits, narrow_gradient) = run(&mut portable, &images, &cotangents);
        prop_assert_eq!(bits(&logits), bits(&narrow_logits));
        prop_assert_eq!(bits(&gradient), bits(&narrow_gradient));
        for i in 0..pictures {
            let (image, cotangent) = (&images[i * pixels..][..pixels], &cotangents[i * classes..][..classes]);
            let (alone, slope) = run(&mut wide, image, cotangent);
            prop_assert_eq!(bits(&alone), bits(&logits[i * classes..][..classes]));
            prop_assert_eq!(bits(&slope), bits(&gradient[i * pixels..][..pixels]));
            let mut forward = vec![0.0; classes];
            wide.logits(image, &mut forward);
            prop_assert_eq!(bits(&forward), bits(&alone));
        }
    }
}

#[test]
fn of_equal_cells_the_first_takes_the_whole_gradient_and_relu_at_zero_none() {
    let network = |layers| Architecture { input: Shape { channels: 1, height: 2, width: 2 }, layers };
    let conv = Layer::Conv2d { name: "a".into(), out: 1, kernel: 1, stride: 1, padding: 0.into(), groups: 1 };
    let mut weights = Weights::default();
    weights.insert("a.weight", vec![1, 1, 1, 1], vec![1.0]).unwrap();
    weights.insert("a.bias", vec![1], vec![0.0]).unwrap();
    let pool = Layer::MaxPool2d { size: 2 };
    let fused = network(vec![conv, Layer::Relu, pool.clone()]);
    let plain = network(vec![Layer::Relu, pool]);
    for architecture in [fused, plain] {
        let mut executor = Executor::new(&architecture, &weights).unwrap();
        assert_eq!(run(&mut executor, &[0.25, 0.5, 0.5, 0.5], &[3.0]), (vec![0.5], vec![0.0, 3.0, 0.0, 0.0]));
        assert_eq!(run(&mut executor, &[0.0, -1.0, 0.0, -2.0], &[3.0]), (vec![0.0], vec![0.0; 4]));
    }
}

#[test]
fn equal_cells_of_a_tile_are_equal_to_the_bit() {
    let mut random = Random::new(3, Stream::Weights, 0);
    let conv = Layer::Conv2d { name: "a".into(), out: 20, kernel: 3, stride: 1, padding: 0.into(), groups: 1 };
    let layers = vec![conv, Layer::MaxPool2d { size: 2 }];
    let architecture = Architecture { input: Shape { channels: 8, height: 4, width: 4 }, layers };
    let mut weights = Weights::default();
    for (name, shape) in needed(&architecture).unwrap() {
        weights.insert(&name, shape.clone(), (0..shape.iter().product()).map(|_| random.normal()).collect()).unwrap();
    }
    let mut executor = Executor::new(&architecture, &weights).unwrap();
    // Constant down, constant across, constant in both.
    for (down, across) in [(false, true), (true, false), (false, false)] {
        let values: Vec<f32> = (0..8 * 4).map(|_| random.normal()).collect();
        let image: Vec<f32> = (0..8 * 16)
            .map(|i| values[i / 16 * 4 + if down { i / 4 % 4 } else { 0 } + if across { i % 4 } else { 0 }])
            .collect();
        let (_, gradient) = run(&mut executor, &image, &[1.0; 20]);
        // The first of equal cells takes the gradient: none comes to what only the others see.
        for (i, &gradient) in gradient.iter().enumerate() {
            assert!((down || i / 4 % 4 != 3) && (across || i % 4 != 3) || gradient == 0.0, "{i}");
        }
        assert!(gradient.iter().any(|&gradient| gradient != 0.0));
    }
}

#[test]
fn what_is_not_a_number_is_not_hidden() {
    let network = Architecture::small_cnn();
    let mut executor = Executor::new(&network, &trained(&network, &mut Random::new(0, Stream::Weights, 0))).unwrap();
    let mut images = vec![0.5; 2 * 784];
    images[400] = f32::NAN;
    let (logits, gradient) = run(&mut executor, &images, &[1.0; 20]);
    assert!(logits[..10].iter().any(|z| z.is_nan()));
    assert!(logits[10..].iter().chain(&gradient[784..]).all(|v| v.is_finite()));
    let (_, gradient) = run(&mut executor, &[0.5; 784], &[f32::NAN; 10]);
    assert!(gradient.iter().any(|g| g.is_nan()));
}

#[test]
fn weights_of_another_architecture_are_refused_by_name() {
    let network = Architecture::small_cnn();
    let mut weights = trained(&network, &mut Random::new(0, Stream::Weights, 0));
    weights.insert("fc1.weight", vec![2, 2], vec![0.0; 4]).unwrap();
    let message = Executor::new(&network, &weights).unwrap_err().to_string();
    assert!(message.contains("fc1.weight") && message.contains("[128, 1568]"), "{message}");
    let empty = Architecture { input: network.input, layers: vec![Layer::Flatten] };
    assert_eq!(Executor::new(&empty, &weights).unwrap_err(), BuildError::Empty);
}
