//! Convolution with bias, and with the ReLU (or ReLU6) and the max-pooling that follow it, in one pass.
//!
//! Forward, the lanes run across output channels. All cells of a pooling window are computed in registers, only their
//! maximum is stored, and which cell it was (or that ReLU has switched it off) is marked. Backward, only the marked
//! cells pass a gradient on: at most one in `pool`² of the convolution's outputs, so the transposed convolution is a
//! sparse scatter of kernels.

use std::ops::Range;

use super::affine::{Affine, Line};
use super::aligned::Aligned;
use super::greatest::greatest_of_four;
use super::plan::{Clip, INACTIVE, Notes, Step};
use super::simd::{Kernel, Processor, Width, add_four, add_scaled, store, whole};
use super::winograd::{Outputs, Winograd};
use crate::nn::{Padding, Shape};

/// Cells that are computed at once.
const CELLS: usize = 4;
/// The largest patch for which every cell's kernel is stored in its place in the patch.
const LARGEST_PATCH: usize = 4 * PIECE;

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
    forward: Aligned,
    /// (panel, lane).
    bias: Aligned,
    /// A faster way forward, where there is one.
    winograd: Option<Winograd>,
    backward: Backward,
    /// Where each cell of a pooling window begins in the padded picture, from where the window begins: divisions are
    /// too slow for the inner loops.
    cells: Vec<usize>,
}

enum Backward {
    /// (output channel, kernel row, kernel column, input channel).
    Kernels(Aligned),
    /// For few input channels: (output channel, cell of the window, patch), the kernel set into a patch of the input
    /// as large as the whole window sees, so that one window's gradients are summed in registers. Behind the cells is a
    /// patch of zeros, for what is switched off.
    Patches { side: usize, size: usize, kernels: Aligned },
}

impl Conv {
    /// Packs weights (out, in, kernel, kernel) and biases.
    pub(super) fn new(geometry: Geometry, weight: &[f32], bias: &[f32], processor: Processor) -> Self {
        let width = processor.width(geometry.out);
        let Geometry { input, out, kernel, stride, pool, .. } = geometry;
        let (channels, taps, lanes) = (input.channels, kernel * kernel, width.lanes());
        let at = |o: usize, c: usize, tap: usize| weight[(o * channels + c) * taps + tap];

        let mut forward = Aligned::zeros(whole(out, lanes) * taps * channels);
        let mut kernels = Aligned::zeros(out * taps * channels);
        for o in 0..out {
            for tap in 0..taps {
                for c in 0..channels {
                    forward[((o / lanes * taps + tap) * channels + c) * lanes + o % lanes] = at(o, c, tap);
                    kernels[(o * taps + tap) * channels + c] = at(o, c, tap);
                }
            }
        }
        let mut padded_bias = Aligned::zeros(whole(out, lanes));
        for (padded, bias) in padded_bias.iter_mut().zip(bias) {
            // −0 would be the only sum that adding a zero changes.
            *padded = bias + 0.0;
        }

        let side = (pool - 1) * stride + kernel;
        let size = whole(side * side * channels, PIECE);
        let backward = if size <= LARGEST_PATCH {
            let mut patches = Aligned::zeros(out * (pool * pool + 1) * size);
            for o in 0..out {
                for cell in 0..pool * pool {
                    let patch = &mut patches[(o * (pool * pool + 1) + cell) * size..][..size];
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
        let winograd = Winograd::new(geometry, weight, &padded_bias, width);
        Self { geometry, width, forward, bias: padded_bias, winograd, backward, cells }
    }
}

impl Conv {
    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Length of the padded picture in the scratch, a little more than it needs, in whole lines.
    fn padded(&self) -> usize {
        whole(self.geometry.padded().len() + PIECE, PIECE)
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
        self.output()
    }

    fn scratch(&self) -> usize {
        let window = self.cells.len() * self.bias.len();
        (self.padded() + self.winograd.as_ref().map_or(0, Winograd::scratch)).max(window)
    }

    fn affine(&self) -> Option<&dyn Affine> {
        // Larger windows are rare.
        matches!(self.cells.len(), 1 | CELLS).then_some(self)
    }

    fn forward(&self, input: &[f32], output: &mut [f32], notes: Notes, scratch: &mut [f32]) {
        let (padded, scratch) = scratch.split_at_mut(self.padded());
        padded.fill(0.0);
        let pictures = input.chunks_exact(self.input()).zip(output.chunks_exact_mut(self.output()));
        for (picture, (input, output)) in pictures.enumerate() {
            self.geometry.pad(input, padded);
            let marks = &mut notes.marks[picture * self.marks()..][..self.marks()];
            self.width.run(Forward { conv: self, padded, output, marks, scratch });
        }
    }

    fn backward(&self, notes: Notes, cotangent: &mut [f32], gradient: &mut [f32], scratch: &mut [f32]) {
        let pictures = cotangent.chunks_exact(self.output()).zip(gradient.chunks_exact_mut(self.input()));
        let padded = &mut scratch[..self.padded()];
        for (picture, (cotangent, gradient)) in pictures.enumerate() {
            padded.fill(0.0);
            let marks = &notes.marks[picture * self.marks()..][..self.marks()];
            self.width.run(Scatter { conv: self, marks, cotangent, padded });
            self.geometry.crop(padded, gradient);
        }
    }
}

/// The sums of a window are side by side: (window, cell, channel), the channels in whole panels.
impl Affine for Conv {
    fn sums(&self) -> usize {
        self.output() / self.geometry.out * self.cells.len() * self.bias.len()
    }

    fn sum(&self, picture: &[f32], sums: &mut [f32], scratch: &mut [f32]) {
        let padded = &mut scratch[..self.padded()];
        padded.fill(0.0);
        self.geometry.pad(picture, padded);
        self.width.run(Sum { conv: self, padded, sums });
    }

    fn add_biases(&self, sums: &mut [f32]) {
        for sums in sums.chunks_exact_mut(self.bias.len()) {
            sums.iter_mut().zip(&*self.bias).for_each(|(sum, bias)| *sum += bias);
        }
    }

    fn finish(&self, line: Line, output: &mut [f32], notes: Notes, scratch: &mut [f32]) {
        let (channels, clip) = (self.geometry.out, self.geometry.clip);
        let sums = &mut scratch[..self.cells.len() * self.bias.len()];
        let windows = output.chunks_exact_mut(channels).zip(notes.marks.chunks_exact_mut(channels));
        for (window, (output, marks)) in windows.enumerate() {
            line.write(window * sums.len(), sums);
            if self.cells.len() == 1 {
                output.copy_from_slice(&sums[..channels]);
                clip.apply(output, marks);
            } else {
                let cells = std::array::from_fn(|cell| &sums[cell * self.bias.len()..][..self.bias.len()]);
                greatest_of_four(cells, clip, output, marks);
            }
        }
    }
}

/// What a convolution sums of one picture.
struct Sum<'a> {
    conv: &'a Conv,
    padded: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for Sum<'_> {
    #[inline(always)]
    fn run<const P: usize, const FUSED: bool>(self) {
        let Conv { geometry, cells, forward, bias, .. } = self.conv;
        let Geometry { input, kernel, pool, .. } = *geometry;
        let width = geometry.output().width;
        let places = self.sums.len() / bias.len();
        let from = |place: usize| {
            let (window, cell) = (place / cells.len(), place % cells.len());
            geometry.offset(window / width * pool, window % width * pool) + cells[cell]
        };
        for (panel, weights) in forward.as_chunks::<P>().0.chunks_exact(kernel * kernel * input.channels).enumerate() {
            for first in (0..places).step_by(CELLS) {
                // At the end the last place is summed again.
                let place: [usize; CELLS] = std::array::from_fn(|i| (first + i).min(places - 1));
                let sums = cells_of_panel::<P, FUSED>(geometry, self.padded, place.map(from), weights, &[0.0; P]);
                for (place, sums) in place.iter().zip(sums) {
                    self.sums[place * bias.len() + panel * P..][..P].copy_from_slice(&sums);
                }
            }
        }
    }
}

/// The forward pass of one picture.
struct Forward<'a> {
    conv: &'a Conv,
    padded: &'a [f32],
    output: &'a mut [f32],
    marks: &'a mut [u8],
    scratch: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<const P: usize, const FUSED: bool>(mut self) {
        if let Some(winograd) = &self.conv.winograd {
            return self.tiles::<P, FUSED>(winograd);
        }
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
    /// Every window as a tile of a fast algorithm.
    #[inline(always)]
    fn tiles<const P: usize, const FUSED: bool>(&mut self, winograd: &Winograd) {
        let geometry = self.conv.geometry;
        let Shape { height, width, .. } = geometry.output();
        let stride = geometry.padded().width * geometry.input.channels;
        let tile = |window: usize| geometry.offset(window / width * 2, window % width * 2);
        let scratch = std::mem::take(&mut self.scratch);
        winograd.run::<P, FUSED>((self.padded, stride), height * width, tile, scratch, self);
    }

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
                    let marks = switch_off(geometry.clip, &mut value, &[0; P]);
                    store(self.marks, at, lanes, &marks);
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
                let at = (row * width + column) * channels + first;
                self.pool(at, lanes, values.each_ref().map(|value| value.as_slice()));
            }
        }
    }

    /// Pools a window and clips, for some of its channels.
    #[inline(always)]
    fn pool(&mut self, at: usize, channels: usize, cells: [&[f32]; CELLS]) {
        let (output, marks) = (&mut self.output[at..at + channels], &mut self.marks[at..at + channels]);
        greatest_of_four(cells, self.conv.geometry.clip, output, marks);
    }

    /// Clips and stores the maxima of a window, and which cells they were.
    #[inline(always)]
    fn store<const P: usize>(&mut self, at: usize, lanes: usize, mut best: [f32; P], which: &[u32; P]) {
        let marks = switch_off(self.conv.geometry.clip, &mut best, which);
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

impl Outputs for Forward<'_> {
    #[inline(always)]
    fn take(&mut self, window: usize, cells: [&[f32]; CELLS]) {
        let channels = self.conv.geometry.out;
        self.pool(window * channels, channels, cells);
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
    let mut sums = [*bias; CELLS];
    for (row, weights) in weights.chunks_exact(run).enumerate() {
        let seen = cells.map(|cell| &padded[cell + row * stride..][..run]);
        sums = add_four::<P, FUSED>(sums, seen, weights);
    }
    sums
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
    if clip == Clip::None {
        return which.map(|which| which as u8);
    }
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

/// Floats that are added together: whatever the lanes.
const PIECE: usize = 16;

/// Output channels of a window that are sorted at once by the cell they were greatest in.
const LIST: usize = 64;
/// Cells they are sorted by at once, and one for the others.
const BUCKETS: usize = 8;

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
        let kernel_size = geometry.kernel * geometry.kernel * geometry.input.channels;
        let mut lists = [[Active::default(); LIST]; BUCKETS];
        for row in 0..height {
            for column in 0..width {
                let window = (row * width + column) * channels;
                let from = geometry.offset(row * geometry.pool, column * geometry.pool);
                match &self.conv.backward {
                    Backward::Kernels(kernels) => {
                        for (group, places) in self.conv.cells.chunks(BUCKETS - 1).enumerate() {
                            for first in (0..channels).step_by(LIST) {
                                let some = window + first..window + channels.min(first + LIST);
                                let lengths = self.sort(some, group * (BUCKETS - 1), &mut lists);
                                for ((place, list), length) in places.iter().zip(&lists).zip(lengths) {
                                    let kernels = &kernels[first * kernel_size..];
                                    self.kernels::<FUSED>(from + place, kernels, &list[..length]);
                                }
                            }
                        }
                    }
                    Backward::Patches { side, size, kernels } => {
                        self.patch::<FUSED>(from, window, (*side, *size, kernels.as_chunks().0));
                    }
                }
            }
        }
    }
}

impl Scatter<'_> {
    /// Sorts outputs of a window by the cell they were greatest in, `first` and the following ones. Returns how many
    /// there are of each, made even by one that adds nothing. Without a branch: where they go cannot be predicted.
    #[inline(always)]
    fn sort(&self, some: Range<usize>, first: usize, lists: &mut [[Active; LIST]; BUCKETS]) -> [usize; BUCKETS - 1] {
        // A byte for each bucket; what is off or of another cell goes into the last one.
        let mut lengths = 0u64;
        for (channel, (&mark, &cotangent)) in self.marks[some.clone()].iter().zip(&self.cotangent[some]).enumerate() {
            let bucket = usize::from(mark).wrapping_sub(first).min(BUCKETS - 1);
            let length = (lengths >> (8 * bucket)) as usize % LIST;
            lists[bucket][length] = Active { channel: channel as u32, cotangent };
            lengths += 1 << (8 * bucket);
        }
        std::array::from_fn(|bucket| {
            let length = (lengths >> (8 * bucket)) as usize & 0xff;
            if length % 2 == 1 {
                lists[bucket][length % LIST] = Active::default();
            }
            length.next_multiple_of(2)
        })
    }

    /// Adds the kernels of active outputs where they were applied, two at once.
    #[inline(always)]
    fn kernels<const FUSED: bool>(&mut self, from: usize, kernels: &[f32], active: &[Active]) {
        let geometry = self.conv.geometry;
        let run = geometry.kernel * geometry.input.channels;
        let stride = geometry.padded().width * geometry.input.channels;
        let target = &mut self.padded[from..][..(geometry.kernel - 1) * stride + run];
        match (geometry.kernel, run) {
            (3, 48) => add_kernels::<3, FUSED>(target, stride, kernels, active),
            (3, 96) => add_kernels::<6, FUSED>(target, stride, kernels, active),
            _ => {
                let size = run * geometry.kernel;
                let kernel = |active: Active| &kernels[active.channel as usize * size..][..size];
                for &[first, second] in active.as_chunks().0 {
                    let rows = kernel(first).chunks_exact(run).zip(kernel(second).chunks_exact(run));
                    for (row, (one, two)) in rows.enumerate() {
                        let target = &mut target[row * stride..][..run];
                        add_rows::<FUSED>(target, (first.cotangent, one), (second.cotangent, two));
                    }
                }
            }
        }
    }

    /// Sums the kernels of all outputs of a window in a patch, then adds the patch. Those that are switched off add
    /// zeros, which is faster than to leave them out. Odd and even channels are summed apart, not to wait for each other.
    #[inline(always)]
    fn patch<const FUSED: bool>(
        &mut self,
        from: usize,
        window: usize,
        (side, size, kernels): (usize, usize, &[[f32; PIECE]]),
    ) {
        let Geometry { input, out, .. } = self.conv.geometry;
        // Behind the cells is a zero kernel.
        let (blocks, cells) = (size / PIECE, self.conv.cells.len() + 1);
        let (marks, cotangents) = (&self.marks[window..][..out], &self.cotangent[window..][..out]);
        let run = side * input.channels;
        let stride = self.conv.geometry.padded().width * input.channels;
        let mut patch = [[0.0; PIECE]; LARGEST_PATCH / PIECE];
        for (block, patch) in patch[..blocks].iter_mut().enumerate() {
            let (mut even, mut odd) = ([0.0; PIECE], [0.0; PIECE]);
            let add = |sum: &mut [f32; PIECE], channel: usize, mark: u8, cotangent: f32| {
                let cell = usize::from(mark).min(cells - 1);
                add_scaled::<_, FUSED>(sum, cotangent, &kernels[(channel * cells + cell) * blocks + block]);
            };
            let (pairs, rest) = marks.as_chunks::<2>();
            let (cotangent_pairs, cotangent_rest) = cotangents.as_chunks::<2>();
            for (pair, (marks, cotangents)) in pairs.iter().zip(cotangent_pairs).enumerate() {
                add(&mut even, 2 * pair, marks[0], cotangents[0]);
                add(&mut odd, 2 * pair + 1, marks[1], cotangents[1]);
            }
            if let ([mark], [cotangent]) = (rest, cotangent_rest) {
                add(&mut even, out - 1, *mark, *cotangent);
            }
            *patch = std::array::from_fn(|i| even[i] + odd[i]);
        }
        let target = &mut self.padded[from..][..(side - 1) * stride + run];
        for (row, patch) in patch.as_flattened()[..side * run].chunks_exact(run).enumerate() {
            for (target, patch) in target[row * stride..][..run].iter_mut().zip(patch) {
                *target += patch;
            }
        }
    }
}

/// As [`Scatter::kernels`] for kernels of 3 × 3 whose rows are N pieces: the usual ones, with nothing left to be looped
/// over at run time.
#[inline(always)]
fn add_kernels<const N: usize, const FUSED: bool>(
    target: &mut [f32],
    stride: usize,
    kernels: &[f32],
    active: &[Active],
) {
    let kernels = kernels.as_chunks::<PIECE>().0.as_chunks::<N>().0.as_chunks::<3>().0;
    let (first, rest) = target.split_at_mut(stride);
    let (second, third) = rest.split_at_mut(stride);
    let rows = [first, second, third].map(|row| row.as_chunks_mut::<PIECE>().0.first_chunk_mut::<N>());
    let [Some(first), Some(second), Some(third)] = rows else { return };
    for [x, y] in active.as_chunks().0 {
        let (one, two) = (&kernels[x.channel as usize], &kernels[y.channel as usize]);
        for (target, (one, two)) in [&mut *first, &mut *second, &mut *third].into_iter().zip(one.iter().zip(two)) {
            for ((target, one), two) in target.iter_mut().zip(one).zip(two) {
                add_two::<PIECE, FUSED>(target, (x.cotangent, one), (y.cotangent, two));
            }
        }
    }
}

/// Adds two rows of kernels, one after the other.
#[inline(always)]
fn add_rows<const FUSED: bool>(target: &mut [f32], (x, one): (f32, &[f32]), (y, two): (f32, &[f32])) {
    let (pieces, rest) = target.as_chunks_mut::<PIECE>();
    let ((one, one_rest), (two, two_rest)) = (one.as_chunks(), two.as_chunks());
    for ((target, one), two) in pieces.iter_mut().zip(one).zip(two) {
        add_two::<PIECE, FUSED>(target, (x, one), (y, two));
    }
    if !rest.is_empty() {
        for ((target, one), two) in rest.iter_mut().zip(one_rest).zip(two_rest) {
            add_two::<1, FUSED>(std::array::from_mut(target), (x, &[*one]), (y, &[*two]));
        }
    }
}

/// target += x · one, then += y · two; stored once.
#[inline(always)]
fn add_two<const P: usize, const FUSED: bool>(
    target: &mut [f32; P],
    (x, one): (f32, &[f32; P]),
    (y, two): (f32, &[f32; P]),
) {
    let mut sum = *target;
    add_scaled::<P, FUSED>(&mut sum, x, one);
    add_scaled::<P, FUSED>(&mut sum, y, two);
    *target = sum;
}
