//! What is being composed: the parts of a question, in signals and in the page's link.
//!
//! A question of any kind is made from its kind's example: fields that several kinds have are set by controls of their
//! own, and what only one kind has by a field of that name. A new kind of work is offered without a change here.

use std::collections::BTreeMap;
use std::sync::Arc;

use leptos::prelude::*;
use serde_json::{Value, json};

use crate::experiment::{AttackSettings, Experiment};
use crate::job::kinds::KINDS;
use crate::job::limits::EPSILONS;
use crate::job::{Job, Kind};
use crate::page::extra::Extra;
use crate::page::state::Lab;

/// Values of ε unless others are chosen.
const VALUES: u32 = 5;
/// Pictures unless others are chosen.
const PICTURES: u32 = 100;
/// Most pictures of any data set, for training: the limits of a kind are checked with the question.
const MOST_PICTURES: u32 = 60_000;

/// The parts of a question.
#[derive(Clone, Copy)]
pub struct Draft {
    lab: Lab,
    /// The kind's key.
    pub kind: RwSignal<String>,
    /// Models, or those that are attacked; none for the Lab's.
    pub models: RwSignal<Vec<String>>,
    /// Models that are shown the result; none for the kind's own choice.
    pub targets: RwSignal<Vec<String>>,
    /// Whether the Lab's present attack is among the attacks.
    pub present: RwSignal<bool>,
    /// Further attacks.
    pub attacks: RwSignal<Vec<AttackSettings>>,
    /// The least ε; none for a step of the grid.
    pub from: RwSignal<Option<f64>>,
    /// The greatest ε; none for the Lab's.
    pub to: RwSignal<Option<f64>>,
    /// How many values of ε.
    pub values: RwSignal<u32>,
    /// How many pictures.
    pub pictures: RwSignal<u32>,
    /// Fields of one kind only, that differ from its example.
    pub others: RwSignal<BTreeMap<String, Value>>,
}

impl Draft {
    /// As the link says.
    pub fn new(lab: Lab) -> Self {
        let draft = Self {
            lab,
            kind: RwSignal::new(KINDS[0].key.to_string()),
            models: RwSignal::default(),
            targets: RwSignal::default(),
            present: RwSignal::new(true),
            attacks: RwSignal::default(),
            from: RwSignal::new(None),
            to: RwSignal::new(None),
            values: RwSignal::new(VALUES),
            pictures: RwSignal::new(PICTURES),
            others: RwSignal::default(),
        };
        let extra = Extra::get();
        extra.bind(
            "batches.kind",
            draft.kind,
            |kind| (kind != KINDS[0].key).then(|| kind.clone()),
            |key| Kind::find(key).map(|kind| kind.key.to_string()),
        );
        for (key, names) in [("batches.models", draft.models), ("batches.targets", draft.targets)] {
            extra.bind(
                key,
                names,
                |names: &Vec<String>| (!names.is_empty()).then(|| names.join(",")),
                |text| Some(text.split(',').map(String::from).collect()),
            );
        }
        extra.switch("batches.present", draft.present, true);
        extra.bind(
            "batches.attacks",
            draft.attacks,
            |attacks: &Vec<AttackSettings>| (!attacks.is_empty()).then(|| json!(attacks).to_string()),
            |text| serde_json::from_str(text).ok(),
        );
        for (key, end) in [("batches.from", draft.from), ("batches.to", draft.to)] {
            extra.bind(
                key,
                end,
                |end: &Option<f64>| end.map(|end| end.to_string()),
                |text| text.parse().ok().filter(|end: &f64| (0.0..=1000.0).contains(end)).map(Some),
            );
        }
        extra.whole("batches.values", draft.values, VALUES, (1, EPSILONS as u32));
        extra.whole("batches.pictures", draft.pictures, PICTURES, (0, MOST_PICTURES));
        extra.bind(
            "batches.more",
            draft.others,
            |others: &BTreeMap<String, Value>| (!others.is_empty()).then(|| json!(others).to_string()),
            |text| serde_json::from_str(text).ok(),
        );
        draft
    }

    /// The kind, tracked.
    pub fn kind(&self) -> &'static Kind {
        Kind::find(&self.kind.read()).unwrap_or(&KINDS[0])
    }

    /// The fields of the kind's questions, with the example's values, tracked.
    pub fn fields(&self) -> Vec<(String, Value)> {
        match (self.kind().example)() {
            Value::Object(fields) => fields.into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the kind's questions have a field, tracked.
    pub fn has(&self, field: &str) -> bool {
        self.fields().iter().any(|(name, _)| name == field)
    }

    /// Ends of the grid of ε, tracked.
    pub fn ends(&self) -> [f64; 2] {
        let threat = self.lab.experiment().threat;
        let greatest = f64::from(threat.norm.greatest_epsilon());
        let to = self.to.get().unwrap_or(tidy(f64::from(threat.epsilon))).min(greatest);
        // Unless it is said otherwise, as far from 0 as from the next.
        let from = self.from.get().unwrap_or_else(|| tidy(to / f64::from(self.values.get().max(1))));
        [from.min(greatest), to]
    }

    /// The values of ε, tracked.
    pub fn epsilons(&self) -> Vec<f32> {
        let [from, to] = self.ends();
        let count = self.values.get();
        let at = |k: u32| match count {
            0 | 1 => to,
            _ => from + (to - from) * f64::from(k) / f64::from(count - 1),
        };
        let mut epsilons: Vec<f32> = (0..count.max(1)).map(|k| tidy(at(k)) as f32).collect();
        epsilons.dedup();
        epsilons
    }

    /// The attacks, tracked.
    pub fn attacks(&self) -> Vec<AttackSettings> {
        let mut attacks: Vec<AttackSettings> =
            self.present.get().then(|| self.lab.experiment().attack).into_iter().collect();
        for attack in self.attacks.get() {
            if !attacks.contains(&attack) {
                attacks.push(attack);
            }
        }
        attacks
    }

    /// The job, tracked; it is not checked yet.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn job(&self) -> Result<Arc<dyn Job>, String> {
        let kind = self.kind();
        let experiment = Experiment { compare: None, ..self.lab.experiment() };
        let or_the_labs = |names: Vec<String>| if names.is_empty() { vec![experiment.model.clone()] } else { names };
        let mut question = serde_json::Map::new();
        for (field, example) in self.fields() {
            let value = match field.as_str() {
                "experiment" => json!(experiment),
                "models" | "sources" => json!(or_the_labs(self.models.get())),
                "targets" => json!(self.targets.get()),
                "attacks" => {
                    let attacks = self.attacks();
                    if attacks.is_empty() {
                        return Err("choose at least one attack".into());
                    }
                    json!(attacks)
                }
                "epsilons" => json!(self.epsilons()),
                "pictures" => json!(self.pictures.get()),
                _ => self.others.read().get(&field).cloned().unwrap_or(example),
            };
            question.insert(field, value);
        }
        kind.read(Value::Object(question)).map_err(|error| error.to_string())
    }

    /// Takes over the parts of a question that was asked.
    pub fn take(&self, kind: &str, question: &Value) {
        let names = |key: &str| -> Option<Vec<String>> { serde_json::from_value(question.get(key)?.clone()).ok() };
        self.kind.set(kind.to_string());
        self.models.set(names("models").or_else(|| names("sources")).unwrap_or_default());
        self.targets.set(names("targets").unwrap_or_default());
        let attacks: Option<Vec<AttackSettings>> =
            question.get("attacks").and_then(|attacks| serde_json::from_value(attacks.clone()).ok());
        if let Some(attacks) = attacks {
            self.present.set(false);
            self.attacks.set(attacks);
        }
        if let Some(epsilons) = question.get("epsilons").and_then(Value::as_array) {
            let number =
                |value: Option<&Value>| value.and_then(Value::as_f64).map(|value| tidy(f64::from(value as f32)));
            self.from.set(number(epsilons.first()));
            self.to.set(number(epsilons.last()));
            self.values.set(epsilons.len() as u32);
        }
        if let Some(pictures) = question.get("pictures").and_then(Value::as_u64) {
            self.pictures.set(pictures as u32);
        }
        const COMMON: [&str; 7] = ["experiment", "models", "sources", "targets", "attacks", "epsilons", "pictures"];
        let others = question.as_object().into_iter().flatten();
        let others = others.filter(|(field, _)| !COMMON.contains(&field.as_str()));
        self.others.set(others.map(|(field, value)| (field.clone(), value.clone())).collect());
        if let Ok(experiment) = serde_json::from_value::<Experiment>(question["experiment"].clone()) {
            // The picture on screen is no part of a question over many; of one about a picture it is.
            let one = self.has("pictures").then(|| self.lab.now());
            let picture = one.map_or(experiment.picture.clone(), |now| match now.dataset == experiment.dataset {
                true => now.picture,
                false => experiment.picture.clone(),
            });
            let _ = self.lab.edit("question", |now| *now = Experiment { picture, compare: None, ..experiment });
        }
    }
}

/// Without the dust of binary fractions.
fn tidy(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}
