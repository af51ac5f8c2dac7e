//! Robust accuracy: how many test pictures models still classify correctly, over models × attacks × ε.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::limits::{self, Limits, Refusal};
use super::report::{self, Axis, Cell, Figure, Lines, Report, Series, Table};
use super::{Compute, Computed, Materials, Work, slices};
use crate::evaluate::{Pictures, Verdicts, verdicts};
use crate::experiment::{AttackSettings, Experiment};
use crate::threat::Threat;

/// Pictures whose fate is told one by one.
const TOLD: usize = 200;

/// How many of the first test pictures withstand one attack or several, at one ε or several, on one model or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobustAccuracy {
    /// Data set, norm and seed, and whatever the lists leave open.
    pub experiment: Experiment,
    /// Models of the data set; none for the experiment's.
    #[serde(default)]
    pub models: Vec<String>,
    /// Attacks; none for the experiment's. With several, a picture is robust against the worst of them if none succeeds.
    #[serde(default)]
    pub attacks: Vec<AttackSettings>,
    /// Values of ε; none for the experiment's.
    #[serde(default)]
    pub epsilons: Vec<f32>,
    /// The test pictures 0 to this, which is left out.
    pub pictures: u32,
}

/// A chunk: some pictures under one attack on one model, at the values of ε that one run after the other can answer.
struct Piece {
    pictures: std::ops::Range<u32>,
    model: usize,
    attack: usize,
    epsilons: std::ops::Range<usize>,
    cost: u64,
}

impl RobustAccuracy {
    /// The question that an experiment asks over so many pictures.
    pub fn of(experiment: &Experiment, pictures: u32) -> Self {
        let (models, attacks, epsilons) = Default::default();
        Self { experiment: experiment.clone(), models, attacks, epsilons, pictures }.tidy()
    }

    fn threat(&self, epsilon: f32) -> Threat {
        Threat { epsilon, ..self.experiment.threat }
    }

    /// Slices of pictures outermost: every model, attack and ε is seen early.
    fn pieces(&self) -> Vec<Piece> {
        let dearest = self.attacks.iter().map(|attack| limits::cost(attack.method, attack, 1)).max().unwrap_or(1);
        let tenths: Vec<u64> = self.models.iter().map(|model| limits::tenths(self.experiment.dataset, model)).collect();
        let mut pieces = Vec::new();
        for pictures in slices::slices(self.pictures, dearest) {
            for model in 0..self.models.len() {
                for (attack, settings) in self.attacks.iter().enumerate() {
                    let together = if slices::runs_once(settings.method) { self.epsilons.len().max(1) } else { 1 };
                    for from in (0..self.epsilons.len()).step_by(together) {
                        let epsilons = from..(from + together).min(self.epsilons.len());
                        let cost = pictures.len() as u64 * limits::cost(settings.method, settings, epsilons.len());
                        let cost = (cost * tenths[model]).div_ceil(10);
                        pieces.push(Piece { pictures: pictures.clone(), model, attack, epsilons, cost });
                    }
                }
            }
        }
        pieces
    }

    fn title(&self, model: usize) -> String {
        report::title(self.experiment.dataset, &self.models[model])
    }
}

impl Work for RobustAccuracy {
    const KIND: &'static str = "robust-accuracy";
    const TITLE: &'static str = "Robust accuracy";
    const SUMMARY: &'static str = "How many test pictures models still classify correctly under attack, for models × \
                                   attacks × ε, class by class, and against the worst of the attacks.";
    type Part = Verdicts;

    fn example() -> Self {
        let experiment = Experiment::default();
        let epsilons = vec![0.02, 0.05, 0.1];
        Self { models: vec!["standard".into(), "adversarial".into()], epsilons, ..Self::of(&experiment, 100) }
    }

    fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    fn tidy(mut self) -> Self {
        let Experiment { picture, compare, view, .. } = Experiment::default();
        self.experiment = Experiment { picture, compare, view, ..self.experiment };
        if self.models.is_empty() {
            self.models.push(self.experiment.model.clone());
        }
        if self.attacks.is_empty() {
            self.attacks.push(self.experiment.attack.clone());
        }
        if self.epsilons.is_empty() {
            self.epsilons.push(self.experiment.threat.epsilon);
        }
        self.epsilons.sort_by(f32::total_cmp);
        // What the lists say is not said twice: equal questions are equal.
        self.experiment.model = self.models[0].clone();
        self.experiment.attack = self.attacks[0].clone();
        self.experiment.threat.epsilon = self.epsilons[0];
        self
    }

    fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        let Self { experiment, models, attacks, epsilons, pictures } = self;
        limits::pictures(experiment.dataset, *pictures)?;
        limits::grid(experiment, models, attacks, epsilons)?;
        limits::affordable(&self.chunks(), limits)
    }

    fn chunks(&self) -> Vec<u64> {
        self.pieces().into_iter().map(|piece| piece.cost).collect()
    }

    fn report(&self, parts: &[Option<Verdicts>]) -> Report {
        let mut cells = vec![Column::default(); self.models.len() * self.epsilons.len() * (self.attacks.len() + 1)];
        let at = |model: usize, epsilon: usize, attack: usize| {
            (model * self.epsilons.len() + epsilon) * (self.attacks.len() + 1) + attack
        };
        for (piece, part) in self.pieces().iter().zip(parts) {
            for verdict in part.iter().flat_map(|part| &part.pictures) {
                for epsilon in piece.epsilons.clone() {
                    let fooled = verdict.fooled >> (epsilon - piece.epsilons.start) & 1 == 1;
                    let known = Known { label: verdict.label, clean: verdict.clean, fooled, attacks: 1 };
                    cells[at(piece.model, epsilon, piece.attack)].pictures.insert(verdict.id, known);
                    let worst = cells[at(piece.model, epsilon, self.attacks.len())].pictures.entry(verdict.id);
                    let worst = worst.or_insert(Known { fooled: false, attacks: 0, ..known });
                    worst.fooled |= fooled;
                    worst.attacks += 1;
                }
            }
        }
        // Robust against all of them is only a picture that has seen all of them.
        let all = self.attacks.len();
        for worst in cells.iter_mut().skip(all).step_by(all + 1) {
            worst.pictures.retain(|_, known| known.fooled || known.attacks == all);
        }
        let worst = if all > 1 { all } else { 0 };
        let attack = |k: usize| match self.attacks.get(k) {
            Some(settings) => settings.method.title(),
            None => "worst of them",
        };
        let shown: Vec<usize> = if all > 1 { (0..=all).collect() } else { vec![0] };
        Report {
            summary: self.summary(|model, epsilon| &cells[at(model, epsilon, worst)]),
            figures: vec![Figure::Lines(
                self.curve(&shown, attack, |model, epsilon, attack| &cells[at(model, epsilon, attack)]),
            )],
            tables: vec![
                self.accuracies(&shown, attack, |model, epsilon, attack| &cells[at(model, epsilon, attack)]),
                self.classes(|model, epsilon| &cells[at(model, epsilon, worst)]),
                self.fates(|model, epsilon| &cells[at(model, epsilon, worst)]),
            ],
            model: None,
        }
    }
}

/// What is known of a picture in a cell.
#[derive(Clone, Copy)]
struct Known {
    label: u8,
    clean: bool,
    fooled: bool,
    /// How many attacks it has seen.
    attacks: usize,
}

/// The pictures of one model, ε and attack.
#[derive(Clone, Default)]
struct Column {
    pictures: BTreeMap<u32, Known>,
}

impl Column {
    fn clean(&self) -> usize {
        self.pictures.values().filter(|known| known.clean).count()
    }

    fn robust(&self) -> usize {
        self.pictures.values().filter(|known| known.clean && !known.fooled).count()
    }

    fn share(&self, count: usize) -> Option<f64> {
        (!self.pictures.is_empty()).then(|| count as f64 / self.pictures.len() as f64)
    }
}

impl RobustAccuracy {
    fn summary<'a>(&self, worst: impl Fn(usize, usize) -> &'a Column) -> String {
        let epsilon = self.epsilons.len() - 1;
        let parts = (0..self.models.len()).filter_map(|model| {
            let column = worst(model, epsilon);
            let percent = |count| column.share(count).map(|share| format!("{:.1} %", share * 100.0));
            let (clean, robust) = (percent(column.clean())?, percent(column.robust())?);
            Some(format!(
                "{}: {clean} correct without an attack, {robust} at ε = {}",
                self.title(model),
                self.epsilons[epsilon]
            ))
        });
        let parts: Vec<String> = parts.collect();
        if parts.is_empty() { report::NOTHING.into() } else { parts.join("; ") + "." }
    }

    fn curve<'a>(
        &self,
        shown: &[usize],
        attack: impl Fn(usize) -> &'static str,
        column: impl Fn(usize, usize, usize) -> &'a Column,
    ) -> Lines {
        let mut series = Vec::new();
        for model in 0..self.models.len() {
            for &k in shown {
                let mut points = Vec::new();
                let first = column(model, 0, k);
                if self.epsilons[0] > 0.0
                    && let Some(clean) = first.share(first.clean())
                {
                    points.push([0.0, clean as f32]);
                }
                for (i, &epsilon) in self.epsilons.iter().enumerate() {
                    let column = column(model, i, k);
                    points.extend(column.share(column.robust()).map(|share| [epsilon, share as f32]));
                }
                series.push(Series { name: format!("{}, {}", self.title(model), attack(k)), points });
            }
        }
        let norm = self.experiment.threat.norm;
        let greatest = self.epsilons.last().copied().unwrap_or(1.0).max(1e-6);
        Lines {
            title: "Accuracy under attack".into(),
            caption: format!(
                "The share of the first {} test pictures of {} that are classified correctly before and after the \
                 attack, against ε ({norm}); at ε = 0, without an attack.",
                self.pictures,
                self.experiment.dataset.title()
            ),
            x: Axis { label: format!("ε ({norm})"), least: 0.0, greatest, share: false },
            y: Axis { label: "robust accuracy".into(), least: 0.0, greatest: 1.0, share: true },
            series,
        }
    }

    fn accuracies<'a>(
        &self,
        shown: &[usize],
        attack: impl Fn(usize) -> &'static str,
        column: impl Fn(usize, usize, usize) -> &'a Column,
    ) -> Table {
        let mut rows = Vec::new();
        for model in 0..self.models.len() {
            for &k in shown {
                for (i, &epsilon) in self.epsilons.iter().enumerate() {
                    let column = column(model, i, k);
                    rows.push(vec![
                        self.title(model).into(),
                        attack(k).into(),
                        Cell::number(epsilon),
                        Cell::Count(column.pictures.len() as u64),
                        Cell::Count(column.clean() as u64),
                        Cell::Count(column.robust() as u64),
                        Cell::share(column.share(column.robust())),
                    ]);
                }
            }
        }
        let columns = ["model", "attack", "ε", "pictures", "correct before", "correct after", "robust accuracy"];
        Table { title: "Robust accuracy".into(), columns: columns.map(String::from).into(), rows }
    }

    fn classes<'a>(&self, worst: impl Fn(usize, usize) -> &'a Column) -> Table {
        let mut rows = Vec::new();
        for model in 0..self.models.len() {
            for (i, &epsilon) in self.epsilons.iter().enumerate() {
                for (class, name) in self.experiment.dataset.classes().iter().enumerate() {
                    let pictures = worst(model, i).pictures.values().filter(|known| usize::from(known.label) == class);
                    let of = Column { pictures: (0..).zip(pictures.copied()).collect() };
                    rows.push(vec![
                        self.title(model).into(),
                        Cell::number(epsilon),
                        (*name).into(),
                        Cell::Count(of.pictures.len() as u64),
                        Cell::Count(of.clean() as u64),
                        Cell::Count(of.robust() as u64),
                        Cell::share(of.share(of.robust())),
                    ]);
                }
            }
        }
        let columns = ["model", "ε", "class", "pictures", "correct before", "correct after", "robust accuracy"];
        let title = if self.attacks.len() > 1 { "Class by class, worst of the attacks" } else { "Class by class" };
        Table { title: title.into(), columns: columns.map(String::from).into(), rows }
    }

    /// The first pictures, one by one.
    fn fates<'a>(&self, worst: impl Fn(usize, usize) -> &'a Column) -> Table {
        let mut rows = Vec::new();
        for model in 0..self.models.len() {
            let columns: Vec<&Column> = (0..self.epsilons.len()).map(|epsilon| worst(model, epsilon)).collect();
            for id in (0..self.pictures).take(TOLD / self.models.len()) {
                let Some(known) = columns.iter().find_map(|column| column.pictures.get(&id)) else { continue };
                let fooled = (0..columns.len())
                    .find(|&epsilon| columns[epsilon].pictures.get(&id).is_some_and(|known| known.fooled));
                let fate = match (known.clean, fooled) {
                    (false, _) => "misclassified without an attack".into(),
                    (true, Some(epsilon)) => format!("fooled at ε = {}", self.epsilons[epsilon]),
                    (true, None) => "withstands".to_string(),
                };
                let opened = Experiment {
                    picture: crate::experiment::Picture::Test(id),
                    model: self.models[model].clone(),
                    threat: self.threat(self.epsilons[fooled.unwrap_or(columns.len() - 1)]),
                    ..self.experiment.clone()
                };
                let class = self.experiment.dataset.classes()[usize::from(known.label)];
                rows.push(vec![
                    Cell::lab(format!("picture {id}"), &opened),
                    class.into(),
                    self.title(model).into(),
                    fate.into(),
                ]);
            }
        }
        let columns = ["picture", "class", "model", "what becomes of it"];
        Table { title: "The first pictures, one by one".into(), columns: columns.map(String::from).into(), rows }
    }
}

impl Compute for RobustAccuracy {
    fn compute(
        &self,
        chunk: u32,
        _carried: Option<&[u8]>,
        materials: &dyn Materials,
    ) -> Result<Computed<Verdicts>, String> {
        let piece = self.pieces().swap_remove(chunk as usize);
        let dataset = self.experiment.dataset;
        let mut model = materials.classifier(dataset, &self.models[piece.model])?;
        let (images, labels) = materials.pictures(dataset, piece.pictures.clone())?;
        let pictures = Pictures { images: &images, labels: &labels, first: piece.pictures.start };
        let threats: Vec<Threat> = self.epsilons[piece.epsilons].iter().map(|&epsilon| self.threat(epsilon)).collect();
        let attack = &self.attacks[piece.attack];
        Ok(Computed::of(verdicts(&mut *model, pictures, &threats, attack, self.experiment.seed)))
    }
}
