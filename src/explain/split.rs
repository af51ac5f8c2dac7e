//! A network cut in two: what a convolution has found, and what follows from it.

use crate::nn::{Architecture, BuildError, Executor, Layer, Weights};

/// The two parts of a network. What comes out of the first is what goes into the second.
pub(super) struct Split {
    /// From the picture to an activation.
    pub head: Executor,
    /// From there to the logits.
    pub tail: Executor,
    /// The shape of the activation.
    pub between: crate::nn::Shape,
}

impl Split {
    /// Cuts after the last convolution (or the residual block that holds it), or after the activation function that
    /// follows it, perhaps behind a pooling. None if there is no convolution, or nothing after it.
    pub(super) fn new(
        architecture: &Architecture,
        weights: &Weights,
        after_activation: bool,
    ) -> Result<Option<Self>, BuildError> {
        let layers = &architecture.layers;
        let Some(last) = layers.iter().rposition(convolves) else { return Ok(None) };
        let mut cut = last + 1;
        if after_activation {
            let behind = layers[cut..].iter().position(|layer| !pools(layer)).map_or(cut, |skipped| cut + skipped);
            if layers.get(behind).is_some_and(activates) {
                cut = behind + 1;
            }
        }
        if cut == layers.len() {
            return Ok(None);
        }
        let costs = architecture.costs().map_err(crate::nn::weights::WeightsError::from)?;
        let between = costs[cut - 1].output;
        let head = Architecture { input: architecture.input, layers: layers[..cut].to_vec() };
        let tail = Architecture { input: between, layers: layers[cut..].to_vec() };
        Ok(Some(Self { head: Executor::new(&head, weights)?, tail: Executor::new(&tail, weights)?, between }))
    }
}

/// Whether there is a convolution in it.
pub(super) fn convolves(layer: &Layer) -> bool {
    match layer {
        Layer::Conv2d { .. } => true,
        Layer::Residual { layers } => layers.iter().any(convolves),
        _ => false,
    }
}

fn pools(layer: &Layer) -> bool {
    matches!(layer, Layer::MaxPool2d { .. } | Layer::AvgPool2d { .. })
}

fn activates(layer: &Layer) -> bool {
    matches!(layer, Layer::Relu | Layer::Relu6 | Layer::LeakyRelu { .. } | Layer::Sigmoid | Layer::Tanh)
}
