//! What runs over many pictures, in chunks that can be spread, resumed and added up.

mod accuracy;
mod curve;
mod pictures;
mod smallest;
pub mod transfer;
mod verdicts;

pub use accuracy::{Accuracy, robust_accuracy};
pub use curve::{Curve, CurvePoints};
pub use pictures::Pictures;
pub use smallest::{Minimal, Minimum, Smallest, smallest};
pub use verdicts::{Verdict, Verdicts, verdicts};

use serde::{Deserialize, Serialize};

/// What was counted on some test pictures. Tallies of disjoint pictures add up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Counts per true class.
    pub classes: Vec<Count>,
    /// Gradient evaluations that were used.
    pub gradients: u64,
}

/// Counts of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Attacked pictures.
    pub pictures: u32,
    /// Those classified correctly before the attack.
    pub clean: u32,
    /// Those classified correctly before it, and which the attack did not bring to its goal.
    pub robust: u32,
}

impl Tally {
    /// Adds the tally of other pictures.
    pub fn add(&mut self, other: &Self) {
        if self.classes.len() < other.classes.len() {
            self.classes.resize(other.classes.len(), Count::default());
        }
        for (count, more) in self.classes.iter_mut().zip(&other.classes) {
            count.pictures += more.pictures;
            count.clean += more.clean;
            count.robust += more.robust;
        }
        self.gradients += other.gradients;
    }

    /// The counts of all classes together.
    pub fn total(&self) -> Count {
        self.classes.iter().fold(Count::default(), |sum, count| Count {
            pictures: sum.pictures + count.pictures,
            clean: sum.clean + count.clean,
            robust: sum.robust + count.robust,
        })
    }
}
