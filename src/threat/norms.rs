//! How large a perturbation is.

use serde::{Deserialize, Serialize};

use super::Norm;

/// ‖δ‖ in four norms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Norms {
    /// Number of changed pixels.
    pub l0: u32,
    /// Sum of changes.
    pub l1: f32,
    /// Euclidean length.
    pub l2: f32,
    /// Greatest change.
    pub linf: f32,
}

impl Norms {
    /// The norms of `moved` − `image`.
    pub fn between(image: &[f32], moved: &[f32]) -> Self {
        let (mut l0, mut l1, mut squares, mut linf) = (0, 0.0, 0.0, 0.0f64);
        for (&from, &to) in image.iter().zip(moved) {
            let change = (to as f64 - from as f64).abs();
            l0 += (change != 0.0) as u32;
            l1 += change;
            squares += change * change;
            linf = greater(linf, change);
        }
        Self { l0, l1: l1 as f32, l2: squares.sqrt() as f32, linf: linf as f32 }
    }

    /// The one that `norm` names.
    pub fn of(&self, norm: Norm) -> f32 {
        match norm {
            Norm::Linf => self.linf,
            Norm::L2 => self.l2,
            Norm::L1 => self.l1,
        }
    }
}

/// ‖v‖ in one norm, summed in double precision.
pub fn length(norm: Norm, v: impl IntoIterator<Item = f32>) -> f64 {
    let magnitudes = v.into_iter().map(|v| (v as f64).abs());
    match norm {
        Norm::Linf => magnitudes.fold(0.0, greater),
        Norm::L2 => magnitudes.map(|m| m * m).sum::<f64>().sqrt(),
        Norm::L1 => magnitudes.sum(),
    }
}

/// The greater one. Unlike `max` it does not hide what is not a number.
fn greater(a: f64, b: f64) -> f64 {
    if b <= a || a.is_nan() { a } else { b }
}

/// How far ‖x′ − x‖ may exceed ε because x′ = x + δ was rounded to single precision in each of `pixels` coordinates.
pub fn rounding_slack(norm: Norm, epsilon: f32, pixels: usize) -> f32 {
    // Pixels are below 1, so each is rounded by at most 2⁻²⁵; a few such roundings are allowed for.
    let pixel = 4.0 / (1 << 25) as f32;
    epsilon * 1e-6
        + match norm {
            Norm::Linf => pixel,
            Norm::L2 => pixel * (pixels as f32).sqrt(),
            Norm::L1 => pixel * pixels as f32,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norms_of_a_small_perturbation_are_those_computed_by_hand() {
        let norms = Norms::between(&[0.0, 0.5, 1.0, 0.25], &[0.0, 0.75, 0.0, 0.25]);
        assert_eq!(norms, Norms { l0: 2, l1: 1.25, l2: 1.0625f32.sqrt(), linf: 1.0 });
        assert_eq!(Norm::ALL.map(|norm| norms.of(norm)), [1.0, 1.0625f32.sqrt(), 1.25]);
        for norm in Norm::ALL {
            assert_eq!(length(norm, [0.0, 0.25, -1.0, 0.0]) as f32, norms.of(norm));
        }
    }

    #[test]
    fn what_is_not_a_number_has_no_norm() {
        let norms = Norms::between(&[0.0, 0.0], &[f32::NAN, 1.0]);
        assert!(norms.l1.is_nan() && norms.l2.is_nan() && norms.linf.is_nan());
    }
}
