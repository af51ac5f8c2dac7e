//! Matrix products on slices, one thread each.

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
pub(super) fn multiply(a: Matrix, b: Matrix, add: bool, target: &mut [f32]) {
    assert_eq!(a.columns, b.rows, "inner sides agree");
    assert_eq!(target.len(), a.rows * b.columns, "the target fits");
    // SAFETY: both matrices were made by `Matrix::new` and perhaps transposed, so rows, columns and strides stay within
    // their slices; the target is as long as asserted and, being borrowed mutably, overlaps neither.
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

    #[test]
    fn products_are_those_by_hand() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 2.0, -1.0, 0.5, 3.0]);
        let mut product = [9.0; 4];
        multiply(Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2), false, &mut product);
        assert_eq!(product, [6.5, 7.0, 17.0, 13.0]);
        multiply(Matrix::new(&a, 2, 3), Matrix::new(&b, 2, 3).transposed(), true, &mut product);
        assert_eq!(product, [6.5 + 7.0, 7.0 + 9.0, 17.0 + 16.0, 13.0 + 16.5]);
    }
}
