//! Convolution in which every channel has a kernel of its own, with the ReLU (or ReLU6) that follows. Lanes run across
//! channels, forwards and backwards.

use super::aligned::Aligned;
use super::conv::Geometry;
use super::linear::switch_off;
use super::plan::{Clip, Notes, Step};
use super::simd::{Kernel, Processor, Width, add_products, load, store, whole};
use crate::nn::{Padding, Shape};

/// Cells of a row that are computed at once.
const CELLS: usize = 4;

/// The packed convolution.
pub(super) struct Depthwise {
    forward: Plan,
    backward: Backward,
    clip: Clip,
}

enum Backward {
    /// With stride 1 the gradient is a convolution of the cotangents with the kernels turned round.
    Gather(Plan),
    /// Every output adds its kernel to the inputs that it has seen.
    Scatter,
}

/// A depthwise convolution of a padded picture.
struct Plan {
    geometry: Geometry,
    width: Width,
    /// (panel, kernel row, kernel column, lane).
    kernels: Aligned,
    /// (panel, lane).
    bias: Vec<f32>,
}

impl Depthwise {
    /// Packs weights (channels, 1, kernel, kernel) and biases. The geometry has no pooling.
    pub(super) fn new(geometry: Geometry, weight: &[f32], bias: &[f32], processor: Processor) -> Self {
        let width = processor.width(1);
        let taps = geometry.kernel * geometry.kernel;
        let forward = Plan::new(geometry, width, |channel, tap| weight[channel * taps + tap], bias);
        let Shape { height, width: columns, .. } = geometry.input;
        let output = geometry.output();
        let room = geometry.kernel - 1;
        let fits = geometry.stride == 1 && geometry.padding.before <= room && geometry.padding.after <= room;
        let backward = if fits {
            let padding = Padding { before: room - geometry.padding.before, after: room - geometry.padding.after };
            let turned = Geometry { input: output, padding, clip: Clip::None, ..geometry };
            debug_assert_eq!((turned.output().height, turned.output().width), (height, columns));
            let none = vec![0.0; bias.len()];
            Backward::Gather(Plan::new(turned, width, |channel, tap| weight[channel * taps + taps - 1 - tap], &none))
        } else {
            Backward::Scatter
        };
        Self { forward, backward, clip: geometry.clip }
    }
}

impl Step for Depthwise {
    fn input(&self) -> usize {
        self.forward.geometry.input.len()
    }

    fn output(&self) -> usize {
        self.forward.geometry.output().len()
    }

    fn marks(&self) -> usize {
        if self.clip == Clip::None { 0 } else { self.output() }
    }

    fn scratch(&self) -> usize {
        let backward = match &self.backward {
            Backward::Gather(plan) => plan.geometry.padded().len(),
            Backward::Scatter => 0,
        };
        self.forward.geometry.padded().len().max(backward)
    }

    fn forward(&self, input: &[f32], output: &mut [f32], notes: Notes, scratch: &mut [f32]) {
        for (input, output) in input.chunks_exact(self.input()).zip(output.chunks_exact_mut(self.output())) {
            self.forward.run(input, output, scratch);
        }
        self.clip.apply(output, notes.marks);
    }

    fn backward(&self, notes: Notes, cotangent: &mut [f32], gradient: &mut [f32], scratch: &mut [f32]) {
        switch_off(notes.marks, cotangent);
        let pictures = cotangent.chunks_exact(self.output()).zip(gradient.chunks_exact_mut(self.input()));
        for (cotangent, gradient) in pictures {
            match &self.backward {
                Backward::Gather(plan) => plan.run(cotangent, gradient, scratch),
                Backward::Scatter => {
                    let padded = &mut scratch[..self.forward.geometry.padded().len()];
                    padded.fill(0.0);
                    self.forward.width.run(Scatter { plan: &self.forward, cotangent, padded });
                    self.forward.geometry.crop(padded, gradient);
                }
            }
        }
    }
}

impl Plan {
    fn new(geometry: Geometry, width: Width, at: impl Fn(usize, usize) -> f32, bias: &[f32]) -> Self {
        let (lanes, taps, channels) = (width.lanes(), geometry.kernel * geometry.kernel, bias.len());
        let mut kernels = Aligned::zeros(whole(channels, lanes) * taps);
        let mut padded_bias = vec![0.0; whole(channels, lanes)];
        for channel in 0..channels {
            for tap in 0..taps {
                kernels[(channel / lanes * taps + tap) * lanes + channel % lanes] = at(channel, tap);
            }
            padded_bias[channel] = bias[channel];
        }
        Self { geometry, width, kernels, bias: padded_bias }
    }

    /// Convolves one picture.
    fn run(&self, input: &[f32], output: &mut [f32], scratch: &mut [f32]) {
        let padded = &mut scratch[..self.geometry.padded().len()];
        padded.fill(0.0);
        self.geometry.pad(input, padded);
        self.width.run(Gather { plan: self, padded, output });
    }
}

/// The outputs of one picture.
struct Gather<'a> {
    plan: &'a Plan,
    padded: &'a [f32],
    output: &'a mut [f32],
}

impl Kernel for Gather<'_> {
    #[inline(always)]
    fn run<const P: usize, const FUSED: bool>(self) {
        let geometry = self.plan.geometry;
        let Shape { channels, height, width } = geometry.output();
        let (kernel, stride) = (geometry.kernel, geometry.padded().width * channels);
        let panels = self.plan.kernels.as_chunks::<P>().0.chunks_exact(kernel * kernel);
        for row in 0..height {
            for (panel, (weights, bias)) in panels.clone().zip(self.plan.bias.as_chunks::<P>().0).enumerate() {
                let first = panel * P;
                let lanes = P.min(channels - first);
                for column in (0..width).step_by(CELLS) {
                    // At the edge the last cell is computed again.
                    let columns: [usize; CELLS] = std::array::from_fn(|i| (column + i).min(width - 1));
                    let from = columns.map(|column| geometry.offset(row, column) + first);
                    let mut sums = [*bias; CELLS];
                    for (kernel_row, weights) in weights.chunks_exact(kernel).enumerate() {
                        for (kernel_column, weights) in weights.iter().enumerate() {
                            let tap = kernel_row * stride + kernel_column * channels;
                            for i in 0..CELLS {
                                let x = load::<f32, P>(self.padded, from[i] + tap, lanes);
                                add_products::<P, FUSED>(&mut sums[i], &x, weights);
                            }
                        }
                    }
                    for i in 0..CELLS {
                        let at = (row * width + columns[i]) * channels + first;
                        store(self.output, at, lanes, &sums[i]);
                    }
                }
            }
        }
    }
}

/// Adds to the zeroed padded input gradient of one picture.
struct Scatter<'a> {
    plan: &'a Plan,
    cotangent: &'a [f32],
    padded: &'a mut [f32],
}

impl Kernel for Scatter<'_> {
    #[inline(always)]
    fn run<const P: usize, const FUSED: bool>(self) {
        let geometry = self.plan.geometry;
        let Shape { channels, height, width } = geometry.output();
        let (kernel, stride) = (geometry.kernel, geometry.padded().width * channels);
        let panels = self.plan.kernels.as_chunks::<P>().0.chunks_exact(kernel * kernel);
        for row in 0..height {
            for (panel, weights) in panels.clone().enumerate() {
                let first = panel * P;
                let lanes = P.min(channels - first);
                for column in 0..width {
                    let c = load::<f32, P>(self.cotangent, (row * width + column) * channels + first, lanes);
                    let from = geometry.offset(row, column) + first;
                    for (kernel_row, weights) in weights.chunks_exact(kernel).enumerate() {
                        for (kernel_column, weights) in weights.iter().enumerate() {
                            let at = from + kernel_row * stride + kernel_column * channels;
                            let mut sum = load::<f32, P>(self.padded, at, lanes);
                            add_products::<P, FUSED>(&mut sum, &c, weights);
                            store(self.padded, at, lanes, &sum);
                        }
                    }
                }
            }
        }
    }
}
