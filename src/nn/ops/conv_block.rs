//! Convolution, bias, ReLU and max-pooling as one operation.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::matrix::{Matrix, multiply};
use super::{CHUNK, like, to_vec, values};
use crate::nn::Arithmetic;

/// A mark for "the value is zero and takes no gradient".
const INACTIVE: u8 = u8::MAX;

/// max-pool(relu(convolution(x, weight) + bias)), ReLU and pooling where wanted.
///
/// Takes x (N, C, H, W), weight (O, C, k, k) and bias (O), gives (N, O, H′, W′). The convolution is a matrix product
/// with the picture's patches (im2col), forwards and backwards. ReLU's derivative at 0 is 0; of equal values in a
/// window the first takes the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvBlock {
    /// Step of the kernel in both directions, at least 1.
    pub stride: usize,
    /// Zeros added on each side.
    pub padding: usize,
    /// Whether max(0, ·) follows.
    pub relu: bool,
    /// Side of the pooling windows, 1 to 15; 1 for no pooling.
    pub pool: usize,
    /// Whether the gradient with respect to x is wanted; the first layer's is not.
    pub input_gradient: bool,
    /// How products are summed.
    pub arithmetic: Arithmetic,
}

impl ConvBlock {
    /// Applies the block.
    ///
    /// # Errors
    /// If shapes do not fit.
    pub fn forward(&self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op3(
            &weight.contiguous()?,
            &bias.contiguous()?,
            Op { block: *self, marks: OnceLock::new() },
        )
    }

    fn sizes(&self, x: &[usize], weight: &[usize]) -> Result<Sizes> {
        let (&[pictures, channels, height, width], &[out, taken, kernel, also]) = (x, weight) else {
            candle_core::bail!("a convolution takes (N, C, H, W) and (O, C, k, k), not {x:?} and {weight:?}");
        };
        let side = |n: usize| (n + 2 * self.padding).checked_sub(kernel).map(|room| room / self.stride.max(1) + 1);
        let (Some(rows), Some(columns)) = (side(height), side(width)) else {
            candle_core::bail!("the kernel {weight:?} is larger than the padded picture {x:?}");
        };
        if taken != channels || also != kernel || !(1..=15).contains(&self.pool) || self.pool > rows.min(columns) {
            candle_core::bail!("the weight {weight:?} or the pooling {} does not fit the picture {x:?}", self.pool);
        }
        Ok(Sizes { pictures, channels, height, width, out, kernel, rows, columns, pool: self.pool })
    }

    /// Lays out the patches: row (c, dy, dx), column (y, x) of the output; what lies in the padding is 0.
    fn patches(&self, s: &Sizes, picture: &[f32], patches: &mut [f32]) {
        for (tap, row) in patches.chunks_exact_mut(s.places()).enumerate() {
            let (plane, dy, dx) = s.tap(tap);
            for (y, line) in row.chunks_exact_mut(s.columns).enumerate() {
                let source = (y * self.stride + dy).wrapping_sub(self.padding);
                if source >= s.height {
                    line.fill(0.0);
                    continue;
                }
                let source = &picture[(plane * s.height + source) * s.width..][..s.width];
                for (x, value) in line.iter_mut().enumerate() {
                    *value = source.get((x * self.stride + dx).wrapping_sub(self.padding)).copied().unwrap_or(0.0);
                }
            }
        }
    }

    /// The transpose of [`Self::patches`]: adds every patch's value to the pixel it came from.
    fn unpatch(&self, s: &Sizes, patches: &[f32], picture: &mut [f32]) {
        for (tap, row) in patches.chunks_exact(s.places()).enumerate() {
            let (plane, dy, dx) = s.tap(tap);
            for (y, line) in row.chunks_exact(s.columns).enumerate() {
                let target = (y * self.stride + dy).wrapping_sub(self.padding);
                if target >= s.height {
                    continue;
                }
                let target = &mut picture[(plane * s.height + target) * s.width..][..s.width];
                for (x, value) in line.iter().enumerate() {
                    if let Some(pixel) = target.get_mut((x * self.stride + dx).wrapping_sub(self.padding)) {
                        *pixel += value;
                    }
                }
            }
        }
    }

    /// ReLU and pooling of one picture; marks which place of its window each value came from.
    fn pool(&self, s: &Sizes, before: &[f32], after: &mut [f32], marks: &mut [u8]) {
        let (rows, columns) = (s.pooled_rows(), s.pooled_columns());
        for (channel, plane) in before.chunks_exact(s.places()).enumerate() {
            for y in 0..rows {
                for x in 0..columns {
                    let (mut greatest, mut mark) = (f32::NEG_INFINITY, 0);
                    for dy in 0..s.pool {
                        for dx in 0..s.pool {
                            let value = plane[(y * s.pool + dy) * s.columns + x * s.pool + dx];
                            if value > greatest {
                                (greatest, mark) = (value, (dy * s.pool + dx) as u8);
                            }
                        }
                    }
                    if self.relu && greatest <= 0.0 {
                        (greatest, mark) = (0.0, INACTIVE);
                    }
                    let place = (channel * rows + y) * columns + x;
                    (after[place], marks[place]) = (greatest, mark);
                }
            }
        }
    }

    /// The transpose of [`Self::pool`]: brings each cotangent to the place its value came from.
    fn unpool(s: &Sizes, cotangent: &[f32], marks: &[u8], before: &mut [f32]) {
        before.fill(0.0);
        let (rows, columns) = (s.pooled_rows(), s.pooled_columns());
        for (channel, plane) in before.chunks_exact_mut(s.places()).enumerate() {
            for y in 0..rows {
                for x in 0..columns {
                    let place = (channel * rows + y) * columns + x;
                    if marks[place] != INACTIVE {
                        let (dy, dx) = (marks[place] as usize / s.pool, marks[place] as usize % s.pool);
                        plane[(y * s.pool + dy) * s.columns + x * s.pool + dx] = cotangent[place];
                    }
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Sizes {
    pictures: usize,
    channels: usize,
    height: usize,
    width: usize,
    out: usize,
    kernel: usize,
    /// Of the convolution, before pooling.
    rows: usize,
    columns: usize,
    pool: usize,
}

impl Sizes {
    fn picture(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Places at which the kernel is laid.
    fn places(&self) -> usize {
        self.rows * self.columns
    }

    fn taps(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    fn tap(&self, tap: usize) -> (usize, usize, usize) {
        (tap / (self.kernel * self.kernel), tap / self.kernel % self.kernel, tap % self.kernel)
    }

    fn pooled_rows(&self) -> usize {
        self.rows / self.pool
    }

    fn pooled_columns(&self) -> usize {
        self.columns / self.pool
    }

    fn pooled(&self) -> usize {
        self.out * self.pooled_rows() * self.pooled_columns()
    }
}

/// One application of the block: remembers where each pooled value came from, for the way back.
struct Op {
    block: ConvBlock,
    marks: OnceLock<Vec<u8>>,
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "conv-block"
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
        let s = self.block.sizes(x_layout.dims(), weight_layout.dims())?;
        let (x, weight) = (values(x, x_layout)?, values(weight, weight_layout)?);
        let bias = values(bias, bias_layout)?;
        if bias.len() != s.out {
            candle_core::bail!("a convolution to {} channels takes as many biases, not {}", s.out, bias.len());
        }
        let mut result = vec![0.0; s.pictures * s.pooled()];
        let mut marks = vec![0; s.pictures * s.pooled()];
        x.par_chunks(CHUNK * s.picture())
            .zip(result.par_chunks_mut(CHUNK * s.pooled()).zip(marks.par_chunks_mut(CHUNK * s.pooled())))
            .for_each(|(pictures, (results, marks))| {
                let mut patches = vec![0.0; s.taps() * s.places()];
                let mut before = vec![0.0; s.out * s.places()];
                for (picture, (result, marks)) in pictures
                    .chunks_exact(s.picture())
                    .zip(results.chunks_exact_mut(s.pooled()).zip(marks.chunks_exact_mut(s.pooled())))
                {
                    self.block.patches(&s, picture, &mut patches);
                    before.chunks_exact_mut(s.places()).zip(bias).for_each(|(plane, &bias)| plane.fill(bias));
                    let patches = Matrix::new(&patches, s.taps(), s.places());
                    multiply(Matrix::new(weight, s.out, s.taps()), patches, true, self.block.arithmetic, &mut before);
                    self.block.pool(&s, &before, result, marks);
                }
            });
        // Set once: an application is used for one forward pass.
        let _ = self.marks.set(marks);
        let shape = Shape::from((s.pictures, s.out, s.pooled_rows(), s.pooled_columns()));
        Ok((CpuStorage::F32(result), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        cotangent: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let s = self.block.sizes(x.dims(), weight.dims())?;
        let Some(marks) = self.marks.get() else {
            candle_core::bail!("the backward pass of conv-block needs its forward pass first");
        };
        let (pictures, weights, cotangents) = (to_vec(x)?, to_vec(weight)?, to_vec(cotangent)?);
        let mut input_gradient = vec![0.0; if self.block.input_gradient { pictures.len() } else { 0 }];
        // Without an input gradient its slices are empty, but there must be as many.
        let chunks = s.pictures.div_ceil(CHUNK);
        let mut slices: Vec<&mut [f32]> = if self.block.input_gradient {
            input_gradient.chunks_mut(CHUNK * s.picture()).collect()
        } else {
            (0..chunks).map(|_| &mut [][..]).collect()
        };
        let parts: Vec<(Vec<f32>, Vec<f32>)> = slices
            .par_iter_mut()
            .enumerate()
            .map(|(chunk, input_gradient)| {
                let mut patches = vec![0.0; s.taps() * s.places()];
                let mut before = vec![0.0; s.out * s.places()];
                let (mut weight_gradient, mut bias_gradient) = (vec![0.0; weights.len()], vec![0.0; s.out]);
                for picture in chunk * CHUNK..((chunk + 1) * CHUNK).min(s.pictures) {
                    let at = picture * s.pooled()..(picture + 1) * s.pooled();
                    ConvBlock::unpool(&s, &cotangents[at.clone()], &marks[at], &mut before);
                    for (sum, plane) in bias_gradient.iter_mut().zip(before.chunks_exact(s.places())) {
                        *sum += plane.iter().sum::<f32>();
                    }
                    self.block.patches(&s, &pictures[picture * s.picture()..][..s.picture()], &mut patches);
                    let cotangent = Matrix::new(&before, s.out, s.places());
                    let taken = Matrix::new(&patches, s.taps(), s.places()).transposed();
                    multiply(cotangent, taken, true, self.block.arithmetic, &mut weight_gradient);
                    if self.block.input_gradient {
                        let weight = Matrix::new(&weights, s.out, s.taps()).transposed();
                        multiply(weight, cotangent, false, self.block.arithmetic, &mut patches);
                        let place = (picture - chunk * CHUNK) * s.picture();
                        self.block.unpatch(&s, &patches, &mut input_gradient[place..][..s.picture()]);
                    }
                }
                (weight_gradient, bias_gradient)
            })
            .collect();
        let (mut weight_gradient, mut bias_gradient) = (vec![0.0; weights.len()], vec![0.0; s.out]);
        for (weight_part, bias_part) in &parts {
            weight_gradient.iter_mut().zip(weight_part).for_each(|(sum, part)| *sum += part);
            bias_gradient.iter_mut().zip(bias_part).for_each(|(sum, part)| *sum += part);
        }
        let input_gradient = if self.block.input_gradient { Some(like(input_gradient, x)?) } else { None };
        let bias_gradient = Tensor::from_vec(bias_gradient, bias.shape(), &Device::Cpu)?;
        Ok((input_gradient, Some(like(weight_gradient, weight)?), Some(bias_gradient)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    const BLOCK: ConvBlock =
        ConvBlock { stride: 1, padding: 1, relu: true, pool: 2, input_gradient: true, arithmetic: Arithmetic::Fused };

    #[test]
    fn forward_is_the_convolution_that_candle_computes() {
        let (x, weight, bias) =
            (check::normal(1, &[3, 2, 9, 7]), check::normal(2, &[4, 2, 3, 3]), check::normal(3, &[4]));
        for (stride, padding) in [(1, 1), (1, 0), (2, 1)] {
            let block = ConvBlock { stride, padding, relu: false, pool: 1, ..BLOCK };
            let ours = block.forward(&x, &weight, &bias).unwrap();
            let theirs = x.conv2d(&weight, padding, stride, 1, 1).unwrap();
            let theirs = theirs.broadcast_add(&bias.reshape((1, 4, 1, 1)).unwrap()).unwrap();
            assert_eq!(ours.dims(), theirs.dims());
            let difference = (ours - theirs).unwrap().abs().unwrap().max_all().unwrap().to_vec0::<f32>().unwrap();
            assert!(difference < 1e-5, "{difference}");
        }
        let (whole, plain) = (BLOCK, ConvBlock { relu: false, pool: 1, ..BLOCK });
        let whole = whole.forward(&x, &weight, &bias).unwrap();
        let stepwise = plain.forward(&x, &weight, &bias).unwrap().relu().unwrap().max_pool2d(2).unwrap();
        assert_eq!(to_vec(&whole).unwrap(), to_vec(&stepwise).unwrap());
    }

    #[test]
    fn the_gradient_is_the_slope_in_input_weight_and_bias() {
        for (stride, padding, relu, pool) in
            [(1, 1, true, 2), (1, 1, false, 2), (1, 0, true, 1), (2, 1, false, 1), (1, 1, true, 3), (2, 2, true, 2)]
        {
            let (x, weight, bias) =
                (check::normal(4, &[3, 2, 8, 7]), check::normal(5, &[3, 2, 3, 3]), check::normal(6, &[3]));
            for arithmetic in [Arithmetic::Exact, Arithmetic::Fused] {
                let block = ConvBlock { stride, padding, relu, pool, arithmetic, ..BLOCK };
                check::gradient(&[&x, &weight, &bias], || check::weighted_sum(&block.forward(&x, &weight, &bias)?));
            }
        }
    }

    #[test]
    fn the_pooled_gradient_is_not_divided_by_the_windows_area() {
        let (x, weight) = (check::normal(7, &[1, 1, 4, 4]), check::normal(8, &[1, 1, 1, 1]));
        let bias = candle_core::Var::zeros(1, candle_core::DType::F32, &Device::Cpu).unwrap();
        let block = ConvBlock { padding: 0, relu: false, ..BLOCK };
        let grads = block.forward(&x, &weight, &bias).unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(to_vec(grads.get(&bias).unwrap()).unwrap(), [4.0], "one for each of the four windows");
        let w = to_vec(&weight).unwrap()[0];
        let gradient = to_vec(grads.get(&x).unwrap()).unwrap();
        assert_eq!(gradient.iter().filter(|&&g| g == w).count(), 4);
        assert_eq!(gradient.iter().filter(|&&g| g == 0.0).count(), 12);
    }

    #[test]
    fn a_window_of_zeros_takes_no_gradient_and_of_equal_values_the_first_does() {
        let x = candle_core::Var::new(&[[[[0.0f32, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.0]]]], &Device::Cpu).unwrap();
        let weight = candle_core::Var::new(&[[[[1.0f32]]]], &Device::Cpu).unwrap();
        let bias = candle_core::Var::new(&[0.0f32], &Device::Cpu).unwrap();
        let block = ConvBlock { padding: 0, ..BLOCK };
        let grads = block.forward(&x, &weight, &bias).unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(to_vec(grads.get(&x).unwrap()).unwrap(), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (x, weight, bias) =
                    (check::normal(1, &[37, 2, 9, 8]), check::normal(2, &[4, 2, 3, 3]), check::normal(3, &[4]));
                let result = BLOCK.forward(&x, &weight, &bias).unwrap();
                let grads = check::weighted_sum(&result).unwrap().backward().unwrap();
                [&x, &weight, &bias].map(|variable| to_vec(grads.get(variable).unwrap()).unwrap())
            })
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn shapes_that_do_not_fit_are_an_error() {
        let (x, weight, bias) =
            (check::normal(1, &[1, 2, 4, 4]), check::normal(2, &[4, 3, 3, 3]), check::normal(3, &[4]));
        assert!(BLOCK.forward(&x, &weight, &bias).is_err());
        let large = check::normal(2, &[4, 2, 9, 9]);
        assert!(BLOCK.forward(&x, &large, &bias).is_err());
    }
}
