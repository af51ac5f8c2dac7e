//! max(0, x) with derivative 0 at 0.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{like, to_vec, values};

/// max(0, x), value by value; the derivative at 0 is 0.
///
/// # Errors
/// If x is not float32.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Relu)
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let result = values(x, layout)?.iter().map(|&x| x.max(0.0)).collect();
        Ok((CpuStorage::F32(result), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, cotangent: &Tensor) -> Result<Option<Tensor>> {
        let (values, cotangents) = (to_vec(x)?, to_vec(cotangent)?);
        let gradient = values.iter().zip(&cotangents).map(|(&x, &c)| if x > 0.0 { c } else { 0.0 }).collect();
        Ok(Some(like(gradient, x)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn the_gradient_is_the_slope() {
        let x = check::normal(3, &[5, 4]);
        check::gradient(&[&x], || check::weighted_sum(&relu(&x)?));
    }

    #[test]
    fn the_derivative_at_zero_is_zero() {
        let x = candle_core::Var::new(&[-1.0f32, 0.0, 2.0], &candle_core::Device::Cpu).unwrap();
        let grads = relu(&x).unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(to_vec(grads.get(&x).unwrap()).unwrap(), [0.0, 0.0, 1.0]);
    }
}
