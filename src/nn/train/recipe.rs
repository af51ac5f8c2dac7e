//! Recipes: everything that determines a trained model, as data.

use super::fit::Plan;
use crate::data::Dataset;
use crate::nn::{Architecture, Arithmetic};
use crate::threat::Threat;

/// How a model is trained. The same recipe and seed give the same weights on the same kind of processor.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name in commands and files: "fashion-standard".
    pub name: &'static str,
    /// What it learns from.
    pub dataset: Dataset,
    /// The model's name within the data set: "standard".
    pub model: &'static str,
    /// The model's name for people.
    pub title: &'static str,
    /// One or two sentences for students: what the model is for and how it behaves.
    pub summary: &'static str,
    /// The network.
    pub architecture: fn() -> Architecture,
    /// The part of the training pictures it sees; none for all of them.
    pub part: Option<Part>,
    /// Passes over the training pictures.
    pub epochs: usize,
    /// Pictures in a step.
    pub batch: usize,
    /// Key of every random number.
    pub seed: u64,
    /// Learning rate over time.
    pub schedule: Schedule,
    /// AdamW's decay of the weights per unit of learning rate (Loshchilov and Hutter 2019).
    pub weight_decay: f64,
    /// The decay per step of the running average of the weights that is kept in the end.
    pub average: f64,
    /// Share of the target that is spread over all classes (label smoothing); 0 for none.
    pub smoothing: f32,
    /// Random changes of the training pictures.
    pub augmentation: Augmentation,
    /// The attacker to train against, if any.
    pub adversary: Option<Adversary>,
}

/// One of some disjoint parts of the training pictures, equally large up to one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which part, from 0.
    pub index: usize,
    /// How many parts there are, at least 1.
    pub of: usize,
}

impl Part {
    /// The pictures that belong to it, of `all`: every `of`-th.
    pub fn indices(self, all: usize) -> Vec<usize> {
        (self.index..all).step_by(self.of.max(1)).collect()
    }
}

/// A learning rate that rises linearly, then falls along half a cosine to zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The greatest learning rate.
    pub peak: f64,
    /// The share of all steps during which it rises.
    pub rise: f64,
}

impl Schedule {
    /// The learning rate at `progress`, the share of all steps that are done, 0 to 1.
    pub fn rate(&self, progress: f64) -> f64 {
        if progress < self.rise {
            self.peak * (0.05 + 0.95 * progress / self.rise)
        } else {
            let fall = (progress - self.rise) / (1.0 - self.rise);
            self.peak * 0.5 * (1.0 + libm::cos(core::f64::consts::PI * fall))
        }
    }
}

/// Random changes that leave the class as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augmentation {
    /// Mirrors half of the pictures, left to right.
    pub flip: bool,
    /// Greatest shift in each direction, in pixels; whole pixels if nothing else moves.
    pub shift: f32,
    /// Greatest rotation either way, in degrees.
    pub rotate: f32,
    /// Greatest relative change of size: 0.1 for 90 % to 110 %.
    pub scale: f32,
}

/// Projected gradient descent on every batch before the network learns from it (Madry et al. 2018).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adversary {
    /// What it may change.
    pub threat: Threat,
    /// Its steps, each of length 2.5 · ε / steps, from a random start.
    pub steps: usize,
    /// The share of all training steps during which ε grows from 0.
    pub rise: f64,
}

impl Recipe {
    /// All recipes, in the order in which they are offered.
    pub fn all() -> impl Iterator<Item = Recipe> {
        super::recipes::FAMILIES.iter().flat_map(|family| family())
    }

    /// The recipe of this name.
    pub fn find(name: &str) -> Option<Recipe> {
        Self::all().find(|recipe| recipe.name == name)
    }

    /// What of the recipe the training loop follows, as fast as the processor can.
    pub fn plan(&self) -> Plan {
        Plan {
            architecture: (self.architecture)(),
            epochs: self.epochs,
            batch: self.batch,
            seed: self.seed,
            schedule: self.schedule,
            weight_decay: self.weight_decay,
            average: self.average,
            smoothing: self.smoothing,
            adversary: self.adversary,
            arithmetic: Arithmetic::Fused,
        }
    }

    /// The recipe in words.
    pub fn method(&self) -> String {
        let Augmentation { flip, shift, rotate, scale } = self.augmentation;
        let mut changes = Vec::new();
        if flip {
            changes.push("mirrored half of the time".to_owned());
        }
        if shift > 0.0 {
            let unit = if shift == 1.0 { "pixel" } else { "pixels" };
            changes.push(format!("shifted by up to {shift} {unit}"));
        }
        if rotate > 0.0 {
            changes.push(format!("rotated by up to {rotate}°"));
        }
        if scale > 0.0 {
            changes.push(format!("scaled by up to {} %", (scale * 100.0).round()));
        }
        let mut words = format!(
            "AdamW (weight decay {}), learning rate rising to {} over the first {} % of the steps and falling along a \
             cosine to 0; the weights that are kept are a running average (decay {} per step) after the last epoch",
            self.weight_decay,
            self.schedule.peak,
            (self.schedule.rise * 100.0).round(),
            self.average,
        );
        if self.smoothing > 0.0 {
            words += &format!("; label smoothing {}", self.smoothing);
        }
        if !changes.is_empty() {
            words += &format!("; training pictures are {}", changes.join(", "));
        }
        if let Some(Part { index, of }) = self.part {
            words += &format!("; of the training pictures only part {} of {of}, every one in {of}", index + 1);
        }
        if let Some(adversary) = &self.adversary {
            words += &format!(
                "; each batch is first attacked with PGD ({} steps of 2.5 · ε / {} from a random start, {}, ε rising to \
                 {} over the first {} % of the steps), and the network learns from the attacked pictures only",
                adversary.steps,
                adversary.steps,
                adversary.threat.norm,
                adversary.threat.epsilon,
                (adversary.rise * 100.0).round(),
            );
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_rises_to_its_peak_and_falls_to_zero() {
        let schedule = Schedule { peak: 2.0, rise: 0.1 };
        assert!(schedule.rate(0.0) > 0.0 && schedule.rate(0.05) < 1.1);
        assert!((schedule.rate(0.1) - 2.0).abs() < 1e-9);
        assert!((schedule.rate(0.55) - 1.0).abs() < 1e-9);
        assert!(schedule.rate(1.0).abs() < 1e-9);
    }

    #[test]
    fn every_shipped_model_has_a_recipe_of_its_name_and_kind() {
        for card in crate::nn::zoo::all() {
            let recipe = Recipe::find(&card.training.recipe).unwrap();
            assert_eq!((recipe.dataset, recipe.model), (card.dataset, card.name.as_str()));
            assert_eq!((recipe.architecture)(), card.architecture);
        }
    }

    #[test]
    fn parts_are_disjoint_and_together_all() {
        for of in 1..4 {
            let mut all: Vec<usize> = (0..of).flat_map(|index| Part { index, of }.indices(11)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..11).collect::<Vec<_>>());
        }
    }

    #[test]
    fn names_are_told_apart() {
        let mut names: Vec<_> = Recipe::all().map(|recipe| recipe.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
