//! An experiment as the query of a link, readable by people, and back.
//!
//! Only what differs from the default is written. Reading never fails as a whole: what cannot be used is left at its
//! default and reported, so that a mistyped link still opens and says what it ignored.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Experiment, Picture, PlaneAxes, Scale};
use crate::threat::Threat;

/// A part of a link that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The name of the part, or of the whole experiment where the parts do not fit together.
    pub key: String,
    /// A sentence that says what was wrong and what is used instead.
    pub message: String,
}

/// What a link gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// A valid experiment.
    pub experiment: Experiment,
    /// What was ignored.
    pub broken: Vec<Broken>,
}

impl Experiment {
    /// The query of a link that restores this experiment, without the question mark.
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut put = |key: &str, value: &dyn Display| {
            query.append_pair(key, &value.to_string());
        };
        put("data", &self.dataset.key());
        match &self.picture {
            Picture::Test(index) => put("picture", index),
            Picture::Own { pixels, label } => {
                put("own", &URL_SAFE_NO_PAD.encode(pixels));
                if let Some(label) = label {
                    put("label", label);
                }
            }
        }
        put("model", &self.model);
        if let Some(compare) = &self.compare {
            put("compare", compare);
        }
        put("norm", &self.threat.norm.key());
        put("eps", &self.threat.epsilon);
        let attack = &self.attack;
        put("attack", &attack.method.key());
        put("steps", &attack.steps);
        if let Some(alpha) = attack.alpha {
            put("alpha", &alpha);
        }
        if attack.random_start {
            put("start", &"random");
        }
        if attack.restarts != 1 {
            put("restarts", &attack.restarts);
        }
        if let Some(target) = attack.target {
            put("target", &target);
        }
        for parameter in attack.method.parameters() {
            if let Some(&value) = attack.values.get(parameter.key) {
                put(parameter.key, &parameter.written(value));
            }
        }
        put("seed", &self.seed);
        if let Some(step) = self.view.step {
            put("step", &step);
        }
        if let PlaneAxes::Pictures(first, second) = self.view.plane {
            put("plane", &format_args!("{first}-{second}"));
        }
        if self.view.scale == Scale::Same {
            put("scale", &"same");
        }
        query.finish()
    }

    /// Reads the query of a link, with or without the question mark.
    ///
    /// ```
    /// use epsilon_lab::experiment::Experiment;
    ///
    /// let read = Experiment::from_query("?norm=l2&eps=1.5&steps=many");
    /// assert_eq!(read.experiment.threat.epsilon, 1.5);
    /// // What makes no sense is named; the rest is kept.
    /// assert_eq!(read.broken[0].key, "steps");
    /// assert_eq!(Experiment::from_query(&read.experiment.to_query()).experiment, read.experiment);
    /// ```
    pub fn from_query(query: &str) -> Parsed {
        let mut experiment = Experiment::default();
        let mut broken = Vec::new();
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(query.trim_start_matches('?').as_bytes()).into_owned().collect();
        // The others depend on these: the usual ε on the data set and the norm, parameters and norms on the attack.
        const FIRST: [&str; 3] = ["data", "attack", "norm"];
        for turn in 0..=FIRST.len() {
            for (key, value) in &pairs {
                if FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()) != turn {
                    continue;
                }
                let before = experiment.clone();
                let outcome = set(&mut experiment, key, value)
                    .and_then(|()| experiment.validate().map_err(|invalid| invalid.to_string()));
                if let Err(message) = outcome {
                    experiment = before;
                    broken.push(Broken { key: key.clone(), message });
                }
            }
        }
        Parsed { experiment, broken }
    }
}

/// Sets one part; the message of an error is a sentence.
fn set(experiment: &mut Experiment, key: &str, value: &str) -> Result<(), String> {
    fn number<T: FromStr>(value: &str) -> Result<T, String> {
        value.parse().map_err(|_| format!("“{}” is not a number that can be used here", shortened(value)))
    }
    fn choice<T>(found: Option<T>, value: &str) -> Result<T, String> {
        found.ok_or_else(|| format!("“{}” is none of the choices", shortened(value)))
    }
    let label_of = |picture: &Picture| match picture {
        Picture::Own { label, .. } => *label,
        Picture::Test(_) => None,
    };
    match key {
        "data" => {
            experiment.dataset = choice(crate::data::Dataset::from_key(value), value)?;
            experiment.threat = Threat::usual(experiment.dataset, experiment.threat.norm);
        }
        "norm" => {
            let norm = choice(crate::threat::Norm::from_key(value), value)?;
            experiment.threat = Threat::usual(experiment.dataset, norm);
        }
        "picture" => experiment.picture = Picture::Test(number(value)?),
        "own" => {
            let pixels = URL_SAFE_NO_PAD.decode(value).map_err(|_| "the picture in the link is damaged".to_string())?;
            experiment.picture = Picture::Own { pixels, label: label_of(&experiment.picture) };
        }
        "label" => match &mut experiment.picture {
            Picture::Own { label, .. } => *label = Some(number(value)?),
            Picture::Test(_) => return Err("a label belongs to a picture of your own, and the link has none".into()),
        },
        "model" => experiment.model = value.to_string(),
        "compare" => experiment.compare = Some(value.to_string()),
        "eps" => experiment.threat.epsilon = number(value)?,
        "attack" => experiment.choose_attack(choice(crate::attack::Method::from_key(value), value)?),
        "steps" => experiment.attack.steps = number(value)?,
        "alpha" => experiment.attack.alpha = Some(number(value)?),
        "start" => experiment.attack.random_start = choice((value == "random").then_some(true), value)?,
        "restarts" => experiment.attack.restarts = number(value)?,
        "target" => experiment.attack.target = Some(number(value)?),
        "seed" => experiment.seed = number(value)?,
        "step" => experiment.view.step = Some(number(value)?),
        "plane" => {
            let (first, second) = choice(value.split_once('-'), value)?;
            experiment.view.plane = PlaneAxes::Pictures(number(first)?, number(second)?);
        }
        "scale" => experiment.view.scale = choice((value == "same").then_some(Scale::Same), value)?,
        _ => {
            let known =
                |method: crate::attack::Method| method.parameters().iter().any(|parameter| parameter.key == key);
            if !crate::attack::Method::all().any(known) {
                return Err(format!("“{}” is not known in a link", shortened(key)));
            }
            let parameter = experiment.attack.parameter(key).map_err(|unknown| unknown.to_string())?;
            let Some(number) = parameter.read(value) else {
                return Err(format!("“{}” cannot be used here: choose {}", shortened(value), parameter.range()));
            };
            experiment.attack.set(parameter, number);
        }
    }
    Ok(())
}

/// A value as it is quoted in a message.
fn shortened(value: &str) -> String {
    let mut shown: String = value.chars().take(24).collect();
    if value.chars().count() > 24 {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::{Kind, Method};
    use crate::data::PIXELS;
    use crate::threat::Norm;

    #[test]
    fn a_link_restores_the_experiment() {
        let mut experiment = Experiment {
            picture: Picture::Own { pixels: (0..PIXELS).map(|i| i as u8).collect(), label: Some(3) },
            threat: Threat { norm: Norm::L2, epsilon: 1.37 },
            ..Experiment::default()
        };
        experiment.attack.alpha = Some(0.123);
        experiment.attack.target = Some(7);
        experiment.attack.random_start = true;
        experiment.attack.restarts = 4;
        experiment.seed = 99;
        experiment.view.step = Some(5);
        experiment.view.plane = PlaneAxes::Pictures(4, 9);
        experiment.view.scale = Scale::Same;
        let parsed = Experiment::from_query(&experiment.to_query());
        assert_eq!(parsed.broken, []);
        assert_eq!(parsed.experiment, experiment);
    }

    #[test]
    fn a_link_restores_the_parameters_of_every_attack() {
        for method in Method::all() {
            for parameter in method.parameters() {
                let mut experiment = Experiment::default();
                experiment.choose_attack(method);
                let other = match parameter.kind {
                    Kind::Number { default, greatest, least, .. } => {
                        if default == greatest {
                            least
                        } else {
                            greatest
                        }
                    }
                    Kind::Choice { options, default } => ((default + 1) % options.len()) as f32,
                    Kind::Switch { default } => !default as u8 as f32,
                };
                experiment.attack.set(parameter, other);
                let link = experiment.to_query();
                assert!(link.contains(parameter.key), "{link}");
                let parsed = Experiment::from_query(&link);
                assert_eq!((parsed.experiment, parsed.broken), (experiment.clone(), vec![]), "{link}");
                experiment.attack.set(parameter, parameter.default());
                assert!(!experiment.to_query().contains(&format!("{}=", parameter.key)), "{parameter:?}");
            }
        }
    }

    #[test]
    fn parameters_that_make_no_sense_are_named_with_what_does() {
        for (query, key, sentence) in [
            ("momentum=3&attack=pgd", "momentum", "Momentum μ = 3 is out of range: choose 0 to 2"),
            ("momentum=NaN", "momentum", "choose 0 to 2"),
            ("momentum=1&attack=fgsm", "momentum", "FGSM has no parameter “momentum”: it has none"),
            ("objective=0", "objective", "choose one of ce, margin, dlr"),
            ("nonsense=1", "nonsense", "not known in a link"),
        ] {
            let parsed = Experiment::from_query(query);
            assert_eq!(parsed.broken.len(), 1, "{query}");
            assert_eq!(parsed.broken[0].key, key);
            assert!(parsed.broken[0].message.contains(sentence), "{query}: {}", parsed.broken[0].message);
            assert_eq!(parsed.experiment.validate(), Ok(()));
        }
        assert_eq!(Experiment::from_query("momentum=1&attack=pgd").experiment.attack.values["momentum"], 1.0);
    }

    #[test]
    fn another_attack_keeps_what_it_can_use() {
        let mut experiment = Experiment::from_query("attack=pgd&momentum=1&steps=7&alpha=0.02").experiment;
        experiment.choose_attack(Method::FGSM);
        assert!(experiment.attack.values.is_empty());
        assert_eq!((experiment.attack.steps, experiment.attack.alpha), (7, Some(0.02)));
    }

    #[test]
    fn what_is_broken_is_named_and_the_rest_is_kept() {
        for bad in [
            "eps=NaN",
            "eps=-1",
            "eps=1e9",
            "eps=",
            "eps=inf",
            "steps=0",
            "picture=999999",
            "model=x",
            "own=%%%",
            "wat=1",
        ] {
            let parsed = Experiment::from_query(&format!("?data=digits&{bad}&seed=5"));
            assert_eq!(parsed.broken.len(), 1, "{bad}");
            assert_eq!(parsed.experiment.seed, 5, "{bad}");
            assert_eq!(parsed.experiment.validate(), Ok(()), "{bad}");
        }
    }
}
