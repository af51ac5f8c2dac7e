//! A network whose weights can be trained.

use candle_core::{Device, Result, Tensor, Var};

use crate::nn::architecture::Misfit;
use crate::nn::ops::{self, ConvBlock};
use crate::nn::weights::{self, Weights, WeightsError};
use crate::nn::{Architecture, Layer};
use crate::random::{Random, Stream};

/// An architecture with its weights as candle variables.
pub(super) struct Network {
    architecture: Architecture,
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
    /// Draws weights normally with variance 2 / (inputs of a unit) (He et al. 2015); biases are 0.
    pub fn new(architecture: Architecture, seed: u64) -> std::result::Result<Self, NetworkError> {
        let (mut names, mut variables) = (Vec::new(), Vec::new());
        for (item, (name, shape)) in weights::needed(&architecture)?.into_iter().enumerate() {
            let mut random = Random::new(seed, Stream::Weights, item as u64);
            let inputs = shape[1..].iter().product::<usize>();
            let scale = if shape.len() > 1 { (2.0 / inputs as f32).sqrt() } else { 0.0 };
            let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| scale * random.normal()).collect();
            variables.push(Var::from_vec(numbers, shape, &Device::Cpu)?);
            names.push(name);
        }
        Ok(Self { architecture, names, variables })
    }

    /// The logits (N, K) of pictures (N, C, H, W).
    pub fn forward(&self, pictures: &Tensor) -> Result<Tensor> {
        let mut x = pictures.clone();
        let mut variables = self.variables.chunks_exact(2);
        let mut next = || match variables.next() {
            Some([weight, bias]) => Ok((weight, bias)),
            _ => candle_core::bail!("a layer without weights"),
        };
        let layers = &self.architecture.layers;
        let mut index = 0;
        while index < layers.len() {
            match &layers[index] {
                Layer::Conv2d { stride, padding, .. } => {
                    let (weight, bias) = next()?;
                    let relu = matches!(layers.get(index + 1), Some(Layer::Relu));
                    let pool = match layers.get(index + 1 + relu as usize) {
                        Some(&Layer::MaxPool2d { size }) if size <= 15 => size,
                        _ => 1,
                    };
                    let block = ConvBlock { stride: *stride, padding: *padding, relu, pool, input_gradient: index > 0 };
                    x = block.forward(&x, weight, bias)?;
                    index += relu as usize + (pool > 1) as usize;
                }
                Layer::Relu => x = ops::relu(&x)?,
                Layer::MaxPool2d { size } => x = ops::max_pool2d(&x, *size)?,
                Layer::Flatten => x = x.flatten_from(1)?,
                Layer::Linear { .. } => {
                    let (weight, bias) = next()?;
                    x = x.matmul(&weight.t()?)?.broadcast_add(bias)?;
                }
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
    use crate::nn::{Classifier, Executor, Shape};

    fn odd_architecture() -> Architecture {
        let conv = |name: &str, out, stride| Layer::Conv2d { name: name.into(), out, kernel: 3, stride, padding: 1 };
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

    #[test]
    fn the_executor_computes_what_is_trained() {
        for architecture in [Architecture::small_cnn(), odd_architecture()] {
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
        for architecture in [Architecture::small_cnn(), odd_architecture()] {
            let input = architecture.input;
            let network = Network::new(architecture, 5).unwrap();
            let pictures = check::normal(6, &[4, input.channels, input.height, input.width]).abs().unwrap().detach();
            let variables: Vec<&Var> = network.variables.iter().collect();
            check::gradient_over_kinks(&variables, || {
                // Scaled up, so that differences stand out from the rounding of float32.
                ops::cross_entropy(&network.forward(&pictures)?, &[0, 1, 2, 1], 0.0)? * 10.0
            });
        }
    }
}
