//! A flow field: every pixel is looked up a little beside its place, neighbours in nearly the same direction (stAdv).
//!
//! max(κ − margin, 0) + τ · Σ √(‖Δu‖² + ‖Δv‖²) is minimised with Adam, where u and v are the shifts down and to the right
//! and Δ their differences to the neighbours right and below, so that the flow is smooth. Of the flows that reach the goal
//! the smoothest is kept. No norm measures such a change, so ε does not matter.
//!
//! Xiao, Zhu, Li, He, Liu, Song, "Spatially transformed adversarial examples", ICLR 2018.

use super::super::adam::Adam;
use super::super::parameter::{Kind, Parameter};
use super::super::subject::Found;
use super::super::{Access, Aim, Attack, Objective, Oracle, Searching, Story, Subject, Trace, Uses};
use super::{place_gradient, warped};
use crate::experiment::AttackSettings;
use crate::nn::Shape;
use crate::threat::Norm;

/// The flow field.
pub(in super::super) struct Flow;

const ITERATIONS: Parameter = Parameter {
    key: "iterations",
    label: "Iterations",
    unit: "",
    help: "How many steps the minimisation takes.",
    kind: Kind::Number { default: 100.0, least: 10.0, greatest: 500.0, step: 10.0, whole: true },
};

const SMOOTHNESS: Parameter = Parameter {
    key: "smoothness",
    label: "Smoothness τ",
    unit: "",
    help: "The weight of differences between neighbouring pixels’ shifts. The greater, the smoother the flow.",
    kind: Kind::Number { default: 0.05, least: 0.0, greatest: 1.0, step: 0.01, whole: false },
};

const RATE: Parameter = Parameter {
    key: "rate",
    label: "Learning rate",
    unit: "pixels",
    help: "How far a pixel’s shift moves in a step, roughly.",
    kind: Kind::Number { default: 0.02, least: 0.001, greatest: 0.5, step: 0.01, whole: false },
};

/// By how much the goal is to be exceeded, so that it still is after rounding.
const KAPPA: f32 = 0.05;
/// Under the root, so that it has a slope at 0.
const SOFT: f64 = 1e-6;
/// Entries of a trace, roughly.
const KEPT: u32 = 50;

impl Attack for Flow {
    fn key(&self) -> &'static str {
        "flow"
    }

    fn title(&self) -> &'static str {
        "Flow field"
    }

    fn summary(&self) -> &'static str {
        "Bends the picture as if it were printed on rubber: every pixel moves a little, together with its neighbours. Edges \
         shift by fractions of a pixel, and hardly anything is to be seen."
    }

    fn paper(&self) -> &'static str {
        "Xiao, Zhu, Li, He, Liu, Song: Spatially transformed adversarial examples. ICLR 2018"
    }

    fn access(&self) -> Access {
        Access::Gradients
    }

    fn aim(&self) -> Aim {
        Aim::Transformation
    }

    fn norms(&self) -> &'static [Norm] {
        &[]
    }

    fn uses(&self) -> Uses {
        Uses::default()
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&ITERATIONS, &SMOOTHNESS, &RATE]
    }

    fn cost(&self, settings: &AttackSettings) -> u32 {
        settings.get(&ITERATIONS) as u32
    }

    fn search(&self, subject: Subject, oracle: Oracle) -> Searching {
        Box::pin(bend(subject, oracle))
    }
}

/// Where pixels are looked up under a flow: all shifts down, then all to the right.
fn place(flow: &[f32], shape: Shape) -> impl Fn(usize, usize) -> (f64, f64) {
    let (down, right) = flow.split_at(shape.height * shape.width);
    move |row, column| {
        let i = row * shape.width + column;
        (row as f64 + down[i] as f64, column as f64 + right[i] as f64)
    }
}

/// Σ √(‖Δu‖² + ‖Δv‖²) over pairs of neighbours; adds `weight` times its gradient.
fn roughness(flow: &[f32], shape: Shape, weight: f64, gradient: &mut [f32]) -> f64 {
    let pixels = shape.height * shape.width;
    let mut sum = 0.0;
    for i in 0..pixels {
        let right = (i % shape.width + 1 < shape.width).then_some(i + 1);
        let below = (i / shape.width + 1 < shape.height).then_some(i + shape.width);
        for j in [right, below].into_iter().flatten() {
            let difference = [flow[i] as f64 - flow[j] as f64, flow[pixels + i] as f64 - flow[pixels + j] as f64];
            let root = (difference[0] * difference[0] + difference[1] * difference[1] + SOFT).sqrt();
            sum += root - SOFT.sqrt();
            for (axis, difference) in difference.into_iter().enumerate() {
                let slope = (weight * difference / root) as f32;
                gradient[axis * pixels + i] += slope;
                gradient[axis * pixels + j] -= slope;
            }
        }
    }
    sum
}

/// A flow that reaches the goal.
struct Bent {
    rough: f64,
    field: Vec<f32>,
    picture: Vec<f32>,
    logits: Vec<f32>,
}

async fn bend(subject: Subject, oracle: Oracle) -> Found {
    let shape = subject.shape;
    let pixels = shape.height * shape.width;
    let iterations = subject.settings.get(&ITERATIONS) as u32;
    let tau = subject.settings.get(&SMOOTHNESS) as f64;
    let mut adam = Adam::new(2 * pixels);
    let mut flow = vec![0.0f32; 2 * pixels];
    let mut best: Option<Bent> = None;
    let (mut trace, mut roughnesses) = (Trace::default(), Vec::new());
    for iteration in 0..=iterations {
        let picture = warped(&subject.image, shape, place(&flow, shape));
        let goal = subject.goal;
        let answer = oracle
            .gradient(&picture, move |_, logits, cotangent| Objective::Margin.cotangent(goal, logits, cotangent))
            .await;
        let mut gradient = vec![0.0; 2 * pixels];
        let rough = roughness(&flow, shape, tau, &mut gradient);
        if goal.reached(&answer.logits) && best.as_ref().is_none_or(|best| rough < best.rough) {
            let (field, picture, logits) = (flow.clone(), picture.clone(), answer.logits.clone());
            best = Some(Bent { rough, field, picture, logits });
        }
        if subject.traces() && iteration % iterations.div_ceil(KEPT) == 0 {
            subject.log(&mut trace, &picture, &answer.logits);
            roughnesses.push(rough as f32);
        }
        if best.is_some() && (subject.stops() || goal.reached(&subject.clean)) {
            break;
        }
        if goal.margin(&answer.logits) < KAPPA {
            let places = place_gradient(&subject.image, shape, place(&flow, shape), &answer.gradient);
            for (i, [down, right]) in places.into_iter().enumerate() {
                gradient[i] -= down as f32;
                gradient[pixels + i] -= right as f32;
            }
        }
        adam.descend(subject.settings.get(&RATE), &gradient, &mut flow);
    }
    let Some(Bent { rough, field, picture, logits }) = best else {
        let story = Some(Story::Flow { field: vec![0.0; 2 * pixels], roughnesses });
        return Found { adversarial: subject.image, trace, story, ..Found::default() };
    };
    if subject.traces() {
        subject.log(&mut trace, &picture, &logits);
        roughnesses.push(rough as f32);
    }
    let best_step = (trace.losses.len() as u32).saturating_sub(1);
    Found {
        adversarial: picture,
        best_step,
        trace,
        story: Some(Story::Flow { field, roughnesses }),
        ..Found::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Random, Stream};

    #[test]
    fn the_gradient_of_the_roughness_is_that_of_finite_differences_and_an_even_flow_is_smooth() {
        let shape = Shape { channels: 1, height: 4, width: 5 };
        let mut random = Random::new(4, Stream::Start, 0);
        let flow: Vec<f32> = (0..40).map(|_| random.normal()).collect();
        let mut gradient = vec![0.0; 40];
        roughness(&flow, shape, 2.0, &mut gradient);
        for i in 0..40 {
            let at = |h: f32| {
                let mut moved = flow.clone();
                moved[i] += h;
                2.0 * roughness(&moved, shape, 0.0, &mut [0.0; 40])
            };
            let h = 1.0 / 256.0;
            let slope = (at(h) - at(-h)) / (2.0 * h as f64);
            assert!((slope - gradient[i] as f64).abs() < 1e-3, "{i}: {slope} {}", gradient[i]);
        }
        assert_eq!(roughness(&[0.7; 40], shape, 1.0, &mut [0.0; 40]), 0.0);
    }
}
