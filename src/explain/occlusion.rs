//! Occlusion: what happens to the score when a part of the picture is covered.

use super::weighted::points_at_once;
use super::{Detail, Explanation, Map, MapSettings, Score, Subject, Unavailable, Work};
use crate::attack::{Kind, Parameter};
use crate::nn::{Classifier, Shape};

/// How much the score falls when a square patch is covered, for all places of the patch. A pixel's value is the mean over
/// all patches that cover it.
pub(super) struct Occlusion;

const SIDE: Parameter = Parameter {
    key: "side",
    label: "Side of the patch",
    unit: "pixels",
    help: "The patch that is moved over the picture. A larger one covers whole parts, a smaller one shows finer detail.",
    kind: Kind::Number { default: 5.0, least: 1.0, greatest: 56.0, step: 1.0, whole: true },
};

const STRIDE: Parameter = Parameter {
    key: "stride",
    label: "Stride",
    unit: "pixels",
    help: "How far the patch is moved each time; at most its own side, so that no pixel is left out.",
    kind: Kind::Number { default: 2.0, least: 1.0, greatest: 56.0, step: 1.0, whole: true },
};

const FILL: Parameter = Parameter {
    key: "fill",
    label: "Fill",
    unit: "",
    help: "The grey value that covers, from 0 (black) to 1 (white).",
    kind: Kind::Number { default: 0.0, least: 0.0, greatest: 1.0, step: 0.1, whole: false },
};

impl Map for Occlusion {
    fn key(&self) -> &'static str {
        "occlusion"
    }

    fn title(&self) -> &'static str {
        "Occlusion"
    }

    fn summary(&self) -> &'static str {
        "How much the score falls when a patch covers the place. It asks the network only for its answers and needs no \
         gradient."
    }

    fn paper(&self) -> &'static str {
        "Zeiler, Fergus: Visualizing and understanding convolutional networks, 2014"
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&SIDE, &STRIDE, &FILL]
    }

    fn begin(&self, subject: &Subject, settings: &MapSettings) -> Result<Box<dyn Work>, Unavailable> {
        let &Subject { image, input, class, .. } = subject;
        assert_eq!(image.len(), input.len(), "a picture of the input's shape");
        let whole = |parameter: &Parameter, most: usize| (settings.get(parameter) as usize).clamp(1, most.max(1));
        let side = whole(&SIDE, input.height.min(input.width));
        let stride = whole(&STRIDE, side);
        Ok(Box::new(Cover {
            image: image.to_vec(),
            input,
            class,
            score: settings.score,
            side,
            fill: settings.get(&FILL),
            rows: places(input.height, side, stride),
            columns: places(input.width, side, stride),
            uncovered: None,
            drops: Vec::new(),
        }))
    }
}

/// Where the patch lies, from the first place to the last that is within the picture.
fn places(length: usize, side: usize, stride: usize) -> Vec<usize> {
    let last = length - side;
    let mut places: Vec<usize> = (0..last).step_by(stride).collect();
    places.push(last);
    places
}

struct Cover {
    image: Vec<f32>,
    input: Shape,
    class: u8,
    score: Score,
    side: usize,
    fill: f32,
    rows: Vec<usize>,
    columns: Vec<usize>,
    /// The score of the picture as it is.
    uncovered: Option<f64>,
    drops: Vec<f32>,
}

impl Cover {
    fn all(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// Calls with every pixel of a patch, in all colours.
    fn pixels(&self, patch: usize, mut each: impl FnMut(usize)) {
        let (top, left) = (self.rows[patch / self.columns.len()], self.columns[patch % self.columns.len()]);
        for channel in 0..self.input.channels {
            for row in top..top + self.side {
                for column in left..left + self.side {
                    each((channel * self.input.height + row) * self.input.width + column);
                }
            }
        }
    }
}

impl Work for Cover {
    fn step(&mut self, classifier: &mut dyn Classifier) -> bool {
        let (pixels, classes) = (self.image.len(), classifier.classes());
        let from = self.drops.len();
        // The first picture of all is the one that nothing covers.
        let first = self.uncovered.is_none() as usize;
        let to = (from + points_at_once(pixels)).min(self.all());
        let mut images = self.image.repeat(to - from + first);
        for (patch, image) in (from..to).zip(images.chunks_exact_mut(pixels).skip(first)) {
            self.pixels(patch, |at| image[at] = self.fill);
        }
        let mut logits = vec![0.0; (to - from + first) * classes];
        classifier.logits(&images, &mut logits);
        let mut scores = logits.chunks_exact(classes).map(|logits| self.score.value(logits, self.class));
        let uncovered = match self.uncovered {
            Some(score) => score,
            None => scores.next().unwrap_or_default(),
        };
        self.drops.extend(scores.map(|score| (uncovered - score) as f32));
        self.uncovered = Some(uncovered);
        to == self.all()
    }

    fn progress(&self) -> (usize, usize) {
        (self.drops.len(), self.all())
    }

    fn finish(self: Box<Self>) -> Explanation {
        let (mut sum, mut count) = (vec![0.0f64; self.image.len()], vec![0u32; self.image.len()]);
        for (patch, &drop) in self.drops.iter().enumerate() {
            self.pixels(patch, |at| {
                sum[at] += f64::from(drop);
                count[at] += 1;
            });
        }
        Explanation {
            values: sum.into_iter().zip(count).map(|(sum, count)| (sum / f64::from(count.max(1))) as f32).collect(),
            signed: true,
            evaluations: self.drops.len() as u32 + 1,
            detail: Detail::Coarse {
                rows: self.rows.len() as u32,
                columns: self.columns.len() as u32,
                values: self.drops,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_cover_every_pixel_and_stay_within_the_picture() {
        for length in 1..20 {
            for side in 1..=length {
                for stride in 1..=side {
                    let places = places(length, side, stride);
                    assert!(places.iter().all(|place| place + side <= length));
                    assert!((0..length).all(|pixel| places.iter().any(|&p| (p..p + side).contains(&pixel))));
                    assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
                }
            }
        }
    }
}
