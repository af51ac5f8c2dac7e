//! Data sets and pictures. Every picture is 28 × 28 grey values in [0, 1], row by row, 0 is black.

mod examples;
pub mod prepare;
#[cfg(not(target_arch = "wasm32"))]
pub mod publish;
pub mod sheet;
#[cfg(not(target_arch = "wasm32"))]
pub mod source;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use examples::Examples;
pub use sheet::labels;
#[cfg(not(target_arch = "wasm32"))]
pub use source::test_pictures;

/// Side of every picture.
pub const SIDE: usize = 28;
/// Number of pixels of every picture.
pub const PIXELS: usize = SIDE * SIDE;
/// Number of test pictures in one sheet (one file).
pub const SHEET: usize = 200;

/// The data sets that the product ships test pictures and models of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dataset {
    /// Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): ten kinds of clothing.
    #[default]
    Fashion,
    /// Handwritten digits, taken from MNIST.
    Digits,
}

impl Dataset {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Fashion, Self::Digits];

    /// The name in links, files and commands.
    pub fn key(self) -> &'static str {
        match self {
            Self::Fashion => "fashion",
            Self::Digits => "digits",
        }
    }

    /// The inverse of [`Self::key`].
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dataset| dataset.key() == key)
    }

    /// The name in headings.
    pub fn title(self) -> &'static str {
        match self {
            Self::Fashion => "Fashion-MNIST",
            Self::Digits => "Digits",
        }
    }

    /// The names of the classes, by index.
    pub fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Fashion => {
                &["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
            }
            Self::Digits => &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        }
    }

    /// How many pictures there are to train with.
    pub fn lessons(self) -> u32 {
        match self {
            Self::Fashion => 60_000,
            Self::Digits => 4_500,
        }
    }

    /// How many test pictures are shipped.
    pub fn pictures(self) -> u32 {
        match self {
            Self::Fashion => 1000,
            Self::Digits => 500,
        }
    }
}

/// Grey values 0 to 255 as classifiers take them: in [0, 1].
pub fn to_unit(pixels: &[u8]) -> Vec<f32> {
    pixels.iter().map(|&pixel| pixel as f32 / 255.0).collect()
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fashion => "Fashion-MNIST",
            Self::Digits => "handwritten digits",
        })
    }
}
