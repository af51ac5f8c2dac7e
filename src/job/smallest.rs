//! The smallest perturbation: how little it takes an attack to reach its goal, over models × attacks × pictures.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::limits::{self, Limits, Refusal};
use super::report::{self, Axis, Cell, Figure, Lines, Report, Series, Table};
use super::{Compute, Computed, Materials, Work, slices};
use crate::attack::{Aim, Item};
use crate::data::PIXELS;
use crate::evaluate::smallest;
use crate::experiment::{AttackSettings, Experiment, Picture};
use crate::nn::softmax;
use crate::threat::Threat;

/// Pictures whose fate is told one by one.
const TOLD: usize = 200;
/// Points of a line, at most, roughly.
const POINTS: usize = 200;

/// With how small a perturbation attacks reach their goal, on one model or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmallestPerturbation {
    /// Data set, norm and seed, and whatever the lists leave open. ε does not matter, nor does α: both follow the search.
    pub experiment: Experiment,
    /// Models of the data set; none for the experiment's.
    #[serde(default)]
    pub models: Vec<String>,
    /// Attacks; none for the experiment's.
    #[serde(default)]
    pub attacks: Vec<AttackSettings>,
    /// The test pictures 0 to this, which is left out.
    pub pictures: u32,
}

/// What became of some pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// One for each picture; with a target none for pictures of that class.
    pub pictures: Vec<Fate>,
    /// Gradient evaluations that were used.
    pub gradients: u64,
    /// Forward evaluations beyond those within gradients.
    pub forwards: u64,
}

/// What became of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fate {
    /// Its index in the data set.
    pub id: u32,
    /// Its true class.
    pub label: u8,
    /// Whether it is classified correctly as it is. If not, it is not attacked.
    pub clean: bool,
    /// The smallest perturbation that was found; none if none reached the goal.
    pub found: Option<Found>,
}

/// A perturbation that reaches the goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// ‖δ‖.
    pub norm: f32,
    /// An ε with which the attack finds it.
    pub epsilon: f32,
    /// What the model says then.
    pub class: u8,
}

/// A chunk: some pictures under one attack on one model.
struct Piece {
    pictures: Range<u32>,
    model: usize,
    attack: usize,
    cost: u64,
}

/// Gradients for a picture, about; two pictures that are only looked at count as one.
///
/// An attack within ε is run at up to 29 values of ε in four rounds, but only those below the smallest go to their end: as
/// measured on the shipped models, it comes to the work of 15 to 29 whole runs. Each run looks at the picture before and
/// after.
fn cost(settings: &AttackSettings) -> u64 {
    let once = u64::from(settings.method.cost(settings)).max(1);
    if settings.method.aim() == Aim::Smallest { once } else { 20 * (once + 2) }
}

impl SmallestPerturbation {
    /// Slices of pictures outermost: every model and attack is seen early.
    fn pieces(&self) -> Vec<Piece> {
        let dearest = self.attacks.iter().map(cost).max().unwrap_or(1);
        let tenths: Vec<u64> = self.models.iter().map(|model| limits::tenths(self.experiment.dataset, model)).collect();
        let mut pieces = Vec::new();
        for pictures in slices::slices(self.pictures, dearest) {
            for model in 0..self.models.len() {
                for (attack, settings) in self.attacks.iter().enumerate() {
                    let cost = (pictures.len() as u64 * cost(settings) * tenths[model]).div_ceil(10);
                    pieces.push(Piece { pictures: pictures.clone(), model, attack, cost });
                }
            }
        }
        pieces
    }

    fn name(&self, model: usize, attack: usize) -> String {
        format!(
            "{}, {}",
            report::title(self.experiment.dataset, &self.models[model]),
            self.attacks[attack].method.title()
        )
    }
}

impl Work for SmallestPerturbation {
    const KIND: &'static str = "smallest";
    const TITLE: &'static str = "Smallest perturbations";
    const SUMMARY: &'static str =
        "How small a perturbation attacks get away with, picture by picture, for models × attacks.";
    type Part = Part;

    fn example() -> Self {
        let attack = |key| {
            let method = crate::attack::Method::from_key(key).unwrap_or_default();
            AttackSettings { method, ..AttackSettings::default() }
        };
        let threat = Threat::usual(Default::default(), crate::threat::Norm::L2);
        Self {
            experiment: Experiment { threat, ..Experiment::default() },
            models: vec!["standard".into(), "adversarial".into()],
            attacks: vec![attack("deepfool"), attack("pgd")],
            pictures: 100,
        }
        .tidy()
    }

    fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    fn tidy(mut self) -> Self {
        let Experiment { picture, compare, view, .. } = Experiment::default();
        self.experiment = Experiment { picture, compare, view, ..self.experiment };
        self.experiment.threat = Threat::usual(self.experiment.dataset, self.experiment.threat.norm);
        if self.models.is_empty() {
            self.models.push(self.experiment.model.clone());
        }
        if self.attacks.is_empty() {
            self.attacks.push(self.experiment.attack.clone());
        }
        self.attacks.iter_mut().for_each(|attack| attack.alpha = None);
        self.experiment.model = self.models[0].clone();
        self.experiment.attack = self.attacks[0].clone();
        self
    }

    fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        let Self { experiment, models, attacks, pictures } = self;
        limits::pictures(experiment.dataset, *pictures)?;
        limits::grid(experiment, models, attacks, &[experiment.threat.epsilon])?;
        if let Some(moves) = attacks.iter().find(|attack| attack.method.aim() == Aim::Transformation) {
            let title = moves.method.title();
            return Err(Refusal::Other(format!(
                "{title} moves pixels, which no norm measures: choose attacks that are measured by {}",
                experiment.threat.norm
            )));
        }
        limits::affordable(&self.chunks(), limits)
    }

    fn chunks(&self) -> Vec<u64> {
        self.pieces().into_iter().map(|piece| piece.cost).collect()
    }

    fn report(&self, parts: &[Option<Part>]) -> Report {
        let mut lists = vec![List::default(); self.models.len() * self.attacks.len()];
        for (piece, part) in self.pieces().iter().zip(parts) {
            let list = &mut lists[piece.model * self.attacks.len() + piece.attack];
            list.fates.extend(part.iter().flat_map(|part| part.pictures.iter().cloned()));
        }
        lists.iter_mut().for_each(List::sort);
        let pairs = (0..self.models.len()).flat_map(|model| (0..self.attacks.len()).map(move |attack| (model, attack)));
        let lists: Vec<_> = pairs.zip(lists).collect();
        Report {
            summary: self.summary(&lists),
            figures: vec![Figure::Lines(self.distribution(&lists))],
            tables: vec![self.quantiles(&lists), self.fates(&lists)],
            model: None,
        }
    }
}

/// What is known of one model under one attack.
#[derive(Clone, Default)]
struct List {
    /// By id.
    fates: Vec<Fate>,
    /// The norms that were found for pictures that are classified correctly as they are, increasing.
    norms: Vec<f32>,
    /// Pictures that are classified correctly as they are.
    correct: usize,
}

impl List {
    fn sort(&mut self) {
        self.fates.sort_by_key(|fate| fate.id);
        let correct = || self.fates.iter().filter(|fate| fate.clean);
        self.correct = correct().count();
        self.norms = correct().filter_map(|fate| fate.found.as_ref()).map(|found| found.norm).collect();
        self.norms.sort_by(f32::total_cmp);
    }

    /// The smallest r with which this share of the correctly classified pictures is fooled; none if no r is.
    fn quantile(&self, share: f64) -> Option<f32> {
        let rank = (share * self.correct as f64).ceil().max(1.0) as usize;
        self.norms.get(rank - 1).copied()
    }

    fn mean(&self) -> Option<f32> {
        let sum: f64 = self.norms.iter().map(|&norm| f64::from(norm)).sum();
        (!self.norms.is_empty()).then(|| (sum / self.norms.len() as f64) as f32)
    }
}

/// A model and an attack, and what is known of them.
type Known = ((usize, usize), List);

impl SmallestPerturbation {
    fn summary(&self, lists: &[Known]) -> String {
        let parts = lists.iter().filter(|(_, list)| list.correct > 0).map(|((model, attack), list)| {
            let half = match list.quantile(0.5) {
                Some(median) => format!("half of the pictures with {} ≤ {median:.4}", self.experiment.threat.norm),
                None => "fewer than half of the pictures".into(),
            };
            format!("{} fools {half}", self.name(*model, *attack))
        });
        let parts: Vec<String> = parts.collect();
        if parts.is_empty() { report::NOTHING.into() } else { parts.join("; ") + "." }
    }

    fn distribution(&self, lists: &[Known]) -> Lines {
        let norm = self.experiment.threat.norm;
        let found = lists.iter().filter_map(|(_, list)| list.norms.last()).copied().fold(0.0, f32::max);
        let greatest = if found > 0.0 { found } else { norm.greatest_epsilon() };
        let series = lists.iter().map(|((model, attack), list)| {
            let every = list.norms.len().div_ceil(POINTS).max(1);
            let share = |count: usize| count as f32 / list.correct.max(1) as f32;
            let mut points = Vec::new();
            if list.correct > 0 {
                points.push([0.0, 0.0]);
            }
            let mut drawn = 0;
            for (rank, norm) in (1..).zip(&list.norms) {
                // Where several have the same norm, all of them count.
                let all = list.norms.get(rank).is_none_or(|next| next > norm);
                if all && (rank >= drawn + every || rank == list.norms.len()) {
                    points.push([*norm, share(rank)]);
                    drawn = rank;
                }
            }
            if points.last().is_some_and(|point| point[0] < greatest) {
                points.push([greatest, share(list.norms.len())]);
            }
            Series { name: self.name(*model, *attack), points }
        });
        Lines {
            title: "Pictures that are fooled with a perturbation of at most this size".into(),
            caption: format!(
                "Of the first {} test pictures of {} that are classified correctly as they are: the share that the attack \
                 fools with ‖δ‖ ≤ r ({norm}).",
                self.pictures,
                self.experiment.dataset.title()
            ),
            x: Axis { label: format!("r ({norm})"), least: 0.0, greatest, share: false },
            y: Axis { label: "fooled with ‖δ‖ ≤ r".into(), least: 0.0, greatest: 1.0, share: true },
            series: series.collect(),
        }
    }

    fn quantiles(&self, lists: &[Known]) -> Table {
        let mut table = Table::new(
            "Smallest perturbations",
            [
                "model",
                "attack",
                "pictures",
                "correct as they are",
                "lower quartile",
                "median",
                "upper quartile",
                "mean of those found",
                "never fooled",
            ],
        );
        for ((model, attack), list) in lists {
            let number = |value: Option<f32>| value.map_or(Cell::Empty, Cell::number);
            let withstood = list.correct - list.norms.len();
            table.rows.push(vec![
                report::title(self.experiment.dataset, &self.models[*model]).into(),
                self.attacks[*attack].method.title().into(),
                Cell::Count(list.fates.len() as u64),
                Cell::Count(list.correct as u64),
                number(list.quantile(0.25)),
                number(list.quantile(0.5)),
                number(list.quantile(0.75)),
                number(list.mean()),
                Cell::share((list.correct > 0).then(|| withstood as f64 / list.correct as f64)),
            ]);
        }
        table
    }

    /// The first pictures, one by one.
    fn fates(&self, lists: &[Known]) -> Table {
        let norm = self.experiment.threat.norm;
        let mut table = Table {
            title: "The first pictures, one by one".into(),
            columns: ["picture", "class", "model", "attack", &format!("‖δ‖ ({norm})"), "what becomes of it"]
                .map(String::from)
                .into(),
            rows: Vec::new(),
        };
        let classes = self.experiment.dataset.classes();
        let class = |index: u8| classes.get(usize::from(index)).copied().unwrap_or_default();
        for ((model, attack), list) in lists {
            for fate in list.fates.iter().take((TOLD / lists.len()).max(1)) {
                let epsilon = fate.found.as_ref().map_or(self.experiment.threat.epsilon, |found| found.epsilon);
                let opened = Experiment {
                    picture: Picture::Test(fate.id),
                    model: self.models[*model].clone(),
                    attack: self.attacks[*attack].clone(),
                    threat: Threat { norm, epsilon: epsilon.min(norm.greatest_epsilon()) },
                    ..self.experiment.clone()
                };
                let becomes = match &fate.found {
                    _ if !fate.clean => "misclassified without an attack".into(),
                    Some(found) => format!("is taken for {}", class(found.class)),
                    None => "withstands".to_string(),
                };
                table.rows.push(vec![
                    Cell::lab(format!("picture {}", fate.id), &opened),
                    class(fate.label).into(),
                    report::title(self.experiment.dataset, &self.models[*model]).into(),
                    self.attacks[*attack].method.title().into(),
                    fate.found.as_ref().map_or(Cell::Empty, |found| Cell::number(found.norm)),
                    becomes.into(),
                ]);
            }
        }
        table
    }
}

impl Compute for SmallestPerturbation {
    fn compute(
        &self,
        chunk: u32,
        _carried: Option<&[u8]>,
        materials: &dyn Materials,
    ) -> Result<Computed<Part>, String> {
        let Piece { pictures, model, attack, .. } = self.pieces().swap_remove(chunk as usize);
        let Experiment { dataset, threat, seed, .. } = &self.experiment;
        let mut model = materials.classifier(*dataset, &self.models[model])?;
        let (images, labels) = materials.pictures(*dataset, pictures.clone())?;
        let settings = &self.attacks[attack];
        let classes = model.classes();
        let mut logits = vec![0.0; labels.len() * classes];
        model.logits(&images, &mut logits);
        let mut part = Part::default();
        let rows = images.chunks_exact(PIXELS).zip(logits.chunks_exact(classes));
        for ((id, &label), (image, logits)) in pictures.zip(&labels).zip(rows) {
            if settings.target == Some(label) {
                continue;
            }
            let clean = softmax::predicted(logits) == usize::from(label);
            let mut fate = Fate { id, label, clean, found: None };
            if clean {
                let item = Item { id, label, target: settings.target, epsilon: 0.0 };
                let minimum = smallest(&mut *model, image, item, threat.norm, settings, *seed);
                part.gradients += u64::from(minimum.gradients);
                part.forwards += u64::from(minimum.forwards);
                fate.found = minimum.found.map(|found| {
                    let norm = found.norms.of(threat.norm);
                    let class = softmax::predicted(&found.logits) as u8;
                    Found { norm, epsilon: found.epsilon.unwrap_or(norm), class }
                });
            }
            part.pictures.push(fate);
        }
        Ok(Computed::of(part))
    }
}
