//! A slow, plain network in double precision, to test the fast one against: channels first, one picture at a time, every
//! layer by its definition.

use super::architecture::{Cost, costs};
use super::{Architecture, Layer, Shape, Weights};

fn weights(weights: &Weights, name: &str) -> Vec<f64> {
    let (_, tensor) = weights.tensors().find(|(found, _)| *found == name).unwrap();
    tensor.data.iter().map(|&w| w as f64).collect()
}

/// Calls with (output, input, weight) positions of every product of a convolution.
fn products(input: Shape, output: Shape, layer: &Layer, mut each: impl FnMut(usize, usize, usize)) {
    let &Layer::Conv2d { kernel, stride, padding, groups, .. } = layer else { return };
    let inputs = input.channels / groups;
    for o in 0..output.channels {
        let first = o / (output.channels / groups) * inputs;
        for y in 0..output.height {
            for x in 0..output.width {
                for c in 0..inputs {
                    for i in 0..kernel {
                        for j in 0..kernel {
                            let row = (y * stride + i).wrapping_sub(padding.before);
                            let column = (x * stride + j).wrapping_sub(padding.before);
                            if row < input.height && column < input.width {
                                each(
                                    (o * output.height + y) * output.width + x,
                                    ((first + c) * input.height + row) * input.width + column,
                                    ((o * inputs + c) * kernel + i) * kernel + j,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// For every output of a pooling layer the positions of its window.
fn windows(input: Shape, output: Shape, (rows, columns): (usize, usize)) -> Vec<Vec<usize>> {
    let mut windows = Vec::new();
    for c in 0..output.channels {
        for y in 0..output.height {
            for x in 0..output.width {
                let at =
                    |i: usize| (c * input.height + y * rows + i / columns) * input.width + x * columns + i % columns;
                windows.push((0..rows * columns).map(at).collect());
            }
        }
    }
    windows
}

/// For every output of a max-pooling layer the position of the first greatest input of its window.
fn greatest_of(input: Shape, output: Shape, size: usize, values: &[f64]) -> Vec<usize> {
    let mut winners = Vec::new();
    for c in 0..output.channels {
        for y in 0..output.height {
            for x in 0..output.width {
                let at = |i: usize| (c * input.height + y * size + i / size) * input.width + x * size + i % size;
                let first = (0..size * size).map(at).reduce(|a, b| if values[b] > values[a] { b } else { a });
                winners.push(first.unwrap());
            }
        }
    }
    winners
}

/// Takes the gradient with respect to outputs to that with respect to inputs.
type Back = Box<dyn Fn(&[f64]) -> Vec<f64>>;

/// A function that is applied value by value, and its derivative.
fn each(values: &[f64], f: impl Fn(f64) -> f64, slope: impl Fn(f64) -> f64) -> (Vec<f64>, Back) {
    let slopes: Vec<f64> = values.iter().map(|&x| slope(x)).collect();
    let back = move |gradient: &[f64]| gradient.iter().zip(&slopes).map(|(g, s)| g * s).collect();
    (values.iter().map(|&x| f(x)).collect(), Box::new(back))
}

/// A linear function given by its (output, input, factor)s.
fn linear(inputs: usize, outputs: usize, parts: Vec<(usize, usize, f64)>, values: &[f64]) -> (Vec<f64>, Back) {
    let mut next = vec![0.0; outputs];
    parts.iter().for_each(|&(o, i, w)| next[o] += w * values[i]);
    let back = move |gradient: &[f64]| {
        let mut before = vec![0.0; inputs];
        parts.iter().for_each(|&(o, i, w)| before[i] += w * gradient[o]);
        before
    };
    (next, Box::new(back))
}

fn layer(layer: &Layer, cost: &Cost, trained: &Weights, values: &[f64]) -> (Vec<f64>, Back) {
    let (input, output) = (cost.input, cost.output);
    let tensor = |i: usize| weights(trained, &cost.weights[i].0);
    let add_bias = |(mut next, back): (Vec<f64>, Back)| {
        let (bias, places) = (tensor(1), output.height * output.width);
        next.iter_mut().enumerate().for_each(|(o, next)| *next += bias[o / places]);
        (next, back)
    };
    match layer {
        Layer::Normalize { mean, std } => {
            let places = input.height * input.width;
            let parts = (0..input.len()).map(|i| (i, i, 1.0 / std[i / places] as f64)).collect();
            let centred: Vec<f64> = values.iter().enumerate().map(|(i, x)| x - mean[i / places] as f64).collect();
            linear(input.len(), input.len(), parts, &centred)
        }
        Layer::Conv2d { .. } => {
            let (w, mut parts) = (tensor(0), Vec::new());
            products(input, output, layer, |o, i, k| parts.push((o, i, w[k])));
            add_bias(linear(input.len(), output.len(), parts, values))
        }
        Layer::Linear { out, .. } => {
            let w = tensor(0);
            let n = input.len();
            let parts =
                (0..*out).flat_map(|o| (0..n).map(move |i| (o, i))).map(|(o, i)| (o, i, w[o * n + i])).collect();
            add_bias(linear(n, *out, parts, values))
        }
        Layer::Relu => each(values, |x| x.max(0.0), |x| (x > 0.0) as u8 as f64),
        Layer::Relu6 => each(values, |x| x.clamp(0.0, 6.0), |x| (x > 0.0 && x < 6.0) as u8 as f64),
        &Layer::LeakyRelu { slope } => {
            let slope = slope as f64;
            each(values, |x| if x > 0.0 { x } else { slope * x }, |x| if x > 0.0 { 1.0 } else { slope })
        }
        Layer::Sigmoid => {
            let f = |x: f64| 1.0 / (1.0 + (-x).exp());
            each(values, f, |x| f(x) * (1.0 - f(x)))
        }
        Layer::Tanh => each(values, f64::tanh, |x| 1.0 - x.tanh() * x.tanh()),
        Layer::MaxPool2d { size } => {
            let winners = greatest_of(input, output, *size, values);
            let parts = winners.into_iter().enumerate().map(|(o, i)| (o, i, 1.0)).collect();
            linear(input.len(), output.len(), parts, values)
        }
        Layer::AvgPool2d { .. } | Layer::GlobalAvgPool => {
            let window = match layer {
                Layer::AvgPool2d { size } => (*size, *size),
                _ => (input.height, input.width),
            };
            let mean = |(o, window): (usize, Vec<usize>)| {
                let share = 1.0 / window.len() as f64;
                window.into_iter().map(move |i| (o, i, share)).collect::<Vec<_>>()
            };
            let parts = windows(input, output, window).into_iter().enumerate().flat_map(mean).collect();
            linear(input.len(), output.len(), parts, values)
        }
        Layer::Residual { layers } => {
            let (f, back) = chain(layers, input, trained, values);
            let back = move |gradient: &[f64]| gradient.iter().zip(back(gradient)).map(|(g, f)| g + f).collect();
            (values.iter().zip(f).map(|(x, f)| x + f).collect(), Box::new(back))
        }
        Layer::Flatten | Layer::Dropout { .. } => each(values, |x| x, |_| 1.0),
    }
}

fn chain(layers: &[Layer], input: Shape, trained: &Weights, values: &[f64]) -> (Vec<f64>, Back) {
    let mut values = values.to_vec();
    let mut backs = Vec::new();
    for (of, cost) in layers.iter().zip(costs(layers, input).unwrap()) {
        let (next, back) = layer(of, &cost, trained, &values);
        values = next;
        backs.push(back);
    }
    (values, Box::new(move |gradient| backs.iter().rev().fold(gradient.to_vec(), |gradient, back| back(&gradient))))
}

/// The logits of one picture, and the gradient of ⟨cotangent, logits⟩ with respect to it.
pub(crate) fn run(
    architecture: &Architecture,
    trained: &Weights,
    picture: &[f64],
    cotangent: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let (logits, back) = chain(&architecture.layers, architecture.input, trained, picture);
    let gradient = back(cotangent);
    (logits, gradient)
}

/// How near a picture is to a kink of the network: the least distance of any value from where the layer that takes it
/// bends (ReLU, ReLU6, leaky ReLU at their corners; max-pooling where its greatest and another input of a window are
/// equal), relative to the layer's greatest input.
///
/// Exact hits count as no distance at all and are left out: there both networks follow the same rule (0 has no slope, the
/// first of equals wins), and both hit exactly, as equal inputs are treated equally.
pub(crate) fn distance_to_kink(architecture: &Architecture, trained: &Weights, picture: &[f64]) -> f64 {
    kinks(&architecture.layers, architecture.input, trained, picture)
}

fn kinks(layers: &[Layer], input: Shape, trained: &Weights, values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    let mut least = f64::INFINITY;
    for (of, cost) in layers.iter().zip(costs(layers, input).unwrap()) {
        let greatest = values.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        let mut meet = |distance: f64| {
            if distance != 0.0 {
                least = least.min(distance.abs() / greatest);
            }
        };
        match of {
            Layer::Relu | Layer::LeakyRelu { .. } => values.iter().for_each(|&x| meet(x)),
            Layer::Relu6 => values.iter().for_each(|&x| [x, x - 6.0].into_iter().for_each(&mut meet)),
            &Layer::MaxPool2d { size } => {
                let winners = greatest_of(cost.input, cost.output, size, &values);
                for (window, winner) in windows(cost.input, cost.output, (size, size)).into_iter().zip(winners) {
                    window.into_iter().for_each(|i| meet(values[winner] - values[i]));
                }
            }
            Layer::Residual { layers } => least = least.min(kinks(layers, cost.input, trained, &values)),
            _ => {}
        }
        (values, _) = layer(of, &cost, trained, &values);
    }
    least
}

mod tests {
    use super::*;
    use crate::nn::Padding;
    use crate::random::{Random, Stream};

    #[test]
    fn the_reference_gradient_is_that_of_central_differences_in_direction_and_scale() {
        let conv = |name: &str, out, kernel, stride, padding, groups| Layer::Conv2d {
            name: name.into(),
            out,
            kernel,
            stride,
            padding,
            groups,
        };
        let architecture = Architecture {
            input: Shape { channels: 2, height: 9, width: 8 },
            layers: vec![
                Layer::Normalize { mean: vec![0.5, 0.25], std: vec![0.5, 2.0] },
                conv("a", 4, 3, 1, 1.into(), 1),
                Layer::Relu,
                Layer::MaxPool2d { size: 2 },
                Layer::Residual {
                    layers: vec![conv("r", 4, 3, 1, 1.into(), 4), Layer::Tanh, conv("s", 4, 1, 1, 0.into(), 2)],
                },
                conv("b", 4, 2, 2, Padding { before: 1, after: 2 }, 1),
                Layer::LeakyRelu { slope: 0.1 },
                Layer::AvgPool2d { size: 2 },
                Layer::Sigmoid,
                Layer::GlobalAvgPool,
                Layer::Relu6,
                Layer::Dropout { share: 0.5 },
                Layer::Flatten,
                Layer::Linear { name: "c".into(), out: 5 },
                Layer::Relu,
                Layer::Linear { name: "d".into(), out: 3 },
            ],
        };
        let mut random = Random::new(1, Stream::Weights, 0);
        let mut trained = Weights::default();
        for (name, shape) in crate::nn::weights::needed(&architecture).unwrap() {
            let data = (0..shape.iter().product()).map(|_| random.normal()).collect();
            trained.insert(&name, shape, data).unwrap();
        }
        let picture: Vec<f64> = (0..architecture.input.len()).map(|_| random.uniform() as f64).collect();
        let cotangent = [1.0, -2.0, 0.5];
        let (_, gradient) = run(&architecture, &trained, &picture, &cotangent);
        assert!(gradient.iter().filter(|g| **g != 0.0).count() > gradient.len() / 2);
        let objective = |picture: &[f64]| {
            let (logits, _) = run(&architecture, &trained, picture, &cotangent);
            logits.iter().zip(cotangent).map(|(z, c)| z * c).sum::<f64>()
        };
        for at in 0..picture.len() {
            let moved = |h: f64| {
                let mut moved = picture.clone();
                moved[at] += h;
                objective(&moved)
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slope - gradient[at]).abs() < 1e-6 * (1.0 + slope.abs()), "{at}: {slope} {}", gradient[at]);
        }
    }
}
