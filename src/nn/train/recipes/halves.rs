//! Standard training on disjoint halves of the training pictures: two networks that have nothing in common but their
//! architecture and the task (Szegedy et al. 2014 asked whether adversarial pictures transfer between such).

use super::standard;
use crate::data::Dataset;
use crate::nn::train::recipe::{Part, Recipe};

pub(super) fn recipes() -> Vec<Recipe> {
    let first = |usual: Recipe| Recipe {
        model: "half-a",
        title: "One half of the data",
        summary: "The usual network, trained on one half of the training pictures only. It shares none of them with the \
                  model of the other half.",
        part: Some(Part { index: 0, of: 2 }),
        seed: 2,
        ..usual
    };
    let second = |usual: Recipe| Recipe {
        model: "half-b",
        title: "The other half of the data",
        summary: "The usual network, trained on the other half of the training pictures, from other initial weights.",
        part: Some(Part { index: 1, of: 2 }),
        seed: 3,
        ..usual
    };
    vec![
        Recipe { name: "fashion-half-a", ..first(standard::recipe(Dataset::Fashion)) },
        Recipe { name: "fashion-half-b", ..second(standard::recipe(Dataset::Fashion)) },
        Recipe { name: "digits-half-a", epochs: 50, ..first(standard::recipe(Dataset::Digits)) },
        Recipe { name: "digits-half-b", epochs: 50, ..second(standard::recipe(Dataset::Digits)) },
    ]
}
