//! A slow, plain network in double precision, to test the fast one against: channels first, one picture at a time, every
//! layer by its definition.

use super::{Architecture, Layer, Shape, Weights};

/// What a layer was given, to go back through it.
struct Visit<'a> {
    layer: &'a Layer,
    input: Shape,
    output: Shape,
    values: Vec<f64>,
}

fn weights(weights: &Weights, name: &str) -> Vec<f64> {
    let (_, tensor) = weights.tensors().find(|(found, _)| *found == name).unwrap();
    tensor.data.iter().map(|&w| w as f64).collect()
}

/// Calls with (output, input, weight) positions of every product of a convolution.
fn products(input: Shape, output: Shape, layer: &Layer, mut each: impl FnMut(usize, usize, usize)) {
    let &Layer::Conv2d { kernel, stride, padding, .. } = layer else { return };
    for o in 0..output.channels {
        for y in 0..output.height {
            for x in 0..output.width {
                for c in 0..input.channels {
                    for i in 0..kernel {
                        for j in 0..kernel {
                            let (row, column) = ((y * stride + i).wrapping_sub(padding), x * stride + j);
                            let column = column.wrapping_sub(padding);
                            if row < input.height && column < input.width {
                                each(
                                    (o * output.height + y) * output.width + x,
                                    (c * input.height + row) * input.width + column,
                                    ((o * input.channels + c) * kernel + i) * kernel + j,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// For every output of a pooling layer the position of the first greatest input of its window.
fn greatest(input: Shape, output: Shape, size: usize, values: &[f64]) -> Vec<usize> {
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

/// The logits of one picture, and the gradient of ⟨cotangent, logits⟩ with respect to it.
pub(crate) fn run(
    architecture: &Architecture,
    trained: &Weights,
    picture: &[f64],
    cotangent: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let mut visits = Vec::new();
    let (mut shape, mut values) = (architecture.input, picture.to_vec());
    for (layer, cost) in architecture.layers.iter().zip(architecture.costs().unwrap()) {
        let output = cost.output;
        let next = match layer {
            Layer::Conv2d { name, .. } => {
                let (w, bias) =
                    (weights(trained, &format!("{name}.weight")), weights(trained, &format!("{name}.bias")));
                let plane = output.height * output.width;
                let mut next: Vec<f64> = (0..output.len()).map(|i| bias[i / plane]).collect();
                products(shape, output, layer, |o, i, k| next[o] += values[i] * w[k]);
                next
            }
            Layer::Linear { name, .. } => {
                let (w, bias) =
                    (weights(trained, &format!("{name}.weight")), weights(trained, &format!("{name}.bias")));
                let rows = bias.iter().zip(w.chunks(shape.len()));
                rows.map(|(b, row)| b + row.iter().zip(&values).map(|(w, v)| w * v).sum::<f64>()).collect()
            }
            Layer::Relu => values.iter().map(|v| v.max(0.0)).collect(),
            Layer::MaxPool2d { size } => {
                greatest(shape, output, *size, &values).into_iter().map(|at| values[at]).collect()
            }
            Layer::Flatten => values.clone(),
        };
        visits.push(Visit { layer, input: shape, output, values: std::mem::replace(&mut values, next) });
        shape = output;
    }
    let mut gradient = cotangent.to_vec();
    for Visit { layer, input, output, values } in visits.into_iter().rev() {
        let mut before = vec![0.0; input.len()];
        match layer {
            Layer::Conv2d { name, .. } => {
                let w = weights(trained, &format!("{name}.weight"));
                products(input, output, layer, |o, i, k| before[i] += gradient[o] * w[k]);
            }
            Layer::Linear { name, .. } => {
                let w = weights(trained, &format!("{name}.weight"));
                for (row, g) in w.chunks(input.len()).zip(&gradient) {
                    before.iter_mut().zip(row).for_each(|(b, w)| *b += g * w);
                }
            }
            Layer::Relu => {
                for ((b, g), v) in before.iter_mut().zip(&gradient).zip(values) {
                    *b = if v > 0.0 { *g } else { 0.0 };
                }
            }
            Layer::MaxPool2d { size } => {
                for (at, g) in greatest(input, output, *size, &values).into_iter().zip(&gradient) {
                    before[at] += g;
                }
            }
            Layer::Flatten => before.copy_from_slice(&gradient),
        }
        gradient = before;
    }
    (values, gradient)
}

mod tests {
    use super::*;
    use crate::random::{Random, Stream};

    #[test]
    fn the_reference_gradient_is_that_of_central_differences_in_direction_and_scale() {
        let architecture = Architecture {
            input: Shape { channels: 2, height: 9, width: 8 },
            layers: vec![
                Layer::Conv2d { name: "a".into(), out: 3, kernel: 3, stride: 1, padding: 1 },
                Layer::Relu,
                Layer::MaxPool2d { size: 2 },
                Layer::Conv2d { name: "b".into(), out: 4, kernel: 2, stride: 2, padding: 1 },
                Layer::Relu,
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
