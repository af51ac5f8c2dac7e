//! Numbers that begin where a line of the cache begins: a wide vector that lies across two lines costs twice.

use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};

/// A line of the cache.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A slice of numbers, aligned.
#[derive(Clone, Default)]
pub(super) struct Aligned {
    lines: Vec<Line>,
    length: usize,
}

impl Aligned {
    /// So many zeros.
    pub(super) fn zeros(length: usize) -> Self {
        Self { lines: vec![Line::zeroed(); length.div_ceil(16)], length }
    }

    /// Makes it at least so long. What was in it is kept.
    pub(super) fn grow(&mut self, length: usize) {
        if self.length < length {
            self.lines.resize(length.div_ceil(16), Line::zeroed());
            self.length = length;
        }
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.length]
    }
}
