//! Random noise of length ε: what any attack has to be better than.
//!
//! L∞: ε up or down for every pixel, the sign by lot. L2: a direction drawn evenly from the sphere (Gaussian), of length
//! ε. L1: drawn evenly from the L1 sphere (exponentials with random signs, divided by their sum, times ε). Then every
//! pixel is cut to [0, 1], so that on pictures with black and white areas ‖δ‖ is less than ε.
//!
//! Of all draws the strongest is kept.

use super::subject::{Found, Strongest};
use super::{Access, Aim, Attack, Oracle, Searching, Subject, Trace, Uses};
use crate::experiment::AttackSettings;
use crate::random::Random;
use crate::threat::{Norm, Threat, length};

/// Random noise.
pub(super) struct Noise;

impl Attack for Noise {
    fn key(&self) -> &'static str {
        "noise"
    }

    fn title(&self) -> &'static str {
        "Random noise"
    }

    fn summary(&self) -> &'static str {
        "A perturbation of length ε in a random direction. It shows how much more a direction that was searched does \
         than one that was not."
    }

    fn paper(&self) -> &'static str {
        "The baseline of Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow, Fergus: Intriguing properties of neural \
         networks. ICLR 2014"
    }

    fn access(&self) -> Access {
        Access::Nothing
    }

    fn aim(&self) -> Aim {
        Aim::Strongest
    }

    fn uses(&self) -> Uses {
        Uses { restarts: true, ..Uses::default() }
    }

    fn alpha(&self, _: &AttackSettings, epsilon: f32) -> f32 {
        epsilon
    }

    fn alpha_rule(&self) -> &'static str {
        "ε"
    }

    fn cost(&self, settings: &AttackSettings) -> u32 {
        settings.restarts
    }

    fn pytorch(&self, settings: &AttackSettings, threat: &Threat) -> Option<String> {
        let noise = match threat.norm {
            Norm::Linf => "epsilon * (torch.randint(0, 2, x.shape) * 2.0 - 1)",
            Norm::L2 => "epsilon * F.normalize(torch.randn(x.numel()), dim=0).view_as(x)",
            Norm::L1 => {
                "epsilon * F.normalize(torch.distributions.Laplace(0, 1).sample(x.shape).flatten(), p=1, dim=0).view_as(x)"
            }
        };
        let restarts = settings.restarts;
        Some(format!(
            "draws = [(x + {noise}).clamp(0, 1) for _ in range({restarts})]
x_adv = max(draws, key=lambda image: (fooled(image), float(loss(image))))
"
        ))
    }

    fn search(&self, subject: Subject, oracle: Oracle) -> Searching {
        Box::pin(draw(subject, oracle))
    }
}

async fn draw(subject: Subject, oracle: Oracle) -> Found {
    let mut strongest = Strongest::default();
    for restart in 0..subject.settings.restarts {
        let mut picture = noise(subject.norm, subject.epsilon(), subject.image.len(), &mut subject.random(restart));
        for (p, x) in picture.iter_mut().zip(&subject.image) {
            *p = (x + *p).clamp(0.0, 1.0);
        }
        let logits = oracle.logits(&picture).await;
        strongest.consider(&subject, &picture, &logits, (1, restart));
        if subject.stops() && strongest.succeeded() {
            break;
        }
    }
    let mut found = strongest.found(&subject);
    found.alpha = subject.epsilon();
    if subject.traces() {
        let mut trace = Trace::default();
        subject.log(&mut trace, &subject.image, &subject.clean);
        subject.log(&mut trace, &found.adversarial, &strongest.logits);
        found.trace = trace;
    }
    found
}

/// A random δ with ‖δ‖ = ε.
fn noise(norm: Norm, epsilon: f32, pixels: usize, random: &mut Random) -> Vec<f32> {
    let sign = |magnitude: f32, random: &mut Random| if random.uniform() < 0.5 { -magnitude } else { magnitude };
    let mut delta: Vec<f32> = (0..pixels)
        .map(|_| match norm {
            Norm::Linf => sign(epsilon, random),
            Norm::L2 => random.normal(),
            Norm::L1 => {
                let magnitude = random.exponential();
                sign(magnitude, random)
            }
        })
        .collect();
    if norm != Norm::Linf {
        let size = length(norm, delta.iter().copied());
        let scale = if size > 0.0 { epsilon as f64 / size } else { 0.0 };
        delta.iter_mut().for_each(|d| *d = (*d as f64 * scale) as f32);
    }
    delta
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn noise_has_length_epsilon_and_mean_0() {
        for norm in Norm::ALL {
            let delta = noise(norm, 2.0, 784, &mut Random::new(3, Stream::Start, 0));
            assert!((length(norm, delta.iter().copied()) - 2.0).abs() < 1e-5, "{norm}");
            let mean = delta.iter().map(|&d| d as f64).sum::<f64>() / length(Norm::L1, delta.iter().copied());
            assert!(mean.abs() < 0.15, "{norm}: {mean}");
        }
    }
}
