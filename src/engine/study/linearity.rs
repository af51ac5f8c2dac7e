//! How linear models are around the picture, and what a linear function makes of many small changes.

use serde::{Deserialize, Serialize};

use super::{Host, Pace, subject};
use crate::experiment::Experiment;
use crate::explain::{DotProduct, Line, Walk, dot_product};
use crate::nn::Classifier;

/// Values of t on a line.
const POINTS: usize = 81;
/// Lengths n for which the dot product is shown, the greatest included.
const LENGTHS: u32 = 40;

/// Lines of which models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Their names.
    pub models: Vec<String>,
    /// The greatest |t|.
    pub reach: f32,
    /// Whether pictures are cut to [0, 1].
    pub clipped: bool,
}

/// The line of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its place in the plan.
    pub place: u8,
    /// The class that counts as true.
    pub label: u8,
    /// Its logits.
    pub line: Line,
}

/// Which dot products.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dots {
    /// The greatest number of weights.
    pub n: u32,
    /// Their mean magnitude.
    pub m: f64,
    /// The change of each input.
    pub epsilon: f64,
}

/// Walks the lines one after the other.
pub async fn run(plan: &Plan, experiment: &Experiment, host: &mut impl Host) -> Result<bool, String> {
    let mut pace = Pace::new(host);
    let Some(first) = plan.models.first() else { return Ok(true) };
    // One label for all, so that they can be compared.
    let mut judge = host.model(first).await?.executor;
    let subject = subject(experiment, &mut judge, host).await?;
    for (place, name) in plan.models.iter().enumerate() {
        let mut model = host.model(name).await?.executor;
        let (input, classes) = (model.input(), model.classes());
        let reach = plan.reach.clamp(1e-3, 1.0);
        let mut walk = Walk::new(input, classes, &subject.image, subject.label, reach, POINTS, plan.clipped);
        while !walk.step(&mut model) {
            if !pace.go_on(host).await {
                return Ok(false);
            }
        }
        let (place, label, line) = (place as u8, subject.label, walk.finish());
        host.say(super::Part::Linearity(Part { place, label, line }));
    }
    Ok(true)
}

/// The dot products for lengths up to n.
pub async fn dots(dots: &Dots, experiment: &Experiment, host: &mut impl Host) -> Result<bool, String> {
    let mut pace = Pace::new(host);
    let n = dots.n.clamp(1, 1 << 20);
    let mut lengths: Vec<u32> =
        (1..=LENGTHS).map(|i| (u64::from(n) * u64::from(i) / u64::from(LENGTHS)) as u32).collect();
    lengths.retain(|length| *length > 0);
    lengths.dedup();
    let mut found: Vec<DotProduct> = Vec::with_capacity(lengths.len());
    for length in lengths {
        found.push(dot_product(length, dots.m, dots.epsilon, experiment.seed));
        if !pace.go_on(host).await {
            return Ok(false);
        }
    }
    host.say(super::Part::Dots(found));
    Ok(true)
}
