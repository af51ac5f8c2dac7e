//! DeepFool: walks to the nearest boundary of the linearised classifier, again and again.
//!
//! At an iterate each other class k has a linearised boundary: with f = z_k − z_0 (0 is the class predicted at x) and
//! w = ∇ₓ f it is |f| / ‖w‖ away, in the dual norm. The nearest one's foot is the next iterate:
//! r = (|f| / ‖w‖₂ + 10⁻⁴) · w / ‖w‖₂ under L2 and r = (|f| / ‖w‖₁ + 10⁻⁴) · sign(w) under L∞. The iterate is
//! x + (1 + overshoot) · Σ r, cut to the box: the overshoot stretches the whole way, not each step, so that the last
//! iterate lies beyond the boundary. Towards a target the only boundary is that between the target and the class
//! predicted at the iterate.
//!
//! Moosavi-Dezfooli, Fawzi, Frossard, "DeepFool: a simple and accurate method to fool deep neural networks", CVPR 2016.

use super::parameter::{Kind, Parameter};
use super::story::Linearised;
use super::subject::{Found, Smallest};
use super::{Access, Aim, Attack, Goal, Oracle, Searching, Story, Subject, Trace, Uses};
use crate::experiment::AttackSettings;
use crate::nn::softmax;
use crate::threat::{Norm, Threat, length, sign};

/// DeepFool.
pub(super) struct DeepFool;

const ITERATIONS: Parameter = Parameter {
    key: "iterations",
    label: "Iterations",
    unit: "",
    help: "The most linearisations. The attack stops as soon as the class changes, usually after a few.",
    kind: Kind::Number { default: 50.0, least: 1.0, greatest: 200.0, step: 1.0, whole: true },
};

const OVERSHOOT: Parameter = Parameter {
    key: "overshoot",
    label: "Overshoot",
    unit: "",
    help: "How much further than to the linearised boundaries the whole perturbation reaches, as a share of it.",
    kind: Kind::Number { default: 0.02, least: 0.0, greatest: 1.0, step: 0.01, whole: false },
};

/// Added to every distance, so that a step from the boundary itself is not 0.
const BEYOND: f64 = 1e-4;

impl Attack for DeepFool {
    fn key(&self) -> &'static str {
        "deepfool"
    }

    fn title(&self) -> &'static str {
        "DeepFool"
    }

    fn summary(&self) -> &'static str {
        "Takes the classifier for linear around the picture, walks to the nearest of its boundaries, and repeats from \
         there until the class changes. What it finds is a small perturbation, whatever ε is."
    }

    fn paper(&self) -> &'static str {
        "Moosavi-Dezfooli, Fawzi, Frossard: DeepFool: a simple and accurate method to fool deep neural networks. CVPR \
         2016"
    }

    fn access(&self) -> Access {
        Access::Gradients
    }

    fn aim(&self) -> Aim {
        Aim::Smallest
    }

    fn norms(&self) -> &'static [Norm] {
        &[Norm::L2, Norm::Linf]
    }

    fn uses(&self) -> Uses {
        Uses::default()
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&ITERATIONS, &OVERSHOOT]
    }

    fn cost(&self, _: &AttackSettings) -> u32 {
        // 4 to 17 linearisations of nine boundaries each, as measured on the shipped models.
        8 * 9
    }

    fn pytorch(&self, settings: &AttackSettings, threat: &Threat) -> Option<String> {
        let (dual, direction) = match threat.norm {
            Norm::Linf => ("w.abs().sum()", "w.sign()"),
            _ => ("w.norm()", "w / w.norm()"),
        };
        let (iterations, overshoot) = (settings.get(&ITERATIONS), settings.get(&OVERSHOOT));
        Some(format!(
            "start = int(model(x).argmax())
x_adv, total = x, torch.zeros_like(x)
for _ in range({iterations}):
    if fooled(x_adv):
        break
    image = x_adv.clone().requires_grad_(True)
    z = model(image)[0]
    origin = start if target is None else int(z.argmax())
    nearest = None  # boundary of the classifier, taken for linear
    for k in range(len(z)) if target is None else [int(target)]:
        if k != origin:
            w = torch.autograd.grad(z[k] - z[origin], image, retain_graph=True)[0]
            distance = float((z[k] - z[origin]).abs() / {dual})
            if math.isfinite(distance) and (nearest is None or distance < nearest[0]):
                nearest = (distance, {direction})
    if nearest is None:
        break
    total = total + (nearest[0] + {BEYOND:?}) * nearest[1]
    x_adv = (x + (1 + {overshoot:?}) * total).clamp(0, 1)
x_adv = x_adv if fooled(x_adv) else x
"
        ))
    }

    fn search(&self, subject: Subject, oracle: Oracle) -> Searching {
        Box::pin(walk(subject, oracle))
    }
}

async fn walk(subject: Subject, oracle: Oracle) -> Found {
    let iterations = subject.settings.get(&ITERATIONS) as u32;
    let stretch = 1.0 + subject.settings.get(&OVERSHOOT) as f64;
    let pixels = subject.image.len();
    let mut smallest = Smallest::new(&subject);
    let (mut trace, mut steps) = (Trace::default(), Vec::new());
    let mut point = subject.image.clone();
    let mut total = vec![0.0f64; pixels];
    for _ in 0..iterations {
        if smallest.reached() {
            break;
        }
        let pairs = boundaries(&subject, softmax::predicted(&subject.clean));
        let (asked, fixed) = (point.repeat(pairs.len()), pairs.clone());
        let answer = oracle
            .gradient(&asked, move |n, logits, cotangent| {
                let (to, from) = fixed[n].of(logits);
                cotangent.fill(0.0);
                cotangent[to] += 1.0;
                cotangent[from] -= 1.0;
            })
            .await;
        let logits = &answer.logits[..subject.clean.len()];
        if subject.traces() {
            subject.log(&mut trace, &point, logits);
        }
        smallest.consider(&subject, &point, logits);
        if smallest.reached() {
            break;
        }
        let Some(step) = linearise(&subject, &pairs, logits, &answer.gradient, &point) else { break };
        advance(subject.norm, &step, &mut total);
        for ((p, x), t) in point.iter_mut().zip(&subject.image).zip(&total) {
            *p = ((*x as f64 + stretch * t) as f32).clamp(0.0, 1.0);
        }
        if subject.traces() {
            steps.push(step);
        }
    }
    if !smallest.reached() {
        let logits = oracle.logits(&point).await;
        smallest.consider(&subject, &point, &logits);
    }
    smallest.found(&subject, trace, Some(Story::Boundaries(steps)))
}

/// A boundary between two classes.
#[derive(Clone, Copy)]
enum Pair {
    /// From a class to another one.
    Fixed { to: usize, from: usize },
    /// To this class from whichever is predicted.
    Towards(usize),
}

impl Pair {
    fn of(self, logits: &[f32]) -> (usize, usize) {
        match self {
            Self::Fixed { to, from } => (to, from),
            Self::Towards(to) => (to, softmax::predicted(logits)),
        }
    }
}

/// The boundaries that may be crossed.
fn boundaries(subject: &Subject, from: usize) -> Vec<Pair> {
    match subject.goal {
        Goal::Leave(_) => {
            (0..subject.clean.len()).filter(|&to| to != from).map(|to| Pair::Fixed { to, from }).collect()
        }
        Goal::Reach(target) => vec![Pair::Towards(target as usize)],
    }
}

/// The linearised boundaries at a point and the nearest of them; none if no class has a gradient.
fn linearise(subject: &Subject, pairs: &[Pair], logits: &[f32], gradient: &[f32], point: &[f32]) -> Option<Linearised> {
    let dual = if subject.norm == Norm::Linf { Norm::L1 } else { Norm::L2 };
    let pixels = point.len();
    let mut margins = vec![0.0; logits.len()];
    let mut slopes = vec![0.0; logits.len()];
    let mut nearest: Option<(f64, usize, usize)> = None;
    for (n, (pair, w)) in pairs.iter().zip(gradient.chunks_exact(pixels)).enumerate() {
        let (to, from) = pair.of(logits);
        let margin = logits[to] - logits[from];
        let slope = length(dual, w.iter().copied());
        (margins[to], slopes[to]) = (margin, slope as f32);
        let distance = margin.abs() as f64 / slope;
        if distance.is_finite() && nearest.is_none_or(|(least, ..)| distance < least) {
            nearest = Some((distance, n, to));
        }
    }
    let (distance, n, chosen) = nearest?;
    let normal = gradient[n * pixels..][..pixels].to_vec();
    let back: f64 =
        normal.iter().zip(&subject.image).zip(point).map(|((&w, &x), &p)| w as f64 * (x as f64 - p as f64)).sum();
    let (_, from) = pairs[n].of(logits);
    Some(Linearised {
        from: from as u8,
        chosen: chosen as u8,
        at_image: (margins[chosen] as f64 + back) as f32,
        distance: distance as f32,
        margins,
        slopes,
        normal,
    })
}

/// Adds the step to the nearest boundary.
fn advance(norm: Norm, step: &Linearised, total: &mut [f64]) {
    let reach = step.distance as f64 + BEYOND;
    let slope = step.slopes[step.chosen as usize] as f64;
    for (t, &w) in total.iter_mut().zip(&step.normal) {
        *t += reach * if norm == Norm::Linf { sign(w) as f64 } else { w as f64 / slope };
    }
}
