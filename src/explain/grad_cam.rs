//! Grad-CAM: where the last convolution has found what speaks for the class.

use super::split::{Split, convolves};
use super::{Detail, Explanation, Map, MapSettings, Score, Subject, Unavailable, Work};
use crate::attack::{Kind, Parameter};
use crate::nn::{Architecture, Classifier, Shape};

/// Σ_c α_c · A_c over the channels of the last convolution's output A, with α_c the mean of the score's gradient over the
/// places of channel c.
pub(super) struct GradCam;

const LAYER: Parameter = Parameter {
    key: "layer",
    label: "Activation",
    unit: "",
    help: "Which values of the last convolution count: those that its activation function (ReLU, for example) has let \
           through, or those before it.",
    kind: Kind::Choice {
        options: &[("after", "after the activation function"), ("before", "before the activation function")],
        default: 0,
    },
};

const POSITIVE: Parameter = Parameter {
    key: "positive",
    label: "Only what speaks for the class",
    unit: "",
    help: "Cuts negative values off, as the paper does.",
    kind: Kind::Switch { default: true },
};

impl Map for GradCam {
    fn key(&self) -> &'static str {
        "grad-cam"
    }

    fn title(&self) -> &'static str {
        "Grad-CAM"
    }

    fn summary(&self) -> &'static str {
        "Where the last convolution has found what speaks for the class: its channels, each weighed by how much the score \
         depends on it. Coarse, because the last convolution sees the picture coarsely."
    }

    fn paper(&self) -> &'static str {
        "Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM, 2017"
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&LAYER, &POSITIVE]
    }

    fn suits(&self, network: &Architecture) -> bool {
        network.layers.iter().any(convolves)
    }

    fn begin(&self, subject: &Subject, settings: &MapSettings) -> Result<Box<dyn Work>, Unavailable> {
        let (architecture, weights) = subject.network.ok_or(Unavailable::NoNetwork)?;
        let after = settings.get(&LAYER) == 0.0;
        let split = Split::new(architecture, weights, after)?.ok_or(Unavailable::NoConvolution)?;
        assert_eq!(subject.image.len(), subject.input.len(), "a picture of the input's shape");
        Ok(Box::new(Cam {
            split,
            image: subject.image.to_vec(),
            input: subject.input,
            class: subject.class,
            score: settings.score,
            positive: settings.get(&POSITIVE) == 1.0,
            map: None,
        }))
    }
}

struct Cam {
    split: Split,
    image: Vec<f32>,
    input: Shape,
    class: u8,
    score: Score,
    positive: bool,
    map: Option<Vec<f32>>,
}

impl Work for Cam {
    /// The classifier is not asked: the network's own parts are.
    fn step(&mut self, _: &mut dyn Classifier) -> bool {
        if self.map.is_none() {
            let Split { head, tail, between } = &mut self.split;
            let mut activation = vec![0.0; between.len()];
            head.logits(&self.image, &mut activation);
            let (mut logits, mut gradient) = (vec![0.0; tail.classes()], vec![0.0; activation.len()]);
            let (score, class) = (self.score, self.class);
            let mut cotangent = |logits: &[f32], cotangent: &mut [f32]| score.cotangent(logits, class, cotangent);
            tail.input_gradient(&activation, &mut logits, &mut cotangent, &mut gradient);
            self.map = Some(weigh(*between, &activation, &gradient, self.positive));
        }
        true
    }

    fn progress(&self) -> (usize, usize) {
        (self.map.is_some() as usize, 1)
    }

    fn finish(self: Box<Self>) -> Explanation {
        let Shape { height, width, .. } = self.split.between;
        let map = self.map.unwrap_or_default();
        let plane = if map.is_empty() {
            vec![0.0; self.input.height * self.input.width]
        } else {
            enlarge(&map, (height, width), (self.input.height, self.input.width))
        };
        Explanation {
            // The same for every colour.
            values: plane.repeat(self.input.channels),
            signed: !self.positive,
            evaluations: 1,
            detail: Detail::Coarse { rows: height as u32, columns: width as u32, values: map },
        }
    }
}

/// Σ_c mean(gradient_c) · activation_c, both (C, h, w).
fn weigh(shape: Shape, activation: &[f32], gradient: &[f32], positive: bool) -> Vec<f32> {
    let places = shape.height * shape.width;
    let mut map = vec![0.0f64; places];
    for (activation, gradient) in activation.chunks_exact(places).zip(gradient.chunks_exact(places)) {
        let weight = gradient.iter().map(|&g| f64::from(g)).sum::<f64>() / places as f64;
        map.iter_mut().zip(activation).for_each(|(sum, &a)| *sum += weight * f64::from(a));
    }
    map.into_iter().map(|value| if positive { value.max(0.0) as f32 } else { value as f32 }).collect()
}

/// Enlarges a map bilinearly; corners of pixels, not their centres, meet at the edges, and what is outside repeats the edge.
fn enlarge(map: &[f32], (rows, columns): (usize, usize), (height, width): (usize, usize)) -> Vec<f32> {
    // The two neighbours of each place, and the share of the second.
    let along = |from: usize, to: usize| -> Vec<(usize, usize, f64)> {
        let place = |i: usize| {
            let at = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, from as f64 - 1.0);
            let first = at as usize;
            (first, (first + 1).min(from - 1), at - first as f64)
        };
        (0..to).map(place).collect()
    };
    let across = along(columns, width);
    let mut large = Vec::with_capacity(height * width);
    for (top, bottom, down) in along(rows, height) {
        for &(left, right, share) in &across {
            let value = |row: usize| {
                let at = |column: usize| f64::from(map[row * columns + column]);
                at(left) + share * (at(right) - at(left))
            };
            large.push((value(top) + down * (value(bottom) - value(top))) as f32);
        }
    }
    large
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_is_linear_stays_so_and_an_even_one_even() {
        let large = enlarge(&[0.0, 1.0, 2.0, 3.0], (1, 4), (2, 8));
        assert_eq!(large[..8], [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]);
        assert_eq!(large[8..], large[..8]);
        assert_eq!(enlarge(&[0.5; 4], (2, 2), (3, 5)), [0.5; 15]);
        let same = [1.0, -2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(enlarge(&same, (2, 3), (2, 3)), same);
    }
}
