//! The Boundary attack: a walk along the decision boundary towards x, which sees only the predicted class.
//!
//! It starts at a picture that is already where the goal wants it (another picture if some are offered, else noise of
//! ever another coarseness and brightness, because uniform noise is always of the same class), goes straight towards x as far as the class allows, and then repeats: a random step of relative length
//! `spherical` orthogonal to the direction of x, back onto the sphere around x, and a step of relative length `source`
//! towards x; both together are kept if the class is still as wanted. The two lengths adapt by a factor of 1.5 so that
//! 20 to 50 % of the spherical steps, and 10 to 25 % of the steps towards x, are kept.
//!
//! Brendel, Rauber, Bethge, "Decision-based adversarial attacks: reliable attacks against black-box machine learning
//! models", ICLR 2018.

use super::parameter::{Kind, Parameter};
use super::story::Measure;
use super::subject::{Found, Smallest};
use super::{Access, Aim, Attack, Oracle, Searching, Story, Subject, Trace, Uses};
use crate::experiment::AttackSettings;
use crate::nn::Shape;
use crate::random::Random;
use crate::threat::Norm;

/// The Boundary attack.
pub(super) struct Boundary;

const QUERIES: Parameter = Parameter {
    key: "queries",
    label: "Queries",
    unit: "",
    help: "How often the attack may ask the network for the class of a picture.",
    kind: Kind::Number { default: 2500.0, least: 100.0, greatest: 25_000.0, step: 100.0, whole: true },
};

/// Both steps at first, in relation to the distance from x.
const FIRST_STEP: f64 = 0.01;
/// What they are multiplied with or divided by.
const ADAPTATION: f64 = 1.5;
/// Pictures of noise that are tried as a start.
const NOISES: u32 = 50;
/// Halvings of the way from the start towards x.
const HALVINGS: u32 = 12;
/// The spherical step alone is asked about once in so many steps.
const ASK_EVERY: u32 = 10;
/// Successes and failures that decide about a length.
const REMEMBERED: usize = 10;
/// Entries of a trace, roughly.
const KEPT: u32 = 40;

impl Attack for Boundary {
    fn key(&self) -> &'static str {
        "boundary"
    }

    fn title(&self) -> &'static str {
        "Boundary"
    }

    fn summary(&self) -> &'static str {
        "Starts from a picture of another class and walks along the decision boundary towards the picture. It needs \
         neither gradients nor scores, only the class that the network names, and many queries."
    }

    fn paper(&self) -> &'static str {
        "Brendel, Rauber, Bethge: Decision-based adversarial attacks: reliable attacks against black-box machine learning \
         models. ICLR 2018"
    }

    fn access(&self) -> Access {
        Access::Label
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
        &[&QUERIES]
    }

    fn cost(&self, settings: &AttackSettings) -> u32 {
        settings.get(&QUERIES) as u32
    }

    fn search(&self, subject: Subject, oracle: Oracle) -> Searching {
        Box::pin(walk(subject, oracle))
    }
}

/// The questions asked so far, and what came of them.
struct Walk<'a> {
    subject: &'a Subject,
    oracle: &'a Oracle,
    smallest: Smallest,
    asked: u32,
    queries: u32,
    trace: Trace,
    points: Vec<(u32, f32)>,
    steps: Vec<u32>,
}

impl Walk<'_> {
    fn over(&self) -> bool {
        self.asked >= self.queries || self.smallest.suffices(self.subject)
    }

    /// Whether the class of a picture is as wanted.
    async fn wanted(&mut self, picture: &[f32]) -> bool {
        let logits = self.oracle.logits(picture).await;
        self.asked += 1;
        let nearer = self.smallest.consider(self.subject, picture, &logits);
        if nearer {
            self.points.push((self.asked, self.smallest.length));
        }
        let due = self.steps.len() as u32 * self.queries.div_ceil(KEPT) < self.asked;
        if self.subject.traces() && nearer && due {
            self.subject.log(&mut self.trace, picture, &logits);
            self.steps.push(self.asked);
        }
        self.subject.goal.reached(&logits)
    }
}

async fn walk(subject: Subject, oracle: Oracle) -> Found {
    let queries = subject.settings.get(&QUERIES) as u32;
    let smallest = Smallest::new(&subject);
    let (trace, points, steps) = (Trace::default(), Vec::new(), Vec::new());
    let mut walk = Walk { subject: &subject, oracle: &oracle, smallest, asked: 0, queries, trace, points, steps };
    let mut random = subject.random(0);
    if !walk.smallest.reached()
        && let Some(start) = start(&mut walk, &mut random).await
    {
        approach(&mut walk, &start).await;
        explore(&mut walk, &mut random).await;
    }
    let Walk { smallest, trace, points, mut steps, asked, .. } = walk;
    let mut found = smallest.found(&subject, trace, None);
    if found.trace.losses.len() > steps.len() {
        // The result itself was not due.
        steps.push(asked);
    }
    found.story = Some(Story::Queries { measure: Measure::Length, points, steps });
    found
}

/// A picture that is where the goal wants it: the first of those offered, or of noise.
async fn start(walk: &mut Walk<'_>, random: &mut Random) -> Option<Vec<f32>> {
    let others = walk.subject.others.clone();
    for other in others.chunks_exact(walk.subject.image.len()) {
        if walk.wanted(other).await {
            return Some(other.to_vec());
        }
    }
    for attempt in 0..NOISES {
        let noise = noise(walk.subject.shape, attempt, random);
        if walk.wanted(&noise).await {
            return Some(noise);
        }
    }
    None
}

/// Uniform noise at first, then squares of ever another side with values up to ever another brightness.
fn noise(shape: Shape, attempt: u32, random: &mut Random) -> Vec<f32> {
    let (side, most) = match attempt {
        0 => (1, 1.0),
        _ => (1 << random.below(5), random.uniform()),
    };
    let columns = shape.width.div_ceil(side);
    let cells: Vec<f32> =
        (0..shape.channels * shape.height.div_ceil(side) * columns).map(|_| most * random.uniform()).collect();
    let rows = shape.height.div_ceil(side);
    (0..shape.len())
        .map(|i| {
            let (line, column) = (i / shape.width, i % shape.width);
            let (channel, row) = (line / shape.height, line % shape.height);
            cells[(channel * rows + row / side) * columns + column / side]
        })
        .collect()
}

/// From the start straight towards x.
async fn approach(walk: &mut Walk<'_>, start: &[f32]) {
    let (mut low, mut high) = (0.0f32, 1.0f32);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        let picture: Vec<f32> = start.iter().zip(&walk.subject.image).map(|(s, x)| x + middle * (s - x)).collect();
        if walk.wanted(&picture).await { high = middle } else { low = middle }
    }
}

/// The walk along the boundary.
async fn explore(walk: &mut Walk<'_>, random: &mut Random) {
    let (mut spherical, mut source) = (FIRST_STEP, FIRST_STEP);
    let (mut sphere, mut towards) = (Successes::default(), Successes::default());
    let mut step = 0;
    while !walk.over() {
        let point = walk.smallest.picture().to_vec();
        let (on_sphere, candidate) = propose(&walk.subject.image, &point, spherical, source, random);
        if step % ASK_EVERY == 0 {
            let kept = walk.wanted(&on_sphere).await;
            sphere.note(kept);
            if kept {
                towards.note(walk.wanted(&candidate).await);
            }
        } else {
            walk.wanted(&candidate).await;
        }
        if let Some(share) = sphere.share() {
            let change = if share > 0.5 {
                ADAPTATION
            } else if share < 0.2 {
                1.0 / ADAPTATION
            } else {
                1.0
            };
            (spherical, source) = (spherical * change, source * change);
        }
        if let Some(share) = towards.share() {
            source *= if share > 0.25 {
                ADAPTATION
            } else if share < 0.1 {
                1.0 / ADAPTATION
            } else {
                1.0
            };
        }
        step += 1;
    }
}

/// A random step on the sphere around x, in the box, and the same with a step towards x.
fn propose(image: &[f32], point: &[f32], spherical: f64, source: f64, random: &mut Random) -> (Vec<f32>, Vec<f32>) {
    let way: Vec<f64> = image.iter().zip(point).map(|(&x, &p)| x as f64 - p as f64).collect();
    let distance = length(&way);
    let mut step: Vec<f64> = image.iter().map(|_| random.normal() as f64).collect();
    // Orthogonal to the way, and of the wanted length.
    let along = step.iter().zip(&way).map(|(s, w)| s * w).sum::<f64>() / (distance * distance).max(1e-300);
    step.iter_mut().zip(&way).for_each(|(s, w)| *s -= along * w);
    let scale = spherical * distance / length(&step).max(1e-300);
    // Back onto the sphere: x − (way − step), shortened.
    let shorten = 1.0 / (1.0 + spherical * spherical).sqrt();
    let moved: Vec<f64> = step.iter().zip(&way).map(|(s, w)| shorten * (scale * s - w)).collect();
    let at = |share: f64| -> Vec<f32> {
        image.iter().zip(&moved).map(|(&x, m)| ((x as f64 + share * m) as f32).clamp(0.0, 1.0)).collect()
    };
    (at(1.0), at(1.0 - source.min(1.0)))
}

fn length(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The latest successes and failures.
#[derive(Default)]
struct Successes(Vec<bool>);

impl Successes {
    fn note(&mut self, success: bool) {
        self.0.push(success);
    }

    /// The share of successes, once there are enough; they are then forgotten.
    fn share(&mut self) -> Option<f64> {
        (self.0.len() >= REMEMBERED).then(|| {
            let share = self.0.iter().filter(|success| **success).count() as f64 / self.0.len() as f64;
            self.0.clear();
            share
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn a_proposal_lies_on_the_sphere_and_then_nearer() {
        let image = [0.5f32; 50];
        let point: Vec<f32> = (0..50).map(|i| 0.5 + 0.01 * (i % 7) as f32).collect();
        let distance = |v: &[f32]| crate::threat::Norms::between(&image, v).l2;
        let mut random = Random::new(1, Stream::Start, 0);
        let (on_sphere, candidate) = propose(&image, &point, 0.1, 0.2, &mut random);
        assert!((distance(&on_sphere) - distance(&point)).abs() < 1e-5);
        assert!((distance(&candidate) - 0.8 * distance(&point)).abs() < 1e-5);
        let step = crate::threat::Norms::between(&point, &on_sphere).l2;
        assert!((step / distance(&point) - 0.1).abs() < 0.01, "{step}");
    }
}
