//! Pictures to learn from or to be measured on.

use super::PIXELS;

/// Pictures with their classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examples {
    /// N · [`PIXELS`] grey values, 0 (black) to 255 (white).
    pub pixels: Vec<u8>,
    /// N class indices.
    pub labels: Vec<u8>,
}

impl Examples {
    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The picture with this index, [`PIXELS`] grey values.
    ///
    /// # Panics
    /// If there is no such picture.
    pub fn picture(&self, index: usize) -> &[u8] {
        &self.pixels[index * PIXELS..][..PIXELS]
    }

    /// The pictures as a classifier takes them: values in [0, 1].
    pub fn images(&self) -> Vec<f32> {
        super::to_unit(&self.pixels)
    }

    /// The pictures with these indices, in this order.
    ///
    /// # Panics
    /// If there is no such picture.
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            pixels: indices.iter().flat_map(|&index| self.picture(index)).copied().collect(),
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
        }
    }

    /// The first `n` pictures, or all if there are fewer.
    pub fn first(&self, n: usize) -> Self {
        let n = n.min(self.len());
        Self { pixels: self.pixels[..n * PIXELS].to_vec(), labels: self.labels[..n].to_vec() }
    }
}
