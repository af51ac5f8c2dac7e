//! Convolution with 3 × 3, pooled over 2 × 2, by Winograd's minimal filtering F(2 × 2, 3 × 3): the four cells of a pooling
//! window are one tile of it, for 16 multiplications where the definition takes 36.
//!
//! Where the input is constant along an axis, cells that are equal by definition come out equal to the bit, so that
//! ties in max-pooling are as they should be.
//!
//! Lavin, Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.

use super::aligned::Aligned;
use super::conv::Geometry;
use super::simd::{Width, add_four, load, store, whole};

/// Positions of a transformed tile: 4 × 4.
const POSITIONS: usize = 16;
/// Tiles that are transformed before they are multiplied.
const TILES: usize = 8;

/// The transformed kernels of a convolution.
pub(super) struct Winograd {
    channels: usize,
    /// Output channels, in whole panels.
    out: usize,
    /// (position, panel, input channel, lane).
    kernels: Aligned,
    bias: Aligned,
}

impl Winograd {
    /// Transforms weights (out, in, 3, 3), if the convolution is one of this kind.
    pub(super) fn new(geometry: Geometry, weight: &[f32], bias: &Aligned, width: Width) -> Option<Self> {
        let channels = geometry.input.channels;
        if (geometry.kernel, geometry.stride, geometry.pool) != (3, 1, 2) || !channels.is_multiple_of(8) {
            return None;
        }
        let lanes = width.lanes();
        let out = whole(geometry.out, lanes);
        let mut kernels = Aligned::zeros(POSITIONS * out * channels);
        for (index, kernel) in weight.as_chunks::<9>().0.iter().enumerate() {
            let (o, c) = (index / channels, index % channels);
            for (position, value) in transformed_kernel(kernel).into_iter().enumerate() {
                kernels[((position * out + o / lanes * lanes) * channels) + c * lanes + o % lanes] = value;
            }
        }
        Some(Self { channels, out, kernels, bias: bias.clone() })
    }

    /// How many floats [`Self::run`] needs.
    pub(super) fn scratch(&self) -> usize {
        POSITIONS * TILES * (self.channels + self.out) + 4 * self.out
    }

    /// Computes the four outputs of every tile; `tile` says where one begins in the padded picture, whose rows are
    /// `stride` floats apart.
    #[inline(always)]
    pub(super) fn run<const P: usize, const FUSED: bool>(
        &self,
        (padded, stride): (&[f32], usize),
        tiles: usize,
        tile: impl Fn(usize) -> usize,
        scratch: &mut [f32],
        each: &mut impl Outputs,
    ) {
        let (inputs, products) = scratch[..self.scratch()].split_at_mut(POSITIONS * TILES * self.channels);
        let (products, cells) = products.split_at_mut(POSITIONS * TILES * self.out);
        for first in (0..tiles).step_by(TILES) {
            let count = TILES.min(tiles - first);
            for i in 0..count {
                let seen = &padded[tile(first + i)..];
                // As wide as leaves a tile in registers.
                match P {
                    8 => self.transform::<4>(seen, stride, i, inputs),
                    _ if self.channels.is_multiple_of(16) => self.transform::<16>(seen, stride, i, inputs),
                    _ => self.transform::<8>(seen, stride, i, inputs),
                }
            }
            self.multiply::<P, FUSED>(count, inputs, products);
            for i in 0..count {
                match P {
                    8 => self.outputs::<4>(i, products, cells),
                    _ => self.outputs::<16>(i, products, cells),
                }
                let (upper, lower) = cells.split_at(2 * self.out);
                let ((a, b), (c, d)) = (upper.split_at(self.out), lower.split_at(self.out));
                each.take(first + i, [a, b, c, d]);
            }
        }
    }

    /// Bᵀ d B of a tile's input d, L channels at once, to (position, tile, channel).
    #[inline(always)]
    fn transform<const L: usize>(&self, seen: &[f32], stride: usize, tile: usize, inputs: &mut [f32]) {
        let channels = self.channels;
        let rows: [&[f32]; 4] = std::array::from_fn(|row| &seen[row * stride..][..4 * channels]);
        for c in (0..channels).step_by(L) {
            let columns = [
                input_transform(column::<L>(&rows, c)),
                input_transform(column::<L>(&rows, channels + c)),
                input_transform(column::<L>(&rows, 2 * channels + c)),
                input_transform(column::<L>(&rows, 3 * channels + c)),
            ];
            for row in 0..4 {
                let [a, b, d, e] =
                    input_transform([columns[0][row], columns[1][row], columns[2][row], columns[3][row]]);
                let at = (4 * row * TILES + tile) * channels + c;
                let next = TILES * channels;
                store(inputs, at, L, &a);
                store(inputs, at + next, L, &b);
                store(inputs, at + 2 * next, L, &d);
                store(inputs, at + 3 * next, L, &e);
            }
        }
    }

    /// For every position the product of its tiles with its kernels, to (position, tile, output channel).
    #[inline(always)]
    fn multiply<const P: usize, const FUSED: bool>(&self, tiles: usize, inputs: &[f32], products: &mut [f32]) {
        let (channels, out) = (self.channels, self.out);
        let positions = inputs.chunks_exact(TILES * channels).zip(products.chunks_exact_mut(TILES * out));
        for ((inputs, products), kernels) in positions.zip(self.kernels.chunks_exact(out * channels)) {
            for (panel, weights) in kernels.as_chunks::<P>().0.chunks_exact(channels).enumerate() {
                for first in (0..tiles).step_by(4) {
                    let rows = std::array::from_fn(|i| &inputs[(first + i) * channels..][..channels]);
                    let sums = add_four::<P, FUSED>([[0.0; P]; 4], rows, weights);
                    for (i, sum) in sums.iter().enumerate() {
                        let at = (first + i) * out + panel * P;
                        store(products, at, P, sum);
                    }
                }
            }
        }
    }

    /// Aᵀ m A of a tile's products m, L output channels at once, with their bias: (cell, output channel).
    #[inline(always)]
    fn outputs<const L: usize>(&self, tile: usize, products: &[f32], cells: &mut [f32]) {
        let out = self.out;
        for o in (0..out).step_by(L) {
            let rows: [&[f32]; 4] = std::array::from_fn(|row| &products[(4 * row * TILES + tile) * out..]);
            let next = TILES * out;
            let columns = [
                output_transform(column::<L>(&rows, o)),
                output_transform(column::<L>(&rows, next + o)),
                output_transform(column::<L>(&rows, 2 * next + o)),
                output_transform(column::<L>(&rows, 3 * next + o)),
            ];
            let [[a, b], [c, d], [e, f], [g, h]] = columns;
            let values = [output_transform([a, c, e, g]), output_transform([b, d, f, h])];
            let bias = load::<f32, L>(&self.bias, o, L);
            let [[a, b], [c, d]] = values;
            store(cells, o, L, &sum(a, bias));
            store(cells, out + o, L, &sum(b, bias));
            store(cells, 2 * out + o, L, &sum(c, bias));
            store(cells, 3 * out + o, L, &sum(d, bias));
        }
    }
}

/// What takes the outputs.
pub(super) trait Outputs {
    /// The outputs of the four cells of a tile, row by row, each in whole panels.
    fn take(&mut self, tile: usize, cells: [&[f32]; 4]);
}

#[inline(always)]
fn column<const L: usize>([a, b, c, d]: &[&[f32]; 4], at: usize) -> [[f32; L]; 4] {
    [load(a, at, L), load(b, at, L), load(c, at, L), load(d, at, L)]
}

#[inline(always)]
fn sum<const L: usize>(mut a: [f32; L], b: [f32; L]) -> [f32; L] {
    for lane in 0..L {
        a[lane] += b[lane];
    }
    a
}

#[inline(always)]
fn difference<const L: usize>(mut a: [f32; L], b: [f32; L]) -> [f32; L] {
    for lane in 0..L {
        a[lane] -= b[lane];
    }
    a
}

#[inline(always)]
fn input_transform<const L: usize>([a, b, c, d]: [[f32; L]; 4]) -> [[f32; L]; 4] {
    [difference(a, c), sum(b, c), difference(c, b), difference(b, d)]
}

#[inline(always)]
fn output_transform<const L: usize>([a, b, c, d]: [[f32; L]; 4]) -> [[f32; L]; 2] {
    [sum(sum(a, b), c), difference(difference(b, c), d)]
}

/// G g Gᵀ of a kernel g, rounded once.
fn transformed_kernel(kernel: &[f32; 9]) -> [f32; POSITIONS] {
    let transform = |[a, b, c]: [f64; 3]| [a, (a + b + c) / 2.0, (a - b + c) / 2.0, c];
    let rows: [[f64; 4]; 3] =
        std::array::from_fn(|row| transform(std::array::from_fn(|column| kernel[3 * row + column].into())));
    let columns: [[f64; 4]; 4] = std::array::from_fn(|column| transform(rows.map(|row| row[column])));
    std::array::from_fn(|position| columns[position % 4][position / 4] as f32)
}
