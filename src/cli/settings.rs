//! What `evaluate` and `attack` are told alike: the model, the attack and its settings, the threat, the seed.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::attack::Method;
use crate::experiment::{AttackSettings, Experiment};
use crate::nn::zoo::{self, ModelCard};
use crate::threat::{Norm, Threat};

/// A model and an attack on it.
#[derive(Debug, Args)]
pub struct Settings {
    /// The model, as “fashion-standard”
    #[arg(long, value_parser = model)]
    pub(super) model: &'static ModelCard,
    /// The attack: fgsm, pgd, mi-fgsm, apgd, noise, deepfool, cw, lbfgs, spatial, flow, square or boundary
    #[arg(long, default_value = "pgd", value_parser = attack)]
    pub(super) attack: Method,
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
    /// Folder of models and test pictures
    #[arg(long, value_name = "DIR", default_value = "assets")]
    pub(super) assets: PathBuf,
}

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

impl Settings {
    /// The experiment that was described; it is still to be validated.
    pub(super) fn experiment(&self) -> Experiment {
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

/// What is done, in a line.
pub(super) fn heading(experiment: &Experiment) -> String {
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::data::Dataset;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn experiment(line: &str) -> Experiment {
        Line::try_parse_from(format!("evaluate {line}").split_whitespace()).unwrap().settings.experiment()
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
}
