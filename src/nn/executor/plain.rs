//! Layers that stand alone: activations and pooling that are not fused with the layer before them, normalisation, and
//! the change between channels-last and the order channel, row, column.

use super::linear::switch_off;
use super::plan::{Clip, INACTIVE, Notes, Step};
use crate::nn::Shape;

/// ReLU or ReLU6.
pub(super) struct Clipped {
    pub(super) length: usize,
    pub(super) clip: Clip,
}

impl Step for Clipped {
    fn input(&self) -> usize {
        self.length
    }

    fn output(&self) -> usize {
        self.length
    }

    fn marks(&self) -> usize {
        self.length
    }

    fn forward(&self, input: &[f32], output: &mut [f32], notes: Notes, _: &mut [f32]) {
        output.copy_from_slice(input);
        self.clip.apply(output, notes.marks);
    }

    fn backward(&self, notes: Notes, cotangent: &mut [f32], gradient: &mut [f32], _: &mut [f32]) {
        switch_off(notes.marks, cotangent);
        gradient.copy_from_slice(cotangent);
    }
}

/// Leaky ReLU.
pub(super) struct Leaky {
    pub(super) length: usize,
    pub(super) slope: f32,
}

impl Step for Leaky {
    fn input(&self) -> usize {
        self.length
    }

    fn output(&self) -> usize {
        self.length
    }

    fn marks(&self) -> usize {
        self.length
    }

    fn forward(&self, input: &[f32], output: &mut [f32], notes: Notes, _: &mut [f32]) {
        for ((output, &x), mark) in output.iter_mut().zip(input).zip(notes.marks) {
            let left = x <= 0.0;
            *mark = if left { INACTIVE } else { 0 };
            *output = if left { self.slope * x } else { x };
        }
    }

    fn backward(&self, notes: Notes, cotangent: &mut [f32], gradient: &mut [f32], _: &mut [f32]) {
        for ((gradient, &c), &mark) in gradient.iter_mut().zip(&*cotangent).zip(&*notes.marks) {
            *gradient = if mark == INACTIVE { self.slope * c } else { c };
        }
    }
}

/// Smooth functions, whose derivative is kept.
pub(super) struct Smooth {
    pub(super) length: usize,
    pub(super) function: Function,
}

/// Which.
#[derive(Clone, Copy)]
pub(super) enum Function {
    Sigmoid,
    Tanh,
}

impl Step for Smooth {
    fn input(&self) -> usize {
        self.length
    }

    fn output(&self) -> usize {
        self.length
    }

    fn kept(&self) -> usize {
        self.length
    }

    fn forward(&self, input: &[f32], output: &mut [f32], notes: Notes, _: &mut [f32]) {
        for ((output, slope), &x) in output.iter_mut().zip(notes.kept).zip(input) {
            (*output, *slope) = self.function.with_slope(x);
        }
    }

    fn backward(&self, notes: Notes, cotangent: &mut [f32], gradient: &mut [f32], _: &mut [f32]) {
        for ((gradient, c), slope) in gradient.iter_mut().zip(&*cotangent).zip(&*notes.kept) {
            *gradient = c * slope;
        }
    }
}

impl Function {
    /// The value and the derivative. The derivative does not come from the value: 1 − y would be lost in rounding where
    /// the function is nearly flat, and with it the gradients that attacks on such networks live on.
    fn with_slope(self, x: f32) -> (f32, f32) {
        match self {
            Self::Sigmoid => {
                let e = libm::expf(-x.abs());
                let small = e / (1.0 + e);
                (if x < 0.0 { small } else { 1.0 / (1.0 + e) }, small / (1.0 + e))
            }
            Self::Tanh => {
                let e = libm::expf(-2.0 * x.abs());
                (libm::tanhf(x), 4.0 * e / ((1.0 + e) * (1.0 + e)))
            }
        }
    }
}

/// (x − mean) / std for each channel.
pub(super) struct Normalize {
    pub(super) shape: Shape,
    pub(super) mean: Vec<f32>,
    pub(super) std: Vec<f32>,
}

impl Step for Normalize {
    fn input(&self) -> usize {
        self.shape.len()
    }

    fn output(&self) -> usize {
        self.shape.len()
    }

    fn forward(&self, input: &[f32], output: &mut [f32], _: Notes, _: &mut [f32]) {
        let places = input.chunks_exact(self.mean.len()).zip(output.chunks_exact_mut(self.mean.len()));
        for (input, output) in places {
            for (((output, x), mean), std) in output.iter_mut().zip(input).zip(&self.mean).zip(&self.std) {
                *output = (x - mean) / std;
            }
        }
    }

    fn backward(&self, _: Notes, cotangent: &mut [f32], gradient: &mut [f32], _: &mut [f32]) {
        let places = cotangent.chunks_exact(self.std.len()).zip(gradient.chunks_exact_mut(self.std.len()));
        for (cotangent, gradient) in places {
            for ((gradient, c), std) in gradient.iter_mut().zip(cotangent).zip(&self.std) {
                *gradient = c / std;
            }
        }
    }
}

/// The mean of windows of `rows` × `columns`, which leave no gap and do not overlap.
pub(super) struct Mean {
    pub(super) shape: Shape,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Mean {
    fn windows(&self) -> (usize, usize) {
        (self.shape.height / self.rows, self.shape.width / self.columns)
    }

    /// Calls with every input cell that is in a window, and the window.
    fn cells(&self, mut each: impl FnMut(usize, usize)) {
        let (high, wide) = self.windows();
        for row in 0..high * self.rows {
            for column in 0..wide * self.columns {
                each(row * self.shape.width + column, row / self.rows * wide + column / self.columns);
            }
        }
    }
}

impl Step for Mean {
    fn input(&self) -> usize {
        self.shape.len()
    }

    fn output(&self) -> usize {
        let (high, wide) = self.windows();
        self.shape.channels * high * wide
    }

    fn forward(&self, input: &[f32], output: &mut [f32], _: Notes, _: &mut [f32]) {
        let (channels, share) = (self.shape.channels, (self.rows * self.columns) as f32);
        output.fill(0.0);
        for (input, output) in input.chunks_exact(self.input()).zip(output.chunks_exact_mut(self.output())) {
            self.cells(|cell, window| {
                let (x, sum) = (&input[cell * channels..][..channels], &mut output[window * channels..][..channels]);
                sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
            });
        }
        output.iter_mut().for_each(|sum| *sum /= share);
    }

    fn backward(&self, _: Notes, cotangent: &mut [f32], gradient: &mut [f32], _: &mut [f32]) {
        let (channels, share) = (self.shape.channels, (self.rows * self.columns) as f32);
        gradient.fill(0.0);
        cotangent.iter_mut().for_each(|c| *c /= share);
        let pictures = cotangent.chunks_exact(self.output()).zip(gradient.chunks_exact_mut(self.input()));
        for (cotangent, gradient) in pictures {
            self.cells(|cell, window| {
                gradient[cell * channels..][..channels].copy_from_slice(&cotangent[window * channels..][..channels]);
            });
        }
    }
}

/// The maximum of windows; the first of equals takes the gradient.
pub(super) struct MaxPool {
    pub(super) shape: Shape,
    pub(super) size: usize,
}

impl MaxPool {
    /// Calls with every output and the inputs of its window in order, all of one picture.
    fn windows(&self, mut each: impl FnMut(usize, &mut dyn Iterator<Item = usize>)) {
        let Shape { channels, height, width } = self.shape;
        let size = self.size;
        for row in 0..height / size {
            for column in 0..width / size {
                for channel in 0..channels {
                    let at = |cell: usize| {
                        ((row * size + cell / size) * width + column * size + cell % size) * channels + channel
                    };
                    each((row * (width / size) + column) * channels + channel, &mut (0..size * size).map(at));
                }
            }
        }
    }
}

impl Step for MaxPool {
    fn input(&self) -> usize {
        self.shape.len()
    }

    fn output(&self) -> usize {
        self.shape.channels * (self.shape.height / self.size) * (self.shape.width / self.size)
    }

    fn marks(&self) -> usize {
        self.output()
    }

    fn forward(&self, input: &[f32], output: &mut [f32], notes: Notes, _: &mut [f32]) {
        let outputs = output.chunks_exact_mut(self.output()).zip(notes.marks.chunks_exact_mut(self.output()));
        for (input, (output, marks)) in input.chunks_exact(self.input()).zip(outputs) {
            self.windows(|to, from| {
                let (mut best, mut which) = (f32::NEG_INFINITY, 0);
                for (cell, at) in from.enumerate() {
                    // As in the fused kernel: what is not a number wins.
                    if input[at] > best || input[at].is_nan() {
                        (best, which) = (input[at], cell);
                    }
                }
                (output[to], marks[to]) = (best, which as u8);
            });
        }
    }

    fn backward(&self, notes: Notes, cotangent: &mut [f32], gradient: &mut [f32], _: &mut [f32]) {
        gradient.fill(0.0);
        let outputs = cotangent.chunks_exact(self.output()).zip(notes.marks.chunks_exact(self.output()));
        for (gradient, (cotangent, marks)) in gradient.chunks_exact_mut(self.input()).zip(outputs) {
            self.windows(|to, from| {
                if let Some(at) = from.nth(marks[to] as usize) {
                    gradient[at] = cotangent[to];
                }
            });
        }
    }
}

/// From channels-last to the order channel, row, column.
pub(super) struct Reorder {
    pub(super) shape: Shape,
}

impl Step for Reorder {
    fn input(&self) -> usize {
        self.shape.len()
    }

    fn output(&self) -> usize {
        self.shape.len()
    }

    fn forward(&self, input: &[f32], output: &mut [f32], _: Notes, _: &mut [f32]) {
        channels_first(self.shape, input, output);
    }

    fn backward(&self, _: Notes, cotangent: &mut [f32], gradient: &mut [f32], _: &mut [f32]) {
        channels_last(self.shape, cotangent, gradient);
    }
}

/// Copies pictures from the order channel, row, column to channels-last.
pub(super) fn channels_last(shape: Shape, from: &[f32], to: &mut [f32]) {
    transpose(shape.channels, shape.height * shape.width, from, to);
}

/// The inverse of [`channels_last`].
pub(super) fn channels_first(shape: Shape, from: &[f32], to: &mut [f32]) {
    transpose(shape.height * shape.width, shape.channels, from, to);
}

/// Transposes matrices (rows, columns).
fn transpose(rows: usize, columns: usize, from: &[f32], to: &mut [f32]) {
    if rows == 1 || columns == 1 {
        return to.copy_from_slice(from);
    }
    for (from, to) in from.chunks_exact(rows * columns).zip(to.chunks_exact_mut(rows * columns)) {
        for row in 0..rows {
            for column in 0..columns {
                to[column * rows + row] = from[row * columns + column];
            }
        }
    }
}
