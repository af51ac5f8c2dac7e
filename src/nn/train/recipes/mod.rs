//! The recipes of the shipped models, a file for each family.

mod adversarial;
mod architectures;
mod halves;
mod standard;

use super::recipe::Recipe;

/// Every family; a new one is a file here and a line in this list.
pub(super) const FAMILIES: [fn() -> Vec<Recipe>; 4] =
    [standard::recipes, adversarial::recipes, architectures::recipes, halves::recipes];
