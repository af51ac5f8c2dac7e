//! `epsilon-lab evaluate`.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::ensure;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;

use crate::attack::Method;
use crate::data::Dataset;
use crate::evaluate::{Count, Tally};
use crate::experiment::{AttackSettings, Experiment};
use crate::library::Library;
use crate::nn::zoo::{self, ModelCard};
use crate::threat::{Norm, Threat};

/// Count how many test pictures a model classifies correctly, as they are and under attack.
///
/// The numbers are those that the Lab shows for the same settings and seed: they depend on no machine and on no number
/// of threads.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct Evaluate {
    /// The model, as “fashion-standard”
    #[arg(long, value_parser = model)]
    model: &'static ModelCard,
    /// The attack: fgsm, pgd, mi-fgsm, apgd, noise, deepfool, cw, lbfgs, spatial, flow, square or boundary
    #[arg(long, default_value = "pgd", value_parser = attack)]
    attack: Method,
    /// The norm of the perturbation: linf, l2 or l1
    #[arg(long, default_value = "linf", value_parser = norm)]
    norm: Norm,
    /// The greatest norm of the perturbation, for pixels in [0, 1]; by default, the data set's usual one
    #[arg(long, allow_negative_numbers = true)]
    epsilon: Option<f32>,
    /// Steps of iterative attacks
    #[arg(long, default_value_t = AttackSettings::default().steps)]
    steps: u32,
    /// Step size, in the unit of epsilon; by default, 2.5 · epsilon / steps
    #[arg(long, allow_negative_numbers = true)]
    alpha: Option<f32>,
    /// Start at a random point of the ball
    #[arg(long)]
    random_start: bool,
    /// How many times the attack is run on a picture; the strongest result counts
    #[arg(long, default_value_t = AttackSettings::default().restarts)]
    restarts: u32,
    /// Attack towards this class, instead of away from the true one
    #[arg(long, value_name = "CLASS")]
    target: Option<u8>,
    /// A parameter of the attack's own, as “momentum=0.9”; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = assignment)]
    values: Vec<(String, String)>,
    /// Key of every random number
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// How many test pictures, from the first on; by default, all that are shipped
    #[arg(long, value_name = "N")]
    pictures: Option<u32>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Folder of models and test pictures
    #[arg(long, value_name = "DIR", default_value = "assets")]
    assets: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  epsilon-lab evaluate --model fashion-standard
  epsilon-lab evaluate --model fashion-adversarial --epsilon 0.1 --steps 40 --alpha 0.01
  epsilon-lab evaluate --model digits-standard --norm l2 --epsilon 2 --pictures 100 --json";

/// Pictures that a thread takes at a time.
const CHUNK: usize = 16;

fn keys<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    all.into_iter().collect::<Vec<_>>().join(", ")
}

fn model(name: &str) -> Result<&'static ModelCard, String> {
    let key = |card: &ModelCard| format!("{}-{}", card.dataset.key(), card.name);
    zoo::all()
        .iter()
        .find(|card| key(card) == name)
        .ok_or_else(|| format!("choose one of {}", zoo::all().iter().map(key).collect::<Vec<_>>().join(", ")))
}

fn attack(name: &str) -> Result<Method, String> {
    Method::from_key(name).ok_or_else(|| format!("choose one of {}", keys(Method::all().map(|method| method.key()))))
}

fn norm(name: &str) -> Result<Norm, String> {
    Norm::from_key(name).ok_or_else(|| format!("choose one of {}", keys(Norm::ALL.map(Norm::key))))
}

fn assignment(text: &str) -> Result<(String, String), String> {
    text.split_once('=').map(|(key, value)| (key.into(), value.into())).ok_or("write it as key=value".into())
}

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
        let experiment = self.experiment();
        experiment.validate()?;
        let most = experiment.dataset.pictures();
        let pictures = self.pictures.unwrap_or(most);
        ensure!((1..=most).contains(&pictures), "{pictures} pictures are out of range: choose 1 to {most}");
        let library = Library::open(&self.assets)?;
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

    fn experiment(&self) -> Experiment {
        // What is unknown or unreadable is kept, for the validation to name it.
        let values = self.values.iter().map(|(key, text)| {
            let settings = AttackSettings { method: self.attack, ..Default::default() };
            (key.clone(), settings.parameter(key).ok().and_then(|parameter| parameter.read(text)).unwrap_or(f32::NAN))
        });
        let dataset = self.model.dataset;
        let usual = Threat::usual(dataset, self.norm);
        Experiment {
            dataset,
            model: self.model.name.clone(),
            threat: Threat { epsilon: self.epsilon.unwrap_or(usual.epsilon), ..usual },
            attack: AttackSettings {
                method: self.attack,
                alpha: self.alpha,
                steps: self.steps,
                random_start: self.random_start,
                restarts: self.restarts,
                target: self.target,
                values: values.collect(),
            },
            seed: self.seed,
            ..Experiment::default()
        }
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

fn heading(experiment: &Experiment) -> String {
    let Experiment { dataset, model, threat, attack, .. } = experiment;
    let uses = attack.method.uses();
    let mut text = format!("{}-{model} under {}, {} ≤ {}", dataset.key(), attack.method, threat.norm, threat.epsilon,);
    if uses.alpha {
        let _ = write!(text, ", α = {}", attack.alpha_for(threat.epsilon));
    }
    // Writing to a string cannot fail.
    let _ = match attack.steps {
        _ if !uses.steps => Ok(()),
        1 => write!(text, ", 1 step"),
        steps => write!(text, ", {steps} steps"),
    };
    if uses.random_start && attack.random_start {
        text += ", random start";
    }
    if uses.restarts && attack.restarts > 1 {
        let _ = write!(text, ", {} restarts", attack.restarts);
    }
    if let Some(target) = attack.target {
        let _ = write!(text, ", towards {}", dataset.classes()[target as usize]);
    }
    text
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
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        evaluate: Evaluate,
    }

    fn experiment(line: &str) -> Experiment {
        Line::try_parse_from(format!("evaluate {line}").split_whitespace()).unwrap().evaluate.experiment()
    }

    #[test]
    fn options_are_an_experiment() {
        let plain = experiment("--model digits-adversarial");
        assert_eq!((plain.dataset, plain.model.as_str()), (Dataset::Digits, "adversarial"));
        assert_eq!(plain.threat, Threat::usual(Dataset::Digits, Norm::Linf));
        assert_eq!(plain.attack, AttackSettings::default());
        let full = experiment(
            "--model fashion-standard --attack pgd --norm l2 --epsilon 1.25 --steps 7 --alpha 0.5 --random-start \
             --restarts 3 --target 4 --set momentum=0.5 --set objective=dlr --seed 9",
        );
        assert_eq!(full.threat, Threat { norm: Norm::L2, epsilon: 1.25 });
        assert_eq!((full.attack.alpha, full.attack.steps, full.attack.restarts), (Some(0.5), 7, 3));
        assert_eq!(full.attack.values, [("momentum".into(), 0.5), ("objective".into(), 2.0)].into());
        assert_eq!((full.attack.random_start, full.attack.target, full.seed), (true, Some(4), 9));
    }

    #[test]
    fn the_help_names_every_attack() {
        let help = <Line as clap::CommandFactory>::command().render_long_help().to_string();
        let known = keys(Method::all().map(|method| method.key()));
        let (first, last) = known.rsplit_once(", ").unwrap();
        let shown = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(&format!("{first} or {last}")), "{shown}");
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_the_range() {
        for (line, sentence) in [
            ("--epsilon NaN", "ε = NaN is out of range"),
            ("--epsilon -1", "ε = -1 is out of range"),
            ("--epsilon 1e9", "choose 0 to 0.4"),
            ("--steps 0", "choose 1 to 100"),
            ("--set momentum=3", "choose 0 to 2"),
            ("--set objective=x", "choose one of ce, margin, dlr"),
            ("--set kappa=1", "PGD has no parameter “kappa”"),
        ] {
            let error = experiment(&format!("--model fashion-standard {line}")).validate().unwrap_err();
            assert!(error.to_string().contains(sentence), "{line}: {error}");
        }
    }

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
