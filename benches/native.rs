//! The engine without a browser: forward and input-gradient step of the network of tests/reference, against candle's
//! autograd and the processor's own limit; one training step, against candle alone; EfficientNet-Lite0.
//!
//! `make bench` runs it. It prints one line of JSON for each number: name, contestant, value, unit.

#[path = "candle/mod.rs"]
mod candle;

use std::hint::black_box;
use std::time::Instant;

use candle::Candle;
use candle_core::{Device, Result, Tensor, Var};
use epsilon_lab::nn::{Architecture, Arithmetic, Classifier, Executor, Weights, softmax, train};
use epsilon_lab::random::{Random, Stream};
use rayon::prelude::*;

const ROUNDS: usize = 31;
/// A contestant runs this often in a round, or as often as fits into 20 ms.
const CALLS: usize = 50;

fn main() {
    // `cargo bench` hands over flags of its own; `--quick` is ours.
    let rounds = if std::env::args().any(|argument| argument == "--quick") { 3 } else { ROUNDS };
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |file: &str| Weights::read(&std::fs::read(format!("{root}/{file}")).expect("a file")).expect("weights");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    one.install(|| {
        let peak = median(rounds, &mut [("peak", &mut || black_box(peak::billions()))], |value, _| value)[0];
        say("peak.multiply_add", "processor", peak, "GFLOP/s");
        steps(&read("tests/reference/std.safetensors"), rounds, peak);
        train_step(rounds.min(15));
        large(&read("assets/models/efficientnet-lite0.safetensors"), rounds.min(9));
    });
}

fn say(name: &str, contestant: &str, value: f64, unit: &str) {
    println!(r#"{{"name":"{name}","contestant":"{contestant}","value":{value},"unit":"{unit}"}}"#);
}

/// The medians of what `measure` makes of each contestant's calls; their order alternates.
fn median(
    rounds: usize,
    contestants: &mut [(&str, &mut dyn FnMut() -> f64)],
    value: impl Fn(f64, f64) -> f64,
) -> Vec<f64> {
    let mut values = vec![Vec::new(); contestants.len()];
    for round in 0..=rounds {
        for place in 0..contestants.len() {
            let place = if round % 2 == 0 { place } else { contestants.len() - 1 - place };
            let started = Instant::now();
            let (mut calls, mut result) = (0, 0.0);
            while calls < CALLS && (calls == 0 || started.elapsed().as_millis() < 20) {
                result = contestants[place].1();
                calls += 1;
            }
            // The first round warms up.
            if round > 0 {
                values[place].push(value(result, started.elapsed().as_secs_f64() * 1e3 / calls as f64));
            }
        }
    }
    values
        .iter_mut()
        .map(|values| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        })
        .collect()
}

fn pictures(length: usize) -> Vec<f32> {
    let mut random = Random::new(7, Stream::Start, 0);
    (0..length).map(|_| random.uniform()).collect()
}

/// The gradient of the summed cross-entropy.
fn step(network: &mut Executor, images: &[f32], labels: &[u8], gradient: &mut [f32]) {
    let classes = network.classes();
    let mut logits = vec![0.0; labels.len() * classes];
    let mut cotangent = |logits: &[f32], cotangents: &mut [f32]| {
        let rows = logits.chunks_exact(classes).zip(cotangents.chunks_exact_mut(classes));
        for ((logits, cotangent), &label) in rows.zip(labels) {
            softmax::cross_entropy_gradient(logits, label.into(), 1.0, cotangent);
        }
    };
    network.input_gradient(images, &mut logits, &mut cotangent, gradient);
}

/// Forward and step for batches of 1, 32 and 256.
fn steps(weights: &Weights, rounds: usize, peak: f64) {
    let architecture = Architecture::small_cnn();
    let network = |arithmetic| Executor::with(&architecture, weights, arithmetic).expect("a network");
    let two = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("two threads");
    let candle = Candle::new(&architecture, weights).expect("candle");
    for batch in [1, 32, 256] {
        let images = pictures(batch * 784);
        let labels: Vec<u8> = (0..batch).map(|i| (i % 10) as u8).collect();
        let (mut exact, mut fused) = (network(Arithmetic::Exact), network(Arithmetic::Fused));
        let halves: Vec<std::sync::Mutex<Executor>> = (0..2).map(|_| network(Arithmetic::Fused).into()).collect();
        let mut gradients = vec![vec![0.0; images.len()]; 3];
        let [first, second, third] = &mut gradients[..] else { return };
        let half = batch.div_ceil(2);
        let mut on_two = || {
            let parts =
                images.par_chunks(half * 784).zip(labels.par_chunks(half)).zip(third.par_chunks_mut(half * 784));
            two.install(|| {
                parts.zip(&halves).for_each(|(((images, labels), gradient), network)| {
                    step(&mut network.lock().expect("no panic"), images, labels, gradient);
                });
            });
            0.0
        };
        let mut contestants: Vec<(&str, &mut dyn FnMut() -> f64)> = Vec::new();
        let mut exactly = || {
            step(&mut exact, &images, &labels, first);
            0.0
        };
        let mut fusing = || {
            step(&mut fused, &images, &labels, second);
            0.0
        };
        let mut by_candle = || {
            black_box(candle.step(&images, &labels).expect("a gradient"));
            0.0
        };
        contestants.push(("epsilon-lab", &mut fusing));
        contestants.push(("epsilon-lab exact", &mut exactly));
        contestants.push(("candle", &mut by_candle));
        if batch > 1 {
            contestants.push(("epsilon-lab 2 threads", &mut on_two));
        }
        let names: Vec<String> = contestants.iter().map(|(name, _)| name.to_string()).collect();
        let times = median(rounds, &mut contestants, |_, time| time);
        for (name, time) in names.iter().zip(&times) {
            say(&format!("native.step.batch{batch}"), name, *time, "ms");
        }
        if batch == 256 {
            // Dense work: a multiply–add for every weight at every place, forwards and backwards.
            let work = 2.0 * architecture.flops() as f64 * batch as f64 / (times[0] * 1e6);
            say("native.step.batch256.share_of_peak", "epsilon-lab", 100.0 * work / peak, "%");
            let exact = &gradients[0];
            let of = |found: &[f32]| {
                let square = |v: f32| v as f64 * v as f64;
                let apart: f64 = found.iter().zip(exact).map(|(f, e)| square(f - e)).sum();
                (apart / exact.iter().map(|&e| square(e)).sum::<f64>()).sqrt()
            };
            say("native.step.difference", "epsilon-lab", of(&gradients[1]), "relative");
            say(
                "native.step.difference",
                "candle",
                of(&candle.step(&images, &labels).expect("a gradient")),
                "relative",
            );
        }
        let (mut exact, mut fused) = (network(Arithmetic::Exact), network(Arithmetic::Fused));
        let mut logits = vec![0.0; batch * 10];
        let mut others = logits.clone();
        let mut exactly = || {
            exact.logits(&images, &mut logits);
            0.0
        };
        let mut fusing = || {
            fused.logits(&images, &mut others);
            0.0
        };
        let mut by_candle = || {
            black_box(candle.logits(&images).expect("logits"));
            0.0
        };
        let mut contestants: [(&str, &mut dyn FnMut() -> f64); 3] =
            [("epsilon-lab", &mut fusing), ("epsilon-lab exact", &mut exactly), ("candle", &mut by_candle)];
        let times = median(rounds, &mut contestants, |_, time| time);
        for ((name, _), time) in contestants.iter().zip(times) {
            say(&format!("native.forward.batch{batch}"), name, time, "ms");
        }
    }
}

/// The gradient of a batch's loss with respect to all weights: the project's operations in candle, and candle alone.
fn train_step(rounds: usize) {
    let architecture = Architecture::small_cnn();
    let batch = 128;
    let (images, labels) = (pictures(batch * 784), (0..batch).map(|i| (i % 10) as u8).collect::<Vec<_>>());
    let network = train::Network::new(architecture.clone(), 1).expect("a network");
    let weights = network.weights(network.numbers().expect("numbers")).expect("weights");
    let candle = Candle::new(&architecture, &weights).expect("candle");
    let variables: Vec<(Var, Var)> = candle
        .weights
        .iter()
        .map(|(weight, bias)| Ok((Var::from_tensor(weight)?, Var::from_tensor(bias)?)))
        .collect::<Result<_>>()
        .expect("variables");
    let tensors: Vec<(Tensor, Tensor)> =
        variables.iter().map(|(weight, bias)| (weight.as_tensor().clone(), bias.as_tensor().clone())).collect();
    let x = Tensor::from_slice(&images, (batch, 1, 28, 28), &Device::Cpu).expect("images");
    let mut ours = || {
        let logits = network.forward(&x).expect("logits");
        black_box(network.gradients(&Candle::loss(&logits, &labels).expect("a loss")).expect("gradients"));
        0.0
    };
    let mut alone = || {
        let logits = candle.forward(&x, &tensors).expect("logits");
        black_box(Candle::loss(&logits, &labels).expect("a loss").backward().expect("gradients"));
        0.0
    };
    let mut contestants: [(&str, &mut dyn FnMut() -> f64); 2] = [("epsilon-lab", &mut ours), ("candle", &mut alone)];
    let times = median(rounds, &mut contestants, |_, time| time);
    for ((name, _), time) in contestants.iter().zip(times) {
        say("native.train.batch128", name, time, "ms");
    }
}

/// EfficientNet-Lite0 on one picture.
fn large(weights: &Weights, rounds: usize) {
    let architecture = Architecture::efficientnet_lite0();
    let mut network = Executor::with(&architecture, weights, Arithmetic::Fused).expect("a network");
    let mut other = network.clone();
    let image = pictures(architecture.input.len());
    let (mut logits, mut gradient) = (vec![0.0; 1000], vec![0.0; image.len()]);
    let mut forward = || {
        network.logits(&image, &mut logits);
        0.0
    };
    let mut both = || {
        step(&mut other, &image, &[1], &mut gradient);
        0.0
    };
    let mut contestants: [(&str, &mut dyn FnMut() -> f64); 2] = [("forward", &mut forward), ("step", &mut both)];
    let times = median(rounds, &mut contestants, |_, time| time);
    say("native.efficientnet.forward", "epsilon-lab", times[0], "ms");
    say("native.efficientnet.step", "epsilon-lab", times[1], "ms");
    say("native.efficientnet.step_in_forwards", "epsilon-lab", times[1] / times[0], "forwards");
}

/// The most multiply–adds that one thread can do, in registers.
mod peak {
    use std::hint::black_box;
    use std::time::Instant;

    const LANES: usize = 128;
    const TURNS: usize = 20_000;

    /// 10⁹ floating-point operations a second.
    pub fn billions() -> f64 {
        let started = Instant::now();
        let sums = turns();
        let seconds = started.elapsed().as_secs_f64();
        black_box(sums);
        2.0 * (LANES * TURNS) as f64 / seconds / 1e9
    }

    #[cfg(target_arch = "x86_64")]
    fn turns() -> [f32; LANES] {
        use std::arch::is_x86_feature_detected as has;
        // SAFETY: the processor has been asked for the instructions.
        unsafe {
            if has!("avx512f") {
                with_avx512()
            } else if has!("avx2") && has!("fma") {
                with_avx2()
            } else {
                sums()
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn turns() -> [f32; LANES] {
        sums()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn with_avx512() -> [f32; LANES] {
        sums()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn with_avx2() -> [f32; LANES] {
        sums()
    }

    #[inline(always)]
    fn sums() -> [f32; LANES] {
        let (x, w) = (black_box(0.999_f32), black_box(0.001_f32));
        let mut sums = [1.0_f32; LANES];
        for _ in 0..TURNS {
            for sum in &mut sums {
                *sum = sum.mul_add(x, w);
            }
        }
        sums
    }
}
