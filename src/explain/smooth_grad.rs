//! SmoothGrad: the mean gradient around the picture.

use super::weighted::Weighted;
use super::{Detail, Explanation, Map, MapSettings, Subject, Unavailable, Work};
use crate::attack::{Kind, Parameter};
use crate::nn::Classifier;
use crate::random::{Random, Stream};

/// The mean of the gradients at copies of the picture with Gaussian noise. The copies are not cut to [0, 1].
pub(super) struct SmoothGrad;

const SAMPLES: Parameter = Parameter {
    key: "samples",
    label: "Samples n",
    unit: "",
    help: "How many noisy copies of the picture are looked at. More make the map smoother and steadier.",
    kind: Kind::Number { default: 32.0, least: 1.0, greatest: 200.0, step: 1.0, whole: true },
};

const SIGMA: Parameter = Parameter {
    key: "sigma",
    label: "Noise σ",
    unit: "",
    help: "The standard deviation of the noise. 0.15 is 15 % of the range from black to white; 0 is the plain gradient.",
    kind: Kind::Number { default: 0.15, least: 0.0, greatest: 0.5, step: 0.01, whole: false },
};

impl Map for SmoothGrad {
    fn key(&self) -> &'static str {
        "smoothgrad"
    }

    fn title(&self) -> &'static str {
        "SmoothGrad"
    }

    fn summary(&self) -> &'static str {
        "The mean of the gradients at many noisy copies of the picture: what the gradient keeps saying when the picture \
         trembles."
    }

    fn paper(&self) -> &'static str {
        "Smilkov, Thorat, Kim, Viégas, Wattenberg: SmoothGrad, 2017"
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        &[&SAMPLES, &SIGMA]
    }

    fn begin(&self, subject: &Subject, settings: &MapSettings) -> Result<Box<dyn Work>, Unavailable> {
        let samples = settings.get(&SAMPLES).max(1.0) as usize;
        let sigma = settings.get(&SIGMA);
        let (image, seed, id) = (subject.image.to_vec(), subject.seed, subject.id);
        let point = move |index: usize, point: &mut [f32]| {
            let mut random = Random::new(seed.into(), Stream::Explain, u64::from(id) << 16 | index as u64);
            point.iter_mut().zip(&image).for_each(|(point, x)| *point = x + sigma * random.normal());
        };
        let weights = vec![1.0 / samples as f64; samples];
        Ok(Box::new(Mean(Weighted::new(subject, settings.score, weights, Box::new(point)))))
    }
}

struct Mean(Weighted);

impl Work for Mean {
    fn step(&mut self, classifier: &mut dyn Classifier) -> bool {
        self.0.step(classifier)
    }

    fn progress(&self) -> (usize, usize) {
        self.0.progress()
    }

    fn finish(self: Box<Self>) -> Explanation {
        let values = self.0.sum().iter().map(|&mean| mean as f32).collect();
        Explanation { values, signed: true, evaluations: self.0.progress().0 as u32, detail: Detail::None }
    }
}
