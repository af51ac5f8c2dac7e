//! The decision boundary around a picture: a fine map of the plane that the Lab shows.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::limits::{self, Limits, Refusal};
use super::report::{self, Cell, Figure, Map, Report, Table};
use super::{Compute, Computed, Materials, Order, Work};
use crate::attack::{self, Item, Record, Task};
use crate::data;
use crate::experiment::{AttackSettings, Experiment, OWN_ID, Picture, PlaneAxes, View};
use crate::explain::{Plane, PlaneView, Sampled, gradient_map};
use crate::nn::{Classifier, softmax};

/// Fewest cells on a side.
pub const LEAST_SIDE: u32 = 64;
/// Most cells on a side.
pub const GREATEST_SIDE: u32 = 512;
/// Cells in a chunk, about. Two of them cost as much as a gradient.
const CELLS: u32 = 4800;
/// No cell's class.
const UNKNOWN: u8 = 255;

/// What a model says everywhere on the plane through a picture that the Lab shows, cell by cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundaryMap {
    /// Picture, model, attack and plane.
    pub experiment: Experiment,
    /// Cells on a side, 64 to 512.
    pub side: u32,
}

/// What comes of a chunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Part {
    /// Of the first one.
    View(Box<Drawn>),
    /// Of the others: the decisions, row by row.
    Band(Sampled),
}

/// What is drawn but the decisions. Points are pairs (a, b); x is (0, 0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// Least and greatest a, then b.
    pub extent: [f32; 4],
    /// Where x′ is.
    pub adversarial: [f32; 2],
    /// Where the two pictures are that span the plane, if pictures do.
    pub landmarks: Vec<[f32; 2]>,
    /// The outline of the ball.
    pub ball: Vec<[f32; 2]>,
    /// The class that counts as true.
    pub label: u8,
    /// The class of x.
    pub class: u8,
    /// The class of x′.
    pub adversarial_class: u8,
    /// Whether the attack succeeded.
    pub success: bool,
    /// The norm of the perturbation, in that of the experiment.
    pub norm: f32,
}

impl BoundaryMap {
    /// The bands of the chunks from the second on.
    fn bands(&self) -> Vec<Range<u32>> {
        let rows = (CELLS / self.side.max(1)).max(1);
        (0..self.side).step_by(rows as usize).map(|row| row..(row + rows).min(self.side)).collect()
    }
}

impl Work for BoundaryMap {
    const KIND: &'static str = "boundary-map";
    const TITLE: &'static str = "Decision boundary";
    const SUMMARY: &'static str = "What a model says everywhere on a plane through a picture and its adversarial version, \
                                   cell by cell.";
    type Part = Part;

    fn example() -> Self {
        Self { experiment: Experiment::default(), side: 128 }.tidy()
    }

    fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    fn tidy(mut self) -> Self {
        self.experiment.compare = None;
        self.experiment.view = View { plane: self.experiment.view.plane, ..View::default() };
        self
    }

    fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        limits::range("cells on a side", self.side, LEAST_SIDE, GREATEST_SIDE)?;
        self.experiment.validate()?;
        limits::affordable(&self.chunks(), limits)
    }

    fn chunks(&self) -> Vec<u64> {
        let AttackSettings { method, .. } = self.experiment.attack;
        let attack = limits::cost(method, &self.experiment.attack, 1) + 2;
        let bands = self.bands().into_iter().map(|band| u64::from((band.end - band.start) * self.side).div_ceil(2));
        let tenths = limits::tenths(self.experiment.dataset, &self.experiment.model);
        std::iter::once(attack).chain(bands).map(|cost| (cost * tenths).div_ceil(10)).collect()
    }

    fn order(&self) -> Order {
        Order::AfterFirst
    }

    fn report(&self, parts: &[Option<Part>]) -> Report {
        let Some(Some(Part::View(drawn))) = parts.first() else {
            return Report { summary: report::NOTHING.into(), ..Report::default() };
        };
        let side = self.side as usize;
        let (mut classes, mut confidence) = (vec![UNKNOWN; side * side], vec![0; side * side]);
        for (band, part) in self.bands().iter().zip(&parts[1..]) {
            if let Some(Part::Band(sampled)) = part {
                let from = band.start as usize * side;
                classes[from..].iter_mut().zip(&sampled.classes).for_each(|(place, class)| *place = *class);
                confidence[from..].iter_mut().zip(&sampled.confidence).for_each(|(place, share)| *place = *share);
            }
        }
        let areas = self.areas(&classes, &confidence);
        Report {
            summary: self.summary(drawn, &classes),
            tables: vec![self.subject(drawn), areas],
            figures: vec![Figure::Map(self.map(drawn, classes, confidence))],
            model: None,
        }
    }
}

impl BoundaryMap {
    fn class(&self, index: u8) -> &'static str {
        self.experiment.dataset.classes().get(usize::from(index)).copied().unwrap_or_default()
    }

    fn summary(&self, drawn: &Drawn, classes: &[u8]) -> String {
        let known = classes.iter().filter(|class| **class != UNKNOWN).count();
        let same = classes.iter().filter(|class| **class == drawn.class).count();
        let begin = format!(
            "x is taken for {}, x′ for {}, and the {} between them is {:.4}: the attack {}",
            self.class(drawn.class),
            self.class(drawn.adversarial_class),
            self.experiment.threat.norm,
            drawn.norm,
            if drawn.success { "succeeds" } else { "fails" }
        );
        match known {
            0 => format!("{begin}."),
            _ => format!(
                "{begin}. {:.1} % of the map is {}.",
                100.0 * same as f64 / known as f64,
                self.class(drawn.class)
            ),
        }
    }

    fn map(&self, drawn: &Drawn, classes: Vec<u8>, confidence: Vec<u8>) -> Map {
        let (axes, others) = match self.experiment.view.plane {
            PlaneAxes::AttackAndRandom => {
                ("a is the direction of the attack, b a random direction orthogonal to it.".into(), Vec::new())
            }
            PlaneAxes::Pictures(first, second) => {
                (format!("The plane goes through the test pictures {first} and {second}."), vec![first, second])
            }
        };
        let mut points = vec![("x".to_string(), [0.0; 2]), ("x′".to_string(), drawn.adversarial)];
        points.extend(others.iter().zip(&drawn.landmarks).map(|(id, at)| (format!("picture {id}"), *at)));
        Map {
            title: "What the model says on a plane through the picture".into(),
            caption: format!(
                "The class that {} gives to every point of the plane, and how sure it is. {axes} Both are L2 lengths.",
                report::title(self.experiment.dataset, &self.experiment.model)
            ),
            side: self.side,
            extent: drawn.extent,
            names: self.experiment.dataset.classes().iter().map(|name| name.to_string()).collect(),
            classes,
            confidence,
            points,
            ball: drawn.ball.clone(),
        }
    }

    fn subject(&self, drawn: &Drawn) -> Table {
        let picture = match &self.experiment.picture {
            Picture::Test(id) => format!("picture {id}"),
            Picture::Own { .. } => "own picture".into(),
        };
        let norm = self.experiment.threat.norm.to_string();
        let mut table = Table::new(
            "The picture",
            ["picture", "class", "model", "the model says of x", "of x′", &format!("‖δ‖ ({norm})"), "attack"],
        );
        table.rows.push(vec![
            Cell::lab(picture, &self.experiment),
            self.class(drawn.label).into(),
            report::title(self.experiment.dataset, &self.experiment.model).into(),
            self.class(drawn.class).into(),
            self.class(drawn.adversarial_class).into(),
            Cell::number(drawn.norm),
            if drawn.success { "succeeds" } else { "fails" }.into(),
        ]);
        table
    }

    fn areas(&self, classes: &[u8], confidence: &[u8]) -> Table {
        let mut table =
            Table::new("Share of the map by class", ["class", "cells", "share of the map", "mean confidence"]);
        let known = classes.iter().filter(|class| **class != UNKNOWN).count();
        for (class, name) in self.experiment.dataset.classes().iter().enumerate() {
            let of = classes.iter().zip(confidence).filter(|(found, _)| usize::from(**found) == class);
            let (cells, sum) = of.fold((0u64, 0u64), |(cells, sum), (_, share)| (cells + 1, sum + u64::from(*share)));
            table.rows.push(vec![
                (*name).into(),
                Cell::Count(cells),
                Cell::share((known > 0).then(|| cells as f64 / known as f64)),
                Cell::share((cells > 0).then(|| sum as f64 / (255 * cells) as f64)),
            ]);
        }
        table
    }
}

impl Compute for BoundaryMap {
    fn compute(&self, chunk: u32, carried: Option<&[u8]>, materials: &dyn Materials) -> Result<Computed<Part>, String> {
        let mut model = materials.model(self.experiment.dataset, &self.experiment.model)?;
        let Some(band) = (chunk as usize).checked_sub(1) else { return self.begin(&mut model, materials) };
        let (plane, extent): (Plane, [f32; 4]) =
            carried.and_then(|carried| postcard::from_bytes(carried).ok()).ok_or("the plane of the map is missing")?;
        let band = self.bands().swap_remove(band);
        let side = self.side as usize;
        let rows = band.start as usize..band.end as usize;
        let cells: Vec<_> = rows.flat_map(|row| (0..side).map(move |column| (row, column))).collect();
        Ok(Computed::of(Part::Band(plane.sample(&mut model, extent, side, &cells))))
    }
}

impl BoundaryMap {
    /// Attacks the picture as the Lab does, and lays the plane as the Lab does.
    fn begin(&self, model: &mut impl Classifier, materials: &dyn Materials) -> Result<Computed<Part>, String> {
        let Experiment { dataset, threat, attack, seed, .. } = &self.experiment;
        let picture = |index: u32| materials.pictures(*dataset, index..index + 1);
        let (image, id, label) = match &self.experiment.picture {
            Picture::Test(index) => {
                let (image, labels) = picture(*index)?;
                (image, *index, labels.first().copied())
            }
            Picture::Own { pixels, label } => (data::to_unit(pixels), OWN_ID, *label),
        };
        let others = match self.experiment.view.plane {
            PlaneAxes::AttackAndRandom => None,
            PlaneAxes::Pictures(first, second) => Some([picture(first)?.0, picture(second)?.0]),
        };
        let label = label.unwrap_or_else(|| {
            let mut logits = vec![0.0; model.classes()];
            model.logits(&image, &mut logits);
            softmax::predicted(&logits) as u8
        });
        let task = Task {
            images: image.clone(),
            items: vec![Item { id, label, target: attack.target, epsilon: threat.epsilon }],
            norm: threat.norm,
            settings: attack.clone(),
            seed: *seed,
            others: Vec::new(),
        };
        let outcome = attack::run(model, task, Record::Trace).remove(0);
        let gradient = gradient_map(model, &image, &[label]);
        let view = PlaneView::of(&self.experiment, &image, &outcome, &gradient, others.as_ref());
        let (a, b, _) = view.plane.project(&outcome.adversarial);
        let pairs = |numbers: &[f32]| numbers.as_chunks::<2>().0.to_vec();
        let drawn = Drawn {
            extent: view.extent,
            adversarial: [a, b],
            landmarks: pairs(&view.landmarks),
            ball: pairs(&view.ball),
            label,
            class: softmax::predicted(&outcome.logits) as u8,
            adversarial_class: softmax::predicted(&outcome.adversarial_logits) as u8,
            success: outcome.success,
            norm: outcome.norms.of(threat.norm),
        };
        let carry = postcard::to_allocvec(&(view.plane, view.extent)).map_err(|error| error.to_string())?;
        Ok(Computed { part: Part::View(Box::new(drawn)), carry: Some(carry) })
    }
}
