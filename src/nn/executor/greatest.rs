//! Max-pooling of four cells, and what clips them, with explicit vectors: the compiler makes branches of so many choices.

use bytemuck::cast;
use wide::{f32x4, i8x16, i16x8, i16x16, i32x8, u32x4};

use super::plan::{Clip, INACTIVE};

/// Channels that are pooled at once.
const CHANNELS: usize = 8;

/// Writes the greatest of four cells' values, clipped, and marks which it is, or that it is off: the first of equals, and
/// what is not a number wins. Cells have as many values as there are outputs, rounded up to eights at least.
#[inline(always)]
pub(super) fn greatest_of_four(cells: [&[f32]; 4], clip: Clip, output: &mut [f32], marks: &mut [u8]) {
    let (outputs, output_rest) = output.as_chunks_mut::<CHANNELS>();
    let (marked, marks_rest) = marks.as_chunks_mut::<CHANNELS>();
    let [a, b, c, d] = cells.map(|cell| cell.as_chunks::<CHANNELS>().0);
    let mut values = a.iter().zip(b).zip(c).zip(d);
    for ((output, marks), (((a, b), c), d)) in outputs.iter_mut().zip(marked).zip(&mut values) {
        (*output, *marks) = eight([a, b, c, d], clip);
    }
    if !output_rest.is_empty()
        && let Some((((a, b), c), d)) = values.next()
    {
        let (values, which) = eight([a, b, c, d], clip);
        output_rest.copy_from_slice(&values[..output_rest.len()]);
        marks_rest.copy_from_slice(&which[..marks_rest.len()]);
    }
}

#[inline(always)]
fn eight(cells: [&[f32; CHANNELS]; 4], clip: Clip) -> ([f32; CHANNELS], [u8; CHANNELS]) {
    let halves = cells.map(|cell| cast::<_, [f32x4; 2]>(*cell));
    let [(a, x), (b, y)] = [four(halves.map(|half| half[0]), clip), four(halves.map(|half| half[1]), clip)];
    let words = i16x8::from_i32x8_saturate(cast::<_, i32x8>([x, y]));
    let bytes = i8x16::from_i16x16_saturate(cast::<_, i16x16>([words, words]));
    (cast([a, b]), cast::<_, [[u8; CHANNELS]; 2]>(bytes)[0])
}

/// The values and their marks, a signed number to a lane.
#[inline(always)]
fn four([a, b, c, d]: [f32x4; 4], clip: Clip) -> (f32x4, f32x4) {
    // Marks are bytes: the sign is extended, so that narrowing with saturation keeps them.
    let mark = |mark: u8| cast::<_, f32x4>(u32x4::splat(mark as i8 as u32));
    let (right, lower) = (b.simd_gt(a), d.simd_gt(c));
    let (upper, upper_cell) = (right.bitselect(b, a), right.bitselect(mark(1), mark(0)));
    let (lower, lower_cell) = (lower.bitselect(d, c), lower.bitselect(mark(3), mark(2)));
    let down = lower.simd_gt(upper);
    let (mut value, mut cell) = (down.bitselect(lower, upper), down.bitselect(lower_cell, upper_cell));
    // The comparisons above may have left it behind.
    let nan = (a.is_nan() | b.is_nan()) | (c.is_nan() | d.is_nan());
    value |= nan;
    if clip != Clip::None {
        let below = value.simd_le(f32x4::ZERO);
        cell = below.bitselect(mark(INACTIVE), cell);
        value = below.bitselect(f32x4::ZERO, value);
    }
    if clip == Clip::Relu6 {
        let limit = f32x4::splat(clip.upper());
        let above = value.simd_ge(limit);
        cell = above.bitselect(mark(INACTIVE), cell);
        value = above.bitselect(limit, value);
    }
    (value, cell)
}
