//! What an attack wants: a label to get away from, or a class to reach.

use crate::nn::softmax;

/// The goal for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Untargeted: any class but this one. The cross-entropy of the label is to grow.
    Leave(u8),
    /// Targeted: this class. Its cross-entropy is to fall.
    Reach(u8),
}

impl Goal {
    /// Away from `label`, or to `target` if there is one.
    pub fn new(label: u8, target: Option<u8>) -> Self {
        target.map_or(Self::Leave(label), Self::Reach)
    }

    /// How well logits serve the goal; to be increased.
    pub fn objective(self, logits: &[f32]) -> f32 {
        match self {
            Self::Leave(label) => softmax::cross_entropy(logits, label as usize),
            Self::Reach(target) => -softmax::cross_entropy(logits, target as usize),
        }
    }

    /// Writes the gradient of the objective with respect to the logits.
    pub fn cotangent(self, logits: &[f32], cotangent: &mut [f32]) {
        match self {
            Self::Leave(label) => softmax::cross_entropy_gradient(logits, label as usize, 1.0, cotangent),
            Self::Reach(target) => softmax::cross_entropy_gradient(logits, target as usize, -1.0, cotangent),
        }
    }

    /// Whether logits are as wanted. Logits that are not finite are not.
    pub fn reached(self, logits: &[f32]) -> bool {
        let class = softmax::predicted(logits);
        logits.iter().all(|logit| logit.is_finite())
            && match self {
                Self::Leave(label) => class != label as usize,
                Self::Reach(target) => class == target as usize,
            }
    }
}
