//! All kinds of work. Adding one is one file beside this one and one line here.

use super::Kind;
use super::compute::Computing;

macro_rules! kinds {
    ($($work:path),+ $(,)?) => {
        /// All kinds, in the order in which they are offered.
        pub static KINDS: &[Kind] = &[$(Kind::of::<$work>()),+];

        /// How each of [`KINDS`] is computed. Only what computes refers to this.
        pub(super) static COMPUTING: &[Computing] = &[$(Computing::of::<$work>()),+];
    };
}

kinds![
    super::robust_accuracy::RobustAccuracy,
    super::smallest::SmallestPerturbation,
    super::transfer::Transfer,
    super::boundary::BoundaryMap,
    super::training::Training,
];
