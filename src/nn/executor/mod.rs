//! The [`Executor`]: runs a network and its input gradient, fast enough to be live in a browser.
//!
//! An architecture is compiled once into a list of steps ([`plan`]) with packed weights; there is no graph and no
//! allocation per call. One file per family of kernels: [`conv`] (with ReLU and pooling fused), [`linear`], [`plain`]
//! for what stands alone. A new layer is a new [`plan::Step`] and a line in [`plan::compile`].

mod conv;
mod linear;
mod plain;
mod plan;
mod simd;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use plan::BuildError;

use self::plain::{channels_first, channels_last};
use self::plan::Step;
use self::simd::Width;
use super::weights::Weights;
use super::{Architecture, Classifier, Shape};

/// Pictures that go through all steps together: few enough that caches hold their activations, enough that the weights
/// of linear layers are read seldom.
const BLOCK: usize = 16;

/// A network ready to run. Clones share their weights and have buffers of their own: clone one for each thread.
///
/// Results are the same to the bit on every platform, for every batch a picture is part of.
#[derive(Clone)]
pub struct Executor {
    network: Arc<Network>,
    buffers: Buffers,
}

struct Network {
    input: Shape,
    classes: usize,
    steps: Vec<Box<dyn Step>>,
}

/// Grown when first needed, then kept.
#[derive(Clone, Default)]
struct Buffers {
    /// The values before each step and after the last, of one block of pictures.
    values: Vec<Vec<f32>>,
    /// The marks of each step, of all pictures.
    marks: Vec<Vec<u8>>,
    /// The cotangents before and after a step, of one block.
    cotangents: [Vec<f32>; 2],
    /// For any step.
    scratch: Vec<f32>,
    /// The cotangents of the logits, of all pictures.
    logits: Vec<f32>,
}

impl Executor {
    /// Makes a network ready to run.
    ///
    /// # Errors
    /// If the layers do not fit together or the weights do not fit the layers.
    pub fn new(architecture: &Architecture, weights: &Weights) -> Result<Self, BuildError> {
        Self::with_width(architecture, weights, Width::widest())
    }

    /// The same with the instructions that every processor of this kind has.
    #[cfg(test)]
    pub(crate) fn portable(architecture: &Architecture, weights: &Weights) -> Result<Self, BuildError> {
        Self::with_width(architecture, weights, Width::PORTABLE)
    }

    fn with_width(architecture: &Architecture, weights: &Weights, width: Width) -> Result<Self, BuildError> {
        let steps = plan::compile(architecture, weights, width)?;
        let classes = steps.last().ok_or(BuildError::Empty)?.output();
        Ok(Self {
            network: Arc::new(Network { input: architecture.input, classes, steps }),
            buffers: Buffers::default(),
        })
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Network { input, classes, steps } = &*self.network;
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
        network.reserve(buffers, pictures.min(BLOCK), pictures.min(BLOCK));
        for (images, logits) in network.blocks(images).zip(logits.chunks_mut(BLOCK * network.classes)) {
            network.forward(buffers, 0, images, logits);
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
        network.reserve(buffers, pictures.min(BLOCK), pictures);
        for (block, (images, logits)) in
            network.blocks(images).zip(logits.chunks_mut(BLOCK * network.classes)).enumerate()
        {
            network.forward(buffers, block * BLOCK, images, logits);
        }
        let mut cotangents = std::mem::take(&mut buffers.logits);
        cotangents.clear();
        cotangents.resize(logits.len(), 0.0);
        cotangent(logits, &mut cotangents);
        let gradients = gradient.chunks_mut(BLOCK * network.input.len());
        for (block, (cotangents, gradient)) in cotangents.chunks(BLOCK * network.classes).zip(gradients).enumerate() {
            network.backward(buffers, block * BLOCK, cotangents, gradient);
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
        images.chunks(BLOCK * self.input.len())
    }

    fn reserve(&self, buffers: &mut Buffers, block: usize, pictures: usize) {
        fn grow<T: Clone + Default>(buffer: &mut Vec<T>, length: usize) {
            if buffer.len() < length {
                buffer.resize(length, T::default());
            }
        }
        buffers.values.resize_with(self.steps.len() + 1, Vec::new);
        buffers.marks.resize_with(self.steps.len(), Vec::new);
        grow(&mut buffers.values[0], block * self.input.len());
        for (index, step) in self.steps.iter().enumerate() {
            grow(&mut buffers.values[index + 1], block * step.output());
            grow(&mut buffers.marks[index], pictures * step.marks());
            grow(&mut buffers.scratch, step.scratch());
            for cotangents in &mut buffers.cotangents {
                grow(cotangents, block * step.input().max(step.output()));
            }
        }
    }

    /// Runs one block, whose first picture is `first` of all.
    fn forward(&self, buffers: &mut Buffers, first: usize, images: &[f32], logits: &mut [f32]) {
        let pictures = self.pictures(images.len());
        channels_last(self.input, images, &mut buffers.values[0][..images.len()]);
        for (index, step) in self.steps.iter().enumerate() {
            let [input, output] = &mut buffers.values[index..index + 2] else { continue };
            let marks = &mut buffers.marks[index][first * step.marks()..][..pictures * step.marks()];
            step.forward(
                &input[..pictures * step.input()],
                &mut output[..pictures * step.output()],
                marks,
                &mut buffers.scratch[..step.scratch()],
            );
        }
        logits.copy_from_slice(&buffers.values[self.steps.len()][..logits.len()]);
    }

    /// The gradient of one block that has been run.
    fn backward(&self, buffers: &mut Buffers, first: usize, cotangents: &[f32], gradient: &mut [f32]) {
        let pictures = self.pictures(gradient.len());
        let [after, before] = &mut buffers.cotangents;
        after[..cotangents.len()].copy_from_slice(cotangents);
        for (index, step) in self.steps.iter().enumerate().rev() {
            let marks = &buffers.marks[index][first * step.marks()..][..pictures * step.marks()];
            step.backward(
                marks,
                &mut after[..pictures * step.output()],
                &mut before[..pictures * step.input()],
                &mut buffers.scratch[..step.scratch()],
            );
            std::mem::swap(after, before);
        }
        channels_first(self.input, &after[..gradient.len()], gradient);
    }
}
