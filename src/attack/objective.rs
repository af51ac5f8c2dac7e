//! What an attack wants: a label to get away from or a class to reach, and a function of the logits that grows on the
//! way there.

use super::parameter::{Kind, Parameter};
use crate::nn::softmax;

/// The goal for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Untargeted: any class but this one.
    Leave(u8),
    /// Targeted: this class.
    Reach(u8),
}

impl Goal {
    /// Away from `label`, or to `target` if there is one.
    pub fn new(label: u8, target: Option<u8>) -> Self {
        target.map_or(Self::Leave(label), Self::Reach)
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

    /// The class that is wanted most at these logits and the one that is in its way, so that their margin is
    /// z\[wanted\] − z\[in the way\]: the goal's own class on one side, the greatest of the others on the other.
    pub fn rivals(self, logits: &[f32]) -> (usize, usize) {
        match self {
            Self::Leave(label) => (greatest_but(logits, label as usize), label as usize),
            Self::Reach(target) => (target as usize, greatest_but(logits, target as usize)),
        }
    }

    /// How far the logits are beyond the boundary, negative before it: max over i ≠ y of z_i − z_y, or z_t − max over
    /// i ≠ t of z_i.
    pub fn margin(self, logits: &[f32]) -> f32 {
        let (wanted, other) = self.rivals(logits);
        logits[wanted] - logits[other]
    }
}

/// The class with the greatest logit but one. That one is masked as if by −∞: the others count however small they are.
fn greatest_but(logits: &[f32], class: usize) -> usize {
    let mut best = None;
    for (other, &logit) in logits.iter().enumerate() {
        if other != class && best.is_none_or(|best: usize| logit > logits[best]) {
            best = Some(other);
        }
    }
    // Of one class there is no other.
    best.unwrap_or(class)
}

/// A function of the logits, to be increased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Objective {
    /// Untargeted, the cross-entropy of the label; targeted, minus that of the target.
    #[default]
    CrossEntropy,
    /// [`Goal::margin`] (Carlini and Wagner 2017).
    Margin,
    /// The margin divided by a difference of other logits, so that the scale of the logits does not matter (the
    /// difference-of-logits ratio of Croce and Hein 2020). In its targeted form the greatest other logit takes the
    /// label's place: it is the same where the label is predicted, and elsewhere it is what stands in the way.
    Dlr,
}

/// Which objective a composed attack increases.
pub const OBJECTIVE: Parameter = Parameter {
    key: "objective",
    label: "Objective",
    unit: "",
    help: "What the attack increases: the cross-entropy, the margin between the logits, or that margin relative to the \
           other logits (DLR), which the scale of the logits does not change.",
    kind: Kind::Choice { options: &[("ce", "cross-entropy"), ("margin", "margin"), ("dlr", "DLR")], default: 0 },
};

impl Objective {
    /// The one that a value of [`OBJECTIVE`] names.
    pub(super) fn from_value(value: f32) -> Self {
        match value as u32 {
            1 => Self::Margin,
            2 => Self::Dlr,
            _ => Self::CrossEntropy,
        }
    }

    /// How well logits serve the goal.
    pub fn value(self, goal: Goal, logits: &[f32]) -> f32 {
        match (self, goal) {
            (Self::CrossEntropy, Goal::Leave(label)) => softmax::cross_entropy(logits, label as usize),
            (Self::CrossEntropy, Goal::Reach(target)) => -softmax::cross_entropy(logits, target as usize),
            (Self::Margin, _) => goal.margin(logits),
            (Self::Dlr, _) => {
                let (wanted, other) = goal.rivals(logits);
                (logits[wanted] - logits[other]) / dlr_scale(goal, logits).0
            }
        }
    }

    /// Writes the gradient with respect to the logits.
    pub fn cotangent(self, goal: Goal, logits: &[f32], cotangent: &mut [f32]) {
        match (self, goal) {
            (Self::CrossEntropy, Goal::Leave(label)) => {
                softmax::cross_entropy_gradient(logits, label as usize, 1.0, cotangent);
            }
            (Self::CrossEntropy, Goal::Reach(target)) => {
                softmax::cross_entropy_gradient(logits, target as usize, -1.0, cotangent);
            }
            (Self::Margin, _) => {
                let (wanted, other) = goal.rivals(logits);
                cotangent.fill(0.0);
                cotangent[wanted] += 1.0;
                cotangent[other] -= 1.0;
            }
            (Self::Dlr, _) => {
                let (wanted, other) = goal.rivals(logits);
                let (scale, parts) = dlr_scale(goal, logits);
                let margin = logits[wanted] - logits[other];
                cotangent.fill(0.0);
                cotangent[wanted] += 1.0 / scale;
                cotangent[other] -= 1.0 / scale;
                // d(m / s) = dm / s − m / s² · ds
                for (class, weight) in parts {
                    cotangent[class] -= margin / (scale * scale) * weight;
                }
            }
        }
    }
}

/// z_π1 − z_π3, or targeted z_π1 − (z_π3 + z_π4) / 2, where π sorts the logits from the greatest down, and the weight of
/// each class in it. Never 0, so that equal logits do no harm.
fn dlr_scale(goal: Goal, logits: &[f32]) -> (f32, [(usize, f32); 3]) {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    let at = |place: usize| order[place.min(order.len() - 1)];
    let parts = match goal {
        Goal::Leave(_) => [(at(0), 1.0), (at(2), -1.0), (at(2), 0.0)],
        Goal::Reach(_) => [(at(0), 1.0), (at(2), -0.5), (at(3), -0.5)],
    };
    (parts.iter().map(|(class, weight)| weight * logits[*class]).sum::<f32>() + 1e-12, parts)
}
