//! A job, step by step. Nothing here knows of browsers: what to do between two steps, and what time it is, is the
//! [`Host`]'s.

use super::protocol::{Attacker, Floats, Job, Report};
use crate::nn::train::{Adversary, Fit, FitError, Lessons, Plan, Schedule};
use crate::nn::weights::Dtype;
use crate::nn::{Arithmetic, Weights};
use crate::random::Random;

/// Training gives way after this many milliseconds, so that it can be stopped.
const PATIENCE: f64 = 30.0;
/// The share of the steps during which the learning rate, and an attacker's ε, rise.
const RISE: f64 = 0.1;

/// The surroundings of the work.
pub trait Host {
    /// Takes a report.
    fn say(&mut self, report: Report);
    /// Milliseconds since some moment.
    fn now(&self) -> f64;
    /// Lets others work for a moment; says whether training is to go on.
    fn go_on(&mut self) -> impl Future<Output = bool>;
}

/// Trains a network and returns its weights, earlier if the host does not want to go on. The job must be valid.
///
/// The same job gives the same weights to the bit natively and in WebAssembly.
///
/// # Errors
/// If the loss stops being a number.
pub async fn teach(job: &Job, host: &mut impl Host) -> Result<Weights, FitError> {
    let plan = Plan {
        architecture: job.architecture.clone(),
        epochs: job.epochs as usize,
        batch: job.batch as usize,
        seed: job.seed.into(),
        schedule: Schedule { peak: job.rate.into(), rise: RISE },
        weight_decay: job.weight_decay.into(),
        average: job.average.into(),
        smoothing: 0.0,
        adversary: job.attacker.map(|Attacker { threat, steps }| Adversary {
            threat,
            steps: steps as usize,
            rise: RISE,
        }),
        arithmetic: Arithmetic::Exact,
    };
    let pixels = job.architecture.input.len();
    let mut fit = Fit::new(plan, Given { images: &job.images, labels: &job.labels, pixels })?;
    let (mut loss, mut since) = (0.0, 0);
    let mut breath = host.now();
    while let Some(step) = fit.step()? {
        (loss, since) = (loss + f64::from(step.loss), since + 1);
        if job.every > 0 && (since == job.every || step.step == step.steps) {
            host.say(Report {
                step: step.step as u32,
                steps: step.steps as u32,
                epoch: step.epoch as u32,
                loss: (loss / f64::from(since)) as f32,
                weights: file(&fit.weights()?)?,
            });
            (loss, since) = (0.0, 0);
        }
        if host.now() - breath > PATIENCE {
            if !host.go_on().await {
                break;
            }
            breath = host.now();
        }
    }
    fit.weights()
}

/// Weights as they travel.
///
/// # Errors
/// If one is not a number.
pub fn file(weights: &Weights) -> Result<Vec<u8>, FitError> {
    Ok(weights.write(Dtype::Float32)?)
}

/// Examples as they are.
struct Given<'a> {
    images: &'a Floats,
    labels: &'a [u8],
    pixels: usize,
}

impl Lessons for Given<'_> {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn label(&self, index: usize) -> u8 {
        self.labels[index]
    }

    fn show(&self, index: usize, _: &mut Random, picture: &mut [f32]) {
        picture.copy_from_slice(&self.images[index * self.pixels..][..self.pixels]);
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::nn::Executor;
    use crate::scene::{Scene, survey};

    /// Takes reports, and stops the work after some breaths; every look at the clock is a second later.
    struct Clerk {
        reports: Vec<Report>,
        seconds: std::cell::Cell<u32>,
        breaths: usize,
    }

    impl Host for Clerk {
        fn say(&mut self, report: Report) {
            self.reports.push(report);
        }

        fn now(&self) -> f64 {
            self.seconds.set(self.seconds.get() + 1);
            f64::from(self.seconds.get()) * 1000.0
        }

        async fn go_on(&mut self) -> bool {
            self.breaths -= 1;
            self.breaths > 0
        }
    }

    fn taught(job: &Job, breaths: usize) -> (Weights, Vec<Report>) {
        job.validate().unwrap();
        let mut clerk = Clerk { reports: Vec::new(), seconds: Default::default(), breaths };
        let weights = futures::executor::block_on(teach(job, &mut clerk)).unwrap();
        (weights, clerk.reports)
    }

    #[test]
    fn a_small_network_learns_the_scene_and_keeps_a_gap() {
        for scene in Scene::ALL {
            let job = Job::of_scene(scene, 200, 3);
            let (weights, reports) = taught(&job, usize::MAX);
            let mut network = Executor::new(&job.architecture, &weights).unwrap();
            let cells = survey(scene, &mut network, 40);
            assert!((0.005..0.08).contains(&cells.wrong()), "{scene}: {}", cells.wrong());
            assert!(reports.last().unwrap().loss < 0.2 * reports[0].loss, "{scene}: {reports:?}");
            assert_eq!(reports.last().unwrap().weights, file(&weights).unwrap());
            assert_eq!(reports.last().unwrap().step, reports[0].steps);
        }
    }

    #[test]
    fn a_job_that_is_stopped_gives_what_has_been_learnt() {
        let mut job = Job::of_scene(Scene::Wave, 200, 3);
        job.every = 1;
        let (weights, reports) = taught(&job, 7);
        assert_eq!(reports.len(), 7);
        assert_eq!(reports[6].weights, file(&weights).unwrap());
        assert!(reports[5].weights != reports[6].weights);
    }

    #[test]
    fn too_great_a_learning_rate_is_an_error_in_words() {
        let mut job = Job::of_scene(Scene::Wave, 50, 3);
        (job.rate, job.images.0[0]) = (1.0, f32::MAX);
        let mut clerk = Clerk { reports: Vec::new(), seconds: Default::default(), breaths: usize::MAX };
        let error = futures::executor::block_on(teach(&job, &mut clerk)).unwrap_err().to_string();
        assert!(error.contains("lower the learning rate"), "{error}");
    }
}
