//! The first attack on neural networks: c · CE(target) + ‖δ‖² is minimised over the box by L-BFGS, and c sought that just
//! suffices.
//!
//! Szegedy et al. aim at a class; without one, the class that is second at x is taken. The bounds 0 and 1 are kept by
//! projection: pixels that lie on a bound and would leave the box stay there for a step, the others follow the direction
//! of the two-loop recursion, and the line search goes along the projected path until the objective falls enough
//! (Armijo). c begins where the linearised problem has its solution, and each c goes on from the smallest δ so far.
//!
//! Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow, Fergus, "Intriguing properties of neural networks", ICLR 2014;
//! Liu, Nocedal, "On the limited memory BFGS method for large scale optimization", 1989.

use super::parameter::{Kind, Parameter};
use super::story::Weighing;
use super::subject::{Found, Smallest};
use super::weight::Weight;
use super::{Access, Aim, Attack, Goal, Objective, Oracle, Searching, Story, Subject, Trace, Uses};
use crate::experiment::AttackSettings;
use crate::threat::{Norm, Norms, length};

/// L-BFGS.
pub(super) struct Lbfgs;

const ITERATIONS: Parameter = Parameter {
    key: "iterations",
    label: "Iterations",
    unit: "",
    help: "How many steps the minimisation takes for each weight c.",
    kind: Kind::Number { default: 30.0, least: 5.0, greatest: 200.0, step: 5.0, whole: true },
};

const SEARCHES: Parameter = Parameter {
    key: "searches",
    label: "Values of c",
    unit: "",
    help: "How many weights c of the goal are tried, each chosen by how the one before did.",
    kind: Kind::Number { default: 9.0, least: 1.0, greatest: 20.0, step: 1.0, whole: true },
};

/// Pairs of steps and changes of the gradient that are remembered.
const MEMORY: usize = 8;
/// The share of the promised fall with which a step is taken.
const ARMIJO: f64 = 1e-4;
/// How often a step is halved before the minimisation ends.
const HALVINGS: u32 = 12;

impl Attack for Lbfgs {
    fn key(&self) -> &'static str {
        "lbfgs"
    }

    fn title(&self) -> &'static str {
        "L-BFGS"
    }

    fn summary(&self) -> &'static str {
        "The attack with which adversarial examples were discovered: a general method of minimisation looks for a small δ \
         with a low loss for another class, and a search finds the balance c between the two."
    }

    fn paper(&self) -> &'static str {
        "Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow, Fergus: Intriguing properties of neural networks. ICLR \
         2014"
    }

    fn access(&self) -> Access {
        Access::Gradients
    }

    fn aim(&self) -> Aim {
        Aim::Smallest
    }

    fn norms(&self) -> &'static [Norm] {
        &[Norm::L2]
    }

    fn uses(&self) -> Uses {
        Uses::default()
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&SEARCHES, &ITERATIONS]
    }

    fn cost(&self, settings: &AttackSettings) -> u32 {
        (settings.get(&SEARCHES) * (settings.get(&ITERATIONS) + 1.0)) as u32
    }

    fn search(&self, subject: Subject, oracle: Oracle) -> Searching {
        Box::pin(search(subject, oracle))
    }
}

async fn search(subject: Subject, oracle: Oracle) -> Found {
    let target = match subject.goal {
        Goal::Reach(target) => target,
        Goal::Leave(_) => subject.goal.rivals(&subject.clean).0 as u8,
    };
    let mut smallest = Smallest::new(&subject);
    let (mut best_trace, mut weighings) = (Trace::default(), Vec::new());
    let start = look(&subject, &oracle, target, subject.image.clone()).await;
    let squares = length(Norm::L2, start.slope.iter().copied()).powi(2);
    let mut weight = Weight::new(if squares > 0.0 { (2.0 * start.loss / squares) as f32 } else { 1.0 });
    for _ in 0..subject.settings.get(&SEARCHES) as u32 {
        if smallest.suffices(&subject) {
            break;
        }
        let before = smallest.length;
        let begin = if smallest.reached() { smallest.picture().to_vec() } else { subject.image.clone() };
        let (trace, weighing) = minimise(&subject, &oracle, target, weight.c, begin, &mut smallest).await;
        weight.advance(weighing.reached);
        weighings.push(weighing);
        if smallest.length < before || best_trace.losses.is_empty() {
            best_trace = trace;
        }
    }
    smallest.found(&subject, best_trace, Some(Story::Weights(weighings)))
}

/// What is known at a picture.
struct View {
    picture: Vec<f32>,
    logits: Vec<f32>,
    /// The cross-entropy of the target.
    loss: f64,
    /// Its gradient.
    slope: Vec<f32>,
}

async fn look(subject: &Subject, oracle: &Oracle, target: u8, picture: Vec<f32>) -> View {
    let goal = Goal::Reach(target);
    let answer = oracle
        .gradient(&picture, move |_, logits, cotangent| Objective::CrossEntropy.cotangent(goal, logits, cotangent))
        .await;
    debug_assert_eq!(picture.len(), subject.image.len());
    let loss = -Objective::CrossEntropy.value(goal, &answer.logits) as f64;
    View { picture, loss, logits: answer.logits, slope: answer.gradient.into_iter().map(|g| -g).collect() }
}

/// c · CE + ‖δ‖² at a picture, and its gradient.
fn objective(subject: &Subject, c: f32, view: &View) -> (f64, Vec<f64>) {
    let delta = || view.picture.iter().zip(&subject.image).map(|(&p, &x)| p as f64 - x as f64);
    let value = c as f64 * view.loss + delta().map(|d| d * d).sum::<f64>();
    (value, delta().zip(&view.slope).map(|(d, &g)| 2.0 * d + c as f64 * g as f64).collect())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Minimises with one c.
async fn minimise(
    subject: &Subject,
    oracle: &Oracle,
    target: u8,
    c: f32,
    begin: Vec<f32>,
    smallest: &mut Smallest,
) -> (Trace, Weighing) {
    let mut trace = Trace::default();
    let mut memory = Memory::default();
    let mut here = look(subject, oracle, target, begin).await;
    let (mut value, mut gradient) = objective(subject, c, &here);
    let (mut taken, most) = (0, subject.settings.get(&ITERATIONS) as u32);
    'minimise: while taken < most {
        if subject.traces() {
            subject.log(&mut trace, &here.picture, &here.logits);
        }
        let free: Vec<bool> =
            here.picture.iter().zip(&gradient).map(|(&p, &g)| !(p <= 0.0 && g > 0.0 || p >= 1.0 && g < 0.0)).collect();
        let direction = memory.direction(&gradient, &free);
        let mut t = if memory.pairs.is_empty() { first_step(&direction) } else { 1.0 };
        for halving in 0.. {
            let moved = here.picture.iter().zip(&direction).map(|(&p, d)| (p as f64 + t * d) as f32);
            let there = look(subject, oracle, target, moved.map(|p| p.clamp(0.0, 1.0)).collect()).await;
            taken += 1;
            smallest.consider(subject, &there.picture, &there.logits);
            if smallest.suffices(subject) {
                break 'minimise;
            }
            let (new_value, new_gradient) = objective(subject, c, &there);
            let step: Vec<f64> = there.picture.iter().zip(&here.picture).map(|(&a, &b)| a as f64 - b as f64).collect();
            if new_value <= value + ARMIJO * dot(&gradient, &step) && new_value < value {
                let change = new_gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
                memory.push(step, change);
                (here, value, gradient) = (there, new_value, new_gradient);
                break;
            }
            if halving == HALVINGS || taken == most {
                break 'minimise;
            }
            t *= 0.5;
        }
    }
    // Judged by where the minimisation ends: with less c it would end nearer.
    let weighing = Weighing {
        c,
        tau: None,
        reached: subject.goal.reached(&here.logits),
        margin: subject.goal.margin(&here.logits),
        length: Norms::between(&subject.image, &here.picture).l2,
        smallest: smallest.reached().then_some(smallest.length),
        iterations: taken,
    };
    (trace, weighing)
}

/// Without a memory nothing says how long a step should be: a tenth in length.
fn first_step(direction: &[f64]) -> f64 {
    let size = dot(direction, direction).sqrt();
    if size > 0.0 { (0.1 / size).min(1.0) } else { 0.0 }
}

/// The last steps and what they did to the gradient.
#[derive(Default)]
struct Memory {
    pairs: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Memory {
    fn push(&mut self, step: Vec<f64>, change: Vec<f64>) {
        // Only pairs that say that the objective is convex along the step keep the direction a way down.
        if dot(&step, &change) > 1e-10 * dot(&change, &change) {
            if self.pairs.len() == MEMORY {
                self.pairs.remove(0);
            }
            self.pairs.push((step, change));
        }
    }

    /// −H · g over the free coordinates by the two-loop recursion; −g if that does not lead down.
    fn direction(&self, gradient: &[f64], free: &[bool]) -> Vec<f64> {
        let masked =
            |v: &[f64]| -> Vec<f64> { v.iter().zip(free).map(|(v, &free)| if free { *v } else { 0.0 }).collect() };
        let downhill: Vec<f64> = masked(gradient).iter().map(|g| -g).collect();
        let mut q = downhill.clone();
        let pairs: Vec<_> =
            self.pairs.iter().map(|(s, y)| (masked(s), masked(y))).filter(|(s, y)| dot(s, y) > 0.0).collect();
        let mut shares = Vec::new();
        for (s, y) in pairs.iter().rev() {
            let share = dot(s, &q) / dot(s, y);
            q.iter_mut().zip(y).for_each(|(q, y)| *q -= share * y);
            shares.push(share);
        }
        if let Some((s, y)) = pairs.last() {
            let scale = dot(s, y) / dot(y, y);
            q.iter_mut().for_each(|q| *q *= scale);
        }
        for ((s, y), share) in pairs.iter().zip(shares.iter().rev()) {
            let back = dot(y, &q) / dot(s, y);
            q.iter_mut().zip(s).for_each(|(q, s)| *q += (share - back) * s);
        }
        if dot(&q, &downhill) > 0.0 { masked(&q) } else { downhill }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direction_is_newtons_once_a_bowl_has_been_felt_out() {
        // f = ½ (x² + 10 y² + 100 z²): changes of the gradient are (1, 10, 100) times the steps.
        let curvature = [1.0, 10.0, 100.0];
        let mut memory = Memory::default();
        for step in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] {
            memory.push(step.to_vec(), step.iter().zip(curvature).map(|(s, c)| s * c).collect());
        }
        let direction = memory.direction(&[3.0, -20.0, 500.0], &[true; 3]);
        assert!(direction.iter().zip([-3.0, 2.0, -5.0]).all(|(d, e)| (d - e).abs() < 1e-9), "{direction:?}");
        // A pixel that the box holds stays where it is, and does not bend the others' way.
        let held = memory.direction(&[3.0, -20.0, 500.0], &[true, false, true]);
        assert!(held.iter().zip([-3.0, 0.0, -5.0]).all(|(d, e)| (d - e).abs() < 1e-9), "{held:?}");
    }
}
