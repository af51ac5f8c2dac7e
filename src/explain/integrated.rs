//! Integrated gradients: the gradient on the way from a baseline to the picture.

use super::weighted::Weighted;
use super::{Completeness, Detail, Explanation, Map, MapSettings, Score, Subject, Unavailable, Work};
use crate::attack::{Kind, Parameter};
use crate::nn::Classifier;

/// (x − x₀) · ∫₀¹ ∇score(x₀ + t · (x − x₀)) dt, pixel by pixel, with a sum in the place of the integral.
pub(super) struct IntegratedGradients;

const POINTS: Parameter = Parameter {
    key: "points",
    label: "Points n",
    unit: "",
    help: "At how many points on the way from the baseline to the picture the gradient is taken.",
    kind: Kind::Number { default: 50.0, least: 1.0, greatest: 300.0, step: 1.0, whole: true },
};

const BASELINE: Parameter = Parameter {
    key: "baseline",
    label: "Baseline x₀",
    unit: "",
    help: "The picture that counts as showing nothing. Pixels that equal it cannot contribute.",
    kind: Kind::Choice { options: &[("black", "black"), ("grey", "grey"), ("white", "white")], default: 0 },
};

const RULE: Parameter = Parameter {
    key: "rule",
    label: "Rule",
    unit: "",
    help: "How the integral becomes a sum: Gauss–Legendre places and weighs the points so that polynomials are \
           integrated exactly, the Riemann sum takes equal steps up to the picture.",
    kind: Kind::Choice { options: &[("gauss", "Gauss–Legendre"), ("riemann", "Riemann sum")], default: 0 },
};

impl Map for IntegratedGradients {
    fn key(&self) -> &'static str {
        "integrated-gradients"
    }

    fn title(&self) -> &'static str {
        "Integrated gradients"
    }

    fn summary(&self) -> &'static str {
        "The gradients on the straight way from a black picture to this one, added up. What all pixels contribute sums \
         up to the difference of the two scores; how well it does is shown."
    }

    fn paper(&self) -> &'static str {
        "Sundararajan, Taly, Yan: Axiomatic attribution for deep networks, 2017"
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&POINTS, &BASELINE, &RULE]
    }

    fn begin(&self, subject: &Subject, settings: &MapSettings) -> Result<Box<dyn Work>, Unavailable> {
        let points = settings.get(&POINTS).max(1.0) as usize;
        let rule = if settings.get(&RULE) == 0.0 { gauss_legendre(points) } else { riemann(points) };
        let baseline = 0.5 * settings.get(&BASELINE);
        let (shares, weights): (Vec<f64>, Vec<f64>) = rule.into_iter().unzip();
        let image = subject.image.to_vec();
        let point = move |index: usize, point: &mut [f32]| {
            point.iter_mut().zip(&image).for_each(|(point, &x)| *point = between(baseline, x, shares[index]));
        };
        Ok(Box::new(Path {
            gradients: Weighted::new(subject, settings.score, weights, Box::new(point)),
            image: subject.image.to_vec(),
            baseline,
            class: subject.class,
            score: settings.score,
            ends: None,
        }))
    }
}

fn between(from: f32, to: f32, share: f64) -> f32 {
    (f64::from(from) + share * (f64::from(to) - f64::from(from))) as f32
}

struct Path {
    gradients: Weighted,
    image: Vec<f32>,
    baseline: f32,
    class: u8,
    score: Score,
    /// The scores at the baseline and at the picture.
    ends: Option<[f64; 2]>,
}

impl Work for Path {
    fn step(&mut self, classifier: &mut dyn Classifier) -> bool {
        if self.ends.is_some() {
            return self.gradients.step(classifier);
        }
        let ends = [vec![self.baseline; self.image.len()], self.image.clone()].concat();
        let classes = classifier.classes();
        let mut logits = vec![0.0; 2 * classes];
        classifier.logits(&ends, &mut logits);
        let (baseline, image) = logits.split_at(classes);
        self.ends = Some([baseline, image].map(|logits| self.score.value(logits, self.class)));
        false
    }

    fn progress(&self) -> (usize, usize) {
        let (done, all) = self.gradients.progress();
        (done + self.ends.is_some() as usize, all + 1)
    }

    fn finish(self: Box<Self>) -> Explanation {
        let way = self.image.iter().map(|&x| f64::from(x) - f64::from(self.baseline));
        let exact: Vec<f64> = self.gradients.sum().iter().zip(way).map(|(mean, way)| mean * way).collect();
        let [baseline, score] = self.ends.unwrap_or_default();
        Explanation {
            values: exact.iter().map(|&value| value as f32).collect(),
            signed: true,
            evaluations: self.gradients.progress().0 as u32 + 2,
            detail: Detail::Completeness(Completeness { sum: exact.iter().sum(), score, baseline }),
        }
    }
}

/// Places and weights on [0, 1]: equal steps, each weighed by its end.
fn riemann(points: usize) -> Vec<(f64, f64)> {
    (1..=points).map(|i| (i as f64 / points as f64, 1.0 / points as f64)).collect()
}

/// Places and weights of Gauss–Legendre quadrature on [0, 1]: the zeros of the Legendre polynomial of that degree, by
/// Newton's method from the usual first guess (Abramowitz and Stegun 25.4.29).
fn gauss_legendre(points: usize) -> Vec<(f64, f64)> {
    let n = points as f64;
    let node = |i: usize| {
        let mut x = libm::cos(core::f64::consts::PI * (i as f64 + 0.75) / (n + 0.5));
        let mut slope = 0.0;
        // It converges in four or five rounds; more do no harm.
        for _ in 0..8 {
            let (mut before, mut here) = (0.0, 1.0);
            for k in 0..points {
                let k = k as f64;
                (before, here) = (here, ((2.0 * k + 1.0) * x * here - k * before) / (k + 1.0));
            }
            slope = n * (x * here - before) / (x * x - 1.0);
            x -= here / slope;
        }
        (0.5 - 0.5 * x, 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..points).map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauss_legendre_integrates_polynomials_up_to_twice_its_points_exactly() {
        for points in [1, 2, 3, 7, 50, 300] {
            let rule = gauss_legendre(points);
            for power in [0, 1, 2 * points - 1] {
                let integral: f64 = rule.iter().map(|(t, w)| w * t.powi(power as i32)).sum();
                let expected = 1.0 / (power as f64 + 1.0);
                assert!((integral - expected).abs() < 1e-12, "{points} points, t^{power}: {integral}");
            }
            assert!(rule.windows(2).all(|pair| pair[0].0 < pair[1].0), "from the baseline to the picture");
        }
    }

    #[test]
    fn one_point_more_of_a_polynomial_is_not_exact() {
        let integral: f64 = gauss_legendre(2).iter().map(|(t, w)| w * t.powi(4)).sum();
        assert!((integral - 0.2).abs() > 1e-3);
    }
}
