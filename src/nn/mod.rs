//! Networks: described as data ([`Architecture`]), shipped with their cards ([`zoo`]), used as [`Classifier`]s.

pub mod architecture;
mod efficientnet;
mod executor;
mod networks;
#[cfg(any(not(target_arch = "wasm32"), feature = "trainer"))]
pub mod ops;
#[cfg(test)]
mod reference;
pub mod softmax;
#[cfg(any(not(target_arch = "wasm32"), feature = "trainer"))]
pub mod train;
pub mod weights;
pub mod zoo;

pub use architecture::{Architecture, Layer, Padding, Shape};
pub use executor::{Arithmetic, BuildError, Executor};
pub use weights::Weights;

/// A function from pictures to logits, with the gradient of anything that depends on the logits.
///
/// Everything that an attack can be run on is a `Classifier`. Pictures are in [0, 1]; any normalisation is inside. So
/// ε always means pixels. Pictures are (N, C, H, W) row-major, logits and cotangents (N, K) row-major. The methods take
/// `&mut self` because a classifier keeps its buffers: clone it for another thread, clones share their weights.
pub trait Classifier {
    /// Channels, height and width of a picture.
    fn input(&self) -> Shape;

    /// Number of classes K.
    fn classes(&self) -> usize;

    /// Writes the logits of the pictures: `images` is N · C·H·W long and `logits` N · K.
    ///
    /// # Panics
    /// If a length does not fit.
    fn logits(&mut self, images: &[f32], logits: &mut [f32]);

    /// Writes the logits, asks `cotangent` for ∂objective/∂logits (given logits, to be written, both (N, K)), and writes
    /// the gradient ∂objective/∂images, as long as `images`.
    ///
    /// Logits and their cotangent are separated, so that any objective works, also a different one for each picture.
    ///
    /// # Panics
    /// If a length does not fit.
    fn input_gradient(
        &mut self,
        images: &[f32],
        logits: &mut [f32],
        cotangent: &mut dyn FnMut(&[f32], &mut [f32]),
        gradient: &mut [f32],
    );
}
