//! Controls: each has a label, a keyboard and a unit.

mod choice;
mod number;

pub use choice::{Choice, Pick, Toggle};
pub use number::NumberControl;
