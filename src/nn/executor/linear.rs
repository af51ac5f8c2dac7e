//! Fully connected layers, with the ReLU that follows, as products with packed matrices.

use super::plan::{INACTIVE, Step};
use super::simd::{Kernel, Width, add_scaled, whole};

/// Rows (pictures) of a product that are computed at once.
const ROWS: usize = 4;
/// Panels that are computed at once for a single row.
const PANELS: usize = 4;
/// Inner length of a block of a panel that stays in the first cache.
const BLOCK: usize = 384;

/// A matrix (inner, outer), cut into panels of as many columns as there are lanes.
struct Packed {
    inner: usize,
    outer: usize,
    width: Width,
    /// (panel, inner, lane).
    panels: Vec<f32>,
}

impl Packed {
    fn new(inner: usize, outer: usize, width: Width, at: impl Fn(usize, usize) -> f32) -> Self {
        let lanes = width.lanes();
        let mut panels = vec![0.0; whole(outer, lanes) * inner];
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
    fn run<const P: usize>(mut self) {
        let rows = self.output.len() / self.matrix.outer;
        if rows < ROWS {
            for row in 0..rows {
                self.row::<P>(row);
            }
        } else {
            self.rows::<P>(rows);
        }
    }
}

impl Product<'_> {
    /// A matrix–vector product, four panels at once, over the inner indices whose input is not zero: adding zero times
    /// a finite weight changes no sum, and after ReLU half of the inputs are zero.
    #[inline(always)]
    fn row<const P: usize>(&mut self, row: usize) {
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
                    add_scaled(&mut sums[i], x, &panel[i][index]);
                }
            }
            output.copy_from_slice(&sums.as_flattened()[..output.len()]);
        }
    }

    /// A matrix–matrix product in blocks of the inner length.
    #[inline(always)]
    fn rows<const P: usize>(&mut self, rows: usize) {
        let Packed { inner, outer, .. } = *self.matrix;
        let panels = self.matrix.panels.as_chunks::<P>().0;
        for (panel, weights) in panels.chunks_exact(inner).enumerate() {
            let column = panel * P;
            let lanes = P.min(outer - column);
            for from in (0..inner).step_by(BLOCK) {
                let weights = &weights[from..inner.min(from + BLOCK)];
                for row in (0..rows).step_by(ROWS) {
                    // At the end the last row is computed again.
                    let row: [usize; ROWS] = std::array::from_fn(|i| (row + i).min(rows - 1));
                    let mut sums = [[0.0; P]; ROWS];
                    for i in 0..ROWS {
                        sums[i][..lanes].copy_from_slice(&self.output[row[i] * outer + column..][..lanes]);
                    }
                    let [x, y, z, u] = row.map(|row| &self.input[row * inner + from..][..weights.len()]);
                    let [mut a, mut b, mut c, mut d] = sums;
                    for ((((w, &x), &y), &z), &u) in weights.iter().zip(x).zip(y).zip(z).zip(u) {
                        add_scaled(&mut a, x, w);
                        add_scaled(&mut b, y, w);
                        add_scaled(&mut c, z, w);
                        add_scaled(&mut d, u, w);
                    }
                    let sums = [a, b, c, d];
                    for i in 0..ROWS {
                        self.output[row[i] * outer + column..][..lanes].copy_from_slice(&sums[i][..lanes]);
                    }
                }
            }
        }
    }
}

/// The packed layer.
pub(super) struct Linear {
    forward: Packed,
    backward: Packed,
    bias: Vec<f32>,
    relu: bool,
}

impl Linear {
    /// Packs weights (out, in) and biases. `order` says which column of the weights belongs to each input.
    pub(super) fn new(weight: &[f32], bias: &[f32], order: impl Fn(usize) -> usize, relu: bool, width: Width) -> Self {
        let out = bias.len();
        let inner = weight.len() / out;
        let order: Vec<usize> = (0..inner).map(order).collect();
        Self {
            forward: Packed::new(inner, out, width, |i, o| weight[o * inner + order[i]]),
            backward: Packed::new(out, inner, width, |o, i| weight[o * inner + order[i]]),
            // −0 would be the only sum that adding a zero changes.
            bias: bias.iter().map(|bias| bias + 0.0).collect(),
            relu,
        }
    }
}

impl Step for Linear {
    fn input(&self) -> usize {
        self.forward.inner
    }

    fn output(&self) -> usize {
        self.forward.outer
    }

    fn marks(&self) -> usize {
        if self.relu { self.output() } else { 0 }
    }

    fn scratch(&self) -> usize {
        self.forward.inner.max(self.forward.outer) + 1
    }

    fn forward(&self, input: &[f32], output: &mut [f32], marks: &mut [u8], scratch: &mut [f32]) {
        for output in output.chunks_exact_mut(self.output()) {
            output.copy_from_slice(&self.bias);
        }
        let width = self.forward.width;
        width.run(Product { matrix: &self.forward, input, output, indices: scratch });
        if self.relu {
            relu(output, marks);
        }
    }

    fn backward(&self, marks: &[u8], cotangent: &mut [f32], gradient: &mut [f32], scratch: &mut [f32]) {
        if self.relu {
            relu_backward(marks, cotangent);
        }
        gradient.fill(0.0);
        let width = self.backward.width;
        width.run(Product { matrix: &self.backward, input: cotangent, output: gradient, indices: scratch });
    }
}

/// ReLU in place, marking what is off. What is not a number stays on.
pub(super) fn relu(values: &mut [f32], marks: &mut [u8]) {
    for (value, mark) in values.iter_mut().zip(marks) {
        let off = *value <= 0.0;
        *mark = if off { INACTIVE } else { 0 };
        *value = if off { 0.0 } else { *value };
    }
}

/// Sets to zero what was off.
pub(super) fn relu_backward(marks: &[u8], cotangent: &mut [f32]) {
    for (cotangent, &mark) in cotangent.iter_mut().zip(marks) {
        *cotangent = if mark == INACTIVE { 0.0 } else { *cotangent };
    }
}
