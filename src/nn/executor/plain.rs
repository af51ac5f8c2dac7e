//! Layers that stand alone: ReLU and max-pooling without a convolution or linear layer before them to be fused with,
//! and the change between channels-last and the order channel, row, column.

use super::linear::{relu, relu_backward};
use super::plan::Step;
use crate::nn::Shape;

/// max(0, x).
pub(super) struct Relu {
    pub(super) length: usize,
}

impl Step for Relu {
    fn input(&self) -> usize {
        self.length
    }

    fn output(&self) -> usize {
        self.length
    }

    fn marks(&self) -> usize {
        self.length
    }

    fn forward(&self, input: &[f32], output: &mut [f32], marks: &mut [u8], _: &mut [f32]) {
        output.copy_from_slice(input);
        relu(output, marks);
    }

    fn backward(&self, marks: &[u8], cotangent: &mut [f32], gradient: &mut [f32], _: &mut [f32]) {
        relu_backward(marks, cotangent);
        gradient.copy_from_slice(cotangent);
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

    fn forward(&self, input: &[f32], output: &mut [f32], marks: &mut [u8], _: &mut [f32]) {
        let outputs = output.chunks_exact_mut(self.output()).zip(marks.chunks_exact_mut(self.output()));
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

    fn backward(&self, marks: &[u8], cotangent: &mut [f32], gradient: &mut [f32], _: &mut [f32]) {
        gradient.fill(0.0);
        let outputs = cotangent.chunks_exact(self.output()).zip(marks.chunks_exact(self.output()));
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

    fn forward(&self, input: &[f32], output: &mut [f32], _: &mut [u8], _: &mut [f32]) {
        channels_first(self.shape, input, output);
    }

    fn backward(&self, _: &[u8], cotangent: &mut [f32], gradient: &mut [f32], _: &mut [f32]) {
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
