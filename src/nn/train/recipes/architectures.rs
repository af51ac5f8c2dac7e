//! Standard training of other architectures: what one network's adversarial pictures do to another is measured on these.

use super::standard;
use crate::data::Dataset;
use crate::nn::Architecture;
use crate::nn::train::recipe::{Recipe, Schedule};

pub(super) fn recipes() -> Vec<Recipe> {
    let gentle = Schedule { peak: 2e-3, rise: 0.1 };
    let residual = |usual: Recipe| Recipe {
        model: "residual",
        title: "Residual network",
        summary: "Another architecture: residual blocks and averages where the usual network has max-pooling and hidden \
                  units. Trained in the usual way.",
        architecture: Architecture::residual_cnn,
        ..usual
    };
    let tanh = |usual: Recipe| Recipe {
        model: "tanh",
        title: "tanh instead of ReLU",
        summary: "The usual network with tanh in the place of every ReLU: a smooth function that saturates instead of a \
                  piecewise linear one.",
        architecture: Architecture::tanh_cnn,
        schedule: gentle,
        ..usual
    };
    let mlp = |usual: Recipe| Recipe {
        model: "mlp",
        title: "Without convolutions",
        summary: "A multilayer perceptron: every hidden unit sees the whole picture. Less accurate than the networks with \
                  convolutions.",
        architecture: Architecture::mlp,
        schedule: Schedule { peak: 1e-3, rise: 0.1 },
        ..usual
    };
    vec![
        Recipe { name: "fashion-residual", epochs: 14, ..residual(standard::recipe(Dataset::Fashion)) },
        Recipe { name: "fashion-tanh", epochs: 12, ..tanh(standard::recipe(Dataset::Fashion)) },
        Recipe { name: "fashion-mlp", epochs: 24, ..mlp(standard::recipe(Dataset::Fashion)) },
        Recipe { name: "digits-residual", epochs: 40, ..residual(standard::recipe(Dataset::Digits)) },
        Recipe { name: "digits-tanh", epochs: 40, ..tanh(standard::recipe(Dataset::Digits)) },
        Recipe { name: "digits-mlp", epochs: 100, ..mlp(standard::recipe(Dataset::Digits)) },
    ]
}
