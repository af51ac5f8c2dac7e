//! The answer to a job, as it stands: figures and tables that any page can draw without knowing the kind of work.

use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::experiment::Experiment;
use crate::nn::zoo::{self, ModelCard};

/// What is known so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Report {
    /// A sentence: what came out.
    pub summary: String,
    /// The figures.
    pub figures: Vec<Figure>,
    /// The tables.
    pub tables: Vec<Table>,
    /// The model that was trained, when it is. Its weights are what the last chunk leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<Object>))]
    pub model: Option<Box<ModelCard>>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Lines over a common axis.
    Lines(Lines),
    /// Numbers in rows and columns.
    Matrix(Matrix),
    /// Classes on a plane.
    Map(Map),
}

/// An axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Axis {
    /// What it measures.
    pub label: String,
    /// Where it begins.
    pub least: f32,
    /// Where it ends.
    pub greatest: f32,
    /// Whether values are shares, to be written in percent.
    pub share: bool,
}

/// Lines over a common axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Lines {
    /// The heading.
    pub title: String,
    /// What it shows, in a sentence.
    pub caption: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
}

/// A line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points (x, y), x increasing.
    pub points: Vec<[f32; 2]>,
}

/// Numbers in rows and columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Matrix {
    /// The heading.
    pub title: String,
    /// What it shows, in a sentence.
    pub caption: String,
    /// What the rows are.
    pub row_label: String,
    /// The names of the rows.
    pub rows: Vec<String>,
    /// What the columns are.
    pub column_label: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Row by row, shares from 0 to 1; none where nothing is known.
    pub values: Vec<Option<f32>>,
}

/// Classes on a plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Map {
    /// The heading.
    pub title: String,
    /// What it shows, in a sentence.
    pub caption: String,
    /// Cells on a side.
    pub side: u32,
    /// Least and greatest a, then b, as L2 lengths.
    pub extent: [f32; 4],
    /// The names of the classes.
    pub names: Vec<String>,
    /// The class of each cell, row by row from the greatest b; 255 where none is known yet. As base64.
    #[serde(with = "base64_bytes")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = String))]
    pub classes: Vec<u8>,
    /// The probability of that class, 0 to 255. As base64.
    #[serde(with = "base64_bytes")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = String))]
    pub confidence: Vec<u8>,
    /// Points with their names: (a, b).
    pub points: Vec<(String, [f32; 2])>,
    /// The outline of the ball, pairs (a, b).
    pub ball: Vec<[f32; 2]>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Table {
    /// The heading.
    pub title: String,
    /// The heads of the columns, with units.
    pub columns: Vec<String>,
    /// The rows, each with as many cells as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Nothing to say.
    Empty,
    /// Words.
    Text(String),
    /// A number.
    Number(f64),
    /// A number of things.
    Count(u64),
    /// A share from 0 to 1.
    Share(f64),
    /// Opens an experiment in the Lab: the words, and the query of its link.
    Lab(String, String),
}

impl Cell {
    /// Words that open an experiment in the Lab.
    pub fn lab(words: impl Into<String>, experiment: &Experiment) -> Self {
        Self::Lab(words.into(), format!("?{}", experiment.to_query()))
    }

    /// A share, if it is known.
    pub fn share(share: Option<f64>) -> Self {
        share.map_or(Self::Empty, Self::Share)
    }

    /// A float32 as the number that a person would write.
    pub fn number(value: f32) -> Self {
        Self::Number(written(value))
    }

    /// The cell in a file of comma-separated values.
    pub fn plain(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::Lab(text, _) => text.clone(),
            Self::Number(number) | Self::Share(number) => number.to_string(),
            Self::Count(count) => count.to_string(),
        }
    }
}

impl Table {
    /// A table without rows.
    pub fn new<const N: usize>(title: impl Into<String>, columns: [&str; N]) -> Self {
        Self { title: title.into(), columns: columns.map(String::from).into(), rows: Vec::new() }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A float32 as the number that a person would write: 0.1, where its value is a little more.
pub(super) fn written(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// A model as people call it.
pub(super) fn title(dataset: Dataset, model: &str) -> String {
    zoo::find(dataset, model).map_or_else(|| model.into(), |card| card.title.clone())
}

/// What is said before there is anything to say.
pub(super) const NOTHING: &str = "Nothing is known yet.";

/// Bytes as text.
mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
