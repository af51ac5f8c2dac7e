//! Under L2: ‖δ‖² + c · max(κ − margin, 0) is minimised over the box.
//!
//! What differs from the paper, because a change of variables through tanh cannot move pixels that are exactly 0 or 1
//! (most of these pictures' pixels are): the iterate is a picture, moved by gradient descent with momentum and cut to
//! the box after each step, with steps that shrink to nothing. c does not begin at 10⁻³ but where the linearised problem
//! has its solution, c = 2 · margin / ‖∇ margin‖². Each c goes on from the smallest δ found so far. At the end the best
//! picture is drawn back towards x as far as it goes.

use super::super::story::Weighing;
use super::super::subject::{Found, Smallest};
use super::super::weight::Weight;
use super::super::{Oracle, Story, Subject, Trace};
use super::{Hinge, ITERATIONS, KAPPA, KEPT, RATE, SEARCHES, finish, pull_back, slope};
use crate::experiment::AttackSettings;
use crate::threat::{Norm, Norms, length};

/// The share of its speed that an iterate keeps.
const SPEED: f32 = 0.9;

/// The same in Python.
pub(super) fn pytorch(settings: &AttackSettings) -> String {
    let get = |parameter| settings.get(parameter);
    format!(
        "kappa, searches, iterations, rate = {:?}, {}, {}, {:?}


def slope(image):  # of the margin
    image = image.clone().requires_grad_(True)
    value = margin(image)
    return float(value), torch.autograd.grad(value, image)[0]


best = None  # the smallest delta so far, as length and picture
value, g = slope(x)
c, low, high = 2 * max(kappa - value, 0) / max(float(g.norm()) ** 2, 1e-38), 0.0, math.inf
if fooled(x) and value >= kappa:
    best, searches = (0.0, x), 0
for _ in range(searches):
    x_adv, speed, reached = x if best is None else best[1], torch.zeros_like(x), False
    for iteration in range(iterations):
        value, g = slope(x_adv)
        if fooled(x_adv) and value >= kappa:
            reached, length = True, float((x_adv - x).norm())
            if best is None or length < best[0]:
                best = (length, x_adv)
        # of |delta|^2 + c * max(kappa - margin, 0)
        speed = {SPEED:?} * speed + (1 - {SPEED:?}) * (2 * (x_adv - x) - (c * g if value < kappa else 0))
        x_adv = (x_adv - rate * (1 + math.cos(math.pi * iteration / iterations)) / 2 * speed).clamp(0, 1)
    low, high = (low, min(high, c)) if reached else (max(low, c), high)
    c = (low + high) / 2 if high < math.inf else min(10 * c, 1e10)
x_adv, low, high = x if best is None else best[1], 0.0, 1.0
for _ in range(10):  # back towards x on the straight line as far as it goes
    image = x + (low + high) / 2 * ((x if best is None else best[1]) - x)
    if fooled(image) and float(margin(image)) >= kappa:
        x_adv, high = image, (low + high) / 2
    else:
        low = (low + high) / 2
",
        get(&KAPPA),
        get(&SEARCHES),
        get(&ITERATIONS),
        get(&RATE)
    )
}

pub(super) async fn minimise(subject: Subject, oracle: Oracle) -> Found {
    let iterations = subject.settings.get(&ITERATIONS) as u32;
    let rate = subject.settings.get(&RATE);
    let hinge = Hinge::new(&subject);
    let mut smallest = Smallest::new(&subject);
    let (mut best_trace, mut weighings) = (Trace::default(), Vec::new());
    let (logits, gradient) = slope(&subject, &oracle, &subject.image).await;
    hinge.consider(&subject, &mut smallest, &subject.image, &logits);
    let squares = length(Norm::L2, gradient).powi(2);
    let mut weight =
        Weight::new(if squares > 0.0 { (2.0 * hinge.missing(&logits) as f64 / squares) as f32 } else { 1.0 });
    for _ in 0..subject.settings.get(&SEARCHES) as u32 {
        if smallest.suffices(&subject) {
            break;
        }
        let c = weight.c;
        let mut trace = Trace::default();
        let mut point = if smallest.reached() { smallest.picture().to_vec() } else { subject.image.clone() };
        let mut speed = vec![0.0; point.len()];
        let (mut reached, mut improved) = (false, false);
        let (mut margin, mut taken) = (f32::NEG_INFINITY, 0);
        for iteration in 0..iterations {
            let (logits, gradient) = slope(&subject, &oracle, &point).await;
            taken += 1;
            margin = hinge.goal.margin(&logits);
            let before = smallest.length;
            reached |= hinge.consider(&subject, &mut smallest, &point, &logits);
            improved |= smallest.length < before;
            if subject.traces() && iteration % iterations.div_ceil(KEPT) == 0 {
                subject.log(&mut trace, &point, &logits);
            }
            if smallest.suffices(&subject) {
                break;
            }
            let pull = if hinge.missing(&logits) > 0.0 { c } else { 0.0 };
            // From `rate` down to 0 along half a period of the cosine.
            let turn = core::f64::consts::PI * iteration as f64 / iterations as f64;
            let step = rate * (0.5 * (1.0 + libm::cos(turn))) as f32;
            for (((p, &x), &g), v) in point.iter_mut().zip(&subject.image).zip(&gradient).zip(&mut speed) {
                *v = SPEED * *v + (1.0 - SPEED) * (2.0 * (*p - x) - pull * g);
                *p = (*p - step * *v).clamp(0.0, 1.0);
            }
        }
        weighings.push(Weighing {
            c,
            tau: None,
            reached,
            margin,
            length: Norms::between(&subject.image, &point).l2,
            smallest: smallest.reached().then_some(smallest.length),
            iterations: taken,
        });
        if improved || best_trace.losses.is_empty() {
            best_trace = trace;
        }
        weight.advance(reached);
    }
    pull_back(&subject, &oracle, &hinge, &mut smallest).await;
    finish(&subject, &smallest, best_trace, Story::Weights(weighings))
}
