//! How linear a network is around a picture (Goodfellow, Shlens, Szegedy 2015): its logits on the straight line through
//! the picture along the sign of the gradient, and what a linear function makes of many small changes.

use serde::{Deserialize, Serialize};

use super::weighted::points_at_once;
use crate::nn::{Classifier, Shape, softmax};
use crate::random::{Random, Stream};
use crate::threat::sign;

/// Logits along x + t · sign(∇L), for t from −ε to ε.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// T values of t, increasing, symmetric about 0.
    pub t: Vec<f32>,
    /// The logits at each, (T, K).
    pub logits: Vec<f32>,
    /// Whether the pictures were cut to [0, 1], as in an attack; otherwise pixels go beyond and the line is straight.
    pub clipped: bool,
    /// How linear the true class's logit is in t.
    pub label: Straightness,
    /// How linear the margin is: the true class's logit minus the greatest other.
    pub margin: Straightness,
}

/// The straight line that fits a series best (least squares), and how well it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Straightness {
    /// Change of the value per unit of t.
    pub slope: f64,
    /// The value of the fitted line at t = 0.
    pub intercept: f64,
    /// The share of the variance that the line explains, R², 0 to 1; 1 for a straight line, also an even one.
    pub r2: f64,
    /// The slope at t = 0 by the gradient. For a linear function it is `slope`.
    pub slope_at_picture: f64,
}

/// A [`Line`] under way.
pub struct Walk {
    input: Shape,
    classes: usize,
    image: Vec<f32>,
    label: u8,
    line: Line,
    /// sign(∇L) at x, once it is known.
    direction: Vec<f32>,
    /// ∂(logit of the label)/∂t and ∂(margin)/∂t at x.
    slopes: [f64; 2],
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Direction,
    Slope(usize),
    Points,
}

impl Walk {
    /// Prepares the line through `image` for `points` values of t (at least 3, made odd so that 0 is among them) up to
    /// `epsilon`. L is the cross-entropy of `label`.
    ///
    /// # Panics
    /// If the picture's length or the label does not fit.
    pub fn new(
        input: Shape,
        classes: usize,
        image: &[f32],
        label: u8,
        epsilon: f32,
        points: usize,
        clipped: bool,
    ) -> Self {
        assert_eq!(image.len(), input.len(), "a picture of the input's shape");
        assert!(usize::from(label) < classes, "label {label} of {classes} classes");
        let half = (points.max(3) / 2) as i32;
        let t = (-half..=half).map(|i| epsilon * i as f32 / half as f32).collect();
        Self {
            input,
            classes,
            image: image.to_vec(),
            label,
            line: Line { t, clipped, ..Line::default() },
            direction: Vec::new(),
            slopes: [0.0; 2],
            stage: Stage::Direction,
        }
    }

    /// Does the next piece of work, one call of the classifier. Says whether the line is complete.
    ///
    /// # Panics
    /// If the classifier is of another shape.
    pub fn step(&mut self, classifier: &mut dyn Classifier) -> bool {
        assert_eq!((classifier.input(), classifier.classes()), (self.input, self.classes), "another classifier");
        let label = usize::from(self.label);
        match self.stage {
            Stage::Direction => {
                let gradient = gradient(classifier, &self.image, |logits, cotangent| {
                    softmax::cross_entropy_gradient(logits, label, 1.0, cotangent);
                });
                self.direction = gradient.into_iter().map(sign).collect();
                self.stage = Stage::Slope(0);
            }
            Stage::Slope(which) => {
                let gradient = gradient(classifier, &self.image, |logits, cotangent| {
                    cotangent[label] = 1.0;
                    if which == 1 {
                        cotangent[rival(logits, label)] -= 1.0;
                    }
                });
                let along = gradient.iter().zip(&self.direction).map(|(&g, &d)| f64::from(g) * f64::from(d));
                self.slopes[which] = along.sum();
                self.stage = if which == 0 { Stage::Slope(1) } else { Stage::Points };
            }
            Stage::Points => {
                let from = self.line.logits.len() / self.classes;
                let to = (from + points_at_once(self.image.len())).min(self.line.t.len());
                let mut images = self.image.repeat(to - from);
                for (image, &t) in images.chunks_exact_mut(self.image.len()).zip(&self.line.t[from..to]) {
                    for (pixel, d) in image.iter_mut().zip(&self.direction) {
                        let moved = *pixel + t * d;
                        *pixel = if self.line.clipped { moved.clamp(0.0, 1.0) } else { moved };
                    }
                }
                self.line.logits.resize(to * self.classes, 0.0);
                classifier.logits(&images, &mut self.line.logits[from * self.classes..]);
                if to == self.line.t.len() {
                    self.measure();
                }
            }
        }
        self.is_done()
    }

    fn is_done(&self) -> bool {
        self.line.logits.len() == self.line.t.len() * self.classes
    }

    fn measure(&mut self) {
        let label = usize::from(self.label);
        let rows = || self.line.logits.chunks_exact(self.classes);
        let own: Vec<f64> = rows().map(|logits| logits[label].into()).collect();
        let margin: Vec<f64> =
            rows().map(|logits| f64::from(logits[label]) - f64::from(logits[rival(logits, label)])).collect();
        self.line.label = fit(&self.line.t, &own, self.slopes[0]);
        self.line.margin = fit(&self.line.t, &margin, self.slopes[1]);
    }

    /// The line; complete when the work is done.
    pub fn finish(self) -> Line {
        self.line
    }
}

/// Walks to the end.
///
/// # Panics
/// As [`Walk::new`].
pub fn linearity(
    classifier: &mut dyn Classifier,
    image: &[f32],
    label: u8,
    epsilon: f32,
    points: usize,
    clipped: bool,
) -> Line {
    let mut walk = Walk::new(classifier.input(), classifier.classes(), image, label, epsilon, points, clipped);
    while !walk.step(classifier) {}
    walk.finish()
}

/// The gradient of what `cotangent` (zeros at first) asks for.
fn gradient(classifier: &mut dyn Classifier, image: &[f32], mut cotangent: impl FnMut(&[f32], &mut [f32])) -> Vec<f32> {
    let (mut logits, mut gradient) = (vec![0.0; classifier.classes()], vec![0.0; image.len()]);
    let mut fresh = |logits: &[f32], wanted: &mut [f32]| {
        wanted.fill(0.0);
        cotangent(logits, wanted);
    };
    classifier.input_gradient(image, &mut logits, &mut fresh, &mut gradient);
    gradient
}

/// The class with the greatest logit but one.
fn rival(logits: &[f32], label: usize) -> usize {
    let others = (0..logits.len()).filter(|&class| class != label);
    others.reduce(|best, class| if logits[class] > logits[best] { class } else { best }).unwrap_or(label)
}

fn fit(t: &[f32], values: &[f64], slope_at_picture: f64) -> Straightness {
    let n = t.len() as f64;
    let mean_t = t.iter().map(|&t| f64::from(t)).sum::<f64>() / n;
    let mean = values.iter().sum::<f64>() / n;
    let (mut tt, mut tv, mut vv) = (0.0, 0.0, 0.0);
    for (&t, value) in t.iter().zip(values) {
        let (t, v) = (f64::from(t) - mean_t, value - mean);
        (tt, tv, vv) = (tt + t * t, tv + t * v, vv + v * v);
    }
    let slope = if tt > 0.0 { tv / tt } else { 0.0 };
    // What is even but for rounding is straight.
    let even = vv <= 1e-12 * (1.0 + mean * mean);
    let r2 = if even || tt == 0.0 { 1.0 } else { (tv * tv / (tt * vv)).min(1.0) };
    Straightness { slope, intercept: mean - slope * mean_t, r2, slope_at_picture }
}

/// What a change of every input by ±ε does to one linear unit w · x with n weights of mean magnitude m.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DotProduct {
    /// n, the number of weights.
    pub n: u32,
    /// Σ|wᵢ| / n of the weights that were drawn; near m.
    pub mean_magnitude: f64,
    /// w · η for η = ε · sign(w), the worst change: ε · Σ|wᵢ|. It grows like n.
    pub worst: f64,
    /// w · η for η = ±ε with random signs: noise of the same size. It grows like √n only.
    pub random: f64,
    /// ε · m · n, what is expected of `worst`.
    pub expected_worst: f64,
    /// The standard deviation of `random`: ε · m · √(n · π / 2), as the wᵢ are normal with mean magnitude m.
    pub expected_random: f64,
}

/// The argument in numbers: n normal weights with mean magnitude `m` and a change of `epsilon` in each input. The weights
/// of a greater n begin with those of a smaller one.
pub fn dot_product(n: u32, m: f64, epsilon: f64, seed: u32) -> DotProduct {
    let mut weights = Random::new(seed.into(), Stream::Explain, u64::MAX);
    let mut signs = Random::new(seed.into(), Stream::Explain, u64::MAX - 1);
    // The mean magnitude of a standard normal number is √(2/π).
    let scale = m * libm::sqrt(core::f64::consts::FRAC_PI_2);
    let (mut magnitude, mut random) = (0.0, 0.0);
    for _ in 0..n {
        let w = scale * f64::from(weights.normal());
        magnitude += w.abs();
        random += if signs.uniform() < 0.5 { w } else { -w };
    }
    let count = f64::from(n);
    DotProduct {
        n,
        mean_magnitude: if n == 0 { 0.0 } else { magnitude / count },
        worst: epsilon * magnitude,
        random: epsilon * random,
        expected_worst: epsilon * m * count,
        expected_random: epsilon * scale * libm::sqrt(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Architecture, Executor, Layer, Weights, weights::needed};

    fn network(layers: Vec<Layer>) -> Executor {
        let architecture = Architecture { input: Shape { channels: 1, height: 5, width: 6 }, layers };
        let (mut weights, mut random) = (Weights::default(), Random::new(3, Stream::Weights, 0));
        for (name, shape) in needed(&architecture).unwrap() {
            let data = (0..shape.iter().product()).map(|_| 0.5 * random.normal()).collect();
            weights.insert(&name, shape, data).unwrap();
        }
        Executor::new(&architecture, &weights).unwrap()
    }

    fn linear(name: &str, out: usize) -> Layer {
        Layer::Linear { name: name.into(), out }
    }

    fn image() -> Vec<f32> {
        let mut random = Random::new(4, Stream::Order, 0);
        (0..30).map(|_| 0.3 + 0.4 * random.uniform()).collect()
    }

    #[test]
    fn a_linear_classifier_is_straight_with_the_gradients_slope() {
        let mut classifier = network(vec![Layer::Flatten, linear("a", 2)]);
        let line = linearity(&mut classifier, &image(), 1, 0.25, 41, false);
        assert_eq!((line.t.len(), line.t[0], line.t[20], line.t[40]), (41, -0.25, 0.0, 0.25));
        for straight in [line.label, line.margin] {
            assert!(straight.r2 > 0.999_999, "{straight:?}");
            assert!((straight.slope - straight.slope_at_picture).abs() < 1e-4 * straight.slope.abs());
        }
        // The loss grows along its own gradient: the margin falls, by Σ|w| for each unit of t.
        assert!(line.margin.slope < 0.0);
        let mut logits = vec![0.0; 2];
        classifier.logits(&image(), &mut logits);
        assert_eq!(line.logits[40..42], logits[..]);
        assert!((line.label.intercept - f64::from(logits[1])).abs() < 1e-4);
    }

    #[test]
    fn saturation_bends_the_line_and_cutting_to_the_box_flattens_it() {
        let bent = vec![Layer::Flatten, linear("a", 16), Layer::Tanh, linear("b", 3)];
        let mut classifier = network(bent);
        let curved = linearity(&mut classifier, &image(), 0, 2.0, 61, false);
        assert!(curved.label.r2 < 0.98, "{:?}", curved.label);
        let near = linearity(&mut classifier, &image(), 0, 0.001, 61, false);
        assert!((near.label.slope - near.label.slope_at_picture).abs() < 0.02 * near.label.slope.abs(), "{near:?}");
        let clipped = linearity(&mut classifier, &image(), 0, 2.0, 61, true);
        // Beyond 0.7 every pixel is at the edge of the box.
        assert_eq!(clipped.logits[..3], clipped.logits[3..6]);
        assert!(clipped.clipped && clipped.logits != curved.logits);
    }

    #[test]
    fn the_worst_change_grows_with_the_dimension_and_noise_with_its_root() {
        for n in [1, 10, 784, 150_528] {
            let found = dot_product(n, 0.1, 0.25, 7);
            assert!((found.worst - 0.25 * found.mean_magnitude * f64::from(n)).abs() < 1e-9 * (1.0 + found.worst));
            assert!((found.expected_worst - 0.025 * f64::from(n)).abs() < 1e-9);
            assert!(found.random.abs() <= found.worst);
            assert!(found.random.abs() < 4.0 * found.expected_random, "{found:?}");
            if n > 500 {
                assert!((found.worst / found.expected_worst - 1.0).abs() < 0.1, "{found:?}");
            }
        }
        assert_eq!(dot_product(0, 0.1, 0.25, 7).worst, 0.0);
        let rises = |n: u32| dot_product(n + 1, 0.1, 0.25, 7).worst - dot_product(n, 0.1, 0.25, 7).worst;
        assert!((1..200).all(|n| rises(n) >= 0.0));
    }
}
