//! Training a network, standard or adversarial, with its curves; what comes out is a model that can be opened like a
//! shipped one.

#[cfg(not(target_arch = "wasm32"))]
mod teach;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::limits::{self, Limits, Refusal};
use super::report::{self, Axis, Cell, Figure, Lines, Report, Series, Table};
use super::{Compute, Computed, Materials, Order, Work};
use crate::experiment::Experiment;
use crate::nn::Architecture;
use crate::nn::zoo::ModelCard;
use crate::threat::Threat;

/// Most passes over the training pictures.
pub const MAX_EPOCHS: u32 = 60;
/// Fewest and most pictures in a step.
pub const BATCH: [u32; 2] = [8, 512];
/// Least and greatest learning rate.
pub const RATE: [f32; 2] = [1e-5, 0.1];
/// Greatest weight decay.
pub const MAX_DECAY: f32 = 1.0;
/// Most steps of the attacker.
pub const MAX_ATTACK_STEPS: u32 = 20;
/// Fewest training pictures.
pub const LEAST_PICTURES: u32 = 8;

/// Held-out pictures that the network is measured on after each epoch.
const HELD_OUT: u32 = 200;
/// Steps of the attack it is measured with then.
const HELD_OUT_STEPS: u32 = 10;
/// Gradients in a chunk, about: two to five seconds of a core.
const GRADIENTS: u64 = 40_000;
/// Gradients in the first chunk, so that something is seen soon.
const FIRST: u64 = 2_000;
/// Gradients it takes to measure a held-out picture at the end with FGSM and PGD-40, by a network after standard training
/// and by one that withstands more of the steps.
const AT_THE_END: [u64; 2] = [12, 30];

/// A network to be trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Data set, seed and threat. Against perturbations within the threat the network is trained, if it is trained against
    /// any, and measured after each epoch.
    pub experiment: Experiment,
    /// The network.
    pub network: Network,
    /// Passes over the training pictures, 1 to 60.
    pub epochs: u32,
    /// Pictures in a step, 8 to 512.
    pub batch: u32,
    /// The greatest learning rate, 0.00001 to 0.1; it rises over the first tenth of the steps and falls along a cosine.
    pub rate: f32,
    /// AdamW's decay of the weights per unit of learning rate, 0 to 1.
    pub weight_decay: f32,
    /// How many of the training pictures it sees, drawn with the seed; 0 for all.
    #[serde(default)]
    pub pictures: u32,
    /// Adversarial training (Madry et al. 2018): steps of PGD on every batch before the network learns from it, up to 20;
    /// 0 for standard training.
    #[serde(default)]
    pub attack_steps: u32,
}

/// An architecture that can be trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Two convolutions with ReLU and max-pooling, then 128 hidden units.
    #[default]
    SmallCnn,
    /// The same with tanh.
    TanhCnn,
    /// Residual blocks and averages.
    ResidualCnn,
    /// 256 and 64 hidden units, no convolutions.
    Mlp,
}

impl Network {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::SmallCnn, Self::TanhCnn, Self::ResidualCnn, Self::Mlp];

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::SmallCnn => "Small CNN",
            Self::TanhCnn => "Small CNN with tanh",
            Self::ResidualCnn => "Residual network",
            Self::Mlp => "Multilayer perceptron",
        }
    }

    /// Its layers.
    pub fn architecture(self) -> fn() -> Architecture {
        match self {
            Self::SmallCnn => Architecture::small_cnn,
            Self::TanhCnn => Architecture::tanh_cnn,
            Self::ResidualCnn => Architecture::residual_cnn,
            Self::Mlp => Architecture::mlp,
        }
    }

    /// What it takes to learn from a picture, and to take the gradient at one: in tenths of a gradient of the small CNN, as
    /// measured.
    pub(super) fn costs(self) -> [u64; 2] {
        match self {
            Self::SmallCnn => [40, 10],
            Self::TanhCnn => [50, 17],
            Self::ResidualCnn => [100, 70],
            Self::Mlp => [5, 1],
        }
    }
}

/// What comes of a chunk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Stretches of training: the step with which each ends, and its mean loss.
    pub losses: Vec<(u32, f32)>,
    /// What the network does on held-out pictures, if an epoch has ended.
    pub measured: Option<Measured>,
    /// The trained model, from the last chunk.
    #[serde(with = "json")]
    pub model: Option<Box<ModelCard>>,
}

/// What a network does on held-out pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// After this epoch, from 1.
    pub epoch: u32,
    /// How many it classifies correctly.
    pub clean: u32,
    /// How many it still does under PGD.
    pub robust: u32,
    /// Of how many.
    pub of: u32,
}

impl Training {
    /// Steps in an epoch.
    fn batches(&self) -> u32 {
        self.pictures.div_ceil(self.batch.max(1))
    }

    /// Gradients that a picture takes, attacked first if it is, in tenths.
    fn picture_cost(&self) -> u64 {
        let [learn, gradient] = self.network.costs();
        learn + u64::from(self.attack_steps) * gradient
    }

    /// The steps of every chunk but the last, which measures and stores. Each ends within an epoch or with it.
    fn pieces(&self) -> Vec<Range<u32>> {
        let (batches, step) = (self.batches(), (u64::from(self.batch) * self.picture_cost()).div_ceil(10).max(1));
        let parts = (u64::from(batches) * step).div_ceil(GRADIENTS).clamp(1, u64::from(batches).max(1));
        let mut cuts = vec![0];
        for epoch in 0..self.epochs {
            cuts.extend((1..=parts).map(|part| epoch * batches + (u64::from(batches) * part / parts) as u32));
        }
        let first = (FIRST / step).max(1) as u32;
        if cuts.get(1).is_some_and(|cut| first < *cut) {
            cuts.insert(1, first);
        }
        cuts.windows(2).map(|cut| cut[0]..cut[1]).collect()
    }

    /// The epoch, from 1, that ends with this step, if one does.
    fn ends(&self, step: u32) -> Option<u32> {
        (step > 0 && step.is_multiple_of(self.batches().max(1))).then(|| step / self.batches().max(1))
    }
}

impl Work for Training {
    const KIND: &'static str = "training";
    const TITLE: &'static str = "Training";
    const SUMMARY: &'static str = "Train a network, on the pictures as they are or on pictures that PGD has attacked first; \
                                   watch loss and accuracy, and attack it in the Lab when it is done.";
    type Part = Part;

    fn example() -> Self {
        let dataset = crate::data::Dataset::Digits;
        let threat = Threat::usual(dataset, Default::default());
        Self {
            experiment: Experiment { dataset, threat, ..Experiment::default() },
            network: Network::SmallCnn,
            epochs: 5,
            batch: 64,
            rate: 0.003,
            weight_decay: 0.05,
            pictures: 1000,
            attack_steps: 0,
        }
        .tidy()
    }

    fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    fn tidy(mut self) -> Self {
        let Experiment { dataset, threat, seed, .. } = self.experiment;
        self.experiment = Experiment { dataset, threat, seed, ..Experiment::default() };
        if self.pictures == 0 {
            self.pictures = dataset.lessons();
        }
        self
    }

    fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        self.experiment.validate()?;
        limits::range("training pictures", self.pictures, LEAST_PICTURES, self.experiment.dataset.lessons())?;
        limits::range("epochs", self.epochs, 1, MAX_EPOCHS)?;
        limits::range("pictures in a step", self.batch, BATCH[0], BATCH[1])?;
        limits::range("steps of the attacker", self.attack_steps, 0, MAX_ATTACK_STEPS)?;
        limits::number("the learning rate", self.rate, RATE[0], RATE[1])?;
        limits::number("the weight decay", self.weight_decay, 0.0, MAX_DECAY)?;
        limits::affordable(&self.chunks(), limits)
    }

    fn chunks(&self) -> Vec<u64> {
        let [_, gradient] = self.network.costs();
        let measure = u64::from(HELD_OUT * (HELD_OUT_STEPS + 1)) * gradient;
        let train = |steps: Range<u32>| {
            let pictures = u64::from(steps.end - steps.start) * u64::from(self.batch);
            pictures * self.picture_cost() + if self.ends(steps.end).is_some() { measure } else { 0 }
        };
        let end = AT_THE_END[usize::from(self.attack_steps > 0)] * gradient;
        let end = u64::from(self.experiment.dataset.pictures()) * end;
        self.pieces().into_iter().map(train).chain([end]).map(|tenths| tenths.div_ceil(10)).collect()
    }

    fn order(&self) -> Order {
        Order::Chain
    }

    fn report(&self, parts: &[Option<Part>]) -> Report {
        let known = || parts.iter().flatten();
        let losses: Vec<(u32, f32)> = known().flat_map(|part| part.losses.iter().copied()).collect();
        let measured: Vec<Measured> = known().filter_map(|part| part.measured).collect();
        let model = known().find_map(|part| part.model.clone());
        let mut tables = vec![self.epoch_by_epoch(&losses, &measured)];
        if let Some(card) = &model {
            tables.insert(0, self.results(card));
        }
        Report {
            summary: self.summary(losses.last().copied(), measured.last(), model.as_deref()),
            figures: vec![Figure::Lines(self.loss(&losses)), Figure::Lines(self.accuracy(&measured))],
            tables,
            model,
        }
    }
}

fn share(count: u32, of: u32) -> f32 {
    count as f32 / of.max(1) as f32
}

impl Training {
    /// The attack after each epoch, in words.
    fn attack(&self) -> String {
        let Threat { norm, epsilon } = self.experiment.threat;
        format!("PGD-{HELD_OUT_STEPS}, {norm} ≤ {epsilon}")
    }

    fn summary(&self, last: Option<(u32, f32)>, measured: Option<&Measured>, model: Option<&ModelCard>) -> String {
        if let Some(card) = model {
            let percent = |result: &crate::nn::zoo::Outcome| {
                format!("{}: {:.1} %", result.what, 100.0 * result.correct as f64 / result.of.max(1) as f64)
            };
            let results: Vec<String> = card.results.iter().map(percent).collect();
            return format!(
                "{} is trained. Accuracy on pictures that it never saw: {}.",
                card.name,
                results.join("; ")
            );
        }
        let Some((step, loss)) = last else { return report::NOTHING.into() };
        let at = format!("After {:.1} of {} epochs the loss is {loss:.3}", self.epochs_at(step), self.epochs);
        match measured {
            None => format!("{at}."),
            Some(measured) => format!(
                "{at}. After epoch {}: {:.1} % of {} held-out pictures correct, {:.1} % under attack ({}).",
                measured.epoch,
                100.0 * share(measured.clean, measured.of),
                measured.of,
                100.0 * share(measured.robust, measured.of),
                self.attack()
            ),
        }
    }

    fn epochs_at(&self, step: u32) -> f32 {
        step as f32 / self.batches().max(1) as f32
    }

    fn epochs_axis(&self) -> Axis {
        Axis { label: "epochs".into(), least: 0.0, greatest: self.epochs as f32, share: false }
    }

    fn loss(&self, losses: &[(u32, f32)]) -> Lines {
        let greatest = losses.iter().map(|(_, loss)| *loss).fold(0.1, f32::max);
        let seen = if self.attack_steps > 0 { "the attacked training pictures" } else { "the training pictures" };
        Lines {
            title: "Loss".into(),
            caption: format!("The mean cross-entropy on {seen}, as the network saw them."),
            x: self.epochs_axis(),
            y: Axis { label: "loss".into(), least: 0.0, greatest, share: false },
            series: vec![Series {
                name: "training loss".into(),
                points: losses.iter().map(|(step, loss)| [self.epochs_at(*step), *loss]).collect(),
            }],
        }
    }

    fn accuracy(&self, measured: &[Measured]) -> Lines {
        let series = |name: &str, count: fn(&Measured) -> u32| Series {
            name: name.into(),
            points: measured.iter().map(|m| [m.epoch as f32, share(count(m), m.of)]).collect(),
        };
        Lines {
            title: "Accuracy on held-out pictures".into(),
            caption: format!(
                "The share of the first {HELD_OUT} test pictures that the network classifies correctly after each epoch, as \
                 they are and under attack ({}).",
                self.attack()
            ),
            x: self.epochs_axis(),
            y: Axis { label: "accuracy".into(), least: 0.0, greatest: 1.0, share: true },
            series: vec![series("as they are", |m| m.clean), series(&self.attack(), |m| m.robust)],
        }
    }

    fn epoch_by_epoch(&self, losses: &[(u32, f32)], measured: &[Measured]) -> Table {
        let mut table = Table::new(
            "Epoch by epoch",
            ["epoch", "loss", "held-out pictures", "correct as they are", "correct under attack"],
        );
        for m in measured {
            let loss = losses.iter().rfind(|(step, _)| *step <= m.epoch * self.batches());
            table.rows.push(vec![
                Cell::Count(m.epoch.into()),
                loss.map_or(Cell::Empty, |(_, loss)| Cell::number(*loss)),
                Cell::Count(m.of.into()),
                Cell::Share(f64::from(m.clean) / f64::from(m.of.max(1))),
                Cell::Share(f64::from(m.robust) / f64::from(m.of.max(1))),
            ]);
        }
        table
    }

    fn results(&self, card: &ModelCard) -> Table {
        let mut table = Table::new(
            format!("What {} reaches", card.name),
            ["measured", "on", "correct", "of", "accuracy", "open it"],
        );
        let opened = Experiment { model: card.name.clone(), ..self.experiment.clone() };
        for result in &card.results {
            table.rows.push(vec![
                result.what.clone().into(),
                result.pictures.clone().into(),
                Cell::Count(result.correct as u64),
                Cell::Count(result.of as u64),
                Cell::Share(result.correct as f64 / result.of.max(1) as f64),
                Cell::lab("in the Lab", &opened),
            ]);
        }
        table
    }
}

impl Compute for Training {
    #[cfg(not(target_arch = "wasm32"))]
    fn compute(&self, chunk: u32, carried: Option<&[u8]>, materials: &dyn Materials) -> Result<Computed<Part>, String> {
        teach::chunk(self, chunk as usize, carried, materials)
    }

    #[cfg(target_arch = "wasm32")]
    fn compute(&self, _: u32, _: Option<&[u8]>, _: &dyn Materials) -> Result<Computed<Part>, String> {
        Err("networks are trained by a server: open the Lab from one that runs, with “epsilon-lab serve”".into())
    }
}

/// A card travels as JSON, as it lies beside its weights: the form of its architecture is made for that.
mod json {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    use crate::nn::zoo::ModelCard;

    pub fn serialize<S: Serializer>(card: &Option<Box<ModelCard>>, serializer: S) -> Result<S::Ok, S::Error> {
        let text = card.as_ref().map(serde_json::to_string).transpose().map_err(ser::Error::custom)?;
        text.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<ModelCard>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(de::Error::custom)
    }
}
