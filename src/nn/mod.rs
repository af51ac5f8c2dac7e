//! Networks: described as data ([`Architecture`]), shipped with their cards ([`zoo`]), used as [`Classifier`]s.

pub mod architecture;
#[cfg(not(target_arch = "wasm32"))]
mod candle;
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
#[cfg(not(target_arch = "wasm32"))]
pub use candle::{Candle, CandleError};
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

    /// Writes the logits of pictures of a plane: x + a·u + b·v for each of `points` (a, b). The first layer's sums are
    /// affine in a and b, which may be made use of; then these logits are those of [`Self::logits`] within rounding.
    ///
    /// # Panics
    /// If a length does not fit.
    fn logits_on_plane(&mut self, plane: [&[f32]; 3], points: &[[f32; 2]], logits: &mut [f32]) {
        logits_of_each(self, plane, points, logits);
    }

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

/// Makes the pictures of a plane one by one, and writes their logits.
fn logits_of_each(
    classifier: &mut (impl Classifier + ?Sized),
    [x, u, v]: [&[f32]; 3],
    points: &[[f32; 2]],
    logits: &mut [f32],
) {
    /// Pictures that are made before they are classified.
    const SOME: usize = 64;
    let (pixels, classes) = (x.len(), classifier.classes());
    let mut pictures = vec![0.0; SOME.min(points.len()) * pixels];
    for (points, logits) in points.chunks(SOME).zip(logits.chunks_mut(SOME * classes)) {
        for ([a, b], picture) in points.iter().zip(pictures.chunks_exact_mut(pixels)) {
            for (((pixel, &x), &u), &v) in picture.iter_mut().zip(x).zip(u).zip(v) {
                *pixel = x + a * u + b * v;
            }
        }
        classifier.logits(&pictures[..points.len() * pixels], logits);
    }
}
