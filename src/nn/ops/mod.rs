//! Operations for training with candle, each with a backward pass of its own: natively, and in the page's trainer.
//!
//! candle 0.11's own backward passes are not used where they are wrong (max-pooling: divided by the window's area unless
//! values tie) or slow (convolution: a transposed convolution, many times the forward pass). Every operation here is
//! tested against finite differences, in direction and in scale. Pictures of a batch are spread over threads in chunks
//! of fixed size whose sums are added in fixed order: results do not depend on the number of threads.

mod conv_block;
mod cross_entropy;
mod fixed;
mod grouped_conv;
mod linear;
mod matrix;
mod pool;
mod relu;

use candle_core::{CpuStorage, DType, Device, Layout, Result, Tensor};

pub use conv_block::ConvBlock;
pub use cross_entropy::cross_entropy;
pub use fixed::fixed;
pub use grouped_conv::GroupedConv;
pub use linear::linear;
pub use pool::max_pool2d;
pub use relu::relu;

/// Pictures that one thread works on at a time.
const CHUNK: usize = 8;

/// The numbers of an argument of an operation.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let values = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("this operation takes contiguous float32 tensors"),
    }
}

/// The numbers of a tensor, in row-major order.
fn to_vec(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

/// A tensor of the same shape as `like`.
fn like(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, like.shape(), &Device::Cpu)
}

#[cfg(test)]
pub(crate) mod check {
    //! Gradients against central differences.

    use candle_core::{Result, Tensor, Var};

    use crate::random::{Random, Stream};

    /// Standard normal numbers.
    pub fn normal(seed: u64, shape: &[usize]) -> Var {
        let mut random = Random::new(seed, Stream::Weights, 0);
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal()).collect();
        Var::from_slice(&numbers, shape, &candle_core::Device::Cpu).unwrap()
    }

    /// A number that depends on all values of a tensor, each with another factor.
    pub fn weighted_sum(tensor: &Tensor) -> Result<Tensor> {
        let factors = normal(99, tensor.dims());
        (tensor * factors.as_tensor())?.sum_all()
    }

    /// Compares the gradient of `f` with respect to each variable with central differences along random directions: the
    /// derivative along a direction tells the gradient's direction and its scale.
    ///
    /// Where `f` has kinks, a direction that crosses one shows two very different one-sided slopes and is left out; at
    /// least a quarter of the directions must count.
    pub fn gradient(variables: &[&Var], f: impl Fn() -> Result<Tensor>) {
        for (index, slopes) in slopes(variables, f).into_iter().enumerate() {
            let mut compared = 0;
            for Slopes { analytic, left, right } in slopes {
                let scale = 0.3 + analytic.abs();
                if (right - left).abs() > 0.03 * scale {
                    continue;
                }
                compared += 1;
                let numeric = (left + right) / 2.0;
                assert!(
                    (numeric - analytic).abs() < 0.02 * scale,
                    "variable {index}: {analytic} by the backward pass, {numeric} by differences"
                );
            }
            assert!(compared >= 8, "variable {index}: only {compared} of 32 directions crossed no kink");
        }
    }

    /// The same for a deep network, where every step crosses many small kinks that blur each single difference: over all
    /// directions together, derivatives and differences must be proportional (cosine above 0.98) with factor 1 ± 0.05.
    pub fn gradient_over_kinks(variables: &[&Var], f: impl Fn() -> Result<Tensor>) {
        for (index, slopes) in slopes(variables, f).into_iter().enumerate() {
            let (mut aa, mut an, mut nn) = (0.0, 0.0, 0.0);
            for Slopes { analytic, left, right } in slopes {
                let numeric = (left + right) / 2.0;
                (aa, an, nn) = (aa + analytic * analytic, an + analytic * numeric, nn + numeric * numeric);
            }
            let (cosine, factor) = (an / (aa * nn).sqrt(), an / aa);
            assert!(cosine > 0.98 && (factor - 1.0).abs() < 0.05, "variable {index}: cosine {cosine}, factor {factor}");
        }
    }

    /// The derivative along a direction, by the backward pass and by differences to either side.
    struct Slopes {
        analytic: f64,
        left: f64,
        right: f64,
    }

    /// 32 directions for each variable.
    fn slopes(variables: &[&Var], f: impl Fn() -> Result<Tensor>) -> Vec<Vec<Slopes>> {
        let grads = f().unwrap().backward().unwrap();
        let at = || f().unwrap().to_vec0::<f32>().unwrap() as f64;
        let along = |(index, variable): (usize, &&Var)| {
            let gradient = grads.get(variable).unwrap_or_else(|| panic!("variable {index} has no gradient")).clone();
            let origin = variable.as_tensor().copy().unwrap();
            let slope = |trial: u64| {
                let direction = normal(1000 + trial, variable.dims());
                let norm = direction.sqr().unwrap().sum_all().unwrap().to_vec0::<f32>().unwrap().sqrt();
                let direction = (direction.as_tensor() / norm as f64).unwrap();
                let analytic = (&gradient * &direction).unwrap().sum_all().unwrap().to_vec0::<f32>().unwrap() as f64;
                let here = at();
                let step = |h: f64| {
                    variable.set(&(&origin + (&direction * h).unwrap()).unwrap()).unwrap();
                    let there = at();
                    variable.set(&origin).unwrap();
                    (there - here) / h
                };
                Slopes { analytic, left: step(-4e-3), right: step(4e-3) }
            };
            (0..32).map(slope).collect()
        };
        variables.iter().enumerate().map(along).collect()
    }
}
