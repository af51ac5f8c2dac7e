//! A network as data: its layers, shapes, and what they cost.

use std::fmt;

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

/// Zeros around a picture: above and left of it, below and right of it. In JSON one number where they are equal,
/// otherwise both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PaddingForm", into = "PaddingForm")]
pub struct Padding {
    /// Rows above and columns to the left.
    pub before: usize,
    /// Rows below and columns to the right.
    pub after: usize,
}

impl Padding {
    /// As TensorFlow's SAME: ⌈`side` / stride⌉ outputs, the odd zero after.
    pub fn same(side: usize, kernel: usize, stride: usize) -> Self {
        let total = ((side.div_ceil(stride) - 1) * stride + kernel).saturating_sub(side);
        Self { before: total / 2, after: total - total / 2 }
    }

    /// Zeros of both sides together.
    pub fn total(self) -> usize {
        self.before + self.after
    }
}

impl From<usize> for Padding {
    fn from(each: usize) -> Self {
        Self { before: each, after: each }
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.before == self.after {
            write!(f, "{}", self.before)
        } else {
            write!(f, "{} before and {} after", self.before, self.after)
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PaddingForm {
    Each(usize),
    Sides([usize; 2]),
}

impl From<PaddingForm> for Padding {
    fn from(form: PaddingForm) -> Self {
        match form {
            PaddingForm::Each(each) => each.into(),
            PaddingForm::Sides([before, after]) => Self { before, after },
        }
    }
}

impl From<Padding> for PaddingForm {
    fn from(Padding { before, after }: Padding) -> Self {
        if before == after { Self::Each(before) } else { Self::Sides([before, after]) }
    }
}

/// One layer. Weights are found in the file as `{name}.weight` and `{name}.bias`, laid out as PyTorch does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// (x − mean) / std for each channel. Attacks stay in pixels: it is part of the network.
    Normalize {
        /// One for each channel.
        mean: Vec<f32>,
        /// One for each channel, not 0.
        std: Vec<f32>,
    },
    /// A two-dimensional convolution; weight (out, in / groups, kernel, kernel).
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
        /// Zeros around the picture.
        padding: Padding,
        /// Equal shares of input and output channels that are connected with each other only; 1 connects all. As many
        /// as there are input channels make it depthwise.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        groups: usize,
    },
    /// max(0, x); its derivative at 0 is 0.
    Relu,
    /// min(max(0, x), 6); its derivative at 0 and at 6 is 0.
    Relu6,
    /// x where x > 0, slope · x elsewhere; its derivative at 0 is the slope.
    LeakyRelu {
        /// The slope on the left, 0.01 in PyTorch.
        slope: f32,
    },
    /// 1 / (1 + exp(−x)).
    Sigmoid,
    /// tanh x.
    Tanh,
    /// Maximum over windows of `size` × `size`, stride `size`; the first of equal values takes the gradient.
    #[serde(rename = "max_pool2d")]
    MaxPool2d {
        /// Side of the window.
        size: usize,
    },
    /// Mean over windows of `size` × `size`, stride `size`.
    #[serde(rename = "avg_pool2d")]
    AvgPool2d {
        /// Side of the window.
        size: usize,
    },
    /// Mean over all places: one number for each channel.
    GlobalAvgPool,
    /// To a vector, in the order channel, row, column.
    Flatten,
    /// A fully connected layer; weight (out, in).
    Linear {
        /// Its name in the file of weights.
        name: String,
        /// Number of outputs.
        out: usize,
    },
    /// x + f(x), where f is these layers and keeps the shape.
    Residual {
        /// The layers of f.
        layers: Vec<Layer>,
    },
    /// Sets values to 0 at random during training; here, where nothing is trained, the identity.
    Dropout {
        /// The share that is set to 0.
        share: f32,
    },
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_one(n: &usize) -> bool {
    *n == 1
}

/// A feed-forward network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The shape of its input.
    pub input: Shape,
    /// The shape of its output.
    pub output: Shape,
    /// The tensors it is trained by, and their shapes: all of a residual's layers.
    pub weights: Vec<(String, Vec<usize>)>,
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
    why: String,
}

impl Architecture {
    /// Every layer with its shapes and cost.
    ///
    /// # Errors
    /// The first layer whose input does not fit it.
    pub fn costs(&self) -> Result<Vec<Cost>, Misfit> {
        costs(&self.layers, self.input)
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

/// Every layer of a chain with its shapes and cost.
///
/// # Errors
/// The first layer whose input does not fit it.
pub(crate) fn costs(layers: &[Layer], input: Shape) -> Result<Vec<Cost>, Misfit> {
    let mut shape = input;
    let mut flat = false;
    let mut costs = Vec::with_capacity(layers.len());
    for (index, layer) in layers.iter().enumerate() {
        let cost = cost(layer, shape, &mut flat).map_err(|why| Misfit {
            index,
            what: layer.what(),
            channels: shape.channels,
            height: shape.height,
            width: shape.width,
            why,
        })?;
        shape = cost.output;
        costs.push(cost);
    }
    Ok(costs)
}

/// What a layer costs; `flat` is whether its input is a vector.
fn cost(layer: &Layer, shape: Shape, flat: &mut bool) -> Result<Cost, String> {
    let vector = |n| Shape { channels: n, height: 1, width: 1 };
    let trained = |name: &str, shape: Vec<usize>| {
        let bias = vec![shape[0]];
        vec![(format!("{name}.weight"), shape), (format!("{name}.bias"), bias)]
    };
    let (output, weights, flops) = match layer {
        Layer::Normalize { mean, std } => {
            if mean.len() != shape.channels || std.len() != shape.channels {
                return Err("it needs a mean and a standard deviation for each channel".into());
            }
            if mean.iter().any(|m| !m.is_finite()) || std.iter().any(|s| !s.is_finite() || *s == 0.0) {
                return Err("means must be finite, and standard deviations finite and not 0".into());
            }
            (shape, vec![], 2 * shape.len())
        }
        &Layer::Conv2d { ref name, out, kernel, stride, padding, groups } => {
            if *flat {
                return Err("a convolution cannot follow flatten".into());
            }
            if out == 0 || kernel == 0 || stride == 0 {
                return Err("channels, kernel and stride must be at least 1".into());
            }
            let divided = |channels: usize| channels.is_multiple_of(groups);
            if groups == 0 || !divided(out) || !divided(shape.channels) {
                return Err(format!(
                    "{groups} groups do not divide {} input and {out} output channels",
                    shape.channels
                ));
            }
            let side = |n: usize| (n + padding.total()).checked_sub(kernel).map(|room| room / stride + 1);
            let (Some(height), Some(width)) = (side(shape.height), side(shape.width)) else {
                return Err("the kernel is larger than the padded picture".into());
            };
            let output = Shape { channels: out, height, width };
            let inputs = shape.channels / groups;
            (output, trained(name, vec![out, inputs, kernel, kernel]), 2 * output.len() * inputs * kernel * kernel)
        }
        Layer::Relu | Layer::Relu6 | Layer::LeakyRelu { .. } | Layer::Sigmoid | Layer::Tanh => {
            (shape, vec![], shape.len())
        }
        &(Layer::MaxPool2d { size } | Layer::AvgPool2d { size }) => {
            if size == 0 || size > shape.height || size > shape.width {
                return Err("the window is empty or larger than the picture".into());
            }
            let output = Shape { channels: shape.channels, height: shape.height / size, width: shape.width / size };
            (output, vec![], output.len() * size * size)
        }
        Layer::GlobalAvgPool => (vector(shape.channels), vec![], shape.len()),
        Layer::Flatten => {
            *flat = true;
            (vector(shape.len()), vec![], 0)
        }
        &Layer::Linear { ref name, out } => {
            if !*flat {
                return Err("a linear layer needs flatten before it".into());
            }
            if out == 0 {
                return Err("it must have at least one output".into());
            }
            (vector(out), trained(name, vec![out, shape.len()]), 2 * out * shape.len())
        }
        Layer::Residual { layers } => {
            let inner = costs(layers, shape).map_err(|misfit| format!("within it, {misfit}"))?;
            if *flat || inner.last().is_none_or(|last| last.output != shape) {
                return Err("its layers must keep the shape of a picture, or there would be nothing to add".into());
            }
            let flops = inner.iter().map(|cost| cost.flops).sum::<usize>() + shape.len();
            (shape, inner.into_iter().flat_map(|cost| cost.weights).collect(), flops)
        }
        &Layer::Dropout { share } => {
            if !(0.0..1.0).contains(&share) {
                return Err("the share must be at least 0 and less than 1".into());
            }
            (shape, vec![], 0)
        }
    };
    let parameters = weights.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    Ok(Cost { what: layer.what(), input: shape, output, weights, parameters, flops })
}

impl Layer {
    fn what(&self) -> String {
        match self {
            Self::Normalize { .. } => "normalisation of the channels".into(),
            Self::Conv2d { kernel, stride, padding, groups, .. } => {
                let stride = if *stride == 1 { String::new() } else { format!(", stride {stride}") };
                let groups = if *groups == 1 { String::new() } else { format!(", {groups} groups") };
                format!("convolution {kernel}×{kernel}{stride}, padding {padding}{groups}")
            }
            Self::Relu => "ReLU".into(),
            Self::Relu6 => "ReLU6".into(),
            Self::LeakyRelu { slope } => format!("leaky ReLU, slope {slope}"),
            Self::Sigmoid => "sigmoid".into(),
            Self::Tanh => "tanh".into(),
            Self::MaxPool2d { size } => format!("max-pooling {size}×{size}"),
            Self::AvgPool2d { size } => format!("average-pooling {size}×{size}"),
            Self::GlobalAvgPool => "mean over all places".into(),
            Self::Flatten => "flatten".into(),
            Self::Linear { .. } => "linear".into(),
            Self::Residual { layers } => {
                let inner: Vec<String> = layers.iter().map(Self::what).collect();
                format!("residual block: x + ({})", inner.join("; "))
            }
            Self::Dropout { share } => format!("dropout {share}, not in use"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_that_do_not_fit_are_named() {
        let mut network = Architecture::small_cnn();
        network.layers.remove(6);
        assert_eq!(network.costs().unwrap_err().index, 6);
    }

    #[test]
    fn padding_is_one_number_or_two_in_json_and_groups_may_be_left_out() {
        let read = |json: &str| serde_json::from_str::<Layer>(json).unwrap();
        let layer = read(r#"{"conv2d": {"name": "a", "out": 8, "kernel": 3, "stride": 2, "padding": [0, 1]}}"#);
        let Layer::Conv2d { padding, groups, .. } = &layer else { panic!("another layer") };
        assert_eq!((*padding, *groups), (Padding::same(224, 3, 2), 1));
        assert_eq!(read(&serde_json::to_string(&layer).unwrap()), layer);
        let layer = read(r#"{"conv2d": {"name": "a", "out": 8, "kernel": 3, "stride": 1, "padding": 1, "groups": 4}}"#);
        assert_eq!(read(&serde_json::to_string(&layer).unwrap()), layer);
    }

    #[test]
    fn a_residual_block_must_keep_the_shape() {
        let conv = |out| Layer::Conv2d { name: "a".into(), out, kernel: 3, stride: 1, padding: 1.into(), groups: 1 };
        let network = |out| Architecture {
            input: Shape { channels: 4, height: 6, width: 6 },
            layers: vec![Layer::Residual { layers: vec![conv(out), Layer::Relu] }],
        };
        assert_eq!(network(4).parameters(), 4 * (4 * 9 + 1));
        assert!(network(5).costs().unwrap_err().to_string().contains("keep the shape"));
    }
}
