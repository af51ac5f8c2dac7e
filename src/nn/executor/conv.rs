//! Convolution with bias, and with the ReLU (or ReLU6) and the max-pooling that follow it, in one pass.
//!
//! Forward, the lanes run across output channels. All cells of a pooling window are computed in registers, only their
//! maximum is stored, and which cell it was (or that ReLU has switched it off) is marked. Backward, only the marked
//! cells pass a gradient on: at most one in `pool`² of the convolution's outputs, so the transposed convolution is a
//! sparse scatter of kernels.

use std::ops::Range;

use super::plan::{Clip, INACTIVE, Notes, Step};
use super::simd::{Kernel, Processor, Width, add_scaled, store, whole};
use crate::nn::{Padding, Shape};

/// Cells that are computed at once.
const CELLS: usize = 4;
/// Floats of a patch of input gradient that is gathered in registers.
const PATCH: usize = 16;
/// The largest patch for which every cell's kernel is stored in its place in the patch.
const LARGEST_PATCH: usize = 4 * PATCH;

/// What the convolution looks like. Pictures are channels-last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) input: Shape,
    pub(super) out: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: Padding,
    /// Side of the pooling window; 1 is no pooling.
    pub(super) pool: usize,
    /// What is applied after it.
    pub(super) clip: Clip,
}

impl Geometry {
    pub(super) fn padded(&self) -> Shape {
        let Shape { channels, height, width } = self.input;
        Shape { channels, height: height + self.padding.total(), width: width + self.padding.total() }
    }

    /// The shape after convolution and pooling.
    pub(super) fn output(&self) -> Shape {
        let Shape { height, width, .. } = self.padded();
        let side = |n: usize| ((n - self.kernel) / self.stride + 1) / self.pool;
        Shape { channels: self.out, height: side(height), width: side(width) }
    }

    /// Whether it is what most small networks begin with: one channel, a kernel of 3 × 3, pooling over 2 × 2.
    fn is_usual_first(&self) -> bool {
        (self.input.channels, self.kernel, self.stride, self.pool) == (1, 3, 1, 2)
    }

    /// Copies a picture into the middle of the padded one.
    pub(super) fn pad(&self, picture: &[f32], padded: &mut [f32]) {
        self.rows(|at, row| padded[row].copy_from_slice(&picture[at]));
    }

    /// The inverse of [`Self::pad`].
    pub(super) fn crop(&self, padded: &[f32], picture: &mut [f32]) {
        self.rows(|at, row| picture[at].copy_from_slice(&padded[row]));
    }

    /// Calls with every row's place in the picture and in the padded picture.
    fn rows(&self, mut each: impl FnMut(Range<usize>, Range<usize>)) {
        let Shape { channels, height, width } = self.input;
        let length = width * channels;
        for row in 0..height {
            let padded = ((row + self.padding.before) * self.padded().width + self.padding.before) * channels;
            each(row * length..(row + 1) * length, padded..padded + length);
        }
    }

    /// Where the input of a convolution's output cell begins in the padded picture.
    #[inline(always)]
    pub(super) fn offset(&self, row: usize, column: usize) -> usize {
        (row * self.padded().width + column) * self.stride * self.input.channels
    }
}

/// The packed convolution.
pub(super) struct Conv {
    geometry: Geometry,
    width: Width,
    /// (panel, kernel row, kernel column, input channel, lane).
    forward: Vec<f32>,
    /// (panel, lane).
    bias: Vec<f32>,
    backward: Backward,
    /// Where each cell of a pooling window begins in the padded picture, from where the window begins: divisions are
    /// too slow for the inner loops.
    cells: Vec<usize>,
}

enum Backward {
    /// (output channel, kernel row, kernel column, input channel).
    Kernels(Vec<f32>),
    /// For few input channels: (output channel, cell of the window, patch), the kernel set into a patch of the input
    /// as large as the whole window sees, so that one window's gradients are summed in registers.
    Patches { side: usize, size: usize, kernels: Vec<f32> },
}

impl Conv {
    /// Packs weights (out, in, kernel, kernel) and biases.
    pub(super) fn new(geometry: Geometry, weight: &[f32], bias: &[f32], processor: Processor) -> Self {
        let width = processor.width(geometry.out);
        let Geometry { input, out, kernel, stride, pool, .. } = geometry;
        let (channels, taps, lanes) = (input.channels, kernel * kernel, width.lanes());
        let at = |o: usize, c: usize, tap: usize| weight[(o * channels + c) * taps + tap];

        let mut forward = vec![0.0; whole(out, lanes) * taps * channels];
        let mut kernels = vec![0.0; out * taps * channels];
        for o in 0..out {
            for tap in 0..taps {
                for c in 0..channels {
                    forward[((o / lanes * taps + tap) * channels + c) * lanes + o % lanes] = at(o, c, tap);
                    kernels[(o * taps + tap) * channels + c] = at(o, c, tap);
                }
            }
        }
        let mut padded_bias = vec![0.0; whole(out, lanes)];
        for (padded, bias) in padded_bias.iter_mut().zip(bias) {
            // −0 would be the only sum that adding a zero changes.
            *padded = bias + 0.0;
        }

        let side = (pool - 1) * stride + kernel;
        let size = whole(side * side * channels, PATCH);
        let backward = if size <= LARGEST_PATCH {
            let mut patches = vec![0.0; out * pool * pool * size];
            for o in 0..out {
                for cell in 0..pool * pool {
                    let patch = &mut patches[(o * pool * pool + cell) * size..][..size];
                    for tap in 0..taps {
                        let row = cell / pool * stride + tap / kernel;
                        let column = cell % pool * stride + tap % kernel;
                        for c in 0..channels {
                            patch[(row * side + column) * channels + c] = at(o, c, tap);
                        }
                    }
                }
            }
            Backward::Patches { side, size, kernels: patches }
        } else {
            Backward::Kernels(kernels)
        };
        let cells = (0..pool * pool).map(|cell| geometry.offset(cell / pool, cell % pool)).collect();
        Self { geometry, width, forward, bias: padded_bias, backward, cells }
    }
}

impl Conv {
    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }
}

impl Step for Conv {
    fn input(&self) -> usize {
        self.geometry.input.len()
    }

    fn output(&self) -> usize {
        self.geometry.output().len()
    }

    fn marks(&self) -> usize {
        if self.geometry.clip != Clip::None || self.geometry.pool > 1 { self.output() } else { 0 }
    }

    fn scratch(&self) -> usize {
        self.geometry.padded().len() + PATCH
    }

    fn forward(&self, input: &[f32], output: &mut [f32], notes: Notes, scratch: &mut [f32]) {
        scratch.fill(0.0);
        let pictures = input.chunks_exact(self.input()).zip(output.chunks_exact_mut(self.output()));
        for (picture, (input, output)) in pictures.enumerate() {
            self.geometry.pad(input, scratch);
            let marks = &mut notes.marks[picture * self.marks()..][..self.marks()];
            self.width.run(Forward { conv: self, padded: scratch, output, marks });
        }
    }

    fn backward(&self, notes: Notes, cotangent: &mut [f32], gradient: &mut [f32], scratch: &mut [f32]) {
        let pictures = cotangent.chunks_exact(self.output()).zip(gradient.chunks_exact_mut(self.input()));
        for (picture, (cotangent, gradient)) in pictures.enumerate() {
            scratch.fill(0.0);
            let marks = &notes.marks[picture * self.marks()..][..self.marks()];
            self.width.run(Scatter { conv: self, marks, cotangent, padded: scratch });
            self.geometry.crop(scratch, gradient);
        }
    }
}

/// The forward pass of one picture.
struct Forward<'a> {
    conv: &'a Conv,
    padded: &'a [f32],
    output: &'a mut [f32],
    marks: &'a mut [u8],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<const P: usize, const FUSED: bool>(mut self) {
        let Geometry { input, kernel, pool, .. } = self.conv.geometry;
        let taps = kernel * kernel * input.channels;
        let panels = self.conv.forward.as_chunks::<P>().0.chunks_exact(taps).zip(self.conv.bias.as_chunks::<P>().0);
        for (panel, (weights, bias)) in panels.enumerate() {
            if pool == 1 {
                self.plain::<P, FUSED>(panel, weights, bias);
            } else if self.conv.geometry.is_usual_first() {
                self.first::<P, FUSED>(panel, weights, bias);
            } else {
                self.pooled::<P, FUSED>(panel, weights, bias);
            }
        }
    }
}

impl Forward<'_> {
    /// One panel of output channels without pooling: four neighbours of a row at once.
    #[inline(always)]
    fn plain<const P: usize, const FUSED: bool>(&mut self, panel: usize, weights: &[[f32; P]], bias: &[f32; P]) {
        let geometry = self.conv.geometry;
        let Shape { channels, height, width } = geometry.output();
        let first = panel * P;
        let lanes = P.min(channels - first);
        for row in 0..height {
            for column in (0..width).step_by(CELLS) {
                // At the edge the last cell is computed again.
                let columns: [usize; CELLS] = std::array::from_fn(|i| (column + i).min(width - 1));
                let cells = columns.map(|column| geometry.offset(row, column));
                let values = cells_of_panel::<P, FUSED>(&geometry, self.padded, cells, weights, bias);
                for (&column, mut value) in columns.iter().zip(values) {
                    let at = (row * width + column) * channels + first;
                    if geometry.clip != Clip::None {
                        let marks = switch_off(geometry.clip, &mut value, &[0; P]);
                        store(self.marks, at, lanes, &marks);
                    }
                    store(self.output, at, lanes, &value);
                }
            }
        }
    }

    /// One panel of the usual first layer: what a window sees is held in registers, and nothing is left to be looped
    /// over at run time. Sums as [`cells_of_panel`] does.
    #[inline(always)]
    fn first<const P: usize, const FUSED: bool>(&mut self, panel: usize, weights: &[[f32; P]], bias: &[f32; P]) {
        let geometry = self.conv.geometry;
        let Shape { channels, height, width } = geometry.output();
        let Some(weights) = weights.first_chunk::<9>() else { return };
        let (first, padded_width) = (panel * P, geometry.padded().width);
        let lanes = P.min(channels - first);
        for row in 0..height {
            for column in 0..width {
                let from = 2 * (row * padded_width + column);
                // The scratch goes on behind the picture, so there always are four.
                let seen: [[f32; 4]; 4] = std::array::from_fn(|i| {
                    self.padded[from + i * padded_width..].first_chunk::<4>().copied().unwrap_or_default()
                });
                let mut values = [*bias; CELLS];
                for (tap, weights) in weights.iter().enumerate() {
                    for (cell, value) in values.iter_mut().enumerate() {
                        add_scaled::<_, FUSED>(value, seen[cell / 2 + tap / 3][cell % 2 + tap % 3], weights);
                    }
                }
                let (mut best, mut which) = ([f32::NEG_INFINITY; P], [0u32; P]);
                for (cell, value) in values.iter().enumerate() {
                    keep_greatest(&mut best, &mut which, value, cell as u32);
                }
                self.store((row * width + column) * channels + first, lanes, best, &which);
            }
        }
    }

    /// Clips and stores the maxima of a window, and which cells they were.
    #[inline(always)]
    fn store<const P: usize>(&mut self, at: usize, lanes: usize, mut best: [f32; P], which: &[u32; P]) {
        let mut marks = which.map(|which| which as u8);
        if self.conv.geometry.clip != Clip::None {
            marks = switch_off(self.conv.geometry.clip, &mut best, which);
        }
        store(self.marks, at, lanes, &marks);
        store(self.output, at, lanes, &best);
    }

    /// One panel of output channels with pooling: four cells of a window at once.
    #[inline(always)]
    fn pooled<const P: usize, const FUSED: bool>(&mut self, panel: usize, weights: &[[f32; P]], bias: &[f32; P]) {
        let geometry = self.conv.geometry;
        let pool = geometry.pool;
        let Shape { channels, height, width } = geometry.output();
        let first = panel * P;
        let lanes = P.min(channels - first);
        for row in 0..height {
            for column in 0..width {
                let from = geometry.offset(row * pool, column * pool);
                let (mut best, mut which) = ([f32::NEG_INFINITY; P], [0u32; P]);
                for group in (0..pool * pool).step_by(CELLS) {
                    // A window that is no multiple of four ends with its last cell again.
                    let window: [usize; CELLS] = std::array::from_fn(|i| (group + i).min(pool * pool - 1));
                    let cells = window.map(|cell| from + self.conv.cells[cell]);
                    let values = cells_of_panel::<P, FUSED>(&geometry, self.padded, cells, weights, bias);
                    for i in 0..CELLS {
                        keep_greatest(&mut best, &mut which, &values[i], window[i] as u32);
                    }
                }
                self.store((row * width + column) * channels + first, lanes, best, &which);
            }
        }
    }
}

/// The convolution's outputs at four cells, for one panel of channels. Each is summed in the order bias, kernel row,
/// kernel column, input channel.
#[inline(always)]
fn cells_of_panel<const P: usize, const FUSED: bool>(
    geometry: &Geometry,
    padded: &[f32],
    cells: [usize; CELLS],
    weights: &[[f32; P]],
    bias: &[f32; P],
) -> [[f32; P]; CELLS] {
    let run = geometry.kernel * geometry.input.channels;
    let stride = geometry.padded().width * geometry.input.channels;
    let [mut a, mut b, mut c, mut d] = [*bias; CELLS];
    for (row, weights) in weights.chunks_exact(run).enumerate() {
        let [x, y, z, u] = cells.map(|cell| &padded[cell + row * stride..][..run]);
        for ((((w, &x), &y), &z), &u) in weights.iter().zip(x).zip(y).zip(z).zip(u) {
            add_scaled::<_, FUSED>(&mut a, x, w);
            add_scaled::<_, FUSED>(&mut b, y, w);
            add_scaled::<_, FUSED>(&mut c, z, w);
            add_scaled::<_, FUSED>(&mut d, u, w);
        }
    }
    [a, b, c, d]
}

/// Keeps the greatest value of each lane and where it was: the first of equals, and what is not a number wins.
#[inline(always)]
fn keep_greatest<const P: usize>(best: &mut [f32; P], which: &mut [u32; P], values: &[f32; P], cell: u32) {
    for lane in 0..P {
        let value = values[lane];
        let better = (value > best[lane]) | value.is_nan();
        best[lane] = if better { value } else { best[lane] };
        which[lane] = if better { cell } else { which[lane] };
    }
}

/// Clips. Returns the marks: `which`, or that a lane is off. What is not a number stays on.
#[inline(always)]
fn switch_off<const P: usize>(clip: Clip, values: &mut [f32; P], which: &[u32; P]) -> [u8; P] {
    let mut marks = [0u8; P];
    let upper = clip.upper();
    for lane in 0..P {
        let (below, above) = (values[lane] <= 0.0, values[lane] >= upper);
        marks[lane] = if below | above { INACTIVE } else { which[lane] as u8 };
        values[lane] = if below { 0.0 } else { values[lane] };
        values[lane] = if above { upper } else { values[lane] };
    }
    marks
}

/// The backward pass of one picture: adds to the zeroed padded input gradient.
struct Scatter<'a> {
    conv: &'a Conv,
    marks: &'a [u8],
    cotangent: &'a [f32],
    padded: &'a mut [f32],
}

/// Output channels that are looked through at once for those that pass a gradient on.
const LIST: usize = 64;

/// Floats of a row that are added up together: whatever the lanes, so that sums are the same for all.
const PIECE: usize = 16;
/// Pieces whose sums are held in registers.
const PIECES: usize = 3;

/// An output that passes a gradient on.
#[derive(Clone, Copy, Default)]
struct Active {
    channel: u32,
    cotangent: f32,
}

impl Kernel for Scatter<'_> {
    #[inline(always)]
    fn run<const P: usize, const FUSED: bool>(mut self) {
        let geometry = self.conv.geometry;
        let Shape { channels, height, width } = geometry.output();
        let mut list = [Active::default(); LIST];
        for row in 0..height {
            for column in 0..width {
                let window = (row * width + column) * channels;
                match &self.conv.backward {
                    Backward::Kernels(kernels) => {
                        let from = geometry.offset(row * geometry.pool, column * geometry.pool);
                        for (cell, place) in self.conv.cells.iter().enumerate() {
                            for first in (0..channels).step_by(LIST) {
                                let channels = first..channels.min(first + LIST);
                                let length = self.active(window, cell as u8, channels, &mut list);
                                self.kernels::<FUSED>(from + place, kernels, &list[..length]);
                            }
                        }
                    }
                    Backward::Patches { side, size, kernels } => {
                        self.patch::<FUSED>(row, column, window, (*side, *size, kernels));
                    }
                }
            }
        }
    }
}

impl Scatter<'_> {
    /// Lists those of a window's output channels that were greatest in a cell and pass a gradient on. Without a branch:
    /// which they are cannot be predicted.
    #[inline(always)]
    fn active(&self, window: usize, cell: u8, channels: Range<usize>, list: &mut [Active; LIST]) -> usize {
        let mut length = 0;
        for channel in channels {
            // Without ReLU and pooling there are no marks: everything is active.
            let mark = self.marks.get(window + channel).copied().unwrap_or(0);
            let cotangent = self.cotangent[window + channel];
            list[length % LIST] = Active { channel: channel as u32, cotangent };
            length += ((mark == cell) & (cotangent != 0.0)) as usize;
        }
        length
    }

    /// Adds the kernels of active outputs where they were applied.
    #[inline(always)]
    fn kernels<const FUSED: bool>(&mut self, from: usize, kernels: &[f32], active: &[Active]) {
        let geometry = self.conv.geometry;
        let run = geometry.kernel * geometry.input.channels;
        let stride = geometry.padded().width * geometry.input.channels;
        for kernel_row in 0..geometry.kernel {
            let target = &mut self.padded[from + kernel_row * stride..][..run];
            let row = |channel: usize| (channel * geometry.kernel + kernel_row) * run;
            let rest = add_rows::<PIECES, FUSED>(target, 0, active, row, kernels);
            let rest = add_rows::<1, FUSED>(target, rest, active, row, kernels);
            for &Active { channel, cotangent } in active {
                let at = row(channel as usize);
                for (target, w) in target[rest..].iter_mut().zip(&kernels[at + rest..at + run]) {
                    add_scaled::<1, FUSED>(std::array::from_mut(target), cotangent, &[*w]);
                }
            }
        }
    }

    /// Adds one output's kernel, at its place in the patch, to a block of the patch.
    #[inline(always)]
    fn add_kernel<const FUSED: bool>(
        &self,
        sum: &mut [f32; PATCH],
        window: usize,
        channel: usize,
        (size, block, kernels): (usize, usize, &[f32]),
    ) {
        let cells = self.conv.cells.len();
        // Without ReLU and pooling there are no marks: everything is active.
        let mark = self.marks.get(window + channel).copied().unwrap_or(0);
        let cotangent = if mark == INACTIVE { 0.0 } else { self.cotangent[window + channel] };
        let at = (channel * cells + usize::from(mark).min(cells - 1)) * size + block * PATCH;
        // The kernels are whole blocks, so there always is one.
        if let Some(weights) = kernels[at..].first_chunk::<PATCH>() {
            add_scaled::<_, FUSED>(sum, cotangent, weights);
        }
    }

    /// Sums the kernels of all outputs of a window in a patch, then adds the patch. Those that are switched off add
    /// zeros, which is faster than to leave them out. Odd and even channels are summed apart, not to wait for each other.
    #[inline(always)]
    fn patch<const FUSED: bool>(
        &mut self,
        row: usize,
        column: usize,
        window: usize,
        (side, size, kernels): (usize, usize, &[f32]),
    ) {
        let geometry = self.conv.geometry;
        let pool = geometry.pool;
        let mut patch = [0.0; LARGEST_PATCH];
        for (block, patch) in patch[..size].as_chunks_mut::<PATCH>().0.iter_mut().enumerate() {
            let (mut even, mut odd) = ([0.0; PATCH], [0.0; PATCH]);
            let last = geometry.out - geometry.out % 2;
            for channel in (0..last).step_by(2) {
                self.add_kernel::<FUSED>(&mut even, window, channel, (size, block, kernels));
                self.add_kernel::<FUSED>(&mut odd, window, channel + 1, (size, block, kernels));
            }
            if last < geometry.out {
                self.add_kernel::<FUSED>(&mut even, window, last, (size, block, kernels));
            }
            for (patch, (even, odd)) in patch.iter_mut().zip(even.iter().zip(odd)) {
                *patch = even + odd;
            }
        }
        let from = geometry.offset(row * pool, column * pool);
        let run = side * geometry.input.channels;
        let stride = geometry.padded().width * geometry.input.channels;
        for (patch_row, patch) in patch[..side * run].chunks_exact(run).enumerate() {
            for (target, patch) in self.padded[from + patch_row * stride..][..run].iter_mut().zip(patch) {
                *target += patch;
            }
        }
    }
}

/// Adds rows of kernels, scaled by the cotangents of active outputs, to `target` from `from` on, N pieces at a time
/// whose sums are held in registers. `row` is where a channel's row begins. Returns how far whole pieces have come.
#[inline(always)]
fn add_rows<const N: usize, const FUSED: bool>(
    target: &mut [f32],
    from: usize,
    active: &[Active],
    row: impl Fn(usize) -> usize,
    kernels: &[f32],
) -> usize {
    let mut from = from;
    for pieces in target[from..].as_chunks_mut::<PIECE>().0.as_chunks_mut::<N>().0 {
        let mut sums = [[0.0; PIECE]; N];
        for &Active { channel, cotangent } in active {
            let weights = kernels[row(channel as usize) + from..].as_chunks::<PIECE>().0;
            let Some(weights) = weights.first_chunk::<N>() else { continue };
            for (sum, weights) in sums.iter_mut().zip(weights) {
                add_scaled::<_, FUSED>(sum, cotangent, weights);
            }
        }
        for (piece, sum) in pieces.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
            *piece += sum;
        }
        from += N * PIECE;
    }
    from
}
