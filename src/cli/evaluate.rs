//! `epsilon-lab evaluate`.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::Instant;

use anyhow::ensure;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;

use super::settings::{Settings, heading};
use crate::data::Dataset;
use crate::evaluate::{Count, Tally};
use crate::experiment::Experiment;
use crate::library::Library;

/// Count how many test pictures a model classifies correctly, as they are and under attack.
///
/// The numbers are those that the Lab shows for the same settings and seed: they depend on no machine and on no number
/// of threads.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct Evaluate {
    #[command(flatten)]
    settings: Settings,
    /// How many test pictures, from the first on; by default, all that are shipped
    #[arg(long, value_name = "N")]
    pictures: Option<u32>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  epsilon-lab evaluate --model fashion-standard
  epsilon-lab evaluate --model fashion-adversarial --epsilon 0.1 --steps 40 --alpha 0.01
  epsilon-lab evaluate --model digits-standard --norm l2 --epsilon 2 --pictures 100 --json";

/// Pictures that a thread takes at a time.
const CHUNK: usize = 16;

/// What is printed as JSON.
#[derive(Serialize)]
struct Report<'a> {
    experiment: &'a Experiment,
    pictures: u32,
    tally: &'a Tally,
    total: Count,
    milliseconds: f64,
}

impl Evaluate {
    /// Counts and prints.
    ///
    /// # Errors
    /// If a number is out of range, or models or pictures cannot be read.
    pub fn run(self) -> anyhow::Result<()> {
        let experiment = self.settings.experiment();
        experiment.validate()?;
        let most = experiment.dataset.pictures();
        let pictures = self.pictures.unwrap_or(most);
        ensure!((1..=most).contains(&pictures), "{pictures} pictures are out of range: choose 1 to {most}");
        let library = Library::open(&self.settings.assets)?;
        let began = Instant::now();
        let tally = count(&library, &experiment, pictures);
        let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
        let mut out = std::io::stdout().lock();
        if self.json {
            let total = tally.total();
            let report = Report { experiment: &experiment, pictures, tally: &tally, total, milliseconds };
            writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        } else {
            writeln!(out, "{}\n\n{}", heading(&experiment), table(experiment.dataset, &tally))?;
            writeln!(out, "{} gradients in {:.1} s", tally.gradients, milliseconds / 1000.0)?;
        }
        Ok(())
    }
}

/// Counts on all cores, with a bar on a terminal.
fn count(library: &Library, experiment: &Experiment, pictures: u32) -> Tally {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(pictures.into()) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let starts: Vec<u32> = (0..pictures).step_by(CHUNK).collect();
    let tallies: Vec<Tally> = starts
        .into_par_iter()
        .map(|from| {
            let chunk = from..pictures.min(from + CHUNK as u32);
            bar.inc(chunk.len() as u64);
            library.count(experiment, chunk)
        })
        .collect();
    bar.finish_and_clear();
    tallies.iter().fold(Tally::default(), |mut sum, tally| {
        sum.add(tally);
        sum
    })
}

fn table(dataset: Dataset, tally: &Tally) -> String {
    let percent = |part: u32, whole: u32| match whole {
        0 => "–".to_owned(),
        whole => format!("{:.1} %", 100.0 * f64::from(part) / f64::from(whole)),
    };
    let mut text = format!("{:<12} {:>8} {:>9} {:>9}\n", "class", "pictures", "clean", "robust");
    let rows = dataset.classes().iter().copied().zip(tally.classes.iter().copied());
    for (name, Count { pictures, clean, robust }) in rows.chain([("all", tally.total())]) {
        let (clean, robust) = (percent(clean, pictures), percent(robust, pictures));
        let _ = writeln!(text, "{name:<12} {pictures:>8} {clean:>9} {robust:>9}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_class_and_one_for_all() {
        let mut tally = Tally { classes: vec![Count::default(); 10], gradients: 0 };
        tally.classes[2] = Count { pictures: 3, clean: 2, robust: 1 };
        tally.classes[9] = Count { pictures: 1, clean: 1, robust: 1 };
        let table = table(Dataset::Fashion, &tally);
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows.len(), 12);
        assert_eq!(rows[1], ["T-shirt", "0", "–", "–"]);
        assert_eq!(rows[3], ["Pullover", "3", "66.7", "%", "33.3", "%"]);
        assert_eq!(rows[11], ["all", "4", "75.0", "%", "50.0", "%"]);
    }
}
