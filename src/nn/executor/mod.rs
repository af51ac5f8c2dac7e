//! The [`Executor`]: runs a network and its input gradient, fast enough to be live in a browser.
//!
//! An architecture is compiled once into a list of steps ([`plan`]) with packed weights; there is no graph and no
//! allocation per call. One file per family of kernels: [`conv`] (with ReLU and pooling fused; [`winograd`] where it
//! applies), [`depthwise`], [`grouped`], [`linear`], [`residual`], [`plain`] for what stands alone; [`affine`] is a faster
//! way into a network for pictures of one plane. A new layer is a new
//! [`plan::Step`] and a line in [`plan::compile`].

mod affine;
mod aligned;
mod conv;
mod depthwise;
mod greatest;
mod grouped;
mod linear;
mod plain;
mod plan;
mod residual;
mod simd;
#[cfg(test)]
mod tests;
mod winograd;

use std::fmt;
use std::sync::Arc;

pub use plan::BuildError;
pub use simd::Arithmetic;

use self::affine::Sums;
use self::aligned::Aligned;
use self::plain::{channels_first, channels_last};
use self::plan::{Notes, Step};
use self::simd::Processor;
use super::weights::Weights;
use super::{Architecture, Classifier, Shape, logits_of_each};

/// Pictures that go through all steps together, at most: enough that the weights of linear layers are read seldom.
const BLOCK: usize = 16;
/// Values between two steps that caches hold: larger pictures go through one by one.
const CACHED: usize = 1 << 18;

/// A network ready to run. Clones share their weights and have buffers of their own: clone one for each thread.
///
/// Results are the same to the bit for every batch a picture is part of and, with [`Arithmetic::Exact`], on every
/// platform.
#[derive(Clone)]
pub struct Executor {
    network: Arc<Network>,
    buffers: Buffers,
}

struct Network {
    input: Shape,
    classes: usize,
    steps: Vec<Box<dyn Step>>,
    /// Pictures that go through all steps together.
    block: usize,
}

/// Grown when first needed, then kept.
#[derive(Clone, Default)]
struct Buffers {
    /// The values, or their cotangents, before and after a step, of one block of pictures.
    values: [Aligned; 2],
    /// The marks of each step, of all pictures.
    marks: Vec<Vec<u8>>,
    /// What each step keeps, of all pictures.
    kept: Vec<Aligned>,
    /// For any step.
    scratch: Aligned,
    /// The cotangents of the logits, of all pictures.
    logits: Vec<f32>,
    /// Of the plane that pictures are on.
    plane: Sums,
}

impl Executor {
    /// Makes a network ready to run, with results that are the same everywhere.
    ///
    /// # Errors
    /// If the layers do not fit together or the weights do not fit the layers.
    pub fn new(architecture: &Architecture, weights: &Weights) -> Result<Self, BuildError> {
        Self::with(architecture, weights, Arithmetic::Exact)
    }

    /// Makes a network ready to run.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(architecture: &Architecture, weights: &Weights, arithmetic: Arithmetic) -> Result<Self, BuildError> {
        Self::on(architecture, weights, Processor::this(arithmetic))
    }

    /// The same with the instructions that every processor of this kind has.
    #[cfg(test)]
    pub(crate) fn portable(architecture: &Architecture, weights: &Weights) -> Result<Self, BuildError> {
        Self::on(architecture, weights, Processor::PORTABLE)
    }

    fn on(architecture: &Architecture, weights: &Weights, processor: Processor) -> Result<Self, BuildError> {
        let steps = plan::compile(architecture, weights, processor)?;
        let classes = steps.last().ok_or(BuildError::Empty)?.output();
        let widest = steps.iter().map(|step| step.output()).fold(architecture.input.len(), usize::max);
        let block = (CACHED / widest).clamp(1, BLOCK);
        Ok(Self {
            network: Arc::new(Network { input: architecture.input, classes, steps, block }),
            buffers: Buffers::default(),
        })
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Network { input, classes, steps, .. } = &*self.network;
        f.debug_struct("Executor")
            .field("input", input)
            .field("classes", classes)
            .field("steps", &steps.len())
            .finish_non_exhaustive()
    }
}

impl Classifier for Executor {
    fn input(&self) -> Shape {
        self.network.input
    }

    fn classes(&self) -> usize {
        self.network.classes
    }

    fn logits(&mut self, images: &[f32], logits: &mut [f32]) {
        let (network, buffers) = (&*self.network, &mut self.buffers);
        network.check(images.len(), logits.len());
        let pictures = network.pictures(images.len());
        network.reserve(buffers, pictures.min(network.block), pictures.min(network.block));
        for (images, logits) in network.blocks(images).zip(logits.chunks_mut(network.block * network.classes)) {
            network.forward(buffers, 0, images, logits);
        }
    }

    fn logits_on_plane(&mut self, plane: [&[f32]; 3], points: &[[f32; 2]], logits: &mut [f32]) {
        let (network, buffers) = (&*self.network, &mut self.buffers);
        let Some(first) = network.steps[0].affine() else { return logits_of_each(self, plane, points, logits) };
        network.check(points.len() * network.input.len(), logits.len());
        let block = points.len().min(network.block);
        network.reserve(buffers, block.max(1), block);
        let mut pictures = [(); 3].map(|_| Aligned::zeros(network.input.len()));
        for (to, from) in pictures.iter_mut().zip(plane) {
            channels_last(network.input, from, to);
        }
        buffers.plane.survey(first, pictures.each_ref().map(|picture| &**picture), &mut buffers.scratch);
        let output = network.steps[0].output();
        for (points, logits) in points.chunks(network.block).zip(logits.chunks_mut(network.block * network.classes)) {
            let Buffers { values: [before, _], marks, kept, scratch, plane, .. } = &mut *buffers;
            for (point, output) in points.iter().zip(before.chunks_exact_mut(output)) {
                let notes = notes(&*network.steps[0], &mut marks[0], &mut kept[0], 0, 1);
                first.finish(plane.at(*point, first), output, notes, scratch);
            }
            network.go_on(buffers, 1, 0, points.len(), logits);
        }
    }

    fn input_gradient(
        &mut self,
        images: &[f32],
        logits: &mut [f32],
        cotangent: &mut dyn FnMut(&[f32], &mut [f32]),
        gradient: &mut [f32],
    ) {
        let (network, buffers) = (&*self.network, &mut self.buffers);
        network.check(images.len(), logits.len());
        assert_eq!(images.len(), gradient.len(), "the gradient is as long as the images");
        let pictures = network.pictures(images.len());
        network.reserve(buffers, pictures.min(network.block), pictures);
        for (block, (images, logits)) in
            network.blocks(images).zip(logits.chunks_mut(network.block * network.classes)).enumerate()
        {
            network.forward(buffers, block * network.block, images, logits);
        }
        let mut cotangents = std::mem::take(&mut buffers.logits);
        cotangents.clear();
        cotangents.resize(logits.len(), 0.0);
        cotangent(logits, &mut cotangents);
        let gradients = gradient.chunks_mut(network.block * network.input.len());
        for (block, (cotangents, gradient)) in
            cotangents.chunks(network.block * network.classes).zip(gradients).enumerate()
        {
            network.backward(buffers, block * network.block, cotangents, gradient);
        }
        buffers.logits = cotangents;
    }
}

impl Network {
    fn check(&self, images: usize, logits: usize) {
        let length = self.input.len();
        assert_eq!(images % length, 0, "images are {length} numbers each, {images} were given");
        assert_eq!(logits, images / length * self.classes, "{} logits for each image", self.classes);
    }

    fn pictures(&self, length: usize) -> usize {
        length / self.input.len()
    }

    fn blocks<'a>(&self, images: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        images.chunks(self.block * self.input.len())
    }

    fn reserve(&self, buffers: &mut Buffers, block: usize, pictures: usize) {
        buffers.marks.resize_with(self.steps.len(), Vec::new);
        buffers.kept.resize_with(self.steps.len(), Aligned::default);
        let widest = self.steps.iter().map(|step| step.output()).fold(self.input.len(), usize::max);
        for values in &mut buffers.values {
            values.grow(block * widest);
        }
        for (index, step) in self.steps.iter().enumerate() {
            let (marks, length) = (&mut buffers.marks[index], pictures * step.marks());
            if marks.len() < length {
                marks.resize(length, 0);
            }
            buffers.kept[index].grow(pictures * step.kept());
            buffers.scratch.grow(step.scratch());
        }
    }

    /// Runs one block, whose first picture is `first` of all.
    fn forward(&self, buffers: &mut Buffers, first: usize, images: &[f32], logits: &mut [f32]) {
        channels_last(self.input, images, &mut buffers.values[0][..images.len()]);
        self.go_on(buffers, 0, first, self.pictures(images.len()), logits);
    }

    /// The same from the step `from` on, whose inputs are there.
    fn go_on(&self, buffers: &mut Buffers, from: usize, first: usize, pictures: usize, logits: &mut [f32]) {
        let Buffers { values: [before, after], marks, kept, scratch, .. } = buffers;
        for (index, step) in self.steps.iter().enumerate().skip(from) {
            let notes = notes(step.as_ref(), &mut marks[index], &mut kept[index], first, pictures);
            let (input, output) = (&before[..pictures * step.input()], &mut after[..pictures * step.output()]);
            step.forward(input, output, notes, &mut scratch[..step.scratch()]);
            std::mem::swap(before, after);
        }
        logits.copy_from_slice(&before[..logits.len()]);
    }

    /// The gradient of one block that has been run.
    fn backward(&self, buffers: &mut Buffers, first: usize, cotangents: &[f32], gradient: &mut [f32]) {
        let pictures = self.pictures(gradient.len());
        let Buffers { values: [after, before], marks, kept, scratch, .. } = buffers;
        after[..cotangents.len()].copy_from_slice(cotangents);
        for (index, step) in self.steps.iter().enumerate().rev() {
            let notes = notes(step.as_ref(), &mut marks[index], &mut kept[index], first, pictures);
            let (cotangent, input) = (&mut after[..pictures * step.output()], &mut before[..pictures * step.input()]);
            step.backward(notes, cotangent, input, &mut scratch[..step.scratch()]);
            std::mem::swap(after, before);
        }
        channels_first(self.input, &after[..gradient.len()], gradient);
    }
}

/// The notes of a step on some of all pictures.
fn notes<'a>(step: &dyn Step, marks: &'a mut [u8], kept: &'a mut [f32], first: usize, pictures: usize) -> Notes<'a> {
    Notes {
        marks: &mut marks[first * step.marks()..][..pictures * step.marks()],
        kept: &mut kept[first * step.kept()..][..pictures * step.kept()],
    }
}
