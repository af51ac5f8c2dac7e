//! Figures: pictures, bars, charts and the plane of decisions.
//!
//! A figure is a Leptos component around a drawing function. The component says what is shown (typed signals), puts it
//! into its [`frame`] (caption, text equivalent, downloads) and asks its [`stage`] for a painting; the drawing function
//! takes a canvas, a size and a [`theme`] and serves screen and file alike.

mod bars;
mod chart;
mod curve;
pub mod download;
pub mod format;
mod frame;
mod lines;
mod matrix;
mod norms;
pub mod palette;
mod picture;
mod plane;
mod scene;
mod slider;
mod stage;
mod theme;
mod thumb;
mod trace;

pub use bars::{ClassBars, Classes, Probabilities, leading};
pub use chart::Mapping;
pub use curve::{CurveChart, CurveDrawing, draw_curve};
pub use lines::{LineChart, Lines, Series, Tone, draw_lines};
pub use matrix::MatrixFigure;
pub use norms::NormTable;
pub use picture::{Picture, Pixels, SignedPicture, draw_grey, draw_signed, greatest, scale_bar};
pub use plane::{PlaneDrawing, PlaneFigure, PlanePainter};
pub use scene::{SceneDrawing, SceneFigure};
pub use stage::{Size, Stage, calm};
pub use theme::{Theme, theme};
pub use thumb::Thumb;
pub use trace::{TraceChart, TraceDrawing, draw_trace};
