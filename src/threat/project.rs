//! Projection onto the ball, and onto the intersection of the ball and the box: the nearest point in Euclidean distance.
//!
//! Projecting onto the ball and then clipping to the box ends inside both, but not at the nearest point, and for L2 and
//! L1 it gives away some of the budget wherever pixels are near black or white. Here the intersection is solved exactly.

use super::Norm;
use super::norms::length;

/// Moves δ to the nearest point with ‖δ‖ ≤ ε.
///
/// L∞ clamps, L2 scales, L1 subtracts a threshold from the magnitudes (Duchi, Shalev-Shwartz, Singer, Chandra 2008).
/// What is not a number stays so.
pub fn onto_ball(norm: Norm, epsilon: f32, delta: &mut [f32]) {
    match norm {
        Norm::Linf => {
            for d in delta {
                *d = d.clamp(-epsilon, epsilon);
            }
        }
        Norm::L2 => {
            let l2 = length(Norm::L2, delta.iter().copied());
            if l2 > epsilon as f64 {
                let shrink = epsilon as f64 / l2;
                for d in delta {
                    *d = (*d as f64 * shrink) as f32;
                }
            }
        }
        Norm::L1 => {
            if length(Norm::L1, delta.iter().copied()) > epsilon as f64 {
                // ‖δ‖₁ after subtracting θ falls linearly between the sorted magnitudes.
                let mut bends: Vec<Bend> =
                    delta.iter().map(|d| Bend { at: d.abs() as f64, slope: -1.0 }).filter(|b| b.at > 0.0).collect();
                let threshold = solve(&mut bends, epsilon as f64);
                for d in delta {
                    *d = ((d.abs() as f64 - threshold).max(0.0) as f32).copysign(*d);
                }
            }
        }
    }
}

/// Moves `point` to the nearest x′ with ‖x′ − `image`‖ ≤ ε and every pixel in [0, 1]. `image` must be in the box.
///
/// - L∞: clamps δ, then clips.
/// - L2: the minimiser for a multiplier λ ≥ 0 of the ball is clip((point + λ·image) / (1 + λ)), so along every
///   coordinate δ shrinks by the same factor s = 1 / (1 + λ) until the box stops it; ‖δ(s)‖² is piecewise quadratic and
///   increasing in s, and ‖δ(s)‖ = ε is solved on its piece.
/// - L1: likewise δᵢ is soft-thresholded and clipped; ‖δ(θ)‖₁ is piecewise linear and decreasing in the threshold θ
///   (Croce and Hein 2021, "Mind the box").
///
/// What is not a number stays so.
///
/// ```
/// use epsilon_lab::threat::{Norm, onto_ball_and_box};
///
/// let (image, mut point) = ([0.5, 1.0], [0.9, 1.3]);
/// onto_ball_and_box(Norm::L2, 0.3, &image, &mut point);
/// // The second pixel is white already, so that the whole budget goes to the first.
/// assert!((point[0] - 0.8).abs() < 1e-6 && point[1] == 1.0);
/// ```
pub fn onto_ball_and_box(norm: Norm, epsilon: f32, image: &[f32], point: &mut [f32]) {
    match norm {
        // In the order of operations of the reference libraries, so that iterates agree to the bit.
        Norm::Linf => {
            for (p, &x) in point.iter_mut().zip(image) {
                *p = (x + (*p - x).clamp(-epsilon, epsilon)).clamp(0.0, 1.0);
            }
        }
        Norm::L2 => onto_l2_and_box(epsilon as f64, image, point),
        Norm::L1 => onto_l1_and_box(epsilon as f64, image, point),
    }
}

/// How far coordinate x may go in the direction of d.
fn room(x: f32, d: f64) -> f64 {
    if d > 0.0 { 1.0 - x as f64 } else { x as f64 }
}

fn onto_l2_and_box(epsilon: f64, image: &[f32], point: &mut [f32]) {
    let delta = |p: f32, x: f32| p as f64 - x as f64;
    let clipped = |p: f32, x: f32| delta(p, x).abs().min(room(x, delta(p, x)));
    let squares: f64 = point.iter().zip(image).map(|(&p, &x)| clipped(p, x) * clipped(p, x)).sum();
    let budget = epsilon * epsilon;
    let mut shrink = 1.0;
    if squares > budget {
        // Coordinate i is stopped by the box for s above room/|δ|. In increasing order of these, `fixed` sums the
        // squares of those stopped and `free` the squared magnitudes of those not: ‖δ(s)‖² = fixed + s² · free.
        let mut stops: Vec<(f64, f64, f64)> = Vec::new();
        let (mut fixed, mut free) = (0.0, 0.0);
        for (&p, &x) in point.iter().zip(image) {
            let (d, room) = (delta(p, x).abs(), room(x, delta(p, x)));
            free += d * d;
            if d > room {
                stops.push((room / d, d * d, room * room));
            }
        }
        stops.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        for (stop, magnitude, most) in stops {
            if fixed + stop * stop * free >= budget {
                break;
            }
            fixed += most;
            free -= magnitude;
        }
        shrink = if free > 0.0 { ((budget - fixed).max(0.0) / free).sqrt().min(1.0) } else { 1.0 };
    }
    for (p, &x) in point.iter_mut().zip(image) {
        let d = delta(*p, x) * shrink;
        *p = ((x as f64 + d) as f32).clamp(0.0, 1.0);
    }
}

/// Where a piecewise linear sum bends: from threshold 0 up to `at` it has one slope, and beyond it `slope` less.
struct Bend {
    at: f64,
    slope: f64,
}

fn onto_l1_and_box(epsilon: f64, image: &[f32], point: &mut [f32]) {
    let delta = |p: f32, x: f32| p as f64 - x as f64;
    let clipped = |p: f32, x: f32| delta(p, x).abs().min(room(x, delta(p, x)));
    let sum: f64 = point.iter().zip(image).map(|(&p, &x)| clipped(p, x)).sum();
    let mut threshold = 0.0;
    if sum > epsilon {
        // min(max(|δ| − θ, 0), room) is room until θ = |δ| − room, then falls with slope −1 until θ = |δ|.
        let mut bends = Vec::with_capacity(2 * point.len());
        for (&p, &x) in point.iter().zip(image) {
            let (d, room) = (delta(p, x).abs(), room(x, delta(p, x)));
            if room > 0.0 && d > 0.0 {
                if d > room {
                    bends.push(Bend { at: d - room, slope: 1.0 });
                }
                bends.push(Bend { at: d, slope: -1.0 });
            }
        }
        threshold = solve(&mut bends, epsilon);
    }
    for (p, &x) in point.iter_mut().zip(image) {
        let d = delta(*p, x);
        let kept = (d.abs() - threshold).max(0.0);
        // max would hide what is not a number.
        let kept = if d.is_nan() { d } else { kept.copysign(d) };
        *p = ((x as f64 + kept) as f32).clamp(0.0, 1.0);
    }
}

/// The threshold θ ≥ 0 at which Σ falls to `target`. Σ is 0 beyond the last bend and is found by walking down from
/// there, where it is a sum of few, small terms: between two bends its slope is minus the number of coordinates that
/// are being cut there.
fn solve(bends: &mut [Bend], target: f64) -> f64 {
    bends.sort_unstable_by(|a, b| b.at.total_cmp(&a.at));
    let (mut sum, mut slope) = (0.0, 0.0);
    let mut at = bends.first().map_or(0.0, |bend| bend.at);
    for bend in bends {
        let next = sum - slope * (at - bend.at);
        if next >= target {
            break;
        }
        (sum, at) = (next, bend.at);
        slope += bend.slope;
    }
    // sum + |slope| · (at − θ) = target
    if slope < 0.0 { (at - (target - sum) / -slope).max(0.0) } else { at }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::threat::norms::{Norms, rounding_slack};

    fn case() -> impl Strategy<Value = (Norm, f32, Vec<f32>, Vec<f32>)> {
        let pixel = prop_oneof![Just(0.0f32), Just(1.0), 0.0f32..1.0];
        let moved = prop_oneof![4 => -2.0f32..3.0, 1 => Just(0.5f32), 1 => Just(0.0), 1 => Just(-1.0), 1 => Just(1.0)];
        (1usize..40).prop_flat_map(move |n| {
            (
                prop::sample::select(&Norm::ALL[..]),
                prop_oneof![0.0f32..0.5, 0.0f32..10.0, Just(0.0)],
                prop::collection::vec(pixel.clone(), n),
                prop::collection::vec(moved.clone(), n),
            )
        })
    }

    fn distance(a: &[f32], b: &[f32]) -> f64 {
        length(Norm::L2, a.iter().zip(b).map(|(a, b)| a - b))
    }

    /// The dual solved by bisection over its multiplier, with nothing shared with the code under test.
    fn slow(norm: Norm, epsilon: f64, image: &[f32], point: &[f32]) -> Vec<f64> {
        let at = |multiplier: f64| -> Vec<f64> {
            image
                .iter()
                .zip(point)
                .map(|(&x, &p)| {
                    let (x, d) = (x as f64, p as f64 - x as f64);
                    let d = match norm {
                        Norm::Linf => d.clamp(-epsilon, epsilon),
                        Norm::L2 => d / (1.0 + multiplier),
                        Norm::L1 => d.signum() * (d.abs() - multiplier).max(0.0),
                    };
                    (x + d).clamp(0.0, 1.0) - x
                })
                .collect()
        };
        let size = |d: &[f64]| match norm {
            Norm::Linf => 0.0,
            Norm::L2 => d.iter().map(|d| d * d).sum::<f64>().sqrt(),
            Norm::L1 => d.iter().map(|d| d.abs()).sum(),
        };
        let (mut low, mut high) = (0.0f64, 1.0e9);
        if size(&at(0.0)) <= epsilon {
            high = 0.0;
        }
        for _ in 0..200 {
            let middle = if high > 10.0 * low + 1.0 { (low * high).sqrt().max(1e-9) } else { 0.5 * (low + high) };
            if size(&at(middle)) > epsilon { low = middle } else { high = middle }
        }
        at(high).iter().zip(image).map(|(d, &x)| d + x as f64).collect()
    }

    proptest! {
        #[test]
        fn a_projected_point_lies_in_the_ball_and_the_box((norm, epsilon, image, mut point) in case()) {
            onto_ball_and_box(norm, epsilon, &image, &mut point);
            prop_assert!(point.iter().all(|p| (0.0..=1.0).contains(p)));
            let size = Norms::between(&image, &point).of(norm);
            prop_assert!(size <= epsilon + rounding_slack(norm, epsilon, image.len()), "{size} > {epsilon}");
        }

        #[test]
        fn projecting_twice_is_projecting_once((norm, epsilon, image, mut point) in case()) {
            onto_ball_and_box(norm, epsilon, &image, &mut point);
            let once = point.clone();
            onto_ball_and_box(norm, epsilon, &image, &mut point);
            prop_assert!(distance(&once, &point) < 1e-5);
        }

        #[test]
        fn the_projection_is_the_solution_of_the_dual_problem((norm, epsilon, image, point) in case()) {
            let mut fast = point.clone();
            onto_ball_and_box(norm, epsilon, &image, &mut fast);
            for (fast, slow) in fast.iter().zip(slow(norm, epsilon as f64, &image, &point)) {
                prop_assert!((*fast as f64 - slow).abs() < 2e-6, "{fast} against {slow}");
            }
        }

        #[test]
        fn no_allowed_point_is_nearer((norm, epsilon, image, point) in case(), mut other in prop::collection::vec(-1.0f32..1.0, 40)) {
            let mut nearest = point.clone();
            onto_ball_and_box(norm, epsilon, &image, &mut nearest);
            // An allowed point near the projection: shrink the deviation into the ball, then clip, which keeps it there.
            for weight in [0.01f32, 0.1, 1.0] {
                let mut delta: Vec<f32> =
                    image.iter().zip(&nearest).zip(&mut other).map(|((&x, &p), o)| p + weight * *o - x).collect();
                onto_ball(norm, epsilon, &mut delta);
                let allowed: Vec<f32> = image.iter().zip(delta).map(|(&x, d)| (x + d).clamp(0.0, 1.0)).collect();
                prop_assert!(distance(&point, &nearest) <= distance(&point, &allowed) + 1e-5);
            }
        }

        #[test]
        fn onto_the_ball_alone_is_the_same_where_the_box_is_far((norm, epsilon, _, moved) in case()) {
            // Everything a thousand times smaller and around grey: the box is never met.
            let epsilon = epsilon * 1e-3;
            let image = vec![0.5; moved.len()];
            let mut delta: Vec<f32> = moved.iter().map(|m| m * 1e-3).collect();
            let mut point: Vec<f32> = delta.iter().map(|d| 0.5 + d).collect();
            onto_ball(norm, epsilon, &mut delta);
            onto_ball_and_box(norm, epsilon, &image, &mut point);
            for (d, p) in delta.iter().zip(point) {
                prop_assert!((0.5 + d - p).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn exact_projection_keeps_the_budget_that_clipping_afterwards_gives_away() {
        // The first pixel is white already: projecting first and then clipping would leave δ = (0, 0.707).
        let mut point = [2.0, 1.0];
        onto_ball_and_box(Norm::L2, 0.9, &[1.0, 0.0], &mut point);
        assert_eq!(point, [1.0, 0.9]);
        let mut point = [2.0, 1.0];
        onto_ball_and_box(Norm::L1, 0.9, &[1.0, 0.0], &mut point);
        assert!((point[1] - 0.9).abs() < 1e-6 && point[0] == 1.0, "{point:?}");
    }

    #[test]
    fn what_is_not_a_number_stays_visible() {
        for norm in Norm::ALL {
            let mut point = [f32::NAN, 0.2];
            onto_ball_and_box(norm, 0.1, &[0.5, 0.5], &mut point);
            assert!(point[0].is_nan(), "{norm}");
        }
    }
}
