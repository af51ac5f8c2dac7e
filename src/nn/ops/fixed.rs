//! Layers without weights, as the executor computes them.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{CHUNK, like, to_vec, values};
use crate::nn::{Architecture, Classifier, Executor, Layer, Weights};

/// Applies a layer that is not trained, an activation, pooling or normalisation for example, to x (N, C, H, W) or (N, K).
///
/// # Errors
/// If the layer has weights or does not fit x.
pub fn fixed(layer: &Layer, x: &Tensor) -> Result<Tensor> {
    let dims = x.dims();
    let (input, flat) = match *dims {
        [_, channels, height, width] => (crate::nn::Shape { channels, height, width }, false),
        [_, channels] => (crate::nn::Shape { channels, height: 1, width: 1 }, true),
        _ => candle_core::bail!("a layer takes (N, C, H, W) or (N, K), not {dims:?}"),
    };
    let architecture = Architecture { input, layers: vec![layer.clone()] };
    let costs = architecture.costs().map_err(candle_core::Error::wrap)?;
    let executor = Executor::new(&architecture, &Weights::default()).map_err(candle_core::Error::wrap)?;
    let output = costs.last().map_or(input, |cost| cost.output);
    let y = x.contiguous()?.apply_op1(Fixed { executor })?;
    if flat { Ok(y) } else { y.reshape((dims[0], output.channels, output.height, output.width)) }
}

struct Fixed {
    executor: Executor,
}

impl CustomOp1 for Fixed {
    fn name(&self) -> &'static str {
        "fixed layer"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let (length, outputs) = (self.executor.input().len(), self.executor.classes());
        let pictures = x.len() / length;
        let mut result = vec![0.0; pictures * outputs];
        x.par_chunks(CHUNK * length)
            .zip(result.par_chunks_mut(CHUNK * outputs))
            .for_each(|(x, y)| self.executor.clone().logits(x, y));
        Ok((CpuStorage::F32(result), Shape::from((pictures, outputs))))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, cotangent: &Tensor) -> Result<Option<Tensor>> {
        let (values, cotangents) = (to_vec(x)?, to_vec(cotangent)?);
        let (length, outputs) = (self.executor.input().len(), self.executor.classes());
        let mut gradient = vec![0.0; values.len()];
        let chunks = values.par_chunks(CHUNK * length).zip(cotangents.par_chunks(CHUNK * outputs));
        chunks.zip(gradient.par_chunks_mut(CHUNK * length)).for_each(|((x, cotangent), gradient)| {
            let mut y = vec![0.0; cotangent.len()];
            let mut given = |_: &[f32], wanted: &mut [f32]| wanted.copy_from_slice(cotangent);
            self.executor.clone().input_gradient(x, &mut y, &mut given, gradient);
        });
        Ok(Some(like(gradient, x)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn every_gradient_is_the_slope() {
        for layer in [
            Layer::Normalize { mean: vec![0.1, 0.2, 0.3], std: vec![0.5, 1.0, 2.0] },
            Layer::Relu6,
            Layer::LeakyRelu { slope: 0.1 },
            Layer::Sigmoid,
            Layer::Tanh,
            Layer::AvgPool2d { size: 2 },
            Layer::GlobalAvgPool,
        ] {
            let x = check::normal(3, &[9, 3, 5, 4]);
            check::gradient(&[&x], || check::weighted_sum(&fixed(&layer, &x)?));
        }
    }

    #[test]
    fn a_layer_with_weights_is_refused() {
        let x = check::normal(3, &[1, 4]);
        assert!(fixed(&Layer::Linear { name: "a".into(), out: 2 }, &x).is_err());
    }
}
