//! Max-pooling on its own.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{like, to_vec, values};

/// The maximum over windows of `size` × `size` of x (N, C, H, W), stride `size`; what does not fill a window is left out.
///
/// Backwards the first of equal values takes the gradient.
///
/// # Errors
/// If the window is empty or larger than the picture.
pub fn max_pool2d(x: &Tensor, size: usize) -> Result<Tensor> {
    x.contiguous()?.apply_op1(MaxPool { size })
}

struct MaxPool {
    size: usize,
}

impl MaxPool {
    fn sides(&self, dims: &[usize]) -> Result<(usize, usize)> {
        match *dims {
            [_, _, height, width] if self.size >= 1 && self.size <= height.min(width) => Ok((height, width)),
            _ => {
                candle_core::bail!("max-pooling by {} takes (N, C, H, W) at least that large, not {dims:?}", self.size)
            }
        }
    }

    /// Where in its plane the greatest value of each window is, window by window.
    fn winners(&self, plane: &[f32], height: usize, width: usize) -> impl Iterator<Item = usize> {
        let (size, columns) = (self.size, width / self.size);
        (0..height / size * columns).map(move |window| {
            let corner = window / columns * size * width + window % columns * size;
            let places = (0..size * size).map(|place| corner + place / size * width + place % size);
            // The first of equal values: only a greater one takes its place.
            places.fold(corner, |best, place| if plane[place] > plane[best] { place } else { best })
        })
    }
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (height, width) = self.sides(layout.dims())?;
        let pooled = (height / self.size, width / self.size);
        let x = values(x, layout)?;
        let mut result = vec![0.0; x.len() / (height * width) * pooled.0 * pooled.1];
        x.par_chunks_exact(height * width).zip(result.par_chunks_exact_mut(pooled.0 * pooled.1)).for_each(
            |(plane, result)| {
                for (value, place) in result.iter_mut().zip(self.winners(plane, height, width)) {
                    *value = plane[place];
                }
            },
        );
        Ok((CpuStorage::F32(result), Shape::from((layout.dims()[0], layout.dims()[1], pooled.0, pooled.1))))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, cotangent: &Tensor) -> Result<Option<Tensor>> {
        let (height, width) = self.sides(x.dims())?;
        let windows = (height / self.size) * (width / self.size);
        let (values, cotangents) = (to_vec(x)?, to_vec(cotangent)?);
        let mut gradient = vec![0.0; values.len()];
        gradient
            .par_chunks_exact_mut(height * width)
            .zip(values.par_chunks_exact(height * width).zip(cotangents.par_chunks_exact(windows)))
            .for_each(|(gradient, (plane, cotangents))| {
                for (&cotangent, place) in cotangents.iter().zip(self.winners(plane, height, width)) {
                    gradient[place] = cotangent;
                }
            });
        Ok(Some(like(gradient, x)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn forward_is_what_candle_computes_and_the_gradient_is_the_slope() {
        let x = check::normal(1, &[2, 3, 7, 8]);
        for size in [1, 2, 3] {
            let ours = max_pool2d(&x, size).unwrap();
            assert_eq!(to_vec(&ours).unwrap(), to_vec(&x.max_pool2d(size).unwrap()).unwrap());
            check::gradient(&[&x], || check::weighted_sum(&max_pool2d(&x, size)?));
        }
    }

    #[test]
    fn a_window_that_does_not_fit_is_an_error() {
        let x = check::normal(1, &[2, 3, 4, 4]);
        assert!(max_pool2d(&x, 0).is_err() && max_pool2d(&x, 5).is_err());
    }
}
