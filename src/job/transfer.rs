//! Transfer: whether perturbations that were found on one model fool others, over sources × targets.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::limits::{self, Limits, Refusal};
use super::report::{self, Cell, Figure, Matrix, Report, Table};
use super::{Compute, Computed, Materials, Work, slices};
use crate::evaluate::Pictures;
use crate::evaluate::transfer::{self, Plan};
use crate::experiment::{Experiment, Picture};
use crate::nn::{Classifier, zoo};

/// Examples that a cell keeps of either kind.
const KEEP: u32 = 2;

/// Which of the pictures that one model misclassifies under attack others misclassify, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Data set, attack, threat and seed.
    pub experiment: Experiment,
    /// Models that are attacked; none for all that are shipped with the data set.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Models that are shown the result; none for all that are shipped with the data set.
    #[serde(default)]
    pub targets: Vec<String>,
    /// The test pictures 0 to this, which is left out.
    pub pictures: u32,
}

/// What became of some pictures that were attacked at one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// How many they were, those of a target class left out.
    pub pictures: u32,
    /// For each target; the examples are without their pictures, which are quickly found again.
    pub cells: Vec<transfer::Cell>,
    /// Gradient evaluations that were used.
    pub gradients: u64,
}

/// A chunk: some pictures, attacked at one source.
struct Piece {
    pictures: Range<u32>,
    source: usize,
}

impl Transfer {
    /// Slices of pictures outermost: the whole matrix is seen early.
    fn pieces(&self) -> Vec<Piece> {
        let slices = slices::slices(self.pictures, self.cost());
        let piece = |pictures: Range<u32>| {
            (0..self.sources.len()).map(move |source| Piece { pictures: pictures.clone(), source })
        };
        slices.into_iter().flat_map(piece).collect()
    }

    /// Gradients for a picture at a source, if all models were small CNNs. To look at a picture before and after takes a
    /// target about one.
    fn cost(&self) -> u64 {
        self.attack_cost() + self.targets.len() as u64
    }

    fn attack_cost(&self) -> u64 {
        let attack = &self.experiment.attack;
        limits::cost(attack.method, attack, 1)
    }

    fn title(&self, model: &str) -> String {
        report::title(self.experiment.dataset, model)
    }
}

impl Work for Transfer {
    const KIND: &'static str = "transfer";
    const TITLE: &'static str = "Transfer";
    const SUMMARY: &'static str = "Whether perturbations that were found on one model fool others, for every pair of \
                                   models of a data set.";
    type Part = Part;

    fn example() -> Self {
        let models = || vec!["standard".into(), "adversarial".into(), "mlp".into()];
        Self { experiment: Experiment::default(), sources: models(), targets: models(), pictures: 100 }.tidy()
    }

    fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    fn tidy(mut self) -> Self {
        let Experiment { picture, compare, view, .. } = Experiment::default();
        self.experiment = Experiment { picture, compare, view, ..self.experiment };
        // The shipped ones, whatever has been added meanwhile: the question means the same everywhere.
        let shipped = zoo::all().iter().filter(|card| card.dataset == self.experiment.dataset);
        let shipped: Vec<String> = shipped.map(|card| card.name.clone()).collect();
        for models in [&mut self.sources, &mut self.targets] {
            if models.is_empty() {
                models.clone_from(&shipped);
            }
        }
        self.experiment.model.clone_from(&self.sources[0]);
        self
    }

    fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        let Self { experiment, sources, targets, pictures } = self;
        limits::pictures(experiment.dataset, *pictures)?;
        for models in [sources, targets] {
            limits::grid(experiment, models, std::slice::from_ref(&experiment.attack), &[experiment.threat.epsilon])?;
        }
        limits::affordable(&self.chunks(), limits)
    }

    fn chunks(&self) -> Vec<u64> {
        let tenths = |model: &String| limits::tenths(self.experiment.dataset, model);
        let targets: u64 = self.targets.iter().map(tenths).sum();
        let sources: Vec<u64> = self.sources.iter().map(|source| self.attack_cost() * tenths(source)).collect();
        let cost = |piece: &Piece| piece.pictures.len() as u64 * (sources[piece.source] + targets);
        self.pieces().iter().map(|piece| cost(piece).div_ceil(10)).collect()
    }

    fn report(&self, parts: &[Option<Part>]) -> Report {
        let mut cells = vec![transfer::Cell::default(); self.sources.len() * self.targets.len()];
        for (piece, part) in self.pieces().iter().zip(parts) {
            let row = cells.iter_mut().skip(piece.source * self.targets.len()).take(self.targets.len());
            for (cell, more) in row.zip(part.iter().flat_map(|part| &part.cells)) {
                cell.add(more.clone(), KEEP);
            }
        }
        let pairs = || self.sources.iter().flat_map(|source| self.targets.iter().map(move |target| (source, target)));
        let cells: Vec<_> = pairs().zip(cells).collect();
        Report {
            summary: self.summary(&cells),
            figures: vec![self.successes(&cells), self.transferred(&cells)],
            tables: vec![self.counts(&cells), self.examples(&cells)],
            model: None,
        }
    }
}

/// A source, a target and what is known of them.
type Known<'a> = ((&'a String, &'a String), transfer::Cell);

impl Transfer {
    fn summary(&self, cells: &[Known]) -> String {
        let others = cells.iter().filter(|((source, target), _)| source != target);
        let (fool, both) = others.fold((0, 0), |(fool, both), (_, cell)| (fool + cell.source_fooled, both + cell.both));
        if fool > 0 {
            let share = 100.0 * f64::from(both) / f64::from(fool);
            return format!(
                "Of the perturbations that fool the model they were found on, {share:.1} % fool another one, too."
            );
        }
        let fooled: u32 = cells.iter().map(|(_, cell)| cell.fooled).sum();
        match cells.iter().map(|(_, cell)| cell.correct).sum::<u32>() {
            0 => report::NOTHING.into(),
            correct => format!("{fooled} of {correct} pictures that were classified correctly no longer are."),
        }
    }

    fn matrix(&self, title: &str, caption: String, values: Vec<Option<f32>>) -> Figure {
        let titles = |models: &[String]| models.iter().map(|model| self.title(model)).collect();
        Figure::Matrix(Matrix {
            title: title.into(),
            caption,
            row_label: "attacked model (source)".into(),
            rows: titles(&self.sources),
            column_label: "model that is shown the result (target)".into(),
            columns: titles(&self.targets),
            values,
        })
    }

    fn successes(&self, cells: &[Known]) -> Figure {
        let caption = format!(
            "Of the first {} test pictures of {}, among those that the target classifies correctly as they are: the share \
             that fools it after {} on the source ({} ≤ {}).",
            self.pictures,
            self.experiment.dataset.title(),
            self.experiment.attack.method.title(),
            self.experiment.threat.norm,
            self.experiment.threat.epsilon
        );
        self.matrix("Share of pictures that fool the target", caption, cells.iter().map(|(_, c)| c.success()).collect())
    }

    fn transferred(&self, cells: &[Known]) -> Figure {
        let caption = "Of the pictures that both models classify correctly as they are and that fool the source: the share \
                       that fools the target, too.";
        let values = cells.iter().map(|(_, cell)| cell.transfer()).collect();
        self.matrix("Share of the source's successes that transfer", caption.into(), values)
    }

    fn counts(&self, cells: &[Known]) -> Table {
        let mut table = Table::new(
            "Pair by pair",
            [
                "source",
                "target",
                "correct at the target",
                "of these, fool the target",
                "share",
                "fool the source",
                "of these, fool the target, too",
                "share that transfers",
            ],
        );
        for ((source, target), cell) in cells {
            table.rows.push(vec![
                self.title(source).into(),
                self.title(target).into(),
                Cell::Count(cell.correct.into()),
                Cell::Count(cell.fooled.into()),
                Cell::share(cell.success().map(f64::from)),
                Cell::Count(cell.source_fooled.into()),
                Cell::Count(cell.both.into()),
                Cell::share(cell.transfer().map(f64::from)),
            ]);
        }
        table
    }

    fn examples(&self, cells: &[Known]) -> Table {
        let mut table = Table::new(
            "Examples",
            [
                "picture",
                "class",
                "source",
                "target",
                "the source says",
                "the target says",
                "its confidence",
                "the target is",
            ],
        );
        let classes = self.experiment.dataset.classes();
        let class = |index: u8| Cell::Text(classes.get(usize::from(index)).copied().unwrap_or_default().into());
        for ((source, target), cell) in cells {
            for example in &cell.examples {
                let opened = Experiment {
                    picture: Picture::Test(example.id),
                    model: source.to_string(),
                    compare: (source != target).then(|| target.to_string()),
                    ..self.experiment.clone()
                };
                table.rows.push(vec![
                    Cell::lab(format!("picture {}", example.id), &opened),
                    class(example.label),
                    self.title(source).into(),
                    self.title(target).into(),
                    class(example.source_class),
                    class(example.target_class),
                    Cell::Share(example.confidence.into()),
                    if example.fooled { "fooled" } else { "not fooled" }.into(),
                ]);
            }
        }
        table
    }
}

impl Compute for Transfer {
    fn compute(
        &self,
        chunk: u32,
        _carried: Option<&[u8]>,
        materials: &dyn Materials,
    ) -> Result<Computed<Part>, String> {
        let Piece { pictures, source } = self.pieces().swap_remove(chunk as usize);
        let Experiment { dataset, threat, attack, seed, .. } = &self.experiment;
        let mut names: Vec<&String> = self.targets.iter().collect();
        let source = names.iter().position(|name| **name == self.sources[source]).unwrap_or_else(|| {
            names.push(&self.sources[source]);
            names.len() - 1
        });
        let mut models = names.iter().map(|name| materials.model(*dataset, name)).collect::<Result<Vec<_>, _>>()?;
        let (images, labels) = materials.pictures(*dataset, pictures.clone())?;
        let (input, classes) = (models[source].input(), models[source].classes());
        let matrix = transfer::transfer(
            &mut models,
            input,
            classes,
            Plan {
                sources: vec![source],
                targets: (0..self.targets.len()).collect(),
                pictures: Pictures { images: &images, labels: &labels, first: pictures.start },
                threat: *threat,
                attack,
                seed: *seed,
                keep: KEEP,
            },
        );
        let mut part = Part { pictures: matrix.pictures, cells: matrix.cells, gradients: matrix.gradients };
        part.cells.iter_mut().flat_map(|cell| &mut cell.examples).for_each(|example| example.adversarial.clear());
        Ok(Computed::of(part))
    }
}
