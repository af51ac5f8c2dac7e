//! Fully connected layers, with the ReLU (or ReLU6) that follows, as products with packed matrices. A convolution with a
//! kernel of 1 × 1 is the same layer at every place.

use super::affine::{Affine, Line};
use super::aligned::Aligned;
use super::plan::{Clip, INACTIVE, Notes, Step};
use super::simd::{Kernel, Processor, Width, add_four, add_scaled, load, store, whole};

/// Rows (pictures) of a product that are computed at once.
const ROWS: usize = 4;
/// Panels that are computed at once for a single row.
const PANELS: usize = 4;
/// Inner length of a block of a panel that stays in the first cache.
const BLOCK: usize = 384;
/// Rows that go through all panels together, so that they stay in a cache.
const TILE: usize = 64;

/// A matrix (inner, outer), cut into panels of as many columns as there are lanes.
struct Packed {
    inner: usize,
    outer: usize,
    width: Width,
    /// (panel, inner, lane).
    panels: Aligned,
}

impl Packed {
    fn new(inner: usize, outer: usize, width: Width, at: impl Fn(usize, usize) -> f32) -> Self {
        let lanes = width.lanes();
        let mut panels = Aligned::zeros(whole(outer, lanes) * inner);
        for column in 0..outer {
            for row in 0..inner {
                panels[(column / lanes * inner + row) * lanes + column % lanes] = at(row, column);
            }
        }
        Self { inner, outer, width, panels }
    }
}

/// output += input · matrix: every output is summed in the order of the inner index.
struct Product<'a> {
    matrix: &'a Packed,
    input: &'a [f32],
    output: &'a mut [f32],
    /// Room for the indices of one row.
    indices: &'a mut [f32],
}

impl Kernel for Product<'_> {
    #[inline(always)]
    fn run<const P: usize, const FUSED: bool>(mut self) {
        let rows = self.output.len() / self.matrix.outer;
        if rows < ROWS {
            for row in 0..rows {
                self.row::<P, FUSED>(row);
            }
        } else {
            self.rows::<P, FUSED>(rows);
        }
    }
}

impl Product<'_> {
    /// A matrix–vector product, four panels at once, over the inner indices whose input is not zero: adding zero times
    /// a finite weight changes no sum, and after ReLU half of the inputs are zero.
    #[inline(always)]
    fn row<const P: usize, const FUSED: bool>(&mut self, row: usize) {
        let Packed { inner, outer, .. } = *self.matrix;
        let input = &self.input[row * inner..][..inner];
        let output = &mut self.output[row * outer..][..outer];
        let indices: &mut [u32] = bytemuck::cast_slice_mut(&mut self.indices[..inner + 1]);
        let mut length = 0;
        for (index, &x) in input.iter().enumerate() {
            indices[length] = index as u32;
            length += (x != 0.0) as usize;
        }
        let indices = &indices[..length];
        let panels = self.matrix.panels.as_chunks::<P>().0;
        for (group, output) in output.chunks_mut(P * PANELS).enumerate() {
            let mut sums = [[0.0; P]; PANELS];
            sums.as_flattened_mut()[..output.len()].copy_from_slice(output);
            let used = output.len().div_ceil(P);
            // A panel that is not there repeats the last one.
            let panel: [&[[f32; P]]; PANELS] =
                std::array::from_fn(|i| &panels[(group * PANELS + i.min(used - 1)) * inner..][..inner]);
            for &index in indices {
                let index = index as usize;
                let x = input[index];
                for i in 0..PANELS {
                    add_scaled::<_, FUSED>(&mut sums[i], x, &panel[i][index]);
                }
            }
            output.copy_from_slice(&sums.as_flattened()[..output.len()]);
        }
    }

    /// A matrix–matrix product in blocks of the inner length.
    #[inline(always)]
    fn rows<const P: usize, const FUSED: bool>(&mut self, rows: usize) {
        let inner = self.matrix.inner;
        let panels = self.matrix.panels.as_chunks::<P>().0;
        for tile in (0..rows).step_by(TILE) {
            let end = rows.min(tile + TILE);
            for (panel, weights) in panels.chunks_exact(inner).enumerate() {
                for from in (0..inner).step_by(BLOCK) {
                    let weights = &weights[from..inner.min(from + BLOCK)];
                    for row in (tile..end).step_by(ROWS) {
                        // At the end the last row is computed again.
                        let row: [usize; ROWS] = std::array::from_fn(|i| (row + i).min(end - 1));
                        self.four::<P, FUSED>(row, from, panel * P, weights);
                    }
                }
            }
        }
    }

    /// Adds to one panel of four rows what the inner indices from `from` on bring.
    #[inline(always)]
    fn four<const P: usize, const FUSED: bool>(
        &mut self,
        row: [usize; ROWS],
        from: usize,
        column: usize,
        weights: &[[f32; P]],
    ) {
        let Packed { inner, outer, .. } = *self.matrix;
        let lanes = P.min(outer - column);
        let sums = row.map(|row| load::<f32, P>(self.output, row * outer + column, lanes));
        let inputs = row.map(|row| &self.input[row * inner + from..][..weights.len()]);
        let sums = add_four::<P, FUSED>(sums, inputs, weights);
        for (row, sum) in row.iter().zip(sums) {
            store(self.output, row * outer + column, lanes, &sum);
        }
    }
}

/// The packed layer.
pub(super) struct Linear {
    forward: Packed,
    backward: Packed,
    bias: Vec<f32>,
    /// How many vectors of one picture go through it.
    places: usize,
    clip: Clip,
}

impl Linear {
    /// Packs weights (out, in) and biases. `order` says which column of the weights belongs to each input; `places` is
    /// how many vectors of one picture the layer is applied to.
    pub(super) fn new(
        weight: &[f32],
        bias: &[f32],
        order: impl Fn(usize) -> usize,
        places: usize,
        clip: Clip,
        processor: Processor,
    ) -> Self {
        let out = bias.len();
        let inner = weight.len() / out;
        let order: Vec<usize> = (0..inner).map(order).collect();
        Self {
            forward: Packed::new(inner, out, processor.width(out), |i, o| weight[o * inner + order[i]]),
            backward: Packed::new(out, inner, processor.width(inner), |o, i| weight[o * inner + order[i]]),
            // −0 would be the only sum that adding a zero changes.
            bias: bias.iter().map(|bias| bias + 0.0).collect(),
            places,
            clip,
        }
    }
}

impl Step for Linear {
    fn input(&self) -> usize {
        self.places * self.forward.inner
    }

    fn output(&self) -> usize {
        self.places * self.forward.outer
    }

    fn marks(&self) -> usize {
        if self.clip == Clip::None { 0 } else { self.output() }
    }

    fn scratch(&self) -> usize {
        self.forward.inner.max(self.forward.outer) + 1
    }

    fn affine(&self) -> Option<&dyn Affine> {
        Some(self)
    }

    fn forward(&self, input: &[f32], output: &mut [f32], notes: Notes, scratch: &mut [f32]) {
        for output in output.chunks_exact_mut(self.bias.len()) {
            output.copy_from_slice(&self.bias);
        }
        let width = self.forward.width;
        width.run(Product { matrix: &self.forward, input, output, indices: scratch });
        self.clip.apply(output, notes.marks);
    }

    fn backward(&self, notes: Notes, cotangent: &mut [f32], gradient: &mut [f32], scratch: &mut [f32]) {
        switch_off(notes.marks, cotangent);
        gradient.fill(0.0);
        let width = self.backward.width;
        width.run(Product { matrix: &self.backward, input: cotangent, output: gradient, indices: scratch });
    }
}

impl Affine for Linear {
    fn sums(&self) -> usize {
        self.output()
    }

    fn sum(&self, picture: &[f32], sums: &mut [f32], scratch: &mut [f32]) {
        sums.fill(0.0);
        let width = self.forward.width;
        width.run(Product { matrix: &self.forward, input: picture, output: sums, indices: scratch });
    }

    fn add_biases(&self, sums: &mut [f32]) {
        for sums in sums.chunks_exact_mut(self.bias.len()) {
            sums.iter_mut().zip(&self.bias).for_each(|(sum, bias)| *sum += bias);
        }
    }

    fn finish(&self, line: Line, output: &mut [f32], notes: Notes, _: &mut [f32]) {
        line.write(0, output);
        self.clip.apply(output, notes.marks);
    }
}

impl Clip {
    /// Clips in place, marking what is off. What is not a number stays on.
    pub(super) fn apply(self, values: &mut [f32], marks: &mut [u8]) {
        if self == Self::None {
            return;
        }
        let upper = self.upper();
        for (value, mark) in values.iter_mut().zip(marks) {
            let (below, above) = (*value <= 0.0, *value >= upper);
            *mark = if below | above { INACTIVE } else { 0 };
            *value = if below { 0.0 } else { *value };
            *value = if above { upper } else { *value };
        }
    }
}

/// Sets to zero what was off.
pub(super) fn switch_off(marks: &[u8], cotangent: &mut [f32]) {
    for (cotangent, &mark) in cotangent.iter_mut().zip(marks) {
        *cotangent = if mark == INACTIVE { 0.0 } else { *cotangent };
    }
}
