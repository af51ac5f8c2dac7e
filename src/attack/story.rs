//! What makes an attack what it is, to be shown: more than its iterates, losses and norms ([`super::Trace`]).

use serde::{Deserialize, Serialize};

/// What a search has to tell, with [`super::Record::Trace`]. P = C·H·W values to a picture, T steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Story {
    /// Momentum: the gradient of each step beside the accumulated direction that is followed.
    Momentum {
        /// g / ‖g‖₁ at each step, (T, P).
        gradients: Vec<f32>,
        /// m ← μ · m + g / ‖g‖₁ at each step, (T, P).
        accumulated: Vec<f32>,
        /// The cosine between the two, T.
        cosines: Vec<f32>,
    },
    /// A step size that adapts itself.
    Pace {
        /// The step size of each step, T.
        alphas: Vec<f32>,
        /// Where it was reconsidered.
        checkpoints: Vec<Checkpoint>,
    },
    /// The linearised boundaries at each step.
    Boundaries(Vec<Linearised>),
    /// The search over the weight c of the goal against the length of δ.
    Weights(Vec<Weighing>),
    /// Rotations and shifts that were tried.
    Grid(Box<Grid>),
    /// Rotation and shift at each step, T + 1.
    Path(Vec<Transform>),
    /// A flow field.
    Flow {
        /// How far below its place each pixel is looked up, then how far to the right, in pixels: (2, H, W). Zero if the
        /// attack has failed.
        field: Vec<f32>,
        /// Sum of the lengths of differences between neighbours, at each entry of the trace.
        roughnesses: Vec<f32>,
    },
    /// What was reached with how many queries.
    Queries {
        /// What is counted against the queries.
        measure: Measure,
        /// Queries and value wherever it improved; the first is the start.
        points: Vec<(u32, f32)>,
        /// The queries at each entry of the trace.
        steps: Vec<u32>,
    },
}

/// What a search that asks for scores or labels improves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measure {
    /// The margin of the logits, positive where the goal is reached; to grow.
    Margin,
    /// The length of δ; to fall.
    Length,
}

/// Rotations and shifts, all tried with all: A angles, S shifts down, S to the right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// In degrees, counter-clockwise, A.
    pub angles: Vec<f32>,
    /// In pixels, along either axis, S.
    pub shifts: Vec<f32>,
    /// The cross-entropy of the label, (A, S down, S right).
    pub losses: Vec<f32>,
    /// Whether the goal was reached, likewise.
    pub reached: Vec<bool>,
    /// That of the result.
    pub chosen: Transform,
}

/// A rotation, then a shift.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    /// In degrees, counter-clockwise.
    pub angle: f32,
    /// In pixels.
    pub down: f32,
    /// In pixels.
    pub right: f32,
}

/// A classifier taken for linear at an iterate x_i. With f_k = z_k − z_from and w_k = ∇ f_k, class k is predicted beyond
/// the plane f_k + w_k · (x′ − x_i) = 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linearised {
    /// The class whose region is to be left.
    pub from: u8,
    /// The class whose boundary is nearest.
    pub chosen: u8,
    /// f_k for every class, K; 0 where none was looked at.
    pub margins: Vec<f32>,
    /// ‖w_k‖ in the dual norm, K; 0 where none was looked at. |f_k| / ‖w_k‖ is the distance of the boundary.
    pub slopes: Vec<f32>,
    /// The distance of the chosen one.
    pub distance: f32,
    /// w of the chosen one, P. On a plane x + a·u + b·v its boundary is the line
    /// `at_image` + a · (w · u) + b · (w · v) = 0.
    pub normal: Vec<f32>,
    /// f + w · (x − x_i) of the chosen one: the linearised margin at x.
    pub at_image: f32,
}

/// One value of the weight c that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weighing {
    /// How much the goal counts against the length of δ.
    pub c: f32,
    /// Where the objective has a threshold τ on the greatest change: that.
    pub tau: Option<f32>,
    /// Whether the goal was reached.
    pub reached: bool,
    /// The margin of the last iterate: positive where the goal is reached.
    pub margin: f32,
    /// The length of δ of the last iterate.
    pub length: f32,
    /// The smallest δ that has reached the goal so far, with any c; none before the first.
    pub smallest: Option<f32>,
    /// Iterations that this c was given.
    pub iterations: u32,
}

/// Where an adaptive step size was reconsidered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// After this step.
    pub step: u32,
    /// How many steps there were since the last checkpoint.
    pub of: u32,
    /// In how many of these the objective grew.
    pub climbed: u32,
    /// Whether the step size was halved, and the search went back to its best picture.
    pub halved: bool,
}
