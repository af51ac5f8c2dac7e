//! The judge: no attack grades itself. What it proposes is evaluated again, from x and x′ alone.

use super::Goal;
use crate::nn::Classifier;
use crate::threat::{Norms, Threat, rounding_slack};

/// What is true of a proposed adversarial picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Its logits.
    pub logits: Vec<f32>,
    /// How far it is from the picture.
    pub norms: Norms,
    /// Whether ‖x′ − x‖ ≤ ε, up to the rounding of x + δ, and every pixel is in [0, 1].
    pub allowed: bool,
    /// Whether every pixel is in [0, 1] and the classifier says what the goal wants.
    pub reached: bool,
    /// Whether it is allowed and reaches the goal.
    pub success: bool,
}

/// A proposal to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// x.
    pub image: &'a [f32],
    /// x′.
    pub adversarial: &'a [f32],
    /// What is wanted.
    pub goal: Goal,
    /// What is allowed.
    pub threat: Threat,
}

/// Judges proposals, all in one forward pass.
///
/// # Panics
/// If a picture's length is not the classifier's.
pub fn verify(classifier: &mut dyn Classifier, proposals: &[Proposal]) -> Vec<Verdict> {
    let classes = classifier.classes();
    let pictures: Vec<f32> = proposals.iter().flat_map(|proposal| proposal.adversarial).copied().collect();
    let mut logits = vec![0.0; proposals.len() * classes];
    classifier.logits(&pictures, &mut logits);
    proposals
        .iter()
        .zip(logits.chunks_exact(classes))
        .map(|(proposal, logits)| {
            let Proposal { image, adversarial, goal, threat: Threat { norm, epsilon } } = *proposal;
            let norms = Norms::between(image, adversarial);
            let in_box = adversarial.iter().all(|pixel| (0.0..=1.0).contains(pixel));
            let allowed = in_box && norms.of(norm) <= epsilon + rounding_slack(norm, epsilon, image.len());
            let reached = in_box && goal.reached(logits);
            Verdict { logits: logits.to_vec(), norms, allowed, reached, success: allowed && reached }
        })
        .collect()
}
