//! What a classifier looks at and where its decisions change.
//!
//! A *map* gives every pixel a value that explains one score of one picture (the [`Map`] trait says what it is and begins
//! to compute it). To add a map, write a file like `gradient.rs` and give it a line in [`MAPS`]; its parameters are
//! declared there, as those of attacks are.

mod declared;
mod grad_cam;
mod gradient;
mod integrated;
mod linearity;
mod map;
mod occlusion;
mod plane;
mod plane_view;
mod score;
mod smooth_grad;
mod split;
#[cfg(test)]
mod tests;
mod weighted;

pub use linearity::{DotProduct, Line, Straightness, Walk, dot_product, linearity};
pub use map::{
    Completeness, Detail, Explanation, Invalid, Map, MapSettings, Method, Subject, Unavailable, Work, explain,
};
pub use plane::{Plane, Sampled};
pub use plane_view::PlaneView;
pub use score::Score;

/// The registered maps, in the order in which they are offered.
pub static MAPS: &[&dyn Map] = &[
    registered!(gradient::Gradient),
    registered!(gradient::GradientTimesInput),
    registered!(smooth_grad::SmoothGrad),
    registered!(integrated::IntegratedGradients),
    registered!(grad_cam::GradCam),
    registered!(occlusion::Occlusion),
];

use self::declared::registered;
use crate::nn::{Classifier, softmax};

/// The gradient map: the gradient of the cross-entropy of each picture's label with respect to the picture, signed.
/// `images` is (N, C, H, W) and there are N labels; the result is as long as `images`.
///
/// # Panics
/// If lengths do not fit or a label is not a class.
pub fn gradient_map(classifier: &mut dyn Classifier, images: &[f32], labels: &[u8]) -> Vec<f32> {
    let classes = classifier.classes();
    let (mut logits, mut gradient) = (vec![0.0; labels.len() * classes], vec![0.0; images.len()]);
    let mut cotangent = |logits: &[f32], cotangent: &mut [f32]| {
        let rows = logits.chunks_exact(classes).zip(cotangent.chunks_exact_mut(classes));
        for (&label, (logits, cotangent)) in labels.iter().zip(rows) {
            softmax::cross_entropy_gradient(logits, label as usize, 1.0, cotangent);
        }
    };
    classifier.input_gradient(images, &mut logits, &mut cotangent, &mut gradient);
    gradient
}
