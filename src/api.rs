//! What page and server say to each other, as JSON over HTTP. Plain values: nothing here needs a server or a browser.

use serde::{Deserialize, Serialize};

use crate::evaluate::Tally;
use crate::experiment::Experiment;

/// `POST` a [`RobustAccuracy`] here; the answer is a stream of [`Line`]s, one JSON value per line.
pub const ROBUST_ACCURACY: &str = "/api/robust-accuracy";
/// `GET` here gives [`Health`].
pub const HEALTH: &str = "/api/health";
/// `GET` here gives [`Ready`], or status 503 with a [`Problem`].
pub const READY: &str = "/api/ready";

/// The question how many of the first test pictures withstand an attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobustAccuracy {
    /// Data set, model, threat, attack and seed; its picture and its second model do not matter.
    pub experiment: Experiment,
    /// How many: the test pictures 0 to this, which is left out; from 1 to all of the data set.
    pub pictures: u32,
}

impl RobustAccuracy {
    /// The question, with nothing in it that does not matter for the answer: a person's own picture stays where it is.
    pub fn of(experiment: &Experiment, pictures: u32) -> Self {
        let Experiment { picture, compare, view, .. } = Experiment::default();
        Self { experiment: Experiment { picture, compare, view, ..experiment.clone() }, pictures }
    }
}

/// A part of the answer to [`RobustAccuracy`].
///
/// One [`Line::Start`] comes when the work begins, before it perhaps some [`Line::Waiting`]; then every picture once, in
/// chunks whose order and size say nothing; at last [`Line::Done`] or [`Line::Failed`]. A stream that ends with neither
/// was cut off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Other batches come first.
    Waiting(Waiting),
    /// The work begins.
    Start(Start),
    /// Some pictures are done.
    Chunk(Chunk),
    /// All pictures are done.
    Done(Done),
    /// It ends early; chunks that came before still hold. A sentence: what happened and what to do.
    #[serde(rename = "error")]
    Failed(String),
}

/// In [`Line::Waiting`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// How many of them must end before this one begins, at least 1.
    pub ahead: usize,
}

/// In [`Line::Start`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// How many pictures will be attacked.
    pub pictures: u32,
    /// The attacked model, as `fashion-standard`.
    pub model: String,
}

/// In [`Line::Chunk`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// The first picture.
    pub from: u32,
    /// The first picture that is left out.
    pub to: u32,
    /// What was counted on them.
    pub tally: Tally,
}

/// In [`Line::Done`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// From [`Line::Start`] to here.
    pub milliseconds: f64,
}

/// The body of every answer whose status is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A sentence: what happened and what to do.
    pub error: String,
}

/// That the server lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The product's version.
    pub version: String,
    /// The models it has, as `fashion-standard`.
    pub models: Vec<String>,
    /// Since when it runs.
    pub uptime_seconds: u64,
}

/// That the server takes new work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Always true; a server that does not answers with status 503.
    pub ready: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::PIXELS;
    use crate::experiment::Picture;

    #[test]
    fn a_question_does_not_carry_a_persons_own_picture() {
        let mut experiment = Experiment { model: "adversarial".into(), seed: 3, ..Experiment::default() };
        let asked = RobustAccuracy::of(&experiment, 10);
        experiment.picture = Picture::Own { pixels: vec![7; PIXELS], label: None };
        experiment.compare = Some("standard".into());
        assert_eq!(RobustAccuracy::of(&experiment, 10), asked);
        assert_eq!((asked.experiment.model.as_str(), asked.experiment.seed), ("adversarial", 3));
    }

    #[test]
    fn lines_are_told_apart_by_their_names() {
        let lines = [
            (r#"{"waiting":{"ahead":2}}"#, Line::Waiting(Waiting { ahead: 2 })),
            (r#"{"start":{"pictures":3,"model":"m"}}"#, Line::Start(Start { pictures: 3, model: "m".into() })),
            (
                r#"{"chunk":{"from":0,"to":3,"tally":{"classes":[],"gradients":60}}}"#,
                Line::Chunk(Chunk { from: 0, to: 3, tally: Tally { classes: vec![], gradients: 60 } }),
            ),
            (r#"{"done":{"milliseconds":1.5}}"#, Line::Done(Done { milliseconds: 1.5 })),
            (r#"{"error":"a sentence"}"#, Line::Failed("a sentence".into())),
        ];
        for (text, line) in lines {
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
            assert_eq!(serde_json::from_str::<Line>(text).unwrap(), line);
        }
    }
}
