//! The same job gives the same weights to the bit natively and in the browser.
#![cfg(any(not(target_arch = "wasm32"), feature = "trainer"))]

use epsilon_lab::nn::{Architecture, Layer, Padding, Shape};
use epsilon_lab::random::{Random, Stream};
use epsilon_lab::scene::{self, Scene};
use epsilon_lab::threat::{Norm, Threat};
use epsilon_lab::trainer::protocol::{Attacker, Job, Report};
use epsilon_lab::trainer::teach::{Host, teach};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

struct Nobody;

impl Host for Nobody {
    fn say(&mut self, _: Report) {}

    fn now(&self) -> f64 {
        0.0
    }

    async fn go_on(&mut self) -> bool {
        true
    }
}

/// Waits for what never waits.
fn done<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    match work.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => panic!("nothing here waits"),
    }
}

/// FNV-1a over the bits of all weights that are learnt.
fn fingerprint(job: &Job) -> u32 {
    job.validate().unwrap();
    let weights = done(teach(job, &mut Nobody)).unwrap();
    let numbers = weights.tensors().flat_map(|(_, tensor)| &tensor.data);
    numbers.fold(0x811c_9dc5, |hash: u32, n| (hash ^ n.to_bits()).wrapping_mul(0x0100_0193))
}

#[test]
fn a_network_of_points_is_the_same_on_every_platform() {
    let fingerprints = Scene::ALL.map(|scene| fingerprint(&Job { epochs: 20, ..Job::of_scene(scene, 100, 7) }));
    assert_eq!(fingerprints, [0xfc1f_8426, 0x603c_d46e], "{fingerprints:#x?}");
}

#[test]
fn so_is_one_with_tanh_trained_against_an_attacker() {
    let attacker = Attacker { threat: Threat { norm: Norm::Linf, epsilon: 0.05 }, steps: 3 };
    let job = Job { epochs: 5, attacker: Some(attacker), ..Job::of_scene(Scene::Wave, 100, 7) };
    let job = Job { architecture: scene::network(&[16, 8], Layer::Tanh), ..job };
    assert_eq!(fingerprint(&job), 0xf6bf_c74e, "{:#x}", fingerprint(&job));
}

#[test]
fn so_is_a_convolutional_network() {
    let conv = |name: &str, out, stride, groups| Layer::Conv2d {
        name: name.into(),
        out,
        kernel: 3,
        stride,
        padding: Padding { before: 1, after: 1 },
        groups,
    };
    let architecture = Architecture {
        input: Shape { channels: 1, height: 12, width: 10 },
        layers: vec![
            conv("a", 6, 1, 1),
            Layer::Relu,
            Layer::MaxPool2d { size: 2 },
            Layer::Residual { layers: vec![conv("b", 6, 1, 6), Layer::LeakyRelu { slope: 0.1 }, conv("c", 6, 1, 1)] },
            conv("d", 7, 2, 1),
            Layer::Sigmoid,
            Layer::GlobalAvgPool,
            Layer::Flatten,
            Layer::Linear { name: "e".into(), out: 3 },
        ],
    };
    let mut random = Random::new(1, Stream::Order, 0);
    let images: Vec<f32> = (0..30 * 120).map(|_| random.uniform()).collect();
    let labels = (0..30).map(|i| i % 3).collect();
    let job = Job { architecture, images: images.into(), labels, epochs: 3, ..Job::of_scene(Scene::Wave, 1, 7) };
    assert_eq!(fingerprint(&job), 0x3543_bb26, "{:#x}", fingerprint(&job));
}
