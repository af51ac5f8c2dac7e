//! From an architecture and its weights to the list of steps that computes it.

use super::conv::{Conv, Geometry};
use super::linear::Linear;
use super::plain::{MaxPool, Relu, Reorder};
use super::simd::Width;
use crate::nn::weights::{Weights, WeightsError};
use crate::nn::{Architecture, Layer, Shape};

/// The mark of an output that passes no gradient on.
pub(super) const INACTIVE: u8 = u8::MAX;
/// The largest pooling window whose cells, and [`INACTIVE`], can be told apart by a mark.
const LARGEST_POOL: usize = 15;

/// One step of a plan: one layer, or several fused. Arrays hold any number of pictures, one after the other,
/// channels-last.
///
/// The networks are piecewise linear, so all that the gradient needs of the forward pass is which piece it was on: a
/// byte for some outputs, its *marks*. Nothing else is kept.
pub(super) trait Step: Send + Sync {
    /// Values of one picture that go in.
    fn input(&self) -> usize;
    /// Values of one picture that come out.
    fn output(&self) -> usize;
    /// Marks of one picture.
    fn marks(&self) -> usize {
        0
    }
    /// Floats that both passes may use as they like.
    fn scratch(&self) -> usize {
        0
    }
    /// Writes the outputs and the marks.
    fn forward(&self, input: &[f32], output: &mut [f32], marks: &mut [u8], scratch: &mut [f32]);
    /// Writes the gradient with respect to the inputs, given that with respect to the outputs, which may be spoilt.
    fn backward(&self, marks: &[u8], cotangent: &mut [f32], gradient: &mut [f32], scratch: &mut [f32]);
}

/// Why a network cannot be made ready to run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BuildError {
    /// The layers do not fit together, or the weights do not fit the layers.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// There is nothing to compute.
    #[error("the network has no layer that computes anything: give it at least one")]
    Empty,
    /// A pooling window that is not supported.
    #[error("max-pooling over {0} × {0} is not supported: use windows of at most {LARGEST_POOL} × {LARGEST_POOL}")]
    LargePool(usize),
}

/// Makes the plan.
pub(super) fn compile(
    architecture: &Architecture,
    weights: &Weights,
    width: Width,
) -> Result<Vec<Box<dyn Step>>, BuildError> {
    let costs = architecture.costs().map_err(WeightsError::from)?;
    let mut layers = architecture.layers.iter().zip(costs).peekable();
    let mut shape = architecture.input;
    // The shape whose channels-last order the values are in. Flatten moves nothing: the linear layer that follows
    // takes its weights in that order.
    let mut order = shape;
    let mut steps: Vec<Box<dyn Step>> = Vec::new();
    while let Some((layer, cost)) = layers.next() {
        let mut output = cost.output;
        match layer {
            Layer::Conv2d { name, out, kernel, stride, padding } => {
                let (mut pool, mut relu) = (1, false);
                // ReLU and maximum commute, gradients included: either order is fused.
                loop {
                    match layers.peek() {
                        Some((Layer::Relu, _)) => relu = true,
                        Some((Layer::MaxPool2d { size }, cost)) if pool == 1 && *size <= LARGEST_POOL => {
                            pool = *size;
                            output = cost.output;
                        }
                        _ => break,
                    }
                    layers.next();
                }
                let geometry = Geometry {
                    input: shape,
                    out: *out,
                    kernel: *kernel,
                    stride: *stride,
                    padding: *padding,
                    pool,
                    relu,
                };
                let weight = weights.get(&format!("{name}.weight"), &[*out, shape.channels, *kernel, *kernel])?;
                let bias = weights.get(&format!("{name}.bias"), &[*out])?;
                steps.push(Box::new(Conv::new(geometry, weight, bias, width)));
                order = output;
            }
            Layer::Linear { name, out } => {
                let relu = layers.next_if(|(next, _)| matches!(next, Layer::Relu)).is_some();
                let weight = weights.get(&format!("{name}.weight"), &[*out, shape.len()])?;
                let bias = weights.get(&format!("{name}.bias"), &[*out])?;
                let Shape { channels, height, width: columns } = order;
                let column = |index: usize| index % channels * (height * columns) + index / channels;
                steps.push(Box::new(Linear::new(weight, bias, column, relu, width)));
                order = output;
            }
            Layer::Relu => steps.push(Box::new(Relu { length: shape.len() })),
            Layer::MaxPool2d { size } if *size > LARGEST_POOL => return Err(BuildError::LargePool(*size)),
            Layer::MaxPool2d { size } => {
                steps.push(Box::new(MaxPool { shape: order, size: *size }));
                order = output;
            }
            Layer::Flatten => {}
        }
        shape = output;
    }
    if steps.is_empty() {
        return Err(BuildError::Empty);
    }
    if order.channels > 1 && order.height * order.width > 1 {
        steps.push(Box::new(Reorder { shape: order }));
    }
    Ok(steps)
}
