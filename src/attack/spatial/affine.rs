//! Rotation and translation: the picture is turned and shifted as a whole, up to ±30° and ±3 pixels.
//!
//! The grid tries 5 angles × 5 × 5 shifts and keeps the worst; the loss is so rugged that this beats following its
//! gradient, which can be chosen for comparison: projected gradient steps on the three parameters from no rotation and
//! from random ones. No norm measures such a change, so ε does not matter.
//!
//! Engstrom, Tran, Tsipras, Schmidt, Madry, "Exploring the landscape of spatial robustness", ICML 2019.

use super::super::parameter::{Kind, Parameter};
use super::super::story::{Grid, Transform};
use super::super::subject::{Found, Strongest};
use super::super::{Access, Aim, Attack, Objective, Oracle, Searching, Story, Subject, Trace, Uses};
use super::{place_gradient, warped};
use crate::experiment::AttackSettings;
use crate::nn::{Shape, softmax};
use crate::threat::Norm;

/// Rotation and translation.
pub(in super::super) struct Affine;

const ANGLE: Parameter = Parameter {
    key: "angle",
    label: "Greatest rotation",
    unit: "°",
    help: "How far the picture may be turned, to either side.",
    kind: Kind::Number { default: 30.0, least: 0.0, greatest: 180.0, step: 5.0, whole: false },
};

const SHIFT: Parameter = Parameter {
    key: "shift",
    label: "Greatest shift",
    unit: "pixels",
    help: "How far the picture may be shifted, along each axis to either side.",
    kind: Kind::Number { default: 3.0, least: 0.0, greatest: 10.0, step: 0.5, whole: false },
};

const GRID: Parameter = Parameter {
    key: "grid",
    label: "Values of each",
    unit: "",
    help: "How many angles, and how many shifts along each axis, the grid tries.",
    kind: Kind::Number { default: 5.0, least: 2.0, greatest: 11.0, step: 1.0, whole: true },
};

const SEARCH: Parameter = Parameter {
    key: "search",
    label: "Search",
    unit: "",
    help: "Grid: try all combinations. Gradient: follow the slope of the loss in angle and shift, with the steps and \
           restarts set.",
    kind: Kind::Choice { options: &[("grid", "grid"), ("gradient", "gradient")], default: 0 },
};

impl Attack for Affine {
    fn key(&self) -> &'static str {
        "spatial"
    }

    fn title(&self) -> &'static str {
        "Rotation and shift"
    }

    fn summary(&self) -> &'static str {
        "Turns and shifts the picture a little. No pixel's value is tampered with, people hardly notice, and many networks \
         are fooled."
    }

    fn paper(&self) -> &'static str {
        "Engstrom, Tran, Tsipras, Schmidt, Madry: Exploring the landscape of spatial robustness. ICML 2019"
    }

    fn access(&self) -> Access {
        Access::Scores
    }

    fn aim(&self) -> Aim {
        Aim::Transformation
    }

    fn norms(&self) -> &'static [Norm] {
        &[]
    }

    fn uses(&self) -> Uses {
        Uses { steps: true, restarts: true, random_start: true, ..Uses::default() }
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&SEARCH, &ANGLE, &SHIFT, &GRID]
    }

    fn cost(&self, settings: &AttackSettings) -> u32 {
        match settings.get(&SEARCH) {
            0.0 => settings.get(&GRID).powi(3) as u32,
            _ => settings.steps * settings.restarts,
        }
    }

    fn search(&self, subject: Subject, oracle: Oracle) -> Searching {
        match subject.settings.get(&SEARCH) {
            0.0 => Box::pin(grid(subject, oracle)),
            _ => Box::pin(follow(subject, oracle)),
        }
    }
}

/// Where the pixel at (row, column) of the turned and shifted picture lies in the old one: the picture is turned
/// counter-clockwise around its middle by the angle in degrees, then moved down and to the right.
fn place([angle, down, right]: [f64; 3], shape: Shape) -> impl Fn(usize, usize) -> (f64, f64) {
    let radians = angle.to_radians();
    let (sin, cos) = (libm::sin(radians), libm::cos(radians));
    let middle = (0.5 * (shape.height as f64 - 1.0), 0.5 * (shape.width as f64 - 1.0));
    move |row, column| {
        let (y, x) = (row as f64 - middle.0 - down, column as f64 - middle.1 - right);
        (middle.0 + cos * y + sin * x, middle.1 - sin * y + cos * x)
    }
}

/// The gradient of an objective with respect to angle and shifts.
fn gradient(image: &[f32], shape: Shape, at: [f64; 3], picture_gradient: &[f32]) -> [f64; 3] {
    let places = place_gradient(image, shape, place(at, shape), picture_gradient);
    let radians = at[0].to_radians();
    let (sin, cos) = (libm::sin(radians), libm::cos(radians));
    let middle = (0.5 * (shape.height as f64 - 1.0), 0.5 * (shape.width as f64 - 1.0));
    let mut sum = [0.0; 3];
    for (i, [gy, gx]) in places.into_iter().enumerate() {
        let y = (i / shape.width) as f64 - middle.0 - at[1];
        let x = (i % shape.width) as f64 - middle.1 - at[2];
        sum[0] += (gy * (-sin * y + cos * x) + gx * (-cos * y - sin * x)).to_radians();
        sum[1] -= gy * cos - gx * sin;
        sum[2] -= gy * sin + gx * cos;
    }
    sum
}

fn transform(at: [f64; 3]) -> Transform {
    let [angle, down, right] = at.map(|value| value as f32);
    Transform { angle, down, right }
}

/// Evenly spaced from −most to most.
fn spread(most: f64, n: usize) -> Vec<f64> {
    (0..n).map(|i| most * (2.0 * i as f64 / (n - 1) as f64 - 1.0)).collect()
}

async fn grid(subject: Subject, oracle: Oracle) -> Found {
    let n = subject.settings.get(&GRID) as usize;
    let angles = spread(subject.settings.get(&ANGLE) as f64, n);
    let shifts = spread(subject.settings.get(&SHIFT) as f64, n);
    let mut strongest = Strongest::default();
    let (mut losses, mut reached, mut chosen) = (Vec::new(), Vec::new(), [0.0; 3]);
    // One angle after the other, so that no question is too large.
    'angles: for &angle in &angles {
        let turns: Vec<[f64; 3]> =
            shifts.iter().flat_map(|&down| shifts.iter().map(move |&right| [angle, down, right])).collect();
        let pictures: Vec<Vec<f32>> =
            turns.iter().map(|&turn| warped(&subject.image, subject.shape, place(turn, subject.shape))).collect();
        let logits = oracle.logits(&pictures.concat()).await;
        for ((turn, picture), logits) in turns.iter().zip(&pictures).zip(logits.chunks_exact(subject.clean.len())) {
            if strongest.consider(&subject, picture, logits, (1, 0)) {
                chosen = *turn;
            }
            losses.push(softmax::cross_entropy(logits, subject.item.label as usize));
            reached.push(subject.goal.reached(logits));
            if subject.stops() && strongest.succeeded() {
                break 'angles;
            }
        }
    }
    let mut found = strongest.found(&subject);
    if subject.traces() {
        let mut trace = Trace::default();
        subject.log(&mut trace, &subject.image, &subject.clean);
        subject.log(&mut trace, &found.adversarial, &strongest.logits);
        found.trace = trace;
        let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        let (angles, shifts, chosen) = (single(angles), single(shifts), transform(chosen));
        found.story = Some(Story::Grid(Box::new(Grid { angles, shifts, losses, reached, chosen })));
    }
    found
}

async fn follow(subject: Subject, oracle: Oracle) -> Found {
    let settings = &subject.settings;
    let most = [settings.get(&ANGLE) as f64, settings.get(&SHIFT) as f64, settings.get(&SHIFT) as f64];
    let mut strongest = Strongest::default();
    let (mut best_trace, mut best_path) = (Trace::default(), Vec::new());
    'restarts: for restart in 0..settings.restarts {
        let mut random = subject.random(restart);
        let random_start = restart > 0 || settings.random_start;
        let mut at = most.map(|most| if random_start { most * random.uniform_in(-1.0, 1.0) as f64 } else { 0.0 });
        let (mut trace, mut path, mut improved) = (Trace::default(), Vec::new(), false);
        for step in 0..=settings.steps {
            let picture = warped(&subject.image, subject.shape, place(at, subject.shape));
            let goal = subject.goal;
            let answer = oracle
                .gradient(&picture, move |_, logits, cotangent| {
                    Objective::CrossEntropy.cotangent(goal, logits, cotangent);
                })
                .await;
            improved |= strongest.consider(&subject, &picture, &answer.logits, (step, restart));
            if subject.stops() && strongest.succeeded() {
                break 'restarts;
            }
            if subject.traces() {
                subject.log(&mut trace, &picture, &answer.logits);
                path.push(transform(at));
            }
            let slope = gradient(&subject.image, subject.shape, at, &answer.gradient);
            for ((at, slope), most) in at.iter_mut().zip(slope).zip(most) {
                let sign = if slope > 0.0 {
                    1.0
                } else if slope < 0.0 {
                    -1.0
                } else {
                    0.0
                };
                *at = (*at + sign * 2.5 * most / settings.steps as f64).clamp(-most, most);
            }
        }
        if improved {
            (best_trace, best_path) = (trace, path);
        }
    }
    let mut found = strongest.found(&subject);
    found.trace = best_trace;
    found.story = Some(Story::Path(best_path));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Random, Stream};

    #[test]
    fn a_quarter_turn_turns_counter_clockwise_and_a_shift_goes_down_and_right() {
        let shape = Shape { channels: 1, height: 3, width: 3 };
        let image = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
        let turned = warped(&image, shape, place([90.0, 0.0, 0.0], shape));
        let expected = [0.3, 0.6, 0.9, 0.2, 0.5, 0.8, 0.1, 0.4, 0.7];
        assert!(turned.iter().zip(expected).all(|(t, e)| (t - e).abs() < 1e-6), "{turned:?}");
        let shifted = warped(&image, shape, place([0.0, 1.0, 1.0], shape));
        assert_eq!(shifted, [0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.0, 0.4, 0.5]);
    }

    #[test]
    fn the_gradient_of_angle_and_shift_is_that_of_finite_differences() {
        let shape = Shape { channels: 1, height: 9, width: 8 };
        let mut random = Random::new(4, Stream::Start, 0);
        let image: Vec<f32> = (0..shape.len()).map(|_| random.uniform()).collect();
        let weights: Vec<f32> = (0..shape.len()).map(|_| random.normal()).collect();
        let objective = |at: [f64; 3]| -> f64 {
            let place = place(at, shape);
            let value = |i: usize| super::super::sample(&image, shape, place(i / 8, i % 8)).0;
            weights.iter().enumerate().map(|(i, &w)| w as f64 * value(i)).sum()
        };
        for at in [[12.3, 0.4, -1.3], [-71.0, -0.7, 0.2]] {
            let slope = gradient(&image, shape, at, &weights);
            for i in 0..3 {
                let moved = |h: f64| {
                    let mut moved = at;
                    moved[i] += h;
                    objective(moved)
                };
                let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!((difference - slope[i]).abs() < 1e-4 * (1.0 + difference.abs()), "{i}: {difference} {slope:?}");
            }
        }
    }
}
