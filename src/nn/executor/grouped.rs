//! Convolution in groups: each share of the channels goes through a convolution of its own.

use super::conv::{Conv, Geometry};
use super::plan::{Notes, Step};
use super::simd::Processor;

/// One packed convolution for each group.
pub(super) struct Grouped {
    groups: Vec<Conv>,
}

impl Grouped {
    /// Packs weights (out, in / groups, kernel, kernel) and biases. `geometry` is that of one group.
    pub(super) fn new(geometry: Geometry, weight: &[f32], bias: &[f32], processor: Processor) -> Self {
        let length = geometry.out * geometry.input.channels * geometry.kernel * geometry.kernel;
        let groups = weight.chunks_exact(length).zip(bias.chunks_exact(geometry.out));
        Self { groups: groups.map(|(weight, bias)| Conv::new(geometry, weight, bias, processor)).collect() }
    }

    /// What all groups have in common.
    fn one(&self) -> &Conv {
        &self.groups[0]
    }

    /// The channels of one group that go in and that come out.
    fn channels(&self) -> (usize, usize) {
        let geometry = self.one().geometry();
        (geometry.input.channels, geometry.out)
    }
}

/// The values of one group among those of all, channels-last, and back.
fn share(values: &[f32], channels: usize, groups: usize, group: usize, share: &mut [f32]) {
    let places = values.chunks_exact(channels * groups).zip(share.chunks_exact_mut(channels));
    for (all, one) in places {
        one.copy_from_slice(&all[group * channels..][..channels]);
    }
}

fn put_back(share: &[f32], channels: usize, groups: usize, group: usize, values: &mut [f32]) {
    let places = values.chunks_exact_mut(channels * groups).zip(share.chunks_exact(channels));
    for (all, one) in places {
        all[group * channels..][..channels].copy_from_slice(one);
    }
}

impl Step for Grouped {
    fn input(&self) -> usize {
        self.groups.len() * self.one().input()
    }

    fn output(&self) -> usize {
        self.groups.len() * self.one().output()
    }

    fn marks(&self) -> usize {
        self.groups.len() * self.one().marks()
    }

    fn scratch(&self) -> usize {
        self.one().input() + self.one().output() + self.one().scratch()
    }

    fn forward(&self, input: &[f32], output: &mut [f32], mut notes: Notes, scratch: &mut [f32]) {
        let ((into, out), groups) = (self.channels(), self.groups.len());
        let (x, rest) = scratch.split_at_mut(self.one().input());
        let (y, rest) = rest.split_at_mut(self.one().output());
        for (input, output) in input.chunks_exact(self.input()).zip(output.chunks_exact_mut(self.output())) {
            for (group, conv) in self.groups.iter().enumerate() {
                share(input, into, groups, group, x);
                conv.forward(x, y, notes.take(conv.marks(), 0), rest);
                put_back(y, out, groups, group, output);
            }
        }
    }

    fn backward(&self, mut notes: Notes, cotangent: &mut [f32], gradient: &mut [f32], scratch: &mut [f32]) {
        let ((into, out), groups) = (self.channels(), self.groups.len());
        let (x, rest) = scratch.split_at_mut(self.one().input());
        let (y, rest) = rest.split_at_mut(self.one().output());
        let pictures = cotangent.chunks_exact(self.output()).zip(gradient.chunks_exact_mut(self.input()));
        for (cotangent, gradient) in pictures {
            for (group, conv) in self.groups.iter().enumerate() {
                share(cotangent, out, groups, group, y);
                conv.backward(notes.take(conv.marks(), 0), y, x, rest);
                put_back(x, into, groups, group, gradient);
            }
        }
    }
}
