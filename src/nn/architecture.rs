//! A network as data: its layers, shapes, and what they cost.

use serde::{Deserialize, Serialize};

/// Channels, height and width of a picture or an activation. A vector is (n, 1, 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// Number of values.
    pub fn len(self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// One layer. Weights are found in the file as `{name}.weight` and `{name}.bias`, laid out as PyTorch does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// A two-dimensional convolution; weight (out, in, kernel, kernel).
    #[serde(rename = "conv2d")]
    Conv2d {
        /// Its name in the file of weights.
        name: String,
        /// Output channels.
        out: usize,
        /// Side of the square kernel.
        kernel: usize,
        /// Stride in both directions.
        stride: usize,
        /// Zeros added on each side.
        padding: usize,
    },
    /// max(0, x); its derivative at 0 is 0.
    Relu,
    /// Maximum over windows of `size` × `size`, stride `size`; the first of equal values takes the gradient.
    #[serde(rename = "max_pool2d")]
    MaxPool2d {
        /// Side of the window.
        size: usize,
    },
    /// To a vector, in the order channel, row, column.
    Flatten,
    /// A fully connected layer; weight (out, in).
    Linear {
        /// Its name in the file of weights.
        name: String,
        /// Number of outputs.
        out: usize,
    },
}

/// A feed-forward network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// The shape of a picture.
    pub input: Shape,
    /// The layers, from picture to logits.
    pub layers: Vec<Layer>,
}

/// A layer with what goes in, what comes out and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// What the layer is, in words: "convolution 3×3".
    pub what: String,
    /// The shape of its output.
    pub output: Shape,
    /// Trained numbers.
    pub parameters: usize,
    /// Floating-point operations of one forward pass for one picture, a multiply–add counted as two.
    pub flops: usize,
}

/// Why layers do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {index} ({what}) does not fit its input {channels} × {height} × {width}: {why}")]
pub struct Misfit {
    index: usize,
    what: String,
    channels: usize,
    height: usize,
    width: usize,
    why: &'static str,
}

impl Architecture {
    /// The project's usual small CNN for 28 × 28 grey pictures and ten classes: two convolutions 3 × 3 (16 and 32
    /// channels), each with ReLU and 2 × 2 max-pooling, then 128 hidden units.
    pub fn small_cnn() -> Self {
        let conv = |name: &str, out| Layer::Conv2d { name: name.into(), out, kernel: 3, stride: 1, padding: 1 };
        let linear = |name: &str, out| Layer::Linear { name: name.into(), out };
        Self {
            input: Shape { channels: 1, height: 28, width: 28 },
            layers: vec![
                conv("conv1", 16),
                Layer::Relu,
                Layer::MaxPool2d { size: 2 },
                conv("conv2", 32),
                Layer::Relu,
                Layer::MaxPool2d { size: 2 },
                Layer::Flatten,
                linear("fc1", 128),
                Layer::Relu,
                linear("fc2", 10),
            ],
        }
    }

    /// Every layer with its output shape and cost.
    ///
    /// # Errors
    /// The first layer whose input does not fit it.
    pub fn costs(&self) -> Result<Vec<Cost>, Misfit> {
        let mut shape = self.input;
        let mut flat = false;
        let mut costs = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let misfit = |why| Misfit {
                index,
                what: layer.what(),
                channels: shape.channels,
                height: shape.height,
                width: shape.width,
                why,
            };
            let vector = |n| Shape { channels: n, height: 1, width: 1 };
            let (output, parameters, flops) = match *layer {
                Layer::Conv2d { out, kernel, stride, padding, .. } => {
                    if flat {
                        return Err(misfit("a convolution cannot follow flatten"));
                    }
                    let side = |n: usize| (n + 2 * padding).checked_sub(kernel).map(|room| room / stride.max(1) + 1);
                    let (Some(height), Some(width)) = (side(shape.height), side(shape.width)) else {
                        return Err(misfit("the kernel is larger than the padded picture"));
                    };
                    if out == 0 || kernel == 0 || stride == 0 {
                        return Err(misfit("channels, kernel and stride must be at least 1"));
                    }
                    let output = Shape { channels: out, height, width };
                    let taps = shape.channels * kernel * kernel;
                    (output, out * (taps + 1), 2 * output.len() * taps)
                }
                Layer::Relu => (shape, 0, shape.len()),
                Layer::MaxPool2d { size } => {
                    if size == 0 || size > shape.height || size > shape.width {
                        return Err(misfit("the window is empty or larger than the picture"));
                    }
                    let output =
                        Shape { channels: shape.channels, height: shape.height / size, width: shape.width / size };
                    (output, 0, output.len() * size * size)
                }
                Layer::Flatten => {
                    flat = true;
                    (vector(shape.len()), 0, 0)
                }
                Layer::Linear { out, .. } => {
                    if !flat {
                        return Err(misfit("a linear layer needs flatten before it"));
                    }
                    if out == 0 {
                        return Err(misfit("it must have at least one output"));
                    }
                    (vector(out), out * (shape.len() + 1), 2 * out * shape.len())
                }
            };
            costs.push(Cost { what: layer.what(), output, parameters, flops });
            shape = output;
        }
        Ok(costs)
    }

    /// Trained numbers of the whole network; 0 if its layers do not fit.
    pub fn parameters(&self) -> usize {
        self.costs().map_or(0, |costs| costs.iter().map(|cost| cost.parameters).sum())
    }

    /// Floating-point operations of one forward pass for one picture; 0 if its layers do not fit.
    pub fn flops(&self) -> usize {
        self.costs().map_or(0, |costs| costs.iter().map(|cost| cost.flops).sum())
    }
}

impl Layer {
    fn what(&self) -> String {
        match self {
            Self::Conv2d { kernel, stride, padding, .. } => {
                let stride = if *stride == 1 { String::new() } else { format!(", stride {stride}") };
                format!("convolution {kernel}×{kernel}{stride}, padding {padding}")
            }
            Self::Relu => "ReLU".into(),
            Self::MaxPool2d { size } => format!("max-pooling {size}×{size}"),
            Self::Flatten => "flatten".into(),
            Self::Linear { .. } => "linear".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_cnn_has_the_parameters_that_can_be_counted_by_hand() {
        let parameters = (9 + 1) * 16 + (9 * 16 + 1) * 32 + (1568 + 1) * 128 + (128 + 1) * 10;
        assert_eq!(Architecture::small_cnn().parameters(), parameters);
    }

    #[test]
    fn layers_that_do_not_fit_are_named() {
        let mut network = Architecture::small_cnn();
        network.layers.remove(6);
        assert_eq!(network.costs().unwrap_err().index, 6);
    }
}
