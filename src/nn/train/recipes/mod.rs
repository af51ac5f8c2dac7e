//! The recipes of the shipped models, a file for each family.

mod adversarial;
mod standard;

use super::recipe::Recipe;

/// Every family; a new one is a file here and a line in this list.
pub(super) const FAMILIES: [fn() -> Vec<Recipe>; 2] = [standard::recipes, adversarial::recipes];
