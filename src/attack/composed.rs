//! The loop that gradient attacks share: an objective, a step rule, momentum, a pace, a start and restarts. FGSM, PGD,
//! MI-FGSM and APGD are settings of it.

use super::subject::{Found, Subject};
use super::{Checkpoint, Objective, Oracle, Story, Trace};
use crate::threat::{self, Norm, length};

/// The settings of the loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Composed {
    /// What is to grow.
    pub objective: Objective,
    /// How an iterate follows a direction.
    pub rule: Rule,
    /// μ of the accumulated direction m ← μ · m + g / ‖g‖₁; 0 follows the gradient itself.
    pub momentum: f32,
    /// How long the steps are.
    pub pace: Pace,
    /// Number of steps T; there are T + 1 iterates.
    pub steps: u32,
    /// How many times the loop is run.
    pub restarts: u32,
    /// Whether the first run starts at a random point too; the others always do.
    pub random_start: bool,
}

/// How an iterate follows a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The one step of the fast gradient method, [`threat::add_fast`].
    Fast,
    /// The steepest step, projected onto the ball and the box.
    Steepest,
}

/// How long the steps are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// All of this length.
    Constant(f32),
    /// At first 2ε, and half of that whenever a checkpoint finds too little progress (Croce and Hein 2020). Each step is
    /// a mean of the new one and the one before.
    Adaptive,
}

/// The weight of the new step in [`Pace::Adaptive`]; the one before has the rest.
const NEW_STEP: f32 = 0.75;
/// The share of steps since the last checkpoint in which the objective has to grow.
const CLIMBING: f32 = 0.75;

/// The strongest iterate so far.
struct Best {
    picture: Vec<f32>,
    /// Compared first to last: success beats failure, the last iterate beats an earlier one if both succeed, then the
    /// objective decides, and of equals the first.
    rank: (bool, bool, f32),
    step: u32,
    restart: u32,
}

impl Composed {
    /// Searches from one start after the other and gives the strongest iterate of all.
    pub(super) async fn climb(self, subject: Subject, oracle: Oracle) -> Found {
        let mut best: Option<Best> = None;
        let (mut best_trace, mut best_story) = (Trace::default(), None);
        for restart in 0..self.restarts {
            let start =
                if restart > 0 || self.random_start { subject.random_start(restart) } else { subject.image.clone() };
            let mut path = Path::new(self, &subject, start);
            for step in 0..=self.steps {
                let last = step == self.steps;
                let logits = if last {
                    oracle.logits(&path.point).await
                } else {
                    let (objective, goal) = (self.objective, subject.goal);
                    let answer = oracle
                        .gradient(&path.point, move |_, logits, cotangent| objective.cotangent(goal, logits, cotangent))
                        .await;
                    path.gradient = answer.gradient;
                    answer.logits
                };
                path.consider(&mut best, &subject, &logits, (restart, step, last));
                if subject.stops() && best.as_ref().is_some_and(|best| best.rank.0) {
                    return path.found(best, Trace::default(), None);
                }
                if subject.traces() {
                    subject.log(&mut path.trace, &path.point, &logits);
                }
                if !last {
                    path.advance(&subject, step);
                }
            }
            if subject.traces() && best.as_ref().is_some_and(|best| best.restart == restart) {
                (best_trace, best_story) = (std::mem::take(&mut path.trace), path.tell());
            }
            if restart + 1 == self.restarts {
                return path.found(best, best_trace, best_story);
            }
        }
        Found { adversarial: subject.image, ..Found::default() }
    }
}

impl Composed {
    /// The loop in Python.
    pub(super) fn pytorch(self) -> String {
        let Self { momentum, steps, restarts, .. } = self;
        let mut code = match self.objective {
            Objective::CrossEntropy => String::new(),
            Objective::Margin => "loss = margin  # what the attack raises\n\n".into(),
            Objective::Dlr => DLR.into(),
        };
        let mut line = |text: &str| {
            code.push_str(text);
            code.push('\n');
        };
        let start = match (self.random_start, restarts) {
            (true, _) => "project(x + ball_start())",
            (false, 1) => "x",
            (false, _) => "project(x + ball_start()) if restart else x",
        };
        line(&format!("steps, restarts = {steps}, {restarts}"));
        if momentum > 0.0 {
            line(&format!("mu = {momentum:?}"));
        }
        match self.pace {
            Pace::Constant(alpha) => line(&format!("alpha = {alpha:?}")),
            Pace::Adaptive => line(CHECKPOINTS),
        }
        line("best, best_rank = x, (False, False, -math.inf)");
        line("for restart in range(restarts):");
        line(&format!("    x_adv = {start}"));
        if momentum > 0.0 {
            line("    m = torch.zeros_like(x)");
        }
        if self.pace == Pace::Adaptive {
            line(ADAPTIVE_START);
        }
        line("    for step in range(steps + 1):");
        line("        won, value = fooled(x_adv), float(loss(x_adv))");
        // Where steps adapt, the search has not ended at its last iterate.
        let last = if self.pace == Pace::Adaptive { "False" } else { "won and step == steps" };
        line(&format!("        rank = (won, {last}, value)"));
        line("        if rank > best_rank:");
        line("            best, best_rank = x_adv, rank");
        if self.pace == Pace::Adaptive {
            line(ADAPTIVE_CHECK);
        }
        line("        if step < steps:");
        let direction = if momentum > 0.0 {
            line("            g = gradient(x_adv)");
            line("            m = mu * m + g / g.abs().sum().clamp_min(1e-38)");
            "m"
        } else {
            "gradient(x_adv)"
        };
        let step = format!("project(x_adv + steepest(x_adv, {direction}, alpha))");
        if self.pace == Pace::Adaptive {
            line(&format!("            ahead = {step}"));
            line("            if previous is not None:");
            line("                ahead = project(x_adv + 0.75 * (ahead - x_adv) + 0.25 * (x_adv - previous))");
            line("            previous, x_adv = x_adv, ahead");
        } else {
            line(&format!("            x_adv = {step}"));
        }
        line("x_adv = best");
        code
    }
}

const DLR: &str = "\
def loss(image):  # what the attack raises: the margin, relative to the other logits
    z = model(image)[0].sort(descending=True).values
    return margin(image) / (z[0] - (z[2] if target is None else (z[2] + z[3]) / 2) + 1e-12)


";

const CHECKPOINTS: &str = "checkpoints, at, gap = [], 0, 22
while at + gap < 100:  # in per cent of the steps
    at, gap = at + gap, max(gap - 3, 6)
    checkpoints.append(-(-at * steps // 100))";

const ADAPTIVE_START: &str = "    alpha, previous, latest, climbed, last = 2 * epsilon, None, math.nan, 0, 0
    highest, highest_then, halved = (-math.inf, x_adv), -math.inf, True";

const ADAPTIVE_CHECK: &str = "        climbed, latest = climbed + (value > latest), value
        if value > highest[0]:
            highest = (value, x_adv)
        if step in checkpoints and step > last:
            halved = climbed < 0.75 * (step - last) or (not halved and highest_then >= highest[0])
            climbed, last, highest_then = 0, step, highest[0]
            if halved:  # back to the best picture, with half the step size
                alpha, (latest, x_adv) = alpha / 2, highest
                previous = x_adv";

/// One run of the loop.
struct Path {
    settings: Composed,
    alpha: f32,
    point: Vec<f32>,
    gradient: Vec<f32>,
    /// m, unless there is no momentum.
    accumulated: Vec<f32>,
    pacer: Option<Pacer>,
    trace: Trace,
    told: Told,
}

/// What is kept for the [`Story`].
#[derive(Default)]
struct Told {
    gradients: Vec<f32>,
    accumulated: Vec<f32>,
    cosines: Vec<f32>,
    alphas: Vec<f32>,
}

impl Path {
    fn new(settings: Composed, subject: &Subject, point: Vec<f32>) -> Self {
        let (alpha, pacer) = match settings.pace {
            Pace::Constant(alpha) => (alpha, None),
            Pace::Adaptive => (2.0 * subject.epsilon(), Some(Pacer::new(settings.steps, &point))),
        };
        let accumulated = if settings.momentum > 0.0 { vec![0.0; point.len()] } else { Vec::new() };
        let (gradient, trace, told) = (Vec::new(), Trace::default(), Told::default());
        Self { settings, alpha, point, gradient, accumulated, pacer, trace, told }
    }

    /// Takes the present iterate as the strongest if it is, and as the highest of this run.
    fn consider(
        &mut self,
        best: &mut Option<Best>,
        subject: &Subject,
        logits: &[f32],
        (restart, step, last): (u32, u32, bool),
    ) {
        let success = subject.goal.reached(logits);
        // What is not a number is never the strongest.
        let objective = self.settings.objective.value(subject.goal, logits);
        let objective = if objective.is_nan() { f32::NEG_INFINITY } else { objective };
        let adaptive = self.pacer.is_some();
        let rank = (success, success && last && !adaptive, objective);
        let better = match best {
            None => true,
            Some(best) => match (rank.0, rank.1).cmp(&(best.rank.0, best.rank.1)) {
                std::cmp::Ordering::Greater => true,
                std::cmp::Ordering::Equal => rank.2 > best.rank.2,
                std::cmp::Ordering::Less => false,
            },
        };
        if better {
            *best = Some(Best { picture: self.point.clone(), rank, step, restart });
        }
        if let Some(pacer) = &mut self.pacer {
            pacer.consider(&self.point, &self.gradient, objective);
        }
    }

    /// From iterate `step` to the next.
    fn advance(&mut self, subject: &Subject, step: u32) {
        if let Some(pacer) = &mut self.pacer
            && pacer.check(step, &mut self.alpha)
        {
            pacer.go_back(&mut self.point, &mut self.gradient);
        }
        if self.settings.momentum > 0.0 {
            self.accumulate(subject.traces());
        }
        let direction = if self.settings.momentum > 0.0 { &self.accumulated } else { &self.gradient };
        let (norm, epsilon, image) = (subject.norm, subject.epsilon(), &subject.image);
        if subject.traces() {
            self.told.alphas.push(self.alpha);
        }
        match (self.settings.rule, &mut self.pacer) {
            (Rule::Fast, _) => threat::add_fast(norm, epsilon, direction, &mut self.point),
            (Rule::Steepest, None) => {
                threat::add_steepest(norm, self.alpha, direction, &mut self.point);
                threat::onto_ball_and_box(norm, epsilon, image, &mut self.point);
            }
            (Rule::Steepest, Some(pacer)) => {
                let mut next = self.point.clone();
                threat::add_steepest(norm, self.alpha, direction, &mut next);
                threat::onto_ball_and_box(norm, epsilon, image, &mut next);
                if let Some(previous) = &pacer.previous {
                    for ((next, &point), &previous) in next.iter_mut().zip(&self.point).zip(previous) {
                        *next = point + NEW_STEP * (*next - point) + (1.0 - NEW_STEP) * (point - previous);
                    }
                    threat::onto_ball_and_box(norm, epsilon, image, &mut next);
                }
                pacer.previous = Some(std::mem::replace(&mut self.point, next));
            }
        }
    }

    /// m ← μ · m + g / ‖g‖₁. A zero gradient adds nothing.
    fn accumulate(&mut self, traces: bool) {
        let l1 = length(Norm::L1, self.gradient.iter().copied());
        let share = |g: f32| if l1 == 0.0 { g } else { (g as f64 / l1) as f32 };
        for (m, &g) in self.accumulated.iter_mut().zip(&self.gradient) {
            *m = self.settings.momentum * *m + share(g);
        }
        if traces {
            self.told.gradients.extend(self.gradient.iter().map(|&g| share(g)));
            self.told.accumulated.extend_from_slice(&self.accumulated);
            self.told.cosines.push(cosine(&self.gradient, &self.accumulated));
        }
    }

    fn tell(&mut self) -> Option<Story> {
        let Told { gradients, accumulated, cosines, alphas } = std::mem::take(&mut self.told);
        match &mut self.pacer {
            Some(pacer) => Some(Story::Pace { alphas, checkpoints: std::mem::take(&mut pacer.checkpoints) }),
            None if self.settings.momentum > 0.0 => Some(Story::Momentum { gradients, accumulated, cosines }),
            None => None,
        }
    }

    fn found(self, best: Option<Best>, trace: Trace, story: Option<Story>) -> Found {
        let alpha = match self.settings.pace {
            Pace::Constant(alpha) => alpha,
            Pace::Adaptive => self.alpha,
        };
        match best {
            Some(Best { picture, step, restart, .. }) => {
                Found { adversarial: picture, best_step: step, restart, alpha, trace, story }
            }
            None => Found { adversarial: self.point, alpha, trace, story, ..Found::default() },
        }
    }
}

/// The cosine of the angle between two directions; 0 if one of them is none.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot: f64 = a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum();
    let lengths = length(Norm::L2, a.iter().copied()) * length(Norm::L2, b.iter().copied());
    if lengths > 0.0 { (dot / lengths) as f32 } else { 0.0 }
}

/// Keeps the accounts of [`Pace::Adaptive`]: at checkpoints it halves the step size if the objective grew in fewer than
/// [`CLIMBING`] of the steps since the last one, or if neither the step size nor the greatest objective has changed
/// since then. The search then goes on from its highest point.
struct Pacer {
    /// The steps after which the step size is reconsidered, those still ahead last first.
    ahead: Vec<u32>,
    last_check: u32,
    climbed: u32,
    latest: f32,
    highest: f32,
    highest_point: Vec<f32>,
    highest_gradient: Vec<f32>,
    /// At the last checkpoint.
    highest_then: f32,
    halved_then: bool,
    previous: Option<Vec<f32>>,
    checkpoints: Vec<Checkpoint>,
}

impl Pacer {
    fn new(steps: u32, start: &[f32]) -> Self {
        // p₀ = 0, p₁ = 0.22, p_{j+1} = p_j + max(p_j − p_{j−1} − 0.03, 0.06), in hundredths.
        let (mut ahead, mut at, mut gap) = (Vec::new(), 0, 22);
        while at + gap < 100 {
            at += gap;
            let check = (at * steps).div_ceil(100);
            if ahead.last() != Some(&check) {
                ahead.push(check);
            }
            gap = (gap - 3).max(6);
        }
        ahead.reverse();
        Self {
            ahead,
            last_check: 0,
            climbed: 0,
            latest: f32::NAN,
            highest: f32::NEG_INFINITY,
            highest_point: start.to_vec(),
            highest_gradient: Vec::new(),
            highest_then: f32::NEG_INFINITY,
            halved_then: true,
            previous: None,
            checkpoints: Vec::new(),
        }
    }

    /// Takes note of an iterate.
    fn consider(&mut self, point: &[f32], gradient: &[f32], objective: f32) {
        self.climbed += (objective > self.latest) as u32;
        self.latest = objective;
        if objective > self.highest {
            self.highest = objective;
            self.highest_point.copy_from_slice(point);
            gradient.clone_into(&mut self.highest_gradient);
        }
    }

    /// Whether to go back to the highest point, with half the step size.
    fn check(&mut self, step: u32, alpha: &mut f32) -> bool {
        if self.ahead.last() != Some(&step) {
            return false;
        }
        self.ahead.pop();
        let of = step - self.last_check;
        let too_few = (self.climbed as f32) < CLIMBING * of as f32;
        let stuck = !self.halved_then && self.highest_then >= self.highest;
        let halved = too_few || stuck;
        self.checkpoints.push(Checkpoint { step, of, climbed: self.climbed, halved });
        (self.last_check, self.climbed, self.highest_then, self.halved_then) = (step, 0, self.highest, halved);
        if halved {
            *alpha *= 0.5;
        }
        halved
    }

    fn go_back(&mut self, point: &mut [f32], gradient: &mut [f32]) {
        point.copy_from_slice(&self.highest_point);
        gradient.copy_from_slice(&self.highest_gradient);
        // The step before led elsewhere.
        self.previous = Some(self.highest_point.clone());
        self.latest = self.highest;
    }
}
