//! The gradient itself, and its product with the picture.

use super::weighted::Weighted;
use super::{Detail, Explanation, Map, MapSettings, Subject, Unavailable, Work};
use crate::nn::Classifier;

/// The gradient of the score.
pub(super) struct Gradient;

/// Pixel by pixel, the gradient times the picture.
pub(super) struct GradientTimesInput;

impl Map for Gradient {
    fn key(&self) -> &'static str {
        "gradient"
    }

    fn title(&self) -> &'static str {
        "Gradient"
    }

    fn summary(&self) -> &'static str {
        "How much the score would change if a pixel became a little lighter: the direction in which the picture would \
         have to move, not what is there."
    }

    fn paper(&self) -> &'static str {
        "Simonyan, Vedaldi, Zisserman: Deep inside convolutional networks, 2014"
    }

    fn begin(&self, subject: &Subject, settings: &MapSettings) -> Result<Box<dyn Work>, Unavailable> {
        Ok(begin(subject, settings, None))
    }
}

impl Map for GradientTimesInput {
    fn key(&self) -> &'static str {
        "gradient-input"
    }

    fn title(&self) -> &'static str {
        "Gradient × input"
    }

    fn summary(&self) -> &'static str {
        "The gradient times the pixel's own value: what each pixel contributes if the network were linear. Black pixels \
         contribute nothing."
    }

    fn paper(&self) -> &'static str {
        "Shrikumar, Greenside, Kundaje: Learning important features through propagating activation differences, 2017"
    }

    fn begin(&self, subject: &Subject, settings: &MapSettings) -> Result<Box<dyn Work>, Unavailable> {
        Ok(begin(subject, settings, Some(subject.image.to_vec())))
    }
}

fn begin(subject: &Subject, settings: &MapSettings, factor: Option<Vec<f32>>) -> Box<dyn Work> {
    let image = subject.image.to_vec();
    let point = move |_: usize, point: &mut [f32]| point.copy_from_slice(&image);
    Box::new(One { gradient: Weighted::new(subject, settings.score, vec![1.0], Box::new(point)), factor })
}

struct One {
    gradient: Weighted,
    factor: Option<Vec<f32>>,
}

impl Work for One {
    fn step(&mut self, classifier: &mut dyn Classifier) -> bool {
        self.gradient.step(classifier)
    }

    fn progress(&self) -> (usize, usize) {
        self.gradient.progress()
    }

    fn finish(self: Box<Self>) -> Explanation {
        let gradient = self.gradient.sum().iter();
        let values = match &self.factor {
            None => gradient.map(|&g| g as f32).collect(),
            Some(factor) => gradient.zip(factor).map(|(g, &x)| (g * f64::from(x)) as f32).collect(),
        };
        Explanation { values, signed: true, evaluations: 1, detail: Detail::None }
    }
}
