//! `epsilon-lab train`: a model by a recipe.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use crate::data::source::FASHION_DIR;
use crate::nn::train::{Options, Progress, Recipe, measure_again, run};

/// Options of `epsilon-lab train`.
#[derive(Clone, Debug, clap::Args)]
pub struct Train {
    /// Which recipe; without one they are listed
    pub recipe: Option<String>,
    /// The folder of Fashion-MNIST's four files
    #[arg(long, value_name = "DIR", default_value = FASHION_DIR)]
    pub data: PathBuf,
    /// The assets folder; it holds data/digits/digits.png
    #[arg(long, value_name = "DIR", default_value = "assets")]
    pub assets: PathBuf,
    /// Where weights and card are written
    #[arg(long, value_name = "DIR", default_value = "assets/models")]
    pub out: PathBuf,
    /// Passes over the training pictures, instead of the recipe's
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Key of every random number, instead of the recipe's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Train on the first N training pictures only
    #[arg(long, value_name = "N")]
    pub examples: Option<usize>,
    /// Do not train: measure the model that is there again
    #[arg(long, conflicts_with_all = ["epochs", "seed", "examples"])]
    pub measure: bool,
}

impl Train {
    /// Does it, with a progress bar.
    ///
    /// # Errors
    /// A sentence that says what happened and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        let Some(recipe) = &self.recipe else {
            println!("Recipes:");
            for recipe in Recipe::all() {
                println!("  {:22} {}, {} epochs: {}", recipe.name, recipe.dataset, recipe.epochs, recipe.summary);
            }
            return Ok(());
        };
        let options = Options {
            data: self.data,
            assets: self.assets,
            out: self.out,
            epochs: self.epochs,
            seed: self.seed,
            examples: self.examples,
        };
        let bar = ProgressBar::no_length();
        bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} steps, {eta} left")?);
        // A bar is drawn on terminals only; lines are told anywhere.
        let tell = |line: String| if bar.is_hidden() { println!("{line}") } else { bar.println(line) };
        let mut epoch = (0, 0.0, 0);
        let work = if self.measure { measure_again } else { run };
        let card = work(recipe, &options, &mut |progress| match progress {
            Progress::Step(step) => {
                if step.epoch != epoch.0 {
                    if epoch.0 > 0 {
                        tell(format!("epoch {}: mean loss {:.4}", epoch.0, epoch.1 / epoch.2 as f32));
                    }
                    epoch = (step.epoch, 0.0, 0);
                }
                epoch = (epoch.0, epoch.1 + step.loss, epoch.2 + 1);
                bar.set_length(step.steps as u64);
                bar.set_position(step.step as u64);
                bar.set_message(format!("epoch {}, loss {:.3}", step.epoch, step.loss));
            }
            Progress::Measured(outcome) => {
                let percent = 100.0 * outcome.correct as f64 / outcome.of as f64;
                tell(format!("{}, {}: {percent:.2} %", outcome.what, outcome.pictures));
            }
        })?;
        bar.finish_and_clear();
        println!(
            "{} ({} bytes) and its card are in {}; training took {:.0} s",
            card.weights.file,
            card.weights.bytes,
            options.out.display(),
            card.training.seconds
        );
        Ok(())
    }
}
