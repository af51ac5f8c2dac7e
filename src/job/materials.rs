//! What jobs are computed with.

use std::ops::Range;
use std::sync::Arc;

use crate::data::{Dataset, Examples};
use crate::nn::{Classifier, Executor};

/// Models and pictures, wherever they are kept.
pub trait Materials {
    /// A model of a data set, ready to run.
    ///
    /// # Errors
    /// A sentence, if there is none of this name.
    fn model(&self, dataset: Dataset, name: &str) -> Result<Executor, String>;

    /// The same on whatever computes it fastest here.
    ///
    /// # Errors
    /// As [`Self::model`].
    fn classifier(&self, dataset: Dataset, name: &str) -> Result<Box<dyn Classifier>, String> {
        self.model(dataset, name).map(|model| Box::new(model) as Box<dyn Classifier>)
    }

    /// Test pictures, (N, 784) in [0, 1], and their classes.
    ///
    /// # Errors
    /// A sentence, if there are not so many.
    fn pictures(&self, dataset: Dataset, range: Range<u32>) -> Result<(Vec<f32>, Vec<u8>), String>;

    /// All pictures to train with, [`Dataset::lessons`] of them.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    fn lessons(&self, dataset: Dataset) -> Result<Arc<Examples>, String>;
}
