//! Addresses of files, relative to the page, with their content's hash so that they can be cached for ever.

use crate::data::{Dataset, sheet};
use crate::nn::zoo::{ModelCard, TRAINED};

/// A sheet of test pictures.
pub fn sheet(dataset: Dataset, k: usize) -> String {
    let version = sheet::hash(dataset, k).unwrap_or_default();
    format!("assets/{}?v={version}", sheet::file(dataset, k))
}

/// A model's weights. Those of a model that a server has trained are below its interface.
pub fn weights(card: &ModelCard) -> String {
    if card.name.starts_with(TRAINED) {
        return format!("api/models/{}", card.weights.file);
    }
    let version: String = card.weights.sha256.chars().take(16).collect();
    format!("assets/models/{}?v={version}", card.weights.file)
}
