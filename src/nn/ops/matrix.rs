//! Matrix products on slices, one thread each.

use crate::nn::Arithmetic;

/// A matrix as it lies in a slice: number of rows and columns, and how far apart the next row and the next column are.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub values: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    pub row_stride: usize,
    pub column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row after row.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "as many numbers as rows times columns");
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The value in a row and a column.
    fn at(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.row_stride + column * self.column_stride]
    }

    /// Rows and columns exchanged; nothing moves.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `target` = a · b, or `target` += a · b; `target` lies row after row.
pub(super) fn multiply(a: Matrix, b: Matrix, add: bool, arithmetic: Arithmetic, target: &mut [f32]) {
    assert_eq!(a.columns, b.rows, "inner sides agree");
    assert_eq!(target.len(), a.rows * b.columns, "the target fits");
    match arithmetic {
        Arithmetic::Exact => exact(a, b, add, target),
        Arithmetic::Fused => fused(a, b, add, target),
    }
}

/// Every product and every sum rounded, each entry summed in the order of the inner side: the same to the bit on every
/// platform.
fn exact(a: Matrix, b: Matrix, add: bool, target: &mut [f32]) {
    let columns = b.columns;
    if columns == 0 {
        return;
    }
    if !add {
        target.fill(0.0);
    }
    let copy: Vec<f32>;
    let rows = if b.column_stride == 1 {
        b.values
    } else {
        // Side by side, so that one instruction takes several columns.
        copy = (0..b.rows * columns).map(|i| b.at(i / columns, i % columns)).collect();
        &copy
    };
    let stride = if b.column_stride == 1 { b.row_stride } else { columns };
    let row = |k: usize| &rows[k * stride..][..columns];
    for (i, target) in target.chunks_exact_mut(columns).enumerate() {
        let mut k = 0;
        while k + 4 <= a.columns {
            let [f0, f1, f2, f3] = [0, 1, 2, 3].map(|ahead| a.at(i, k + ahead));
            let (r0, r1, r2, r3) = (row(k), row(k + 1), row(k + 2), row(k + 3));
            for (j, sum) in target.iter_mut().enumerate() {
                *sum = *sum + f0 * r0[j] + f1 * r1[j] + f2 * r2[j] + f3 * r3[j];
            }
            k += 4;
        }
        for k in k..a.columns {
            let factor = a.at(i, k);
            target.iter_mut().zip(row(k)).for_each(|(sum, &value)| *sum += factor * value);
        }
    }
}

/// As fast as the processor can.
fn fused(a: Matrix, b: Matrix, add: bool, target: &mut [f32]) {
    // SAFETY: both matrices were made by `Matrix::new` and perhaps transposed, so rows, columns and strides stay within
    // their slices; the target is as long as `multiply` asserts and, being borrowed mutably, overlaps neither.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            target.as_mut_ptr(),
            1,
            b.columns as isize,
            add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Random, Stream};

    #[test]
    fn products_are_those_by_hand() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 2.0, -1.0, 0.5, 3.0]);
        for arithmetic in [Arithmetic::Exact, Arithmetic::Fused] {
            let mut product = [9.0; 4];
            multiply(Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2), false, arithmetic, &mut product);
            assert_eq!(product, [6.5, 7.0, 17.0, 13.0]);
            multiply(Matrix::new(&a, 2, 3), Matrix::new(&b, 2, 3).transposed(), true, arithmetic, &mut product);
            assert_eq!(product, [6.5 + 7.0, 7.0 + 9.0, 17.0 + 16.0, 13.0 + 16.5]);
        }
    }

    #[test]
    fn exact_sums_are_those_of_a_plain_loop_to_the_bit() {
        let mut random = Random::new(1, Stream::Weights, 0);
        for (rows, inner, columns) in [(1, 1, 1), (3, 7, 5), (5, 8, 33), (2, 13, 1), (4, 0, 3)] {
            let mut draw = |n: usize| (0..n).map(|_| random.normal()).collect::<Vec<f32>>();
            let (a, b, before) = (draw(rows * inner), draw(inner * columns), draw(rows * columns));
            for add in [false, true] {
                let mut expected = if add { before.clone() } else { vec![0.0; rows * columns] };
                for i in 0..rows {
                    for j in 0..columns {
                        for k in 0..inner {
                            expected[i * columns + j] += a[i * inner + k] * b[k * columns + j];
                        }
                    }
                }
                let turned: Vec<f32> = (0..b.len()).map(|at| b[at % inner * columns + at / inner]).collect();
                let given = [Matrix::new(&b, inner, columns), Matrix::new(&turned, columns, inner).transposed()];
                for given in given {
                    let mut found = before.clone();
                    multiply(Matrix::new(&a, rows, inner), given, add, Arithmetic::Exact, &mut found);
                    assert_eq!(found, expected);
                }
            }
        }
    }
}
