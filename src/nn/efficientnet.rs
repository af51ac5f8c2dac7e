//! EfficientNet-Lite0: an ImageNet network of 4.6 million parameters, small enough for a browser.

use super::architecture::{Architecture, Layer, Padding, Shape};

/// An inverted-residual block: input and output channels, expansion, kernel, stride.
struct Block(usize, usize, usize, usize, usize);

const BLOCKS: [Block; 16] = [
    Block(32, 16, 1, 3, 1),
    Block(16, 24, 6, 3, 2),
    Block(24, 24, 6, 3, 1),
    Block(24, 40, 6, 5, 2),
    Block(40, 40, 6, 5, 1),
    Block(40, 80, 6, 3, 2),
    Block(80, 80, 6, 3, 1),
    Block(80, 80, 6, 3, 1),
    Block(80, 112, 6, 5, 1),
    Block(112, 112, 6, 5, 1),
    Block(112, 112, 6, 5, 1),
    Block(112, 192, 6, 5, 2),
    Block(192, 192, 6, 5, 1),
    Block(192, 192, 6, 5, 1),
    Block(192, 192, 6, 5, 1),
    Block(192, 320, 6, 3, 1),
];

impl Architecture {
    /// EfficientNet-Lite0 (Tan and Le 2019, the variant without squeeze-and-excitation) for 224 × 224 RGB pictures in
    /// [0, 1] and the 1,000 classes of ImageNet, with batch normalisation folded into the convolutions.
    pub fn efficientnet_lite0() -> Self {
        let mut side = 224;
        let mut conv = |name: String, out, kernel, stride, groups| {
            let padding = Padding::same(side, kernel, stride);
            side = side.div_ceil(stride);
            Layer::Conv2d { name, out, kernel, stride, padding, groups }
        };
        let mut layers = vec![
            Layer::Normalize { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] },
            conv("stem".into(), 32, 3, 2, 1),
            Layer::Relu6,
        ];
        for (i, &Block(input, out, expansion, kernel, stride)) in BLOCKS.iter().enumerate() {
            let wide = input * expansion;
            let mut block = Vec::new();
            if expansion > 1 {
                block.extend([conv(format!("blocks.{i}.expand"), wide, 1, 1, 1), Layer::Relu6]);
            }
            block.extend([conv(format!("blocks.{i}.depthwise"), wide, kernel, stride, wide), Layer::Relu6]);
            block.push(conv(format!("blocks.{i}.project"), out, 1, 1, 1));
            if stride == 1 && input == out {
                layers.push(Layer::Residual { layers: block });
            } else {
                layers.extend(block);
            }
        }
        layers.extend([
            conv("head".into(), 1280, 1, 1, 1),
            Layer::Relu6,
            Layer::GlobalAvgPool,
            Layer::Flatten,
            Layer::Linear { name: "classifier".into(), out: 1000 },
        ]);
        Self { input: Shape { channels: 3, height: 224, width: 224 }, layers }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use candle_core::{D, Device, Result, Tensor};

    use super::*;
    use crate::nn::{Arithmetic, Classifier, Executor, Weights};
    use crate::random::{Random, Stream};

    fn weights() -> Weights {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/efficientnet-lite0.safetensors");
        Weights::read(&std::fs::read(file).unwrap()).unwrap()
    }

    /// The same network in candle's own operations.
    fn forward(layers: &[Layer], weights: &Weights, x: Tensor) -> Result<Tensor> {
        let tensor = |name: &str| {
            let (_, tensor) = weights.tensors().find(|(found, _)| *found == name).unwrap();
            Tensor::from_slice(&tensor.data, tensor.shape.as_slice(), &Device::Cpu)
        };
        let channels = |values: &[f32]| Tensor::from_slice(values, (1, values.len(), 1, 1), &Device::Cpu);
        layers.iter().try_fold(x, |x, layer| match layer {
            Layer::Normalize { mean, std } => x.broadcast_sub(&channels(mean)?)?.broadcast_div(&channels(std)?),
            Layer::Conv2d { name, stride, padding, groups, .. } => {
                let mut x = x;
                for side in [2, 3] {
                    x = x.pad_with_zeros(side, padding.before, padding.after)?;
                }
                let bias = tensor(&format!("{name}.bias"))?.reshape((1, (), 1, 1))?;
                x.conv2d(&tensor(&format!("{name}.weight"))?, 0, *stride, 1, *groups)?.broadcast_add(&bias)
            }
            Layer::Relu6 => x.clamp(0.0, 6.0),
            Layer::GlobalAvgPool => x.mean_keepdim(D::Minus1)?.mean_keepdim(D::Minus2),
            Layer::Flatten => x.flatten_from(1),
            Layer::Linear { name, .. } => {
                let weight = tensor(&format!("{name}.weight"))?;
                x.matmul(&weight.t()?)?.broadcast_add(&tensor(&format!("{name}.bias"))?)
            }
            Layer::Residual { layers } => &x + forward(layers, weights, x.clone())?,
            other => panic!("not a layer of this network: {other:?}"),
        })
    }

    /// Something like a photo: smooth, in colours.
    fn picture() -> Vec<f32> {
        let mut random = Random::new(1, Stream::Weights, 0);
        let waves: Vec<[f32; 3]> = (0..24).map(|_| [0; 3].map(|_| random.normal())).collect();
        let value = |i: usize| {
            let (channel, row, column) = (i / (224 * 224), i / 224 % 224, i % 224);
            let at = |w: &[f32; 3]| (w[0] * row as f32 / 20.0 + w[1] * column as f32 / 20.0 + w[2]).sin();
            0.5 + 0.06 * waves[channel * 8..][..8].iter().map(at).sum::<f32>()
        };
        (0..3 * 224 * 224).map(value).collect()
    }

    #[test]
    fn the_logits_are_those_of_candle_and_the_gradient_is_the_slope() {
        let (architecture, weights, picture) = (Architecture::efficientnet_lite0(), weights(), picture());
        let x = Tensor::from_slice(&picture, (1, 3, 224, 224), &Device::Cpu).unwrap();
        let expected = forward(&architecture.layers, &weights, x).unwrap().flatten_all().unwrap();
        let expected = expected.to_vec1::<f32>().unwrap();
        for arithmetic in [Arithmetic::Exact, Arithmetic::Fused] {
            let mut network = Executor::with(&architecture, &weights, arithmetic).unwrap();
            let (mut logits, mut gradient) = (vec![0.0; 1000], vec![0.0; picture.len()]);
            let class = 368;
            let mut one = |_: &[f32], cotangent: &mut [f32]| cotangent[class] = 1.0;
            network.input_gradient(&picture, &mut logits, &mut one, &mut gradient);
            for (found, expected) in logits.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-3, "{found} {expected}");
            }
            // Along the gradient the logit rises as the gradient says: for a short way, where few kinks lie.
            let square: f64 = gradient.iter().map(|&g| g as f64 * g as f64).sum();
            let at = |step: f64, network: &mut Executor| {
                let moved: Vec<f32> =
                    picture.iter().zip(&gradient).map(|(&x, &g)| x + (step * g as f64) as f32).collect();
                let mut logits = vec![0.0; 1000];
                network.logits(&moved, &mut logits);
                logits[class] as f64
            };
            let step = 0.0001 / square.sqrt();
            let slope = (at(step, &mut network) - at(-step, &mut network)) / (2.0 * step);
            assert!((slope / square - 1.0).abs() < 0.03, "{slope} against {square}");
        }
    }

    #[test]
    fn it_has_the_parameters_that_its_file_has() {
        let numbers: usize = weights().tensors().map(|(_, tensor)| tensor.data.len()).sum();
        assert_eq!(Architecture::efficientnet_lite0().parameters(), numbers);
    }
}
