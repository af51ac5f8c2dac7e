//! Transfer: whether a perturbation that was found on one model fools another (Szegedy et al. 2014; Goodfellow, Shlens,
//! Szegedy 2015).

use serde::{Deserialize, Serialize};

use super::Pictures;
use crate::attack::{Aim, Goal, Item, Outcome, Record, Run, Task};
use crate::experiment::AttackSettings;
use crate::nn::{Classifier, Shape, softmax};
use crate::threat::{Norm, Threat, rounding_slack};

/// Pictures that are attacked together. It changes no count.
const CHUNK: usize = 32;

/// What was counted, for every pair of models. Matrices of disjoint pictures add up.
///
/// The attack runs on the source to its end, with the whole budget (as [`Record::Strongest`]), whatever the source makes
/// of it; what a minimal attack finds beyond ε fools nobody. Each cell counts over the pictures that its *target*
/// classifies correctly as they are; in a targeted attack pictures of the target class are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Models that are attacked, as indices into the models.
    pub sources: Vec<usize>,
    /// Models that are shown the result.
    pub targets: Vec<usize>,
    /// Pictures that were looked at.
    pub pictures: u32,
    /// A cell for each source and target, row by row: a row for each source.
    pub cells: Vec<Cell>,
    /// Gradient evaluations that were used.
    pub gradients: u64,
    /// How many examples a cell keeps of either kind.
    pub keep: u32,
}

/// What one model's adversarial pictures do to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Pictures that the target classifies correctly as they are.
    pub correct: u32,
    /// Of these, those whose adversarial picture is allowed and brings the target to the attack's goal.
    pub fooled: u32,
    /// Of `correct`, those that the source classifies correctly as well, and on which the attack succeeds at the source.
    pub source_fooled: u32,
    /// Of `source_fooled`, those that fool the target too.
    pub both: u32,
    /// The first pictures of `correct` that fool the target, and the first that do not; in the order of their ids.
    pub examples: Vec<Example>,
}

impl Cell {
    /// The share of the target's correct pictures that fool it; none if there is no such picture.
    pub fn success(&self) -> Option<f32> {
        (self.correct > 0).then(|| self.fooled as f32 / self.correct as f32)
    }

    /// The share of the pictures that fool the source that fool the target too; none if there is no such picture.
    pub fn transfer(&self) -> Option<f32> {
        (self.source_fooled > 0).then(|| self.both as f32 / self.source_fooled as f32)
    }
}

/// A picture of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Its id.
    pub id: u32,
    /// Its true class.
    pub label: u8,
    /// The adversarial picture, C·H·W values.
    pub adversarial: Vec<f32>,
    /// What the source says of it.
    pub source_class: u8,
    /// What the target says of it.
    pub target_class: u8,
    /// The probability that the target gives to that class.
    pub confidence: f32,
    /// Whether it fools the target.
    pub fooled: bool,
}

impl Matrix {
    /// The cell of a source and a target, by their places in [`Self::sources`] and [`Self::targets`].
    pub fn cell(&self, source: usize, target: usize) -> Option<&Cell> {
        (target < self.targets.len()).then(|| self.cells.get(source * self.targets.len() + target)).flatten()
    }

    /// Adds the matrix of other pictures for the same models.
    ///
    /// # Panics
    /// If the models are others.
    pub fn add(&mut self, other: Self) {
        assert!(self.sources == other.sources && self.targets == other.targets, "the same models");
        self.pictures += other.pictures;
        self.gradients += other.gradients;
        for (cell, more) in self.cells.iter_mut().zip(other.cells) {
            cell.add(more, self.keep);
        }
    }
}

impl Cell {
    /// Adds the cell of other pictures for the same models, and keeps the first so many examples of either kind.
    pub fn add(&mut self, other: Self, keep: u32) {
        self.correct += other.correct;
        self.fooled += other.fooled;
        self.source_fooled += other.source_fooled;
        self.both += other.both;
        self.examples.extend(other.examples);
        self.trim(keep);
    }

    /// Keeps the first of either kind.
    fn trim(&mut self, keep: u32) {
        self.examples.sort_by_key(|example| (!example.fooled, example.id));
        let mut kept = [0; 2];
        self.examples.retain(|example| {
            kept[usize::from(example.fooled)] += 1;
            kept[usize::from(example.fooled)] <= keep
        });
    }
}

/// A matrix under way, chunk by chunk. A worker can turn to other work between any two steps. Counts and examples of
/// pictures depend neither on the chunks nor on what else is counted.
pub struct Transfer {
    input: Shape,
    classes: usize,
    norm: Norm,
    /// Whether ε limits what the attack may do.
    measured: bool,
    goal: Option<u8>,
    tasks: std::vec::IntoIter<Task>,
    chunk: Option<Chunk>,
    matrix: Matrix,
}

/// Pictures that are looked at together.
struct Chunk {
    task: Task,
    /// For each model that has been asked, whether it classifies the pictures correctly.
    right: Vec<Vec<bool>>,
    /// The source, by its place, that is attacked or judged.
    source: usize,
    stage: Stage,
}

enum Stage {
    Clean,
    Attack(Box<Run>),
    Judge { outcomes: Vec<Outcome>, target: usize },
}

/// Which models, and what is done to which pictures.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Models that are attacked, as indices into the models.
    pub sources: Vec<usize>,
    /// Models that are shown the result, as indices into the models.
    pub targets: Vec<usize>,
    /// The pictures.
    pub pictures: Pictures<'a>,
    /// What is allowed.
    pub threat: Threat,
    /// The attack.
    pub attack: &'a AttackSettings,
    /// Key of every random number.
    pub seed: u32,
    /// How many examples are kept in each cell of either kind.
    pub keep: u32,
}

impl Transfer {
    /// Prepares the matrix for models that all take pictures of the shape `input` and know `classes` classes.
    ///
    /// # Panics
    /// If there are not as many images as labels, or a label or the target is not a class.
    pub fn new(input: Shape, classes: usize, plan: Plan) -> Self {
        let Plan { sources, targets, pictures, threat, attack, seed, keep } = plan;
        let tasks = pictures.tasks(input.len(), threat, attack, seed, CHUNK);
        let cells = vec![Cell::default(); sources.len() * targets.len()];
        let matrix = Matrix { sources, targets, pictures: 0, cells, gradients: 0, keep };
        let measured = attack.method.aim() != Aim::Transformation;
        Self { input, classes, norm: threat.norm, measured, goal: attack.target, tasks, chunk: None, matrix }
    }

    /// Does the next piece of work, at most one call of one of the models. Says whether everything is counted.
    ///
    /// # Panics
    /// If a model of the plan is missing or of another shape.
    pub fn step<C: Classifier>(&mut self, models: &mut [C]) -> bool {
        let Some(mut chunk) = self.chunk.take().or_else(|| self.next_chunk()) else { return true };
        match &mut chunk.stage {
            Stage::Clean => {
                let model = &mut models[chunk.right.len()];
                assert_eq!((model.input(), model.classes()), (self.input, self.classes), "models of the same shape");
                let mut logits = vec![0.0; chunk.task.items.len() * self.classes];
                model.logits(&chunk.task.images, &mut logits);
                let rows = logits.chunks_exact(self.classes).zip(&chunk.task.items);
                let right = rows.map(|(logits, item)| softmax::predicted(logits) == usize::from(item.label));
                chunk.right.push(right.collect());
                if chunk.right.len() == models.len() {
                    chunk.stage = self.attack(&chunk.task);
                }
            }
            Stage::Attack(run) => {
                if run.step(&mut models[self.matrix.sources[chunk.source]]) {
                    let ended = std::mem::replace(&mut chunk.stage, Stage::Clean);
                    if let Stage::Attack(run) = ended {
                        let outcomes = run.finish();
                        self.matrix.gradients +=
                            outcomes.iter().map(|outcome| u64::from(outcome.gradients)).sum::<u64>();
                        chunk.stage = Stage::Judge { outcomes, target: 0 };
                    }
                }
            }
            Stage::Judge { outcomes, target } => {
                if let Some(&model) = self.matrix.targets.get(*target) {
                    let images: Vec<f32> = outcomes.iter().flat_map(|outcome| &outcome.adversarial).copied().collect();
                    let mut logits = vec![0.0; outcomes.len() * self.classes];
                    models[model].logits(&images, &mut logits);
                    self.count(&chunk.task.items, &chunk.right, outcomes, (chunk.source, *target), &logits);
                    *target += 1;
                }
                if *target >= self.matrix.targets.len() {
                    chunk.source += 1;
                    chunk.stage = self.attack(&chunk.task);
                }
            }
        }
        if chunk.source < self.matrix.sources.len() {
            self.chunk = Some(chunk);
        } else {
            self.matrix.pictures += chunk.task.items.len() as u32;
        }
        self.chunk.is_none() && self.tasks.as_slice().is_empty()
    }

    fn next_chunk(&mut self) -> Option<Chunk> {
        let task = self.tasks.next()?;
        Some(Chunk { task, right: Vec::new(), source: 0, stage: Stage::Clean })
    }

    fn attack(&self, task: &Task) -> Stage {
        Stage::Attack(Box::new(Run::new(self.input, self.classes, task.clone(), Record::Strongest)))
    }

    fn count(
        &mut self,
        items: &[Item],
        right: &[Vec<bool>],
        outcomes: &[Outcome],
        (source, target): (usize, usize),
        logits: &[f32],
    ) {
        let matrix = &mut self.matrix;
        let keep = matrix.keep;
        let [source_right, target_right] =
            [matrix.sources[source], matrix.targets[target]].map(|model| right[model].as_slice());
        let cell = &mut matrix.cells[source * matrix.targets.len() + target];
        for (i, (item, outcome)) in items.iter().zip(outcomes).enumerate() {
            if !target_right[i] {
                continue;
            }
            let logits = &logits[i * self.classes..][..self.classes];
            let slack = rounding_slack(self.norm, item.epsilon, self.input.len());
            let allowed = !self.measured || outcome.norms.of(self.norm) <= item.epsilon + slack;
            let fooled = allowed && Goal::new(item.label, self.goal).reached(logits);
            let at_source = source_right[i] && outcome.success;
            cell.correct += 1;
            cell.fooled += u32::from(fooled);
            cell.source_fooled += u32::from(at_source);
            cell.both += u32::from(at_source && fooled);
            if cell.examples.iter().filter(|example| example.fooled == fooled).count() < keep as usize {
                let (target_class, confidence) = softmax::confidence(logits);
                cell.examples.push(Example {
                    id: item.id,
                    label: item.label,
                    adversarial: outcome.adversarial.clone(),
                    source_class: softmax::predicted(&outcome.adversarial_logits) as u8,
                    target_class: target_class as u8,
                    confidence,
                    fooled,
                });
            }
        }
        cell.trim(keep);
    }

    /// What has been counted so far: whole chunks, and the cells of the present one that are done.
    pub fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// The matrix; complete when the work is done.
    pub fn finish(self) -> Matrix {
        self.matrix
    }
}

/// Counts to the end.
///
/// # Panics
/// As [`Transfer::new`] and [`Transfer::step`].
pub fn transfer<C: Classifier>(models: &mut [C], input: Shape, classes: usize, plan: Plan) -> Matrix {
    let mut work = Transfer::new(input, classes, plan);
    while !work.step(models) {}
    work.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack;
    use crate::nn::{Architecture, Executor, Layer, Weights, weights::needed};
    use crate::random::{Random, Stream};

    const INPUT: Shape = Shape { channels: 1, height: 6, width: 6 };

    /// A network of three classes; those of the same kin have similar weights.
    fn network(kin: u64, own: u64) -> Executor {
        let layers = vec![
            Layer::Flatten,
            Layer::Linear { name: "a".into(), out: 12 },
            Layer::Relu,
            Layer::Linear { name: "b".into(), out: 3 },
        ];
        let architecture = Architecture { input: INPUT, layers };
        let (mut shared, mut random) = (Random::new(kin, Stream::Weights, 0), Random::new(own, Stream::Order, 0));
        let mut weights = Weights::default();
        for (name, shape) in needed(&architecture).unwrap() {
            let scale = if shape.len() > 1 { 0.5 } else { 0.0 };
            let draw = |_| scale * (shared.normal() + 0.3 * random.normal());
            weights.insert(&name, shape.clone(), (0..shape.iter().product()).map(draw).collect()).unwrap();
        }
        Executor::new(&architecture, &weights).unwrap()
    }

    /// Two networks of a kin and a stranger, and pictures with the first one's classes, every ninth another.
    fn set() -> (Vec<Executor>, Vec<f32>, Vec<u8>) {
        let mut models = vec![network(1, 1), network(1, 2), network(2, 3)];
        let mut random = Random::new(8, Stream::Order, 1);
        let images: Vec<f32> = (0..100 * 36).map(|_| random.uniform()).collect();
        let mut logits = vec![0.0; 300];
        models[0].logits(&images, &mut logits);
        let label = |(i, row)| (softmax::predicted(row) as u8 + u8::from(i % 9 == 0)) % 3;
        let labels = logits.chunks(3).enumerate().map(label).collect();
        (models, images, labels)
    }

    fn settings() -> AttackSettings {
        AttackSettings { steps: 5, random_start: true, ..Default::default() }
    }

    fn plan<'a>(pictures: Pictures<'a>, attack: &'a AttackSettings) -> Plan<'a> {
        let threat = Threat { norm: Norm::Linf, epsilon: 0.06 };
        Plan { sources: vec![0, 1, 2], targets: vec![0, 1, 2], pictures, threat, attack, seed: 4, keep: 2 }
    }

    fn counted(from: usize, to: usize, attack: &AttackSettings) -> Matrix {
        let (mut models, images, labels) = set();
        let pictures = Pictures { images: &images[from * 36..to * 36], labels: &labels[from..to], first: from as u32 };
        transfer(&mut models, INPUT, 3, plan(pictures, attack))
    }

    #[test]
    fn perturbations_fool_their_own_model_most_and_its_kin_more_than_a_stranger() {
        let matrix = counted(0, 100, &settings());
        assert_eq!((matrix.pictures, matrix.cells.len()), (100, 9));
        let rate = |source, target| matrix.cell(source, target).unwrap().success().unwrap();
        assert!(rate(0, 0) > 0.3 && rate(0, 0) > rate(0, 1) && rate(0, 1) > rate(0, 2) + 0.1, "{matrix:?}");
        for cell in &matrix.cells {
            assert!(cell.both <= cell.fooled && cell.both <= cell.source_fooled && cell.fooled <= cell.correct);
            assert!(cell.examples.iter().filter(|example| example.fooled).count() <= 2);
        }
        // Of its own successes a model is fooled always.
        for own in 0..3 {
            let cell = matrix.cell(own, own).unwrap();
            assert_eq!((cell.both, cell.source_fooled), (cell.fooled, cell.fooled));
            assert_eq!(cell.transfer(), Some(1.0));
        }
        assert!(matrix.cell(0, 3).is_none() && matrix.cell(3, 0).is_none());
    }

    #[test]
    fn a_cell_is_what_the_attack_alone_and_the_target_alone_say() {
        let attack = settings();
        let matrix = counted(0, 100, &attack);
        let (mut models, images, labels) = set();
        let item = |(label, id): (&u8, u32)| Item { id, label: *label, target: None, epsilon: 0.06 };
        let items: Vec<Item> = labels.iter().zip(0..).map(item).collect();
        let task =
            Task { images: images.clone(), items, norm: Norm::Linf, settings: attack, seed: 4, others: Vec::new() };
        let outcomes = attack::run(&mut models[0], task, Record::Strongest);
        let right = |model: &mut Executor, image: &[f32], label: u8| {
            let mut logits = [0.0; 3];
            model.logits(image, &mut logits);
            softmax::predicted(&logits) == usize::from(label)
        };
        let (mut correct, mut fooled) = (0, 0);
        for ((image, &label), outcome) in images.chunks(36).zip(&labels).zip(&outcomes) {
            if right(&mut models[1], image, label) {
                correct += 1;
                fooled += u32::from(!right(&mut models[1], &outcome.adversarial, label));
            }
        }
        let cell = matrix.cell(0, 1).unwrap();
        assert_eq!((cell.correct, cell.fooled), (correct, fooled));
        for example in &cell.examples {
            assert_eq!(example.adversarial, outcomes[example.id as usize].adversarial);
            assert_eq!(example.fooled, !right(&mut models[1], &example.adversarial, example.label));
        }
    }

    #[test]
    fn the_matrix_does_not_depend_on_how_the_pictures_are_cut_up() {
        let whole = counted(0, 100, &settings());
        for cuts in [vec![0, 1, 100], vec![0, 40, 72, 100]] {
            let mut parts = cuts.windows(2).map(|cut| counted(cut[0], cut[1], &settings()));
            let mut sum = parts.next().unwrap();
            parts.for_each(|part| sum.add(part));
            assert_eq!(sum, whole);
        }
    }

    #[test]
    fn pictures_of_the_target_class_are_left_out_and_the_target_is_what_counts() {
        let attack = AttackSettings { target: Some(1), ..settings() };
        let matrix = counted(0, 100, &attack);
        let (_, _, labels) = set();
        assert_eq!(matrix.pictures as usize, labels.iter().filter(|&&label| label != 1).count());
        let examples = || matrix.cells.iter().flat_map(|cell| &cell.examples);
        assert!(examples().all(|example| example.fooled == (example.target_class == 1) && example.label != 1));
        assert!(examples().any(|example| example.fooled) && examples().any(|example| !example.fooled));
    }

    #[test]
    fn no_pictures_are_counted_at_once() {
        assert_eq!(counted(5, 5, &settings()).pictures, 0);
        assert_eq!(counted(5, 5, &settings()).cells[0].success(), None);
    }
}
