//! The contestant candle, alone: natively and in the browser.

use candle_core::{D, Device, Result, Tensor, Var};
use epsilon_lab::nn::{Architecture, Layer, Weights};

/// candle 0.11 with its own operations and its autograd.
pub struct Candle {
    layers: Vec<Layer>,
    /// Weight and bias of each trained layer.
    pub weights: Vec<(Tensor, Tensor)>,
}

impl Candle {
    /// Reads the weights.
    pub fn new(architecture: &Architecture, weights: &Weights) -> Result<Self> {
        let tensors = architecture.costs().map_err(candle_core::Error::wrap)?;
        let tensor = |(name, shape): &(String, Vec<usize>)| {
            let data = weights.get(name, shape).map_err(candle_core::Error::wrap)?;
            Tensor::from_slice(data, shape.as_slice(), &Device::Cpu)
        };
        let trained = tensors.iter().filter(|cost| !cost.weights.is_empty());
        let weights = trained.map(|cost| Ok((tensor(&cost.weights[0])?, tensor(&cost.weights[1])?)));
        Ok(Self { layers: architecture.layers.clone(), weights: weights.collect::<Result<_>>()? })
    }

    /// Logits, (N, K), with other weights in place of its own.
    pub fn forward(&self, x: &Tensor, weights: &[(Tensor, Tensor)]) -> Result<Tensor> {
        let mut weights = weights.iter();
        self.layers.iter().try_fold(x.clone(), |x, layer| match layer {
            Layer::Conv2d { stride, padding, .. } => {
                let (weight, bias) = weights.next().expect("weights");
                x.conv2d(weight, padding.before, *stride, 1, 1)?.broadcast_add(&bias.reshape((1, (), 1, 1))?)
            }
            Layer::Relu => x.relu(),
            Layer::MaxPool2d { size } => x.max_pool2d(*size),
            Layer::Flatten => x.flatten_from(1),
            Layer::Linear { .. } => {
                let (weight, bias) = weights.next().expect("weights");
                x.matmul(&weight.t()?)?.broadcast_add(bias)
            }
            other => panic!("not in this bench: {other:?}"),
        })
    }

    /// The summed cross-entropy.
    pub fn loss(logits: &Tensor, labels: &[u8]) -> Result<Tensor> {
        let labels: Vec<u32> = labels.iter().map(|&label| label.into()).collect();
        let truth = Tensor::from_slice(&labels, (labels.len(), 1), &Device::Cpu)?;
        let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
        let sums = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
        (sums - shifted.gather(&truth, D::Minus1)?)?.sum_all()
    }

    /// Logits of pictures, (N, K).
    pub fn logits(&self, images: &[f32]) -> Result<Vec<f32>> {
        let x = Tensor::from_slice(images, (images.len() / 784, 1, 28, 28), &Device::Cpu)?;
        self.forward(&x, &self.weights)?.flatten_all()?.to_vec1()
    }

    /// The gradient of the summed cross-entropy with respect to the pictures.
    pub fn step(&self, images: &[f32], labels: &[u8]) -> Result<Vec<f32>> {
        let x = Var::from_slice(images, (labels.len(), 1, 28, 28), &Device::Cpu)?;
        let gradients = Self::loss(&self.forward(&x, &self.weights)?, labels)?.backward()?;
        gradients.get(&x).expect("a gradient").flatten_all()?.to_vec1()
    }
}
