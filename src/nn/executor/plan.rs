//! From an architecture and its weights to the list of steps that computes it.

use super::affine::Affine;
use super::conv::{Conv, Geometry};
use super::depthwise::Depthwise;
use super::grouped::Grouped;
use super::linear::Linear;
use super::plain::{Clipped, Function, Leaky, MaxPool, Mean, Normalize, Reorder, Smooth};
use super::residual::Residual;
use super::simd::Processor;
use crate::nn::architecture::costs;
use crate::nn::weights::{Weights, WeightsError};
use crate::nn::{Architecture, Layer, Shape};

/// The mark of an output that passes no gradient on.
pub(super) const INACTIVE: u8 = u8::MAX;
/// The largest pooling window whose cells, and [`INACTIVE`], can be told apart by a mark.
const LARGEST_POOL: usize = 15;

/// What is applied to the outputs of a layer in passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clip {
    None,
    /// max(0, x).
    Relu,
    /// min(max(0, x), 6).
    Relu6,
}

impl Clip {
    /// The greatest value. Nothing compares with what is not a number: there is none.
    #[inline(always)]
    pub(super) fn upper(self) -> f32 {
        if self == Self::Relu6 { 6.0 } else { f32::NAN }
    }
}

/// What a step writes down in the forward pass to go back.
pub(super) struct Notes<'a> {
    pub(super) marks: &'a mut [u8],
    pub(super) kept: &'a mut [f32],
}

impl<'a> Notes<'a> {
    /// Cuts off the notes of a step within a step.
    pub(super) fn take(&mut self, marks: usize, kept: usize) -> Notes<'a> {
        let (marks, rest) = std::mem::take(&mut self.marks).split_at_mut(marks);
        self.marks = rest;
        let (kept, rest) = std::mem::take(&mut self.kept).split_at_mut(kept);
        self.kept = rest;
        Notes { marks, kept }
    }

    /// The same from behind.
    pub(super) fn take_last(&mut self, marks: usize, kept: usize) -> Notes<'a> {
        let all = std::mem::take(&mut self.marks);
        let (rest, marks) = all.split_at_mut(all.len() - marks);
        self.marks = rest;
        let all = std::mem::take(&mut self.kept);
        let (rest, kept) = all.split_at_mut(all.len() - kept);
        self.kept = rest;
        Notes { marks, kept }
    }
}

/// One step of a plan: one layer, or several fused. Arrays hold any number of pictures, one after the other,
/// channels-last.
///
/// Most layers are piecewise linear, and all that the gradient needs of the forward pass is which piece it was on: a
/// byte for some outputs, its *marks*. Smooth functions keep their derivatives.
pub(super) trait Step: Send + Sync {
    /// Values of one picture that go in.
    fn input(&self) -> usize;
    /// Values of one picture that come out.
    fn output(&self) -> usize;
    /// Marks of one picture.
    fn marks(&self) -> usize {
        0
    }
    /// Numbers that are kept of one picture.
    fn kept(&self) -> usize {
        0
    }
    /// Floats that both passes may use as they like.
    fn scratch(&self) -> usize {
        0
    }
    /// What it offers for pictures of one plane.
    fn affine(&self) -> Option<&dyn Affine> {
        None
    }
    /// Writes the outputs and the notes.
    fn forward(&self, input: &[f32], output: &mut [f32], notes: Notes, scratch: &mut [f32]);
    /// Writes the gradient with respect to the inputs, given that with respect to the outputs, which may be spoilt.
    fn backward(&self, notes: Notes, cotangent: &mut [f32], gradient: &mut [f32], scratch: &mut [f32]);
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
    /// Normalisation of channels that are no longer side by side.
    #[error("normalisation after flatten is not supported: normalise before it")]
    LateNormalisation,
}

/// Makes the plan.
pub(super) fn compile(
    architecture: &Architecture,
    weights: &Weights,
    processor: Processor,
) -> Result<Vec<Box<dyn Step>>, BuildError> {
    let (mut steps, order) = chain(&architecture.layers, architecture.input, weights, processor)?;
    if steps.is_empty() {
        return Err(BuildError::Empty);
    }
    if order.channels > 1 && order.height * order.width > 1 {
        steps.push(Box::new(Reorder { shape: order }));
    }
    Ok(steps)
}

/// The steps of a chain of layers, and the shape whose channels-last order their outputs are in.
fn chain(
    layers: &[Layer],
    input: Shape,
    weights: &Weights,
    processor: Processor,
) -> Result<(Vec<Box<dyn Step>>, Shape), BuildError> {
    let costs = costs(layers, input).map_err(WeightsError::from)?;
    let mut layers = layers.iter().zip(costs).peekable();
    // Flatten moves nothing: the linear layer that follows takes its weights in the order of the picture.
    let mut order = input;
    let mut steps: Vec<Box<dyn Step>> = Vec::new();
    while let Some((layer, cost)) = layers.next() {
        let shape = cost.input;
        let mut output = cost.output;
        let trained = || -> Result<(&[f32], &[f32]), WeightsError> {
            let tensor = |i: usize| {
                let (name, shape) = &cost.weights[i];
                weights.get(name, shape)
            };
            Ok((tensor(0)?, tensor(1)?))
        };
        let step: Box<dyn Step> = match layer {
            &Layer::Conv2d { out, kernel, stride, padding, groups, .. } => {
                let (weight, bias) = trained()?;
                let depthwise = groups > 1 && groups == shape.channels && out == groups;
                let pointwise = kernel == 1 && stride == 1 && padding.total() == 0 && groups == 1;
                let (mut pool, mut clip) = (1, Clip::None);
                // A clip and the maximum commute, gradients included: either order is fused.
                loop {
                    match layers.peek() {
                        Some((Layer::Relu, _)) if clip != Clip::Relu6 => clip = Clip::Relu,
                        Some((Layer::Relu6, _)) if clip == Clip::None => clip = Clip::Relu6,
                        Some((Layer::MaxPool2d { size }, cost))
                            if pool == 1 && *size <= LARGEST_POOL && !depthwise && !pointwise =>
                        {
                            pool = *size;
                            output = cost.output;
                        }
                        _ => break,
                    }
                    layers.next();
                }
                let input = Shape { channels: shape.channels / groups, ..shape };
                let one = Geometry { input, out: out / groups, kernel, stride, padding, pool, clip };
                if pointwise {
                    let places = shape.height * shape.width;
                    Box::new(Linear::new(weight, bias, |index| index, places, clip, processor))
                } else if depthwise {
                    Box::new(Depthwise::new(Geometry { input: shape, out, ..one }, weight, bias, processor))
                } else if groups > 1 {
                    Box::new(Grouped::new(one, weight, bias, processor))
                } else {
                    Box::new(Conv::new(one, weight, bias, processor))
                }
            }
            Layer::Linear { .. } => {
                let (weight, bias) = trained()?;
                let clip = match layers.peek() {
                    Some((Layer::Relu, _)) => Clip::Relu,
                    Some((Layer::Relu6, _)) => Clip::Relu6,
                    _ => Clip::None,
                };
                if clip != Clip::None {
                    layers.next();
                }
                let Shape { channels, height, width: columns } = order;
                let column = |index: usize| index % channels * (height * columns) + index / channels;
                Box::new(Linear::new(weight, bias, column, 1, clip, processor))
            }
            Layer::Relu => Box::new(Clipped { length: shape.len(), clip: Clip::Relu }),
            Layer::Relu6 => Box::new(Clipped { length: shape.len(), clip: Clip::Relu6 }),
            &Layer::LeakyRelu { slope } => Box::new(Leaky { length: shape.len(), slope }),
            Layer::Sigmoid => Box::new(Smooth { length: shape.len(), function: Function::Sigmoid }),
            Layer::Tanh => Box::new(Smooth { length: shape.len(), function: Function::Tanh }),
            Layer::Normalize { mean, std } if shape == order => {
                Box::new(Normalize { shape, mean: mean.clone(), std: std.clone() })
            }
            Layer::Normalize { .. } => return Err(BuildError::LateNormalisation),
            Layer::MaxPool2d { size } if *size > LARGEST_POOL => return Err(BuildError::LargePool(*size)),
            &Layer::MaxPool2d { size } => Box::new(MaxPool { shape, size }),
            &Layer::AvgPool2d { size } => Box::new(Mean { shape, rows: size, columns: size }),
            Layer::GlobalAvgPool => Box::new(Mean { shape, rows: shape.height, columns: shape.width }),
            Layer::Residual { layers } => {
                let (steps, _) = chain(layers, shape, weights, processor)?;
                Box::new(Residual::new(shape.len(), steps))
            }
            Layer::Flatten | Layer::Dropout { .. } => continue,
        };
        if !keeps_order(layer) {
            order = output;
        }
        steps.push(step);
    }
    Ok((steps, order))
}

/// Whether a layer leaves every value in its place, also where flatten has come before.
fn keeps_order(layer: &Layer) -> bool {
    matches!(layer, Layer::Relu | Layer::Relu6 | Layer::LeakyRelu { .. } | Layer::Sigmoid | Layer::Tanh)
}
