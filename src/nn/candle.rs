//! A network through candle's own operations, on whatever device candle has: the way to a graphics processor.
//!
//! On an ordinary processor the [`super::Executor`] is many times faster and this is its peer in tests. Built with the
//! feature `cuda`, the server's jobs take a CUDA device where there is one. Results differ in the last bits from the
//! executor's.

use candle_core::{DType, Device, Result, Tensor, Var};

use super::architecture::Misfit;
use super::weights::{self, Weights, WeightsError};
use super::{Architecture, Classifier, Layer, Shape};

/// A network with its weights on a device.
#[derive(Clone)]
pub struct Candle {
    architecture: Architecture,
    classes: usize,
    device: Device,
    /// Weight and bias of each layer that has them, in the order of the layers.
    weights: Vec<Tensor>,
}

/// Why a network cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CandleError {
    /// The layers do not fit together.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The weights are not those of the architecture.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// candle or the device refuses.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
}

impl Candle {
    /// Puts the weights on a device.
    ///
    /// # Errors
    /// If the layers do not fit together, weights are missing or of another shape, or the device refuses.
    pub fn new(
        architecture: &Architecture,
        weights: &Weights,
        device: &Device,
    ) -> std::result::Result<Self, CandleError> {
        let classes = architecture.costs()?.last().map_or(0, |cost| cost.output.len());
        let mut tensors = Vec::new();
        for (name, shape) in weights::needed(architecture)? {
            tensors.push(Tensor::from_slice(weights.get(&name, &shape)?, shape, device)?);
        }
        Ok(Self { architecture: architecture.clone(), classes, device: device.clone(), weights: tensors })
    }

    /// A CUDA device, if this is built for one and there is one.
    pub fn device() -> Option<Device> {
        Device::cuda_if_available(0).ok().filter(Device::is_cuda)
    }

    fn forward(&self, x: Tensor) -> Result<Tensor> {
        chain(&self.architecture.layers, x, &mut self.weights.iter(), &self.device)
    }

    fn pictures(&self, images: &[f32]) -> Result<Tensor> {
        let Shape { channels, height, width } = self.architecture.input;
        Tensor::from_slice(
            images,
            (images.len() / self.architecture.input.len(), channels, height, width),
            &self.device,
        )
    }

    fn values(tensor: &Tensor, into: &mut [f32]) -> Result<()> {
        into.copy_from_slice(&tensor.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }
}

/// Windows of `size` × `size`, flattened: (N, C, H / size, W / size, size²). What does not fill a window is left out.
fn windows(x: &Tensor, size: usize) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let (rows, columns) = (h / size, w / size);
    let x = x.narrow(2, 0, rows * size)?.narrow(3, 0, columns * size)?;
    let x = x.reshape(vec![n, c, rows, size, columns, size])?.permute(vec![0, 1, 2, 4, 3, 5])?.contiguous()?;
    x.reshape((n, c, rows, columns, size * size))
}

fn chain<'a>(
    layers: &[Layer],
    x: Tensor,
    weights: &mut impl Iterator<Item = &'a Tensor>,
    device: &Device,
) -> Result<Tensor> {
    let mut x = x;
    for layer in layers {
        let next = |weights: &mut dyn Iterator<Item = &'a Tensor>| match (weights.next(), weights.next()) {
            (Some(weight), Some(bias)) => Ok((weight, bias)),
            _ => candle_core::bail!("a layer without weights"),
        };
        // Masks are constants: what they are multiplied with keeps its own derivative.
        let mask = |condition: Tensor| condition.to_dtype(DType::F32);
        x = match layer {
            Layer::Normalize { mean, std } => {
                let channel = |values: &[f32]| Tensor::from_slice(values, (1, values.len(), 1, 1), device);
                x.broadcast_sub(&channel(mean)?)?.broadcast_div(&channel(std)?)?
            }
            Layer::Conv2d { stride, padding, groups, .. } => {
                let (weight, bias) = next(weights)?;
                for side in [2, 3] {
                    x = x.pad_with_zeros(side, padding.before, padding.after)?;
                }
                let bias = bias.reshape((1, bias.elem_count(), 1, 1))?;
                x.conv2d(weight, 0, *stride, 1, *groups)?.broadcast_add(&bias)?
            }
            Layer::Linear { .. } => {
                let (weight, bias) = next(weights)?;
                x.matmul(&weight.t()?)?.broadcast_add(bias)?
            }
            Layer::Relu => (&x * mask(x.gt(0f32)?)?)?,
            Layer::Relu6 => ((&x * (mask(x.gt(0f32)?)? * mask(x.lt(6f32)?)?)?)? + (mask(x.ge(6f32)?)? * 6.0)?)?,
            Layer::LeakyRelu { slope } => {
                let right = mask(x.gt(0f32)?)?;
                let slopes = right.affine(1.0 - f64::from(*slope), f64::from(*slope))?;
                (&x * slopes)?
            }
            Layer::Sigmoid => (x.neg()?.exp()? + 1.0)?.recip()?,
            Layer::Tanh => x.tanh()?,
            // The index of the maximum, the first of equal ones, then a choice: candle's own pooling scales the gradient.
            Layer::MaxPool2d { size } => {
                let windows = windows(&x, *size)?;
                let first = windows.detach().argmax_keepdim(4)?;
                windows.gather(&first, 4)?.squeeze(4)?
            }
            Layer::AvgPool2d { size } => windows(&x, *size)?.mean(4)?,
            Layer::GlobalAvgPool => x.mean((2, 3))?.unsqueeze(2)?.unsqueeze(3)?,
            Layer::Flatten => x.flatten_from(1)?,
            Layer::Residual { layers } => (&x + chain(layers, x.clone(), weights, device)?)?,
            Layer::Dropout { .. } => x,
        };
    }
    Ok(x)
}

const DEVICE: &str = "the device runs networks that were put on it";

impl Classifier for Candle {
    fn input(&self) -> Shape {
        self.architecture.input
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn logits(&mut self, images: &[f32], logits: &mut [f32]) {
        let output = self.pictures(images).and_then(|x| self.forward(x));
        output.and_then(|output| Self::values(&output, logits)).expect(DEVICE);
    }

    fn input_gradient(
        &mut self,
        images: &[f32],
        logits: &mut [f32],
        cotangent: &mut dyn FnMut(&[f32], &mut [f32]),
        gradient: &mut [f32],
    ) {
        let mut run = || -> Result<()> {
            let x = Var::from_tensor(&self.pictures(images)?)?;
            let output = self.forward(x.as_tensor().clone())?;
            Self::values(&output, logits)?;
            let mut given = vec![0.0; logits.len()];
            cotangent(logits, &mut given);
            let given = Tensor::from_slice(&given, output.shape(), &self.device)?;
            match (output * given)?.sum_all()?.backward()?.get(&x) {
                Some(found) => Self::values(found, gradient),
                // Nothing of the output depends on the pictures.
                None => {
                    gradient.fill(0.0);
                    Ok(())
                }
            }
        };
        run().expect(DEVICE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Executor, zoo};
    use crate::random::{Random, Stream};

    #[test]
    fn through_candle_every_shipped_network_has_the_executors_logits_and_gradient() {
        let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        for card in zoo::of(crate::data::Dataset::Digits) {
            let file = std::fs::read(assets.join("models").join(&card.weights.file)).unwrap();
            let weights = Weights::read(&file).unwrap();
            let mut candle = Candle::new(&card.architecture, &weights, &Device::Cpu).unwrap();
            let mut executor = Executor::new(&card.architecture, &weights).unwrap();
            let images = crate::data::test_pictures(&assets, card.dataset).unwrap().first(3).images();
            let mut random = Random::new(5, Stream::Order, 0);
            let cotangents: Vec<f32> = (0..30).map(|_| random.normal()).collect();
            let run = |classifier: &mut dyn Classifier| {
                let (mut logits, mut gradient) = (vec![0.0; 30], vec![0.0; images.len()]);
                let mut given = |_: &[f32], c: &mut [f32]| c.copy_from_slice(&cotangents);
                classifier.input_gradient(&images, &mut logits, &mut given, &mut gradient);
                let mut alone = vec![0.0; 30];
                classifier.logits(&images, &mut alone);
                assert_eq!(alone, logits);
                (logits, gradient)
            };
            let (found, expected) = (run(&mut candle), run(&mut executor));
            for (found, expected) in [(found.0, expected.0), (found.1, expected.1)] {
                let apart = found.iter().zip(&expected).map(|(f, e)| (f - e) * (f - e)).sum::<f32>().sqrt();
                let size = expected.iter().map(|e| e * e).sum::<f32>().sqrt();
                assert!(apart <= 1e-4 * size, "{}: {apart} of {size}", card.name);
            }
        }
    }
}
