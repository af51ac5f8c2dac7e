//! Convolution in groups, depthwise for example.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{CHUNK, like, to_vec, values};
use crate::nn::{Architecture, Classifier, Executor, Layer, Padding, Weights};

/// convolution(x, weight) + bias, in groups.
///
/// Takes x (N, C, H, W), weight (O, C / groups, k, k) and bias (O), gives (N, O, H′, W′). Forwards and with respect to x
/// it is the executor's convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupedConv {
    /// Step of the kernel in both directions, at least 1.
    pub stride: usize,
    /// Zeros around the picture.
    pub padding: Padding,
    /// Shares of the channels that are connected with each other only.
    pub groups: usize,
    /// Whether the gradient with respect to x is wanted; the first layer's is not.
    pub input_gradient: bool,
}

impl GroupedConv {
    /// Applies the convolution.
    ///
    /// # Errors
    /// If shapes do not fit.
    pub fn forward(&self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, *self)
    }

    fn sizes(&self, x: &[usize], weight: &[usize]) -> Result<Sizes> {
        let (&[_, channels, height, width], &[out, _, kernel, _]) = (x, weight) else {
            candle_core::bail!("a convolution takes (N, C, H, W) and (O, C, k, k), not {x:?} and {weight:?}");
        };
        let &Self { stride, padding, groups, .. } = self;
        let layer = Layer::Conv2d { name: String::new(), out, kernel, stride, padding, groups };
        let input = crate::nn::Shape { channels, height, width };
        let architecture = Architecture { input, layers: vec![layer] };
        let costs = architecture.costs().map_err(candle_core::Error::wrap)?;
        let output = costs.last().map_or(input, |cost| cost.output);
        Ok(Sizes { architecture, output, kernel })
    }
}

struct Sizes {
    architecture: Architecture,
    output: crate::nn::Shape,
    kernel: usize,
}

impl Sizes {
    fn executor(&self, weight: &[f32], bias: &[f32]) -> Result<Executor> {
        let mut weights = Weights::default();
        for ((name, shape), data) in
            self.architecture.costs().map_err(candle_core::Error::wrap)?[0].weights.iter().zip([weight, bias])
        {
            weights.insert(name, shape.clone(), data.to_vec()).map_err(candle_core::Error::wrap)?;
        }
        Executor::new(&self.architecture, &weights).map_err(candle_core::Error::wrap)
    }

    /// Adds one picture's part of the gradient with respect to the weights of output channel `out`.
    fn weight_gradient(&self, op: &GroupedConv, out: usize, x: &[f32], cotangent: &[f32], gradient: &mut [f32]) {
        let (input, output) = (self.architecture.input, self.output);
        let inputs = input.channels / op.groups;
        let first = out / (output.channels / op.groups) * inputs;
        let plane = &cotangent[out * output.height * output.width..][..output.height * output.width];
        for (tap, sum) in gradient.iter_mut().enumerate() {
            let (channel, dy, dx) =
                (first + tap / (self.kernel * self.kernel), tap / self.kernel % self.kernel, tap % self.kernel);
            for (y, line) in plane.chunks_exact(output.width).enumerate() {
                let row = (y * op.stride + dy).wrapping_sub(op.padding.before);
                if row >= input.height {
                    continue;
                }
                let source = &x[(channel * input.height + row) * input.width..][..input.width];
                for (column, c) in line.iter().enumerate() {
                    let at = (column * op.stride + dx).wrapping_sub(op.padding.before);
                    *sum += c * source.get(at).copied().unwrap_or(0.0);
                }
            }
        }
    }
}

impl CustomOp3 for GroupedConv {
    fn name(&self) -> &'static str {
        "convolution in groups"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = self.sizes(x_layout.dims(), weight_layout.dims())?;
        let executor = sizes.executor(values(weight, weight_layout)?, values(bias, bias_layout)?)?;
        let (length, outputs) = (executor.input().len(), executor.classes());
        let x = values(x, x_layout)?;
        let mut result = vec![0.0; x.len() / length * outputs];
        x.par_chunks(CHUNK * length)
            .zip(result.par_chunks_mut(CHUNK * outputs))
            .for_each(|(x, y)| executor.clone().logits(x, y));
        let crate::nn::Shape { channels, height, width } = sizes.output;
        Ok((CpuStorage::F32(result), Shape::from((x.len() / length, channels, height, width))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        cotangent: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = self.sizes(x.dims(), weight.dims())?;
        let (xs, weights, cotangents) = (to_vec(x)?, to_vec(weight)?, to_vec(cotangent)?);
        let (length, outputs) = (sizes.architecture.input.len(), sizes.output.len());
        let pictures = || xs.chunks_exact(length).zip(cotangents.chunks_exact(outputs));

        // One thread for each output channel: pictures are summed in their order.
        let taps = weights.len() / sizes.output.channels;
        let mut weight_gradient = vec![0.0; weights.len()];
        weight_gradient.par_chunks_exact_mut(taps).enumerate().for_each(|(out, gradient)| {
            pictures().for_each(|(x, c)| sizes.weight_gradient(self, out, x, c, gradient));
        });
        let places = sizes.output.height * sizes.output.width;
        let of_channel =
            |out: usize| pictures().map(move |(_, c)| c[out * places..][..places].iter().sum::<f32>()).sum();
        let bias_gradient: Vec<f32> = (0..sizes.output.channels).map(of_channel).collect();

        let mut input_gradient = None;
        if self.input_gradient {
            let executor = sizes.executor(&weights, &to_vec(bias)?)?;
            let mut gradient = vec![0.0; xs.len()];
            let chunks = xs.par_chunks(CHUNK * length).zip(cotangents.par_chunks(CHUNK * outputs));
            chunks.zip(gradient.par_chunks_mut(CHUNK * length)).for_each(|((x, cotangent), gradient)| {
                let mut y = vec![0.0; cotangent.len()];
                let mut given = |_: &[f32], wanted: &mut [f32]| wanted.copy_from_slice(cotangent);
                executor.clone().input_gradient(x, &mut y, &mut given, gradient);
            });
            input_gradient = Some(like(gradient, x)?);
        }
        Ok((input_gradient, Some(like(weight_gradient, weight)?), Some(like(bias_gradient, bias)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn every_gradient_is_the_slope() {
        for (stride, padding, groups, out) in [
            (1, Padding::from(1), 4, 4),
            (2, Padding { before: 0, after: 1 }, 4, 4),
            (1, Padding::from(2), 2, 6),
            (2, Padding::from(1), 4, 8),
        ] {
            let (x, weight) = (check::normal(3, &[3, 4, 6, 5]), check::normal(4, &[out, 4 / groups, 3, 3]));
            let bias = check::normal(5, &[out]);
            let conv = GroupedConv { stride, padding, groups, input_gradient: true };
            check::gradient(&[&x, &weight, &bias], || check::weighted_sum(&conv.forward(&x, &weight, &bias)?));
        }
    }
}
