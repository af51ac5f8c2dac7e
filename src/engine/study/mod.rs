//! Work on an experiment beyond the Lab's live answer: one file per study.
//!
//! A study is asked for with an [`Experiment`] and says its parts one by one. It works in small pieces and asks its
//! [`Host`] between them whether it is still wanted; a newer study of the same [`Lane`] takes its place. Nothing here
//! knows of browsers.

pub mod gap;
pub mod inside;
pub mod linearity;
pub mod smallest;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
pub mod transfer;

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::data;
use crate::experiment::{Experiment, OWN_ID, Picture};
use crate::explain::DotProduct;
use crate::nn::zoo::ModelCard;
use crate::nn::{Classifier, Executor, Weights, softmax};

/// A study gives way after this many milliseconds, so that what is more urgent need not wait.
const PATIENCE: f64 = 16.0;

/// What is to be found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Study {
    /// The smallest perturbation that each attack finds for the picture.
    Smallest,
    /// What models look at.
    Inside(inside::Plan),
    /// How linear models are around the picture.
    Linearity(linearity::Plan),
    /// What a linear function makes of many small changes.
    Dots(linearity::Dots),
    /// Whether perturbations found on one model fool others, over many pictures.
    Transfer(transfer::Plan),
    /// The perturbation of this picture on each of these models.
    Row(Vec<String>),
    /// What a network has learnt of a scene, and what the attack makes of so many of its points.
    Square(gap::Learnt, u32),
    /// The attack on this point of a scene.
    Point(gap::Learnt, [f32; 2]),
}

/// Part of what a study has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Part {
    /// Of [`Study::Smallest`].
    Smallest(smallest::Part),
    /// Of [`Study::Inside`].
    Inside(inside::Part),
    /// Of [`Study::Linearity`].
    Linearity(linearity::Part),
    /// Of [`Study::Dots`], for increasing n.
    Dots(Vec<DotProduct>),
    /// Of [`Study::Transfer`]; each replaces the one before.
    Transfer(transfer::Part),
    /// Of [`Study::Row`].
    Row(Box<transfer::Row>),
    /// Of [`Study::Square`].
    Square(Box<gap::Square>),
    /// Of [`Study::Point`].
    Point(Box<gap::Point>),
}

/// Studies of different lanes do not replace one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lane {
    /// Short ones, that follow a control while it moves. They go first.
    Live,
    /// Short ones of a second widget on the same page.
    Aside,
    /// Long ones, with progress.
    Long,
}

impl Lane {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Live, Self::Aside, Self::Long];
}

impl Study {
    /// Its lane.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Inside(_) | Self::Linearity(_) | Self::Row(_) | Self::Point(..) => Lane::Live,
            Self::Dots(_) | Self::Square(..) => Lane::Aside,
            Self::Smallest | Self::Transfer(_) => Lane::Long,
        }
    }
}

/// A model that is ready to run.
#[derive(Clone)]
pub struct Network {
    /// What it is.
    pub card: &'static ModelCard,
    /// It runs.
    pub executor: Executor,
    /// What it has learned, for those who look inside.
    pub weights: std::rc::Rc<Weights>,
}

/// The surroundings of the work.
pub trait Host {
    /// Takes a part of the answer.
    fn say(&mut self, part: Part);
    /// Milliseconds since some moment.
    fn now(&self) -> f64;
    /// Lets others work for a moment; says whether this study is still wanted.
    fn go_on(&mut self) -> impl Future<Output = bool>;
    /// The model of this name of the experiment's data set.
    fn model(&mut self, name: &str) -> impl Future<Output = Result<Network, String>>;
    /// A test picture of the experiment's data set, its values in [0, 1].
    fn picture(&mut self, index: u32) -> impl Future<Output = Result<Vec<f32>, String>>;
}

/// Does a study of a valid experiment. Says whether it came to its end; it ends early when it is no longer wanted.
///
/// # Errors
/// A sentence that says what could not be loaded or computed.
pub async fn run(study: &Study, experiment: &Experiment, host: &mut impl Host) -> Result<bool, String> {
    match study {
        Study::Smallest => smallest::run(experiment, host).await,
        Study::Inside(plan) => inside::run(plan, experiment, host).await,
        Study::Linearity(plan) => linearity::run(plan, experiment, host).await,
        Study::Dots(dots) => linearity::dots(dots, experiment, host).await,
        Study::Transfer(plan) => transfer::run(plan, experiment, host).await,
        Study::Row(models) => transfer::row(models, experiment, host).await,
        Study::Square(learnt, points) => gap::square(learnt, *points, experiment, host).await,
        Study::Point(learnt, at) => gap::point(learnt, *at, experiment, host).await,
    }
}

/// The picture of an experiment.
pub struct Subject {
    /// Its values in [0, 1].
    pub image: Vec<f32>,
    /// Its own key of random numbers.
    pub id: u32,
    /// Its class: the true one, or the model's prediction where nobody knows better.
    pub label: u8,
}

/// Gets the picture. `judge` says what class it is of if nobody has said so.
async fn subject(experiment: &Experiment, judge: &mut dyn Classifier, host: &mut impl Host) -> Result<Subject, String> {
    let (image, id, label) = match &experiment.picture {
        Picture::Test(index) => {
            let label = data::labels(experiment.dataset).get(*index as usize).copied();
            (host.picture(*index).await?, *index, label)
        }
        Picture::Own { pixels, label } => (data::to_unit(pixels), OWN_ID, *label),
    };
    let label = label.unwrap_or_else(|| {
        let mut logits = vec![0.0; judge.classes()];
        judge.logits(&image, &mut logits);
        softmax::predicted(&logits) as u8
    });
    Ok(Subject { image, id, label })
}

/// Gives way from time to time.
struct Pace {
    breath: f64,
}

impl Pace {
    fn new(host: &impl Host) -> Self {
        Self { breath: host.now() }
    }

    /// Gives way if it is time to; says whether the study is still wanted.
    async fn go_on(&mut self, host: &mut impl Host) -> bool {
        if host.now() - self.breath < PATIENCE {
            return true;
        }
        let wanted = host.go_on().await;
        self.breath = host.now();
        wanted
    }
}
