//! A network whose weights can be trained.

use std::slice::ChunksExact;

use candle_core::{Device, Result, Tensor, Var};

use crate::nn::architecture::Misfit;
use crate::nn::ops::{self, ConvBlock, GroupedConv};
use crate::nn::weights::{self, Weights, WeightsError};
use crate::nn::{Architecture, Arithmetic, Layer};
use crate::random::{Random, Stream};

/// An architecture with its weights as candle variables.
pub struct Network {
    architecture: Architecture,
    arithmetic: Arithmetic,
    names: Vec<String>,
    variables: Vec<Var>,
}

/// Why a network cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The layers do not fit together.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// candle refuses.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
}

impl Network {
    /// Draws weights normally with variance 2 / (inputs of a unit) (He et al. 2015); biases are 0. It is trained as fast
    /// as this processor can.
    ///
    /// # Errors
    /// If the layers do not fit together.
    pub fn new(architecture: Architecture, seed: u64) -> std::result::Result<Self, NetworkError> {
        Self::with(architecture, seed, Arithmetic::Fused)
    }

    /// The same with a choice of arithmetic: with [`Arithmetic::Exact`] what is learnt is the same to the bit on every
    /// platform.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(
        architecture: Architecture,
        seed: u64,
        arithmetic: Arithmetic,
    ) -> std::result::Result<Self, NetworkError> {
        let (mut names, mut variables) = (Vec::new(), Vec::new());
        for (item, (name, shape)) in weights::needed(&architecture)?.into_iter().enumerate() {
            let mut random = Random::new(seed, Stream::Weights, item as u64);
            let inputs = shape[1..].iter().product::<usize>();
            let scale = if shape.len() > 1 { (2.0 / inputs as f32).sqrt() } else { 0.0 };
            let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| scale * random.normal()).collect();
            variables.push(Var::from_vec(numbers, shape, &Device::Cpu)?);
            names.push(name);
        }
        Ok(Self { architecture, arithmetic, names, variables })
    }

    /// The logits (N, K) of pictures (N, C, H, W).
    pub fn forward(&self, pictures: &Tensor) -> Result<Tensor> {
        self.chain(&self.architecture.layers, pictures.clone(), &mut self.variables.chunks_exact(2), true)
    }

    /// Applies layers, taking their weights and biases in turn. The gradient with respect to the `first` layer's input is
    /// not wanted.
    fn chain(&self, layers: &[Layer], x: Tensor, variables: &mut ChunksExact<Var>, first: bool) -> Result<Tensor> {
        let mut x = x;
        let next = |variables: &mut ChunksExact<'_, Var>| match variables.next() {
            Some([weight, bias]) => Ok((weight.clone(), bias.clone())),
            _ => candle_core::bail!("a layer without weights"),
        };
        let mut index = 0;
        while index < layers.len() {
            let input_gradient = !first || index > 0;
            match &layers[index] {
                &Layer::Conv2d { stride, padding, groups, .. } => {
                    let (weight, bias) = next(variables)?;
                    if groups > 1 {
                        x = GroupedConv { stride, padding, groups, input_gradient }.forward(&x, &weight, &bias)?;
                    } else {
                        let relu = matches!(layers.get(index + 1), Some(Layer::Relu));
                        let pool = match layers.get(index + 1 + relu as usize) {
                            Some(&Layer::MaxPool2d { size }) if size <= 15 => size,
                            _ => 1,
                        };
                        let even = padding.before.min(padding.after);
                        if padding.before != padding.after {
                            for side in [2, 3] {
                                x = x.pad_with_zeros(side, padding.before - even, padding.after - even)?;
                            }
                        }
                        let arithmetic = self.arithmetic;
                        let block = ConvBlock { stride, padding: even, relu, pool, input_gradient, arithmetic };
                        x = block.forward(&x, &weight, &bias)?;
                        index += relu as usize + (pool > 1) as usize;
                    }
                }
                Layer::Relu => x = ops::relu(&x)?,
                Layer::MaxPool2d { size } => x = ops::max_pool2d(&x, *size)?,
                Layer::Flatten => x = x.flatten_from(1)?,
                Layer::Linear { .. } => {
                    let (weight, bias) = next(variables)?;
                    x = match self.arithmetic {
                        Arithmetic::Exact => ops::linear(&x, &weight, &bias, Arithmetic::Exact)?,
                        Arithmetic::Fused => x.matmul(&weight.t()?)?.broadcast_add(&bias)?,
                    };
                }
                Layer::Residual { layers } => x = (&x + self.chain(layers, x.clone(), variables, !input_gradient)?)?,
                Layer::Dropout { .. } => {}
                fixed @ (Layer::Normalize { .. }
                | Layer::Relu6
                | Layer::LeakyRelu { .. }
                | Layer::Sigmoid
                | Layer::Tanh
                | Layer::AvgPool2d { .. }
                | Layer::GlobalAvgPool) => x = ops::fixed(fixed, &x)?,
            }
            index += 1;
        }
        Ok(x)
    }

    /// The gradient of a loss with respect to all variables, in their order.
    pub fn gradients(&self, loss: &Tensor) -> Result<Vec<Vec<f32>>> {
        let gradients = loss.backward()?;
        let of = |variable: &Var| match gradients.get(variable) {
            Some(gradient) => gradient.flatten_all()?.to_vec1(),
            None => Ok(vec![0.0; variable.elem_count()]),
        };
        self.variables.iter().map(of).collect()
    }

    /// Puts `numbers` into the variables, in their order.
    pub fn set(&self, numbers: &[Vec<f32>]) -> Result<()> {
        for (variable, numbers) in self.variables.iter().zip(numbers) {
            variable.set(&Tensor::from_slice(numbers, variable.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }

    /// The numbers of all variables: weights before biases, in the order of the layers.
    pub fn numbers(&self) -> Result<Vec<Vec<f32>>> {
        self.variables.iter().map(|variable| variable.flatten_all()?.to_vec1()).collect()
    }

    /// `numbers` in the place of the variables', as weights for an executor or a file.
    pub fn weights(&self, numbers: Vec<Vec<f32>>) -> std::result::Result<Weights, WeightsError> {
        let mut weights = Weights::default();
        for ((name, variable), numbers) in self.names.iter().zip(&self.variables).zip(numbers) {
            weights.insert(name, variable.dims().to_vec(), numbers)?;
        }
        Ok(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ops::check;
    use crate::nn::{Classifier, Executor, Padding, Shape};

    fn odd_architecture() -> Architecture {
        let conv = |name: &str, out, stride| Layer::Conv2d {
            name: name.into(),
            out,
            kernel: 3,
            stride,
            padding: 1.into(),
            groups: 1,
        };
        Architecture {
            input: Shape { channels: 1, height: 9, width: 8 },
            layers: vec![
                Layer::MaxPool2d { size: 1 },
                conv("a", 3, 1),
                Layer::MaxPool2d { size: 2 },
                Layer::Relu,
                conv("b", 4, 2),
                Layer::Relu,
                Layer::Flatten,
                Layer::Linear { name: "c".into(), out: 5 },
                Layer::Relu,
                Layer::Linear { name: "d".into(), out: 3 },
            ],
        }
    }

    /// What the others lack.
    fn smooth_architecture() -> Architecture {
        let conv = |name: &str, out, groups, padding| Layer::Conv2d {
            name: name.into(),
            out,
            kernel: 3,
            stride: 1,
            padding,
            groups,
        };
        Architecture {
            input: Shape { channels: 2, height: 8, width: 9 },
            layers: vec![
                Layer::Normalize { mean: vec![0.4, 0.6], std: vec![0.5, 2.0] },
                conv("a", 8, 1, Padding { before: 0, after: 2 }),
                Layer::Tanh,
                Layer::Residual { layers: vec![conv("b", 8, 8, 1.into()), Layer::Sigmoid, conv("c", 8, 2, 1.into())] },
                Layer::AvgPool2d { size: 2 },
                Layer::LeakyRelu { slope: 0.1 },
                Layer::GlobalAvgPool,
                Layer::Flatten,
                Layer::Linear { name: "d".into(), out: 3 },
            ],
        }
    }

    #[test]
    fn the_executor_computes_what_is_trained() {
        for architecture in [Architecture::small_cnn(), odd_architecture(), smooth_architecture()] {
            let input = architecture.input;
            let network = Network::new(architecture.clone(), 5).unwrap();
            let pictures = check::normal(6, &[3, input.channels, input.height, input.width]).abs().unwrap().detach();
            let trained: Vec<f32> = network.forward(&pictures).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let weights = network.weights(network.numbers().unwrap()).unwrap();
            let mut executor = Executor::new(&architecture, &weights).unwrap();
            let mut executed = vec![0.0; trained.len()];
            executor.logits(&pictures.flatten_all().unwrap().to_vec1::<f32>().unwrap(), &mut executed);
            for (a, b) in trained.iter().zip(&executed) {
                assert!((a - b).abs() < 1e-4, "{trained:?} {executed:?}");
            }
        }
    }

    #[test]
    fn the_gradient_of_every_weight_of_a_whole_network_is_the_slope_of_the_loss() {
        for architecture in [Architecture::small_cnn(), odd_architecture(), smooth_architecture()] {
            let input = architecture.input;
            let network = Network::with(architecture, 5, Arithmetic::Exact).unwrap();
            let pictures = check::normal(6, &[4, input.channels, input.height, input.width]).abs().unwrap().detach();
            let variables: Vec<&Var> = network.variables.iter().collect();
            check::gradient_over_kinks(&variables, || {
                // Scaled up, so that differences stand out from the rounding of float32.
                ops::cross_entropy(&network.forward(&pictures)?, &[0, 1, 2, 1], 0.0)? * 10.0
            });
        }
    }
}
