//! The architectures of the shipped models, all for 28 × 28 grey pictures and ten classes.

use super::{Architecture, Layer, Shape};

const INPUT: Shape = Shape { channels: 1, height: 28, width: 28 };

/// A convolution 3 × 3 that keeps rows and columns, or halves them with stride 2.
fn conv(name: &str, out: usize, stride: usize) -> Layer {
    Layer::Conv2d { name: name.into(), out, kernel: 3, stride, padding: 1.into(), groups: 1 }
}

fn linear(name: &str, out: usize) -> Layer {
    Layer::Linear { name: name.into(), out }
}

/// x + conv(relu(conv(x))).
fn residual(names: [&str; 2], channels: usize) -> Layer {
    Layer::Residual { layers: vec![conv(names[0], channels, 1), Layer::Relu, conv(names[1], channels, 1)] }
}

impl Architecture {
    /// The project's usual small CNN: two convolutions 3 × 3 (16 and 32 channels), each with ReLU and 2 × 2
    /// max-pooling, then 128 hidden units.
    pub fn small_cnn() -> Self {
        let pool = Layer::MaxPool2d { size: 2 };
        let first = [conv("conv1", 16, 1), Layer::Relu, pool.clone()];
        let second = [conv("conv2", 32, 1), Layer::Relu, pool];
        let head = [Layer::Flatten, linear("fc1", 128), Layer::Relu, linear("fc2", 10)];
        Self { input: INPUT, layers: first.into_iter().chain(second).chain(head).collect() }
    }

    /// [`Self::small_cnn`] with tanh instead of ReLU. The pooling comes first, which changes nothing (tanh is monotone) and
    /// needs a quarter of the tanhs.
    pub fn tanh_cnn() -> Self {
        let pool = Layer::MaxPool2d { size: 2 };
        let first = [conv("conv1", 16, 1), pool.clone(), Layer::Tanh];
        let second = [conv("conv2", 32, 1), pool, Layer::Tanh];
        let head = [Layer::Flatten, linear("fc1", 128), Layer::Tanh, linear("fc2", 10)];
        Self { input: INPUT, layers: first.into_iter().chain(second).chain(head).collect() }
    }

    /// A small residual network (He et al. 2016): average pooling, a strided convolution and the mean over all places
    /// instead of max-pooling and hidden units; no normalisation.
    pub fn residual_cnn() -> Self {
        Self {
            input: INPUT,
            layers: vec![
                conv("conv1", 16, 1),
                Layer::Relu,
                Layer::AvgPool2d { size: 2 },
                residual(["block1a", "block1b"], 16),
                Layer::Relu,
                conv("conv2", 40, 2),
                Layer::Relu,
                residual(["block2a", "block2b"], 40),
                Layer::Relu,
                Layer::GlobalAvgPool,
                Layer::Flatten,
                linear("fc", 10),
            ],
        }
    }

    /// A multilayer perceptron: 256 and 64 hidden units with ReLU.
    pub fn mlp() -> Self {
        let hidden = [linear("fc1", 256), Layer::Relu, linear("fc2", 64), Layer::Relu];
        Self {
            input: INPUT,
            layers: std::iter::once(Layer::Flatten).chain(hidden).chain([linear("fc3", 10)]).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_have_the_parameters_that_can_be_counted_by_hand() {
        let small = (9 + 1) * 16 + (9 * 16 + 1) * 32 + (1568 + 1) * 128 + (128 + 1) * 10;
        assert_eq!(Architecture::small_cnn().parameters(), small);
        assert_eq!(Architecture::tanh_cnn().parameters(), small);
        let blocks = 2 * (9 * 16 + 1) * 16 + 2 * (9 * 40 + 1) * 40;
        let residual = (9 + 1) * 16 + (9 * 16 + 1) * 40 + blocks + (40 + 1) * 10;
        assert_eq!(Architecture::residual_cnn().parameters(), residual);
        assert_eq!(Architecture::mlp().parameters(), (784 + 1) * 256 + (256 + 1) * 64 + (64 + 1) * 10);
    }
}
