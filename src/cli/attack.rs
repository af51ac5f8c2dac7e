//! `epsilon-lab attack`.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use candle_core::{Device, Tensor};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;

use super::settings::{Settings, heading};
use crate::attack::{Outcome, Record};
use crate::data::{Dataset, PIXELS, SIDE};
use crate::experiment::Experiment;
use crate::library::Library;
use crate::nn::softmax;
use crate::threat::Norms;

/// Attack test pictures, say what became of each, and keep the adversarial pictures.
///
/// For each picture: its number and class, what the model says before and after, whether the goal was reached within
/// ε, the norms of δ and what the attack asked of the model. The pictures and the numbers are those that the Lab shows
/// for the same settings and seed.
///
/// An attack that looks for the smallest δ gives it even where it is longer than ε: then "reached" is yes and "within ε"
/// no. One that fails gives the picture back as it was.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct Attack {
    #[command(flatten)]
    settings: Settings,
    /// The test pictures: a number, or a range as 0-9; may be given several times
    #[arg(long = "pictures", value_name = "N|FROM-TO", value_parser = range, default_value = "0-9")]
    pictures: Vec<Range<u32>>,
    /// Write the adversarial pictures and all numbers to this file: .safetensors, or .npz for NumPy
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  epsilon-lab attack --model fashion-standard
  epsilon-lab attack --model fashion-standard --attack deepfool --norm l2 --pictures 0-99 --out deepfool.npz
  epsilon-lab attack --model digits-adversarial --attack cw --norm l2 --set kappa=5 --pictures 3 --json

The file holds, for N pictures: index, label, prediction_before, prediction_after, reached, within_epsilon (N), images
and adversarial (N, 1, 28, 28) in [0, 1], logits_before and logits_after (N, classes), l0, l1, l2 and linf (N).";

/// "7" or "0-9", both ends included.
fn range(text: &str) -> Result<Range<u32>, String> {
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| "write a number, or a range as 0-9".to_string());
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    if first > last {
        return Err(format!("{first} comes after {last}"));
    }
    last.checked_add(1).map(|end| first..end).ok_or_else(|| "there are not so many pictures".into())
}

/// What became of one picture.
#[derive(Debug, Serialize)]
struct Row {
    index: u32,
    label: u8,
    prediction_before: u8,
    prediction_after: u8,
    reached: bool,
    within_epsilon: bool,
    #[serde(flatten)]
    norms: Norms,
    gradients: u32,
    forwards: u32,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Report<'a> {
    experiment: &'a Experiment,
    pictures: &'a [Row],
    milliseconds: f64,
}

impl Attack {
    /// Attacks, prints, and writes the file that was asked for.
    ///
    /// # Errors
    /// If a number is out of range, models or pictures cannot be read, or the file cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        let experiment = self.settings.experiment();
        experiment.validate()?;
        if let Some(out) = &self.out {
            let form = out.extension().and_then(|extension| extension.to_str());
            ensure!(matches!(form, Some("safetensors" | "npz")), "{}: name a .safetensors or .npz file", out.display());
        }
        let most = experiment.dataset.pictures();
        let indices: Vec<u32> = self.pictures.iter().cloned().flatten().collect();
        if let Some(index) = indices.iter().find(|index| **index >= most) {
            bail!("there is no picture {index}: choose from 0 to {}", most - 1);
        }
        let library = Library::open(&self.settings.assets)?;
        let began = Instant::now();
        let found = attack(&library, &experiment, &indices);
        let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
        let rows: Vec<Row> =
            indices.iter().zip(&found).map(|(&index, (label, found))| row(index, *label, found)).collect();
        if let Some(out) = &self.out {
            let images: Vec<f32> =
                indices.iter().flat_map(|&index| library.picture(experiment.dataset, index).0).copied().collect();
            write(out, &rows, &images, &found).with_context(|| format!("cannot write {}", out.display()))?;
        }
        let mut out = std::io::stdout().lock();
        if self.json {
            let report = Report { experiment: &experiment, pictures: &rows, milliseconds };
            writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        } else {
            writeln!(out, "{}\n\n{}", heading(&experiment), table(experiment.dataset, &rows))?;
            writeln!(out, "{:.1} s", milliseconds / 1000.0)?;
        }
        Ok(())
    }
}

/// Attacks on all cores, with a bar on a terminal.
fn attack(library: &Library, experiment: &Experiment, indices: &[u32]) -> Vec<(u8, Outcome)> {
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal { ProgressBar::new(indices.len() as u64) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let found = indices
        .par_iter()
        .map(|&index| {
            let outcome = library.attack(experiment, index, Record::Strongest);
            bar.inc(1);
            (library.picture(experiment.dataset, index).1, outcome)
        })
        .collect();
    bar.finish_and_clear();
    found
}

fn row(index: u32, label: u8, outcome: &Outcome) -> Row {
    Row {
        index,
        label,
        prediction_before: softmax::predicted(&outcome.logits) as u8,
        prediction_after: softmax::predicted(&outcome.adversarial_logits) as u8,
        reached: outcome.reached,
        within_epsilon: outcome.success,
        norms: outcome.norms,
        gradients: outcome.gradients,
        forwards: outcome.forwards,
    }
}

fn table(dataset: Dataset, rows: &[Row]) -> String {
    let name = |class: u8| dataset.classes()[class as usize];
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    let mut text = format!(
        "{:>7}  {:<11} {:<11} {:<11} {:>7} {:>8} {:>6} {:>8} {:>8} {:>8} {:>9} {:>9}\n",
        "picture", "true", "before", "after", "reached", "within ε", "L0", "L1", "L2", "L∞", "gradients", "forwards"
    );
    for row in rows {
        let Norms { l0, l1, l2, linf } = row.norms;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:>7}  {:<11} {:<11} {:<11} {:>7} {:>8} {l0:>6} {l1:>8.3} {l2:>8.4} {linf:>8.4} {:>9} {:>9}",
            row.index,
            name(row.label),
            name(row.prediction_before),
            name(row.prediction_after),
            yes(row.reached),
            yes(row.within_epsilon),
            row.gradients,
            row.forwards
        );
    }
    let within = rows.iter().filter(|row| row.within_epsilon).count();
    let mut lengths: Vec<f32> = rows.iter().filter(|row| row.reached).map(|row| row.norms.l2).collect();
    lengths.sort_by(f32::total_cmp);
    let _ = write!(text, "\nwithin ε: {within} of {}", rows.len());
    if !lengths.is_empty() {
        let _ = write!(text, "; median L2 of those that reached the goal: {:.4}", lengths[lengths.len() / 2]);
    }
    text
}

/// Writes everything as named arrays.
fn write(file: &Path, rows: &[Row], images: &[f32], found: &[(u8, Outcome)]) -> candle_core::Result<()> {
    let n = rows.len();
    let device = &Device::Cpu;
    let whole = |of: fn(&Row) -> u32| Tensor::from_vec(rows.iter().map(of).collect::<Vec<_>>(), n, device);
    let float =
        |of: fn(&Norms) -> f32| Tensor::from_vec(rows.iter().map(|row| of(&row.norms)).collect::<Vec<_>>(), n, device);
    let joined =
        |of: fn(&Outcome) -> &[f32]| found.iter().flat_map(|(_, outcome)| of(outcome)).copied().collect::<Vec<f32>>();
    let classes = found.first().map_or(0, |(_, outcome)| outcome.logits.len());
    let pictures = |values: Vec<f32>| Tensor::from_vec(values, (n, 1, SIDE, SIDE), device);
    let arrays = [
        ("index", whole(|row| row.index)?),
        ("label", whole(|row| row.label.into())?),
        ("prediction_before", whole(|row| row.prediction_before.into())?),
        ("prediction_after", whole(|row| row.prediction_after.into())?),
        ("reached", whole(|row| row.reached.into())?),
        ("within_epsilon", whole(|row| row.within_epsilon.into())?),
        ("images", pictures(images.to_vec())?),
        ("adversarial", pictures(joined(|outcome| &outcome.adversarial))?),
        ("logits_before", Tensor::from_vec(joined(|outcome| &outcome.logits), (n, classes), device)?),
        ("logits_after", Tensor::from_vec(joined(|outcome| &outcome.adversarial_logits), (n, classes), device)?),
        ("l0", whole(|row| row.norms.l0)?),
        ("l1", float(|norms| norms.l1)?),
        ("l2", float(|norms| norms.l2)?),
        ("linf", float(|norms| norms.linf)?),
    ];
    debug_assert_eq!(images.len(), n * PIXELS);
    if file.extension().is_some_and(|extension| extension == "npz") {
        Tensor::write_npz(&arrays, file)
    } else {
        candle_core::safetensors::save(&arrays.into_iter().collect(), file)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        attack: Attack,
    }

    #[test]
    fn pictures_are_numbers_and_ranges_with_both_ends() {
        let line =
            Line::try_parse_from("attack --model fashion-standard --pictures 3 --pictures 7-9".split(' ')).unwrap();
        assert_eq!(line.attack.pictures, [3..4, 7..10]);
        for wrong in ["9-7", "x", "1-", "4294967295"] {
            assert!(
                Line::try_parse_from(["attack", "--model", "fashion-standard", "--pictures", wrong]).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn both_files_hold_what_the_attack_found() {
        let folder = tempfile::tempdir().unwrap();
        let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        for name in ["found.npz", "found.safetensors"] {
            let out = folder.path().join(name);
            let line = format!(
                "attack --model digits-standard --attack fgsm --pictures 0-2 --assets {assets} --out {}",
                out.display()
            );
            Line::try_parse_from(line.split(' ')).unwrap().attack.run().unwrap();
            let arrays: std::collections::HashMap<String, Tensor> = if name.ends_with("npz") {
                Tensor::read_npz(&out).unwrap().into_iter().collect()
            } else {
                candle_core::safetensors::load(&out, &Device::Cpu).unwrap()
            };
            let pictures = |name: &str| arrays[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let (x, adversarial) = (pictures("images"), pictures("adversarial"));
            assert_eq!(arrays["adversarial"].dims(), [3, 1, 28, 28]);
            for (i, linf) in pictures("linf").into_iter().enumerate() {
                let at = i * PIXELS..(i + 1) * PIXELS;
                assert_eq!(Norms::between(&x[at.clone()], &adversarial[at]).linf, linf);
                assert!(linf > 0.0);
            }
        }
    }
}
