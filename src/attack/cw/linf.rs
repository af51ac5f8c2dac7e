//! Under L∞: c · max(κ − margin, 0) + Σ max(|δ_i| − τ, 0) is minimised over the box, with a threshold τ that shrinks.
//!
//! Only changes beyond τ cost anything; whenever a δ suffices, τ becomes 0.9 of its greatest change, until no c up to 20
//! suffices any more or τ is below 1/256. As under L2 the iterate is a picture, cut to the box. τ does not begin at 1 but
//! where the linearised problem has its solution, margin / ‖∇ margin‖₁, or above it if that is too tight.

use super::super::adam::Adam;
use super::super::story::Weighing;
use super::super::subject::{Found, Smallest};
use super::super::{Oracle, Story, Subject, Trace};
use super::{Hinge, ITERATIONS, KEPT, SEARCHES, finish, pull_back, slope};
use crate::threat::{Norm, Norms, length, sign};

/// The least τ that is tried: less than one grey value.
const LEAST_TAU: f32 = 1.0 / 256.0;
/// What τ is multiplied with after a success.
const SHRINK: f32 = 0.9;
/// Adam's step size in the paper's code.
const RATE: f32 = 5e-3;

pub(super) async fn minimise(subject: Subject, oracle: Oracle) -> Found {
    let iterations = subject.settings.get(&ITERATIONS) as u32;
    let hinge = Hinge::new(&subject);
    let mut smallest = Smallest::new(&subject);
    let (mut best_trace, mut weighings) = (Trace::default(), Vec::new());
    let (logits, gradient) = slope(&subject, &oracle, &subject.image).await;
    hinge.consider(&subject, &mut smallest, &subject.image, &logits);
    let slopes = length(Norm::L1, gradient);
    let linear = if slopes > 0.0 { (hinge.missing(&logits) as f64 / slopes) as f32 } else { 1.0 };
    let mut tau = (2.0 * linear).clamp(LEAST_TAU, 1.0);
    let mut c = 1.0;
    let mut point = subject.image.clone();
    for _ in 0..subject.settings.get(&SEARCHES) as u32 {
        if smallest.suffices(&subject) || tau < LEAST_TAU {
            break;
        }
        let mut trace = Trace::default();
        let mut adam = Adam::new(point.len());
        let (mut reached, mut improved) = (false, false);
        let (mut margin, mut taken) = (f32::NEG_INFINITY, 0);
        for iteration in 0..iterations {
            let (logits, gradient) = slope(&subject, &oracle, &point).await;
            taken += 1;
            margin = hinge.goal.margin(&logits);
            let before = smallest.length;
            if hinge.consider(&subject, &mut smallest, &point, &logits) {
                reached |= Norms::between(&subject.image, &point).linf <= tau;
            }
            improved |= smallest.length < before;
            if subject.traces() && iteration % iterations.div_ceil(KEPT) == 0 {
                subject.log(&mut trace, &point, &logits);
            }
            if smallest.suffices(&subject) || reached {
                break;
            }
            let pull = if hinge.missing(&logits) > 0.0 { c } else { 0.0 };
            let slopes: Vec<f32> = point
                .iter()
                .zip(&subject.image)
                .zip(&gradient)
                .map(|((p, x), g)| if (p - x).abs() > tau { sign(p - x) } else { 0.0 } - pull * g)
                .collect();
            adam.descend(RATE, &slopes, &mut point);
            point.iter_mut().for_each(|p| *p = p.clamp(0.0, 1.0));
        }
        weighings.push(Weighing {
            c,
            tau: Some(tau),
            reached,
            margin,
            length: Norms::between(&subject.image, &point).linf,
            smallest: smallest.reached().then_some(smallest.length),
            iterations: taken,
        });
        if improved || best_trace.losses.is_empty() {
            best_trace = trace;
        }
        if reached {
            tau = SHRINK * smallest.length.min(tau);
        } else {
            c *= 2.0;
            if c > 20.0 {
                // No weight helps: the threshold is too tight.
                break;
            }
        }
    }
    pull_back(&subject, &oracle, &hinge, &mut smallest).await;
    finish(&subject, &smallest, best_trace, Story::Weights(weighings))
}
