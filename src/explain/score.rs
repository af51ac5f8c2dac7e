//! What is explained: a number that the classifier gives to a class.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::nn::softmax;

/// A number that follows from the logits and a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// The class's logit. It does not saturate, and other classes do not enter.
    #[default]
    Logit,
    /// The class's probability.
    Probability,
    /// The cross-entropy of the class: what attacks climb.
    Loss,
}

impl Score {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Logit, Self::Probability, Self::Loss];

    /// The name in links and commands.
    pub fn key(self) -> &'static str {
        match self {
            Self::Logit => "logit",
            Self::Probability => "probability",
            Self::Loss => "loss",
        }
    }

    /// The inverse of [`Self::key`].
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|score| score.key() == key)
    }

    /// The score of a class, given K logits.
    pub fn value(self, logits: &[f32], class: u8) -> f64 {
        let class = usize::from(class);
        match self {
            Self::Logit => logits[class].into(),
            Self::Probability => libm::exp(-f64::from(softmax::cross_entropy(logits, class))),
            Self::Loss => softmax::cross_entropy(logits, class).into(),
        }
    }

    /// Writes the gradient of the score with respect to the K logits.
    pub fn cotangent(self, logits: &[f32], class: u8, cotangent: &mut [f32]) {
        match self {
            Self::Logit => {
                cotangent.fill(0.0);
                cotangent[usize::from(class)] = 1.0;
            }
            Self::Probability => {
                // ∂p/∂z = −p · ∂(−log p)/∂z.
                let p = self.value(logits, class) as f32;
                softmax::cross_entropy_gradient(logits, class.into(), -p, cotangent);
            }
            Self::Loss => softmax::cross_entropy_gradient(logits, class.into(), 1.0, cotangent),
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logit => "logit of the class",
            Self::Probability => "probability of the class",
            Self::Loss => "loss of the class",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_of_every_score_is_its_slope() {
        let logits = [0.3f32, -1.2, 2.0, 0.1];
        for score in Score::ALL {
            let mut cotangent = [9.0; 4];
            score.cotangent(&logits, 1, &mut cotangent);
            for k in 0..4 {
                let at = |h: f32| {
                    let mut moved = logits;
                    moved[k] += h;
                    score.value(&moved, 1)
                };
                let slope = (at(0.0625) - at(-0.0625)) / 0.125;
                assert!((slope - f64::from(cotangent[k])).abs() < 1e-3, "{score} {k}: {slope} {cotangent:?}");
            }
        }
    }
}
