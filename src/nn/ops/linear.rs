//! A fully connected layer whose sums are the same on every platform.

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};

use super::matrix::{Matrix, multiply};
use super::{like, to_vec, values};
use crate::nn::Arithmetic;

/// x · weightᵀ + bias for x (N, I), weight (O, I) and bias (O), gives (N, O).
///
/// # Errors
/// If shapes do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor, arithmetic: Arithmetic) -> Result<Tensor> {
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Linear { arithmetic })
}

struct Linear {
    arithmetic: Arithmetic,
}

/// N, I and O.
fn sizes(x: &[usize], weight: &[usize], bias: &[usize]) -> Result<(usize, usize, usize)> {
    match (x, weight, bias) {
        (&[rows, inputs], &[outputs, taken], &[biases]) if inputs == taken && outputs == biases => {
            Ok((rows, inputs, outputs))
        }
        _ => candle_core::bail!("a linear layer takes (N, I), (O, I) and (O), not {x:?}, {weight:?} and {bias:?}"),
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
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
        let (rows, inputs, outputs) = sizes(x_layout.dims(), weight_layout.dims(), bias_layout.dims())?;
        let (x, weight) = (values(x, x_layout)?, values(weight, weight_layout)?);
        let mut result = values(bias, bias_layout)?.repeat(rows);
        let (x, weight) = (Matrix::new(x, rows, inputs), Matrix::new(weight, outputs, inputs).transposed());
        multiply(x, weight, true, self.arithmetic, &mut result);
        Ok((CpuStorage::F32(result), Shape::from((rows, outputs))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        cotangent: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, inputs, outputs) = sizes(x.dims(), weight.dims(), bias.dims())?;
        let (xs, weights, cotangents) = (to_vec(x)?, to_vec(weight)?, to_vec(cotangent)?);
        let cotangent = Matrix::new(&cotangents, rows, outputs);
        let mut input_gradient = vec![0.0; rows * inputs];
        let by = Matrix::new(&weights, outputs, inputs);
        multiply(cotangent, by, false, self.arithmetic, &mut input_gradient);
        let mut weight_gradient = vec![0.0; outputs * inputs];
        let taken = Matrix::new(&xs, rows, inputs);
        multiply(cotangent.transposed(), taken, false, self.arithmetic, &mut weight_gradient);
        let mut bias_gradient = vec![0.0; outputs];
        for row in cotangents.chunks_exact(outputs.max(1)) {
            bias_gradient.iter_mut().zip(row).for_each(|(sum, c)| *sum += c);
        }
        let bias_gradient = Tensor::from_vec(bias_gradient, bias.shape(), &Device::Cpu)?;
        Ok((Some(like(input_gradient, x)?), Some(like(weight_gradient, weight)?), Some(bias_gradient)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn the_gradient_is_the_slope_in_input_weight_and_bias() {
        for arithmetic in [Arithmetic::Exact, Arithmetic::Fused] {
            let (x, weight, bias) = (check::normal(1, &[6, 5]), check::normal(2, &[7, 5]), check::normal(3, &[7]));
            check::gradient(&[&x, &weight, &bias], || check::weighted_sum(&linear(&x, &weight, &bias, arithmetic)?));
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_an_error() {
        let (x, weight, bias) = (check::normal(1, &[6, 5]), check::normal(2, &[7, 4]), check::normal(3, &[7]));
        assert!(linear(&x, &weight, &bias, Arithmetic::Exact).is_err());
    }
}
