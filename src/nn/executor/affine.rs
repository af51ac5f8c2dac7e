//! Pictures of a plane, x + a·u + b·v: what the first layer sums of them is affine in a and b, so it is summed once for x,
//! u and v, and each further picture costs it one multiplication and addition for each sum.

use super::aligned::Aligned;
use super::plan::Notes;

/// What a step offers that begins with sums of products of its inputs, to which it adds biases.
pub(super) trait Affine {
    /// The number of sums of a picture.
    fn sums(&self) -> usize;
    /// Writes the sums of a picture, without the biases.
    fn sum(&self, picture: &[f32], sums: &mut [f32], scratch: &mut [f32]);
    /// Adds the biases to the sums of a picture.
    fn add_biases(&self, sums: &mut [f32]);
    /// Writes the outputs, as [`super::plan::Step::forward`] does, for the sums base + a · slope.
    fn finish(&self, line: Line, output: &mut [f32], notes: Notes, scratch: &mut [f32]);
}

/// Sums on a line of the plane, and a place there.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    base: &'a [f32],
    slope: &'a [f32],
    a: f32,
}

impl Line<'_> {
    /// Writes as many sums as there is room for, from `at` on.
    #[inline(always)]
    pub(super) fn write(&self, at: usize, sums: &mut [f32]) {
        let (base, slope) = (&self.base[at..][..sums.len()], &self.slope[at..][..sums.len()]);
        for ((sum, base), slope) in sums.iter_mut().zip(base).zip(slope) {
            *sum = base + self.a * slope;
        }
    }
}

/// The sums of a plane.
#[derive(Clone, Default)]
pub(super) struct Sums {
    /// Of x, with the biases, of u and of v.
    plane: [Aligned; 3],
    /// Of x + b · v.
    base: Aligned,
    b: f32,
}

impl Sums {
    /// Sums up a plane: x, u and v, channels-last.
    pub(super) fn survey(&mut self, first: &dyn Affine, plane: [&[f32]; 3], scratch: &mut [f32]) {
        let length = first.sums();
        for (sums, picture) in self.plane.iter_mut().zip(plane) {
            sums.grow(length);
            first.sum(picture, &mut sums[..length], scratch);
        }
        first.add_biases(&mut self.plane[0][..length]);
        self.base.grow(length);
        self.along(0.0, length);
    }

    /// The sums at (a, b). Neighbours on a line of one b are cheapest.
    pub(super) fn at(&mut self, [a, b]: [f32; 2], first: &dyn Affine) -> Line<'_> {
        let length = first.sums();
        if b.to_bits() != self.b.to_bits() {
            self.along(b, length);
        }
        Line { base: &self.base[..length], slope: &self.plane[1][..length], a }
    }

    fn along(&mut self, b: f32, length: usize) {
        let [x, _, v] = &self.plane;
        self.b = b;
        Line { base: x, slope: v, a: b }.write(0, &mut self.base[..length]);
    }
}
