//! The work on a chunk of training: from a checkpoint to the next, and from the last one to a model.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::{HELD_OUT, HELD_OUT_STEPS, Measured, Part, Training};
use crate::data::Examples;
use crate::experiment::AttackSettings;
use crate::job::report::written;
use crate::job::{Computed, Materials};
use crate::nn::train::{Adversary, Changed, Fit, Recipe, Schedule, clean, measure, under_attack};
use crate::nn::weights::Dtype;
use crate::nn::zoo::{self, ModelCard, trained_name};
use crate::nn::{Arithmetic, Executor, Weights};
use crate::random::{Random, Stream};

/// The item of the choice of training pictures among the random numbers of the seed; the data sets' own have smaller ones.
const DRAWN: u64 = 100;
/// Points on the curve of the loss, about.
const POINTS: u32 = 300;

/// Computes a chunk. Products and sums are rounded one by one: every machine learns the same to the bit.
pub(super) fn chunk(
    training: &Training,
    chunk: usize,
    carried: Option<&[u8]>,
    materials: &dyn Materials,
) -> Result<Computed<Part>, String> {
    let lessons = materials.lessons(training.experiment.dataset)?;
    let wanted = training.pictures as usize;
    let examples = match lessons.len() {
        all if all < wanted => {
            return Err(format!("there are {all} training pictures here, and {wanted} are asked for"));
        }
        all if all == wanted => Cow::Borrowed(&*lessons),
        all => Cow::Owned(lessons.select(&training.drawn(all))),
    };
    let recipe = training.recipe()?;
    let mut plan = recipe.plan();
    plan.arithmetic = Arithmetic::Exact;
    let shown = Changed { examples: &examples, augmentation: recipe.augmentation };
    let mut fit = match carried {
        None if chunk == 0 => Fit::new(plan, shown).map_err(words)?,
        None => return Err("the checkpoint of the training is missing: train from the beginning".into()),
        Some(checkpoint) => Fit::restore(plan, shown, checkpoint).map_err(words)?,
    };
    let pieces = training.pieces();
    let due = pieces.get(chunk).map_or(training.batches() * training.epochs, |piece| piece.start);
    if fit.done() != due as usize {
        return Err(format!("the checkpoint is of step {} instead of {due}: train from the beginning", fit.done()));
    }
    let Some(piece) = pieces.get(chunk) else {
        return training.finish(&fit.weights().map_err(words)?, &recipe, materials);
    };
    let mut part = Part::default();
    let every = (training.batches() * training.epochs).div_ceil(POINTS);
    let (mut sum, mut since) = (0.0, 0);
    for step in piece.clone() {
        let Some(done) = fit.step().map_err(words)? else { break };
        (sum, since) = (sum + f64::from(done.loss), since + 1);
        if since == every || step + 1 == piece.end {
            part.losses.push((step + 1, (sum / f64::from(since)) as f32));
            (sum, since) = (0.0, 0);
        }
    }
    if let Some(epoch) = training.ends(piece.end) {
        let network = Executor::new(&(recipe.architecture)(), &fit.weights().map_err(words)?).map_err(words)?;
        let pictures = training.held_out(HELD_OUT, materials)?;
        let attack = AttackSettings { steps: HELD_OUT_STEPS, ..AttackSettings::default() };
        let robust = under_attack(&network, &pictures, training.experiment.threat, &attack);
        part.measured = Some(Measured {
            epoch,
            clean: clean(&network, &pictures) as u32,
            robust: robust as u32,
            of: pictures.len() as u32,
        });
    }
    Ok(Computed { part, carry: Some(fit.save()) })
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Training {
    /// The recipe of the shipped model that is trained in the same way, with what was asked for instead.
    pub(in crate::job) fn recipe(&self) -> Result<Recipe, String> {
        let dataset = self.experiment.dataset;
        let model = if self.attack_steps > 0 { "adversarial" } else { "standard" };
        let usual = Recipe::all().find(|recipe| (recipe.dataset, recipe.model) == (dataset, model));
        let usual = usual.ok_or("there is no recipe to vary")?;
        let rise = usual.adversary.map_or(0.0, |adversary| adversary.rise);
        Ok(Recipe {
            architecture: self.network.architecture(),
            epochs: self.epochs as usize,
            batch: self.batch as usize,
            seed: self.experiment.seed.into(),
            schedule: Schedule { peak: written(self.rate), rise: 0.1 },
            weight_decay: written(self.weight_decay),
            adversary: (self.attack_steps > 0).then_some(Adversary {
                threat: self.experiment.threat,
                steps: self.attack_steps as usize,
                rise,
            }),
            ..usual
        })
    }

    /// Which of `all` training pictures are learnt from. They may lie in the order of their classes.
    pub(in crate::job) fn drawn(&self, all: usize) -> Vec<usize> {
        let mut indices: Vec<usize> = (0..all).collect();
        Random::new(self.experiment.seed.into(), Stream::Split, DRAWN).shuffle(&mut indices);
        indices.truncate(self.pictures as usize);
        indices.sort_unstable();
        indices
    }

    /// The first test pictures.
    fn held_out(&self, count: u32, materials: &dyn Materials) -> Result<Examples, String> {
        let dataset = self.experiment.dataset;
        let (images, labels) = materials.pictures(dataset, 0..count.min(dataset.pictures()))?;
        let pixels = images.iter().map(|value| (value * 255.0).round() as u8).collect();
        Ok(Examples { pixels, labels })
    }

    /// Stores the weights, reads them again and measures what they reach, as for the shipped models.
    fn finish(&self, weights: &Weights, recipe: &Recipe, materials: &dyn Materials) -> Result<Computed<Part>, String> {
        let dataset = self.experiment.dataset;
        let dtype = Dtype::Float16;
        let file = weights.write(dtype).map_err(words)?;
        let architecture = (recipe.architecture)();
        let network = Executor::new(&architecture, &Weights::read(&file).map_err(words)?).map_err(words)?;
        let sha256: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
        let (name, mark) = (trained_name(&sha256), sha256.get(..4).unwrap_or_default());
        let (kind, against) = match &recipe.adversary {
            Some(adversary) => (
                "adversarial training",
                format!("attacked with PGD, {} ≤ {}", adversary.threat.norm, adversary.threat.epsilon),
            ),
            None => ("standard training", "that nobody had attacked".into()),
        };
        let plural = if self.epochs == 1 { "epoch" } else { "epochs" };
        let card = ModelCard {
            dataset,
            title: format!("{}, {kind} ({mark})", self.network.title()),
            summary: format!(
                "Trained here, in {} {plural} on {} pictures of {}, {against}.",
                self.epochs,
                self.pictures,
                dataset.title()
            ),
            architecture,
            weights: zoo::Weights {
                file: format!("{name}.safetensors"),
                bytes: file.len() as u64,
                sha256,
                dtype: dtype.name().into(),
            },
            training: zoo::Training {
                recipe: String::new(),
                method: recipe.method(),
                examples: self.pictures as usize,
                epochs: recipe.epochs,
                batch: recipe.batch,
                seed: recipe.seed,
                adversarial: recipe.adversary.map(|adversary| adversary.threat),
                // It is not the same everywhere, and everything else is.
                seconds: 0.0,
            },
            results: measure(dataset, &network, &self.held_out(u32::MAX, materials)?, |_| ()),
            name,
        };
        Ok(Computed { part: Part { model: Some(Box::new(card)), ..Part::default() }, carry: Some(file) })
    }
}
