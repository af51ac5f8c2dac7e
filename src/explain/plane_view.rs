//! What the Lab shows of an experiment on a plane: which plane, how much of it, and what lies on it.

use super::Plane;
use crate::attack::{Aim, Outcome};
use crate::experiment::Experiment;

/// Corners of the outline of the ball's section.
const BALL_POINTS: usize = 180;

/// A plane through a picture under attack, and what is drawn on it but the decisions. Points are pairs (a, b); x is (0, 0).
#[derive(Clone, Debug, PartialEq)]
pub struct PlaneView {
    /// The plane.
    pub plane: Plane,
    /// The square that is shown: least and greatest a, then b.
    pub extent: [f32; 4],
    /// The iterates of the attack, as far as they were recorded.
    pub path: Vec<f32>,
    /// The L2 distance of each iterate from the plane.
    pub off_plane: Vec<f32>,
    /// The two pictures that span the plane, if pictures do.
    pub landmarks: Vec<f32>,
    /// The outline of the section of the ball; none if no norm measures what the attack does.
    pub ball: Vec<f32>,
}

impl PlaneView {
    /// The view of an experiment whose attack on `image` came to `outcome`, recorded with [`crate::attack::Record::Trace`].
    /// `gradient` is that of the loss at `image`; `others` are the pictures that span the plane, if pictures do.
    ///
    /// # Panics
    /// If pictures are not of the same length.
    pub fn of(
        experiment: &Experiment,
        image: &[f32],
        outcome: &Outcome,
        gradient: &[f32],
        others: Option<&[Vec<f32>; 2]>,
    ) -> Self {
        let seed = experiment.seed;
        let plane = match others {
            Some([first, second]) => Plane::through(image, first, second, seed),
            None => Plane::along_attack(image, &outcome.adversarial, gradient, seed),
        };
        let (mut path, mut off_plane, mut landmarks, mut ball) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        if let Some(trace) = &outcome.trace {
            for iterate in trace.iterates.chunks_exact(image.len()) {
                let (a, b, off) = plane.project(iterate);
                path.extend([a, b]);
                off_plane.push(off);
            }
        }
        for other in others.into_iter().flatten() {
            let (a, b, _) = plane.project(other);
            landmarks.extend([a, b]);
        }
        // The ball's section reaches far out along a random direction, where the norm is small: the view keeps to the
        // path and the landmarks and to the outline along the attack's direction, the first point of it.
        let mut along = Vec::new();
        if experiment.attack.method.aim() != Aim::Transformation {
            ball = plane.ball(experiment.threat.norm, experiment.threat.epsilon, BALL_POINTS);
            along.extend([ball[0], ball[1], -ball[0], -ball[1]]);
        }
        let extent = plane.extent([&path[..], &landmarks, &along]);
        Self { plane, extent, path, off_plane, landmarks, ball }
    }
}
