//! x + f(x): a chain of steps, and the way around it.

use super::plan::{Notes, Step};

/// The packed steps of f, picture by picture.
pub(super) struct Residual {
    length: usize,
    steps: Vec<Box<dyn Step>>,
}

impl Residual {
    /// `length` values go in and come out; `steps` do as well.
    pub(super) fn new(length: usize, steps: Vec<Box<dyn Step>>) -> Self {
        Self { length, steps }
    }

    /// The most values between two steps.
    fn widest(&self) -> usize {
        self.steps.iter().map(|step| step.output()).fold(self.length, usize::max)
    }

    /// Cuts the scratch: two buffers for what is between steps, the rest for the steps.
    fn cut<'a>(&self, scratch: &'a mut [f32]) -> [&'a mut [f32]; 3] {
        let (one, rest) = scratch.split_at_mut(self.widest());
        let (two, rest) = rest.split_at_mut(self.widest());
        [one, two, rest]
    }
}

impl Step for Residual {
    fn input(&self) -> usize {
        self.length
    }

    fn output(&self) -> usize {
        self.length
    }

    fn marks(&self) -> usize {
        self.steps.iter().map(|step| step.marks()).sum()
    }

    fn kept(&self) -> usize {
        self.steps.iter().map(|step| step.kept()).sum()
    }

    fn scratch(&self) -> usize {
        2 * self.widest() + self.steps.iter().map(|step| step.scratch()).max().unwrap_or(0)
    }

    fn forward(&self, input: &[f32], output: &mut [f32], mut notes: Notes, scratch: &mut [f32]) {
        let [mut before, mut after, rest] = self.cut(scratch);
        for (input, output) in input.chunks_exact(self.length).zip(output.chunks_exact_mut(self.length)) {
            before[..self.length].copy_from_slice(input);
            for step in &self.steps {
                let notes = notes.take(step.marks(), step.kept());
                let rest = &mut rest[..step.scratch()];
                step.forward(&before[..step.input()], &mut after[..step.output()], notes, rest);
                std::mem::swap(&mut before, &mut after);
            }
            for ((output, x), f) in output.iter_mut().zip(input).zip(&*before) {
                *output = x + f;
            }
        }
    }

    fn backward(&self, mut notes: Notes, cotangent: &mut [f32], gradient: &mut [f32], scratch: &mut [f32]) {
        let [mut after, mut before, rest] = self.cut(scratch);
        for (cotangent, gradient) in cotangent.chunks_exact(self.length).zip(gradient.chunks_exact_mut(self.length)) {
            after[..self.length].copy_from_slice(cotangent);
            let mut of_picture = notes.take(self.marks(), self.kept());
            for step in self.steps.iter().rev() {
                let notes = of_picture.take_last(step.marks(), step.kept());
                let rest = &mut rest[..step.scratch()];
                step.backward(notes, &mut after[..step.output()], &mut before[..step.input()], rest);
                std::mem::swap(&mut before, &mut after);
            }
            for ((gradient, c), f) in gradient.iter_mut().zip(cotangent).zip(&*after) {
                *gradient = c + f;
            }
        }
    }
}
