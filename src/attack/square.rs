//! The Square attack: random squares, kept if they bring the goal nearer. It sees only scores.
//!
//! L∞: δ begins as vertical stripes of ±ε. Each query sets a random square to +ε or −ε and is kept if the margin of the
//! logits grows. L2: δ begins as a pattern of bumps; each query moves the budget of one random window to another, where a
//! pair of bumps of opposite signs is added. Squares begin with a share p of the picture and shrink: p is halved after
//! 0.1 %, 0.5 %, 2 %, 5 %, 10 %, 20 %, 40 %, 60 % and 80 % of the queries. The attack ends at the first success.
//!
//! Andriushchenko, Croce, Flammarion, Hein, "Square attack: a query-efficient black-box adversarial attack via random
//! search", ECCV 2020.

use super::parameter::{Kind, Parameter};
use super::story::Measure;
use super::subject::Found;
use super::{Access, Aim, Attack, Oracle, Searching, Story, Subject, Trace, Uses};
use crate::experiment::AttackSettings;
use crate::nn::Shape;
use crate::random::Random;
use crate::threat::Norm;

/// The Square attack.
pub(super) struct Square;

const QUERIES: Parameter = Parameter {
    key: "queries",
    label: "Queries",
    unit: "",
    help: "How often the attack may ask the network.",
    kind: Kind::Number { default: 1000.0, least: 10.0, greatest: 20_000.0, step: 100.0, whole: true },
};

const SHARE: Parameter = Parameter {
    key: "share",
    label: "First squares p",
    unit: "",
    help: "The share of the picture that the first squares cover. Large ones suit robust networks, small ones (0.05) \
           others.",
    kind: Kind::Number { default: 0.8, least: 0.01, greatest: 1.0, step: 0.05, whole: false },
};

/// When p is halved, in ten-thousandths of the queries.
const HALVINGS: [u32; 9] = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];
/// Entries of a trace, roughly.
const KEPT: u32 = 40;

impl Attack for Square {
    fn key(&self) -> &'static str {
        "square"
    }

    fn title(&self) -> &'static str {
        "Square"
    }

    fn summary(&self) -> &'static str {
        "Changes random squares of the picture and keeps what helps. It needs no gradients, only the scores that the \
         network gives, so it works on models whose gradients are hidden or useless."
    }

    fn paper(&self) -> &'static str {
        "Andriushchenko, Croce, Flammarion, Hein: Square attack: a query-efficient black-box adversarial attack via random \
         search. ECCV 2020"
    }

    fn access(&self) -> Access {
        Access::Scores
    }

    fn aim(&self) -> Aim {
        Aim::Strongest
    }

    fn norms(&self) -> &'static [Norm] {
        &[Norm::Linf, Norm::L2]
    }

    fn uses(&self) -> Uses {
        Uses::default()
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&QUERIES, &SHARE]
    }

    fn cost(&self, settings: &AttackSettings) -> u32 {
        settings.get(&QUERIES) as u32
    }

    fn search(&self, subject: Subject, oracle: Oracle) -> Searching {
        Box::pin(search(subject, oracle))
    }
}

async fn search(subject: Subject, oracle: Oracle) -> Found {
    let queries = subject.settings.get(&QUERIES) as u32;
    let mut random = subject.random(0);
    let mut delta = match subject.norm {
        Norm::L2 => bumps(subject.shape, &mut random),
        _ => stripes(subject.epsilon(), subject.shape, &mut random),
    };
    let mut picture = applied(&subject, &delta);
    let mut logits = oracle.logits(&picture).await;
    let mut margin = subject.goal.margin(&logits);
    let (mut trace, mut points) = (Trace::default(), vec![(1, margin)]);
    let mut steps = Vec::new();
    for query in 1..=queries {
        let done = subject.goal.reached(&logits) || query == queries;
        if subject.traces() && (done || (query - 1) % queries.div_ceil(KEPT) == 0) {
            subject.log(&mut trace, &picture, &logits);
            steps.push(query);
        }
        if done {
            break;
        }
        let side = side(subject.settings.get(&SHARE), query as f32 / queries as f32, subject.shape);
        let next = match subject.norm {
            Norm::L2 => moved(&delta, subject.epsilon(), subject.shape, side, &picture, &subject.image, &mut random),
            _ => squared(&delta, subject.epsilon(), subject.shape, side, &subject.image, &mut random),
        };
        let new_picture = applied(&subject, &next);
        let new_logits = oracle.logits(&new_picture).await;
        let new_margin = subject.goal.margin(&new_logits);
        if new_margin > margin {
            (delta, picture, logits, margin) = (next, new_picture, new_logits, new_margin);
            points.push((query + 1, margin));
        }
    }
    let best_step = (trace.losses.len() as u32).saturating_sub(1);
    let story = subject.traces().then_some(Story::Queries { measure: Measure::Margin, points, steps });
    Found { adversarial: picture, best_step, trace, story, ..Found::default() }
}

/// x + δ in the box. Under L2, δ is a pattern that is brought to length ε first.
fn applied(subject: &Subject, delta: &[f32]) -> Vec<f32> {
    let scale = match subject.norm {
        Norm::L2 => subject.epsilon() / length(delta).max(1e-10),
        _ => 1.0,
    };
    subject.image.iter().zip(delta).map(|(x, d)| (x + scale * d).clamp(0.0, 1.0)).collect()
}

fn length(v: &[f32]) -> f32 {
    v.iter().map(|&v| v as f64 * v as f64).sum::<f64>().sqrt() as f32
}

fn sign(random: &mut Random) -> f32 {
    if random.uniform() < 0.5 { -1.0 } else { 1.0 }
}

/// The side of the squares after a share of the queries.
fn side(share: f32, progress: f32, shape: Shape) -> usize {
    let at = (progress * 10_000.0) as u32;
    let halvings = HALVINGS.iter().filter(|&&halving| at > halving).count();
    let share = share / (1u32 << halvings) as f32;
    let side = (share * (shape.height * shape.width) as f32).sqrt().round() as usize;
    side.clamp(1, shape.height.min(shape.width))
}

/// Vertical stripes of ±ε.
fn stripes(epsilon: f32, shape: Shape, random: &mut Random) -> Vec<f32> {
    let mut delta = vec![0.0; shape.len()];
    for channel in delta.chunks_exact_mut(shape.height * shape.width) {
        let row: Vec<f32> = (0..shape.width).map(|_| epsilon * sign(random)).collect();
        channel.chunks_exact_mut(shape.width).for_each(|line| line.copy_from_slice(&row));
    }
    delta
}

/// A window of a picture: its upper left corner and its sides.
#[derive(Clone, Copy)]
struct Window {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Window {
    fn draw(shape: Shape, side: usize, random: &mut Random) -> Self {
        let top = random.below(shape.height - side + 1);
        Self { top, left: random.below(shape.width - side + 1), height: side, width: side }
    }

    /// Positions in a channel of this shape.
    fn positions(self, shape: Shape) -> impl Iterator<Item = usize> {
        (0..self.height * self.width)
            .map(move |i| (self.top + i / self.width) * shape.width + self.left + i % self.width)
    }
}

/// δ with a random square of ±ε, one that changes the picture if a few draws give one.
fn squared(delta: &[f32], epsilon: f32, shape: Shape, side: usize, image: &[f32], random: &mut Random) -> Vec<f32> {
    let pixels = shape.height * shape.width;
    let window = Window::draw(shape, side, random);
    let mut next = delta.to_vec();
    for _ in 0..10 {
        for channel in 0..shape.channels {
            let value = epsilon * sign(random);
            window.positions(shape).for_each(|p| next[channel * pixels + p] = value);
        }
        let differs = |i: usize| (image[i] + next[i]).clamp(0.0, 1.0) != (image[i] + delta[i]).clamp(0.0, 1.0);
        if (0..next.len()).any(differs) {
            break;
        }
    }
    next
}

/// A bump in the middle of a rectangle, of length 1: 1 / k² is added on the k-th ever larger rectangle.
fn bump(height: usize, width: usize) -> Vec<f32> {
    let mut bump = vec![0.0; height * width];
    let (middle, centre) = (height as isize / 2, width as isize / 2);
    for k in 0..(height.max(width) as isize / 2 + 1) {
        for y in (middle - k).max(0)..(middle + k + 1).min(height as isize) {
            for x in (centre - k).max(0)..(centre + k + 1).min(width as isize) {
                bump[y as usize * width + x as usize] += 1.0 / ((k + 1) * (k + 1)) as f32;
            }
        }
    }
    let size = length(&bump).max(1e-10);
    bump.iter_mut().for_each(|b| *b /= size);
    bump
}

/// A bump and its negative side by side in a square, or one above the other, of length 1.
fn pair(side: usize, random: &mut Random) -> Vec<f32> {
    let half = side / 2;
    let mut pair = if half > 0 { bump(half, side) } else { Vec::new() };
    pair.extend(bump(side - half, side).into_iter().map(|b| -b));
    let size = length(&pair).max(1e-10);
    let transposed = random.uniform() < 0.5;
    (0..side * side).map(|i| if transposed { pair[i % side * side + i / side] } else { pair[i] } / size).collect()
}

/// 5 × 5 pairs of bumps.
fn bumps(shape: Shape, random: &mut Random) -> Vec<f32> {
    let side = (shape.height.min(shape.width) / 5).max(1);
    let (rows, columns) = (shape.height / side, shape.width / side);
    let mut delta = vec![0.0; shape.len()];
    for row in 0..rows.min(5) {
        for column in 0..columns.min(5) {
            let top = (shape.height - rows.min(5) * side) / 2 + row * side;
            let left = (shape.width - columns.min(5) * side) / 2 + column * side;
            let window = Window { top, left, height: side, width: side };
            let pattern = pair(side, random);
            for channel in delta.chunks_exact_mut(shape.height * shape.width) {
                let sign = sign(random);
                window.positions(shape).zip(&pattern).for_each(|(p, b)| channel[p] += sign * b);
            }
        }
    }
    delta
}

/// δ with the budget of a random window, and what the box has left over, moved to another.
fn moved(
    delta: &[f32],
    epsilon: f32,
    shape: Shape,
    side: usize,
    picture: &[f32],
    image: &[f32],
    random: &mut Random,
) -> Vec<f32> {
    let pixels = shape.height * shape.width;
    // What is applied, in proportion.
    let scale = epsilon / length(delta).max(1e-10);
    let applied: Vec<f32> = picture.iter().zip(image).map(|(p, x)| p - x).collect();
    let left = (epsilon * epsilon - length(&applied).powi(2)).max(0.0) / shape.channels as f32;
    // At least three pixels, and an odd number, where the picture has room for them.
    let side = (side.max(3) | 1).min(shape.height.min(shape.width));
    let (to, from) = (Window::draw(shape, side, random), Window::draw(shape, side, random));
    let pattern = pair(side, random);
    let mut next: Vec<f32> = delta.iter().map(|d| scale * d).collect();
    for channel in next.chunks_exact_mut(pixels) {
        let size = |window: Window, channel: &[f32]| -> f64 {
            window.positions(shape).map(|p| channel[p] as f64 * channel[p] as f64).sum()
        };
        let here = size(to, channel).sqrt() as f32;
        let old: Vec<f32> = to.positions(shape).map(|p| channel[p] / (here + 1e-10)).collect();
        let mut budget = size(to, channel);
        from.positions(shape).for_each(|p| {
            channel[p] = if inside(to, p, shape) {
                channel[p]
            } else {
                budget += channel[p] as f64 * channel[p] as f64;
                0.0
            }
        });
        let sign = sign(random);
        let new: Vec<f32> = pattern.iter().zip(old).map(|(b, old)| sign * b + old).collect();
        let stretch = (budget + left as f64).sqrt() as f32 / length(&new).max(1e-10);
        to.positions(shape).zip(new).for_each(|(p, new)| channel[p] = stretch * new);
    }
    next
}

fn inside(window: Window, position: usize, shape: Shape) -> bool {
    let (y, x) = (position / shape.width, position % shape.width);
    (window.top..window.top + window.height).contains(&y) && (window.left..window.left + window.width).contains(&x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn squares_shrink_as_in_the_paper() {
        let shape = Shape { channels: 1, height: 28, width: 28 };
        let sides: Vec<usize> =
            [0.0, 0.003, 0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.7, 0.9].map(|at| side(0.8, at, shape)).to_vec();
        // √(0.8 · 784 / 2ⁿ) for n = 0, 1, …, 9
        assert_eq!(sides, [25, 18, 13, 9, 6, 4, 3, 2, 2, 1]);
    }

    #[test]
    fn a_square_changes_one_window_to_plus_or_minus_epsilon() {
        let shape = Shape { channels: 2, height: 8, width: 6 };
        let mut random = Random::new(1, Stream::Start, 0);
        let (image, delta) = (vec![0.5; shape.len()], stripes(0.1, shape, &mut random));
        assert!(delta.iter().all(|d| d.abs() == 0.1) && delta[..6] == delta[6..12]);
        for _ in 0..50 {
            let next = squared(&delta, 0.1, shape, 3, &image, &mut random);
            assert!(next.iter().all(|d| d.abs() == 0.1));
            let changed = next.iter().zip(&delta).filter(|(a, b)| a != b).count();
            assert!((1..=18).contains(&changed), "{changed}");
        }
    }

    #[test]
    fn moving_a_window_keeps_the_length() {
        let shape = Shape { channels: 1, height: 10, width: 10 };
        let mut random = Random::new(1, Stream::Start, 0);
        let image = vec![0.5; 100];
        let mut delta = bumps(shape, &mut random);
        for _ in 0..50 {
            let scale = 0.3 / length(&delta);
            let picture: Vec<f32> = delta.iter().map(|d| 0.5 + scale * d).collect();
            let next = moved(&delta, 0.3, shape, 3, &picture, &image, &mut random);
            assert!((length(&next) - 0.3).abs() < 1e-3, "{}", length(&next));
            delta = next;
        }
        assert!((length(&pair(5, &mut random)) - 1.0).abs() < 1e-5);
    }
}
