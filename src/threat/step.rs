//! Steepest steps: the δ of a given length that increases a linear function most.

use super::{Norm, onto_ball_and_box};
use crate::random::Random;
use crate::threat::norms::length;

/// The share of the coordinates that a sparse L1 step moves.
pub const SPARSE_SHARE: f32 = 0.01;

/// sign(x), with sign(0) = 0: where the gradient is exactly zero, as on black backgrounds, nothing moves.
pub fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        // 0, or not a number.
        x * 0.0
    }
}

/// Adds the steepest step of length α along `gradient` to `point`.
///
/// - L∞: α · sign(g).
/// - L2: α · g / ‖g‖₂.
/// - L1: α shared equally by the [`SPARSE_SHARE`] of the coordinates where |g| is greatest (Tramèr and Boneh 2019,
///   "sparse ℓ₁ descent"), counting only coordinates that the box lets move. The step that is steepest in theory, all
///   of α on one coordinate, is far weaker: the box stops it.
///
/// A zero gradient gives a zero step.
pub fn add_steepest(norm: Norm, alpha: f32, gradient: &[f32], point: &mut [f32]) {
    match norm {
        Norm::Linf => {
            for (p, &g) in point.iter_mut().zip(gradient) {
                *p += alpha * sign(g);
            }
        }
        Norm::L2 => {
            // A gradient may be so small that its squares vanish, in double precision too.
            let greatest = length(Norm::Linf, gradient.iter().copied());
            if greatest == 0.0 {
                return;
            }
            let l2 = gradient.iter().map(|&g| (g as f64 / greatest) * (g as f64 / greatest)).sum::<f64>().sqrt();
            for (p, &g) in point.iter_mut().zip(gradient) {
                *p += (alpha as f64 * (g as f64 / greatest / l2)) as f32;
            }
        }
        Norm::L1 => {
            let share = (point.len() as f32 * SPARSE_SHARE).ceil() as usize;
            let mut order = steepest_first(gradient, point);
            order.truncate(share.max(1));
            let each = alpha / order.len().max(1) as f32;
            for index in order {
                point[index] += each * sign(gradient[index]);
            }
        }
    }
}

/// Adds the allowed δ with ‖δ‖ ≤ ε that increases ⟨g, δ⟩ most to `point`, which must be in the box: the step of the fast
/// gradient method under each norm.
///
/// - L∞: clip(x + ε · sign(g)).
/// - L2: x + ε · g / ‖g‖₂, clipped (the gradient scaled to length ε, as the method is defined; what the box cuts off
///   is not spent elsewhere).
/// - L1: the budget goes to the steepest coordinate as far as the box allows, the rest to the next, and so on.
pub fn add_fast(norm: Norm, epsilon: f32, gradient: &[f32], point: &mut [f32]) {
    match norm {
        Norm::Linf | Norm::L2 => {
            add_steepest(norm, epsilon, gradient, point);
            for p in point {
                *p = p.clamp(0.0, 1.0);
            }
        }
        Norm::L1 => {
            let mut left = epsilon;
            for index in steepest_first(gradient, point) {
                let p = &mut point[index];
                let room = if gradient[index] > 0.0 { 1.0 - *p } else { *p };
                let step = room.min(left);
                *p = (*p + step * sign(gradient[index])).clamp(0.0, 1.0);
                left -= step;
                if left <= 0.0 {
                    break;
                }
            }
        }
    }
}

/// The coordinates that have a gradient and that the box lets follow it, the steepest first, of equals the first first.
fn steepest_first(gradient: &[f32], point: &[f32]) -> Vec<usize> {
    let moves = |&index: &usize| {
        let (g, p) = (gradient[index], point[index]);
        g.is_nan() || (g > 0.0 && p < 1.0) || (g < 0.0 && p > 0.0)
    };
    let mut order: Vec<usize> = (0..point.len()).filter(moves).collect();
    order.sort_by(|&a, &b| gradient[b].abs().total_cmp(&gradient[a].abs()));
    order
}

/// Writes a start drawn uniformly from the ball around `image`, then moved to the nearest point in the box.
///
/// L∞: each coordinate uniform. L2: a Gaussian direction with radius ε · u^(1/d). L1: exponentials with random signs,
/// divided by their sum and one more (Barthe, Guédon, Mendelson, Naor 2005).
pub fn random_start(norm: Norm, epsilon: f32, image: &[f32], random: &mut Random, start: &mut [f32]) {
    match norm {
        Norm::Linf => {
            for s in start.iter_mut() {
                *s = random.uniform_in(-epsilon, epsilon);
            }
        }
        Norm::L2 => {
            for s in start.iter_mut() {
                *s = random.normal();
            }
            let l2 = length(Norm::L2, start.iter().copied());
            let radius = epsilon as f64 * libm::pow(random.uniform() as f64, 1.0 / image.len() as f64);
            for s in start.iter_mut() {
                *s = if l2 > 0.0 { (*s as f64 / l2 * radius) as f32 } else { 0.0 };
            }
        }
        Norm::L1 => {
            let mut sum = 0.0;
            for s in start.iter_mut() {
                let magnitude = random.exponential();
                sum += magnitude as f64;
                *s = if random.uniform() < 0.5 { -magnitude } else { magnitude };
            }
            sum += random.exponential() as f64;
            for s in start.iter_mut() {
                *s = if sum > 0.0 { (*s as f64 / sum * epsilon as f64) as f32 } else { 0.0 };
            }
        }
    }
    for (s, &x) in start.iter_mut().zip(image) {
        *s += x;
    }
    onto_ball_and_box(norm, epsilon, image, start);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Stream;
    use crate::threat::norms::{Norms, rounding_slack};

    #[test]
    fn the_sign_of_zero_is_zero() {
        assert_eq!([0.0, -0.0, 2.0, -3.0].map(sign), [0.0, 0.0, 1.0, -1.0]);
        assert!(sign(f32::NAN).is_nan());
        let mut point = [0.5, 0.5, 0.5];
        add_steepest(Norm::Linf, 0.1, &[0.0, -0.0, -1.0], &mut point);
        assert_eq!(point, [0.5, 0.5, 0.4]);
    }

    #[test]
    fn a_zero_gradient_gives_a_zero_step() {
        for norm in Norm::ALL {
            let mut point = [0.25, 0.5];
            add_steepest(norm, 0.1, &[0.0, -0.0], &mut point);
            add_fast(norm, 0.1, &[0.0, -0.0], &mut point);
            assert_eq!(point, [0.25, 0.5], "{norm}");
        }
    }

    #[test]
    fn a_tiny_gradient_gives_a_whole_step() {
        for norm in Norm::ALL {
            let mut point = [0.5; 4];
            add_steepest(norm, 0.125, &[1e-42, -1e-43, 0.0, 1e-44], &mut point);
            assert!((Norms::between(&[0.5; 4], &point).of(norm) - 0.125).abs() < 1e-6, "{norm}: {point:?}");
        }
    }

    #[test]
    fn the_fast_l1_step_fills_the_steepest_pixels_to_the_box_one_after_the_other() {
        let mut point = [0.5, 0.75, 0.0, 0.0, 1.0];
        add_fast(Norm::L1, 1.0, &[-3.0, 4.0, -9.0, 1.0, 8.0], &mut point);
        assert_eq!(point, [0.0, 1.0, 0.0, 0.25, 1.0]);
    }

    proptest! {
        #[test]
        fn no_step_of_that_length_climbs_more(
            norm in prop::sample::select(&Norm::ALL[..]),
            gradient in prop::collection::vec(-1.0f32..1.0, 20),
            other in prop::collection::vec(-1.0f32..1.0, 20),
        ) {
            // Small steps from grey: the box is far. With 20 coordinates the sparse L1 step is one coordinate.
            let image = [0.5; 20];
            let climb = |point: &[f32]| point.iter().zip(image).zip(&gradient).map(|((p, x), g)| (p - x) * g).sum::<f32>();
            let (mut steepest, mut fast) = (image, image);
            add_steepest(norm, 0.1, &gradient, &mut steepest);
            add_fast(norm, 0.1, &gradient, &mut fast);
            let scale = 0.1 / length(norm, other.iter().copied()) as f32;
            let other: Vec<f32> = other.iter().zip(image).map(|(o, x)| x + scale * o).collect();
            prop_assert!(climb(&steepest) >= climb(&other) - 1e-5);
            prop_assert!(climb(&fast) >= climb(&other) - 1e-5);
            prop_assert!((Norms::between(&image, &steepest).of(norm) - 0.1).abs() < 1e-5);
        }
    }

    #[test]
    fn random_starts_fill_the_ball_evenly() {
        // In d dimensions a share r^d of the ball is within r of its centre. 200 draws of 50 pixels, around grey with
        // a ball that the box does not cut.
        let (image, d) = ([0.5f32; 50], 50.0);
        for norm in Norm::ALL {
            let epsilon = 0.4;
            let radii: Vec<f64> = (0..400)
                .map(|item| {
                    let mut start = image;
                    random_start(norm, epsilon, &image, &mut Random::new(5, Stream::Start, item), &mut start);
                    let radius = Norms::between(&image, &start).of(norm);
                    assert!(radius <= epsilon + rounding_slack(norm, epsilon, image.len()));
                    (radius / epsilon) as f64
                })
                .collect();
            // r^d is uniform in 0 to 1: mean 1/2, standard error of 400 draws 0.0144.
            let mean = radii.iter().map(|r| r.powf(d)).sum::<f64>() / radii.len() as f64;
            assert!((mean - 0.5).abs() < 0.06, "{norm}: {mean}");
        }
    }

    #[test]
    fn random_starts_lie_in_the_ball_and_the_box() {
        let image: Vec<f32> = (0..784).map(|i| (i % 5) as f32 / 4.0).collect();
        for norm in Norm::ALL {
            let epsilon = norm.greatest_epsilon();
            let mut start = image.clone();
            random_start(norm, epsilon, &image, &mut Random::new(1, Stream::Start, 0), &mut start);
            assert!(start.iter().all(|s| (0.0..=1.0).contains(s)));
            assert!(Norms::between(&image, &start).of(norm) <= epsilon + rounding_slack(norm, epsilon, 784));
            assert_ne!(start, image);
        }
    }
}
