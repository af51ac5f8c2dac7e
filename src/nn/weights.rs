//! Trained numbers: read from and written to safetensors files, as float16 or float32.

use std::collections::BTreeMap;

use half::f16;
use safetensors::tensor::{Dtype as FileDtype, SafeTensors, TensorView};

use super::architecture::{Architecture, Misfit};

/// Named tensors, as 32-bit numbers whatever the file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
}

/// A shape and its numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its sides.
    pub shape: Vec<usize>,
    /// Its numbers; as many as the product of the sides.
    pub data: Vec<f32>,
}

/// How numbers are stored in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE half precision, 11 significant bits, up to 65,504.
    Float16,
    /// IEEE single precision.
    Float32,
}

impl Dtype {
    /// The name in model cards.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float16 => "float16",
            Self::Float32 => "float32",
        }
    }
}

/// What is wrong with a file of weights; each message says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// The bytes are not a safetensors file, or a damaged one.
    #[error("this is not a safetensors file, or it is damaged ({0}): save the weights with safetensors and try again")]
    NotSafetensors(String),
    /// A type of number that is not read.
    #[error("“{name}” is stored as {found}: save it as float32 or float16")]
    Dtype {
        /// The tensor.
        name: String,
        /// What it is stored as.
        found: String,
    },
    /// A tensor that the architecture needs is not there.
    #[error("there is no “{name}” in the file, which has {present}: name the tensors as the architecture's layers")]
    Missing {
        /// The tensor.
        name: String,
        /// The names there are.
        present: String,
    },
    /// A tensor has another shape than the architecture needs.
    #[error(
        "“{name}” has the shape {found:?} and should have {expected:?}: the file belongs to another architecture, or \
         the tensor must be transposed"
    )]
    Shape {
        /// The tensor.
        name: String,
        /// What the architecture needs.
        expected: Vec<usize>,
        /// What the file has.
        found: Vec<usize>,
    },
    /// A weight is infinite or not a number, or will be once it is stored in fewer bits.
    #[error("“{name}” has a number that is not finite ({value} at {index}): train again, or store it as float32")]
    NotFinite {
        /// The tensor.
        name: String,
        /// The position of the number, row-major.
        index: usize,
        /// The number.
        value: f32,
    },
    /// The layers do not fit together.
    #[error(transparent)]
    Misfit(#[from] Misfit),
}

impl Weights {
    /// Reads a safetensors file.
    ///
    /// # Errors
    /// If the bytes are not such a file, or a tensor is neither float16 nor float32, or a number is not finite.
    pub fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| WeightsError::NotSafetensors(error.to_string()))?;
        let mut weights = Self::default();
        for (name, view) in file.iter() {
            let data: Vec<f32> = match view.dtype() {
                FileDtype::F32 => {
                    view.data().as_chunks().0.iter().map(|&number: &[u8; 4]| f32::from_le_bytes(number)).collect()
                }
                FileDtype::F16 => {
                    view.data().as_chunks().0.iter().map(|&number| f16::from_le_bytes(number).to_f32()).collect()
                }
                other => return Err(WeightsError::Dtype { name: name.into(), found: format!("{other:?}") }),
            };
            weights.insert(name, view.shape().to_vec(), data)?;
        }
        Ok(weights)
    }

    /// Adds a tensor, or puts it in place of the one of that name.
    ///
    /// # Errors
    /// If the data are not as many as the shape says, or not finite.
    pub fn insert(&mut self, name: &str, shape: Vec<usize>, data: Vec<f32>) -> Result<(), WeightsError> {
        if shape.iter().product::<usize>() != data.len() {
            return Err(WeightsError::Shape { name: name.into(), expected: shape, found: vec![data.len()] });
        }
        finite(name, &data)?;
        self.tensors.insert(name.into(), Tensor { shape, data });
        Ok(())
    }

    /// The numbers of a tensor that must have this shape.
    ///
    /// # Errors
    /// If there is no such tensor or it has another shape.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&[f32], WeightsError> {
        let tensor = self.tensors.get(name).ok_or_else(|| {
            let present = self.tensors.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            WeightsError::Missing {
                name: name.into(),
                present: if present.is_empty() { "none".into() } else { present },
            }
        })?;
        if tensor.shape != shape {
            return Err(WeightsError::Shape {
                name: name.into(),
                expected: shape.to_vec(),
                found: tensor.shape.clone(),
            });
        }
        Ok(&tensor.data)
    }

    /// All tensors by name, in alphabetical order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Writes a safetensors file.
    ///
    /// # Errors
    /// If a number does not fit the type.
    pub fn write(&self, dtype: Dtype) -> Result<Vec<u8>, WeightsError> {
        let tensors: Vec<_> =
            self.tensors().map(|(name, tensor)| (name, tensor.shape.as_slice(), tensor.data.as_slice())).collect();
        save(&tensors, dtype)
    }
}

/// The tensors that an architecture needs: name and shape, in the order of the layers, weights before biases.
///
/// # Errors
/// If the layers do not fit together.
pub fn needed(architecture: &Architecture) -> Result<Vec<(String, Vec<usize>)>, Misfit> {
    Ok(architecture.costs()?.into_iter().flat_map(|cost| cost.weights).collect())
}

/// Writes tensors (name, shape, numbers) as a safetensors file.
///
/// # Errors
/// If the numbers of a tensor are not as many as its shape says, or a number does not fit the type.
pub fn save(tensors: &[(&str, &[usize], &[f32])], dtype: Dtype) -> Result<Vec<u8>, WeightsError> {
    let encoded = tensors
        .iter()
        .map(|&(name, shape, data)| {
            finite(name, data)?;
            let bytes: Vec<u8> = match dtype {
                Dtype::Float32 => data.iter().flat_map(|number| number.to_le_bytes()).collect(),
                Dtype::Float16 => {
                    let halves: Vec<f16> = data.iter().map(|&number| f16::from_f32(number)).collect();
                    if let Some(index) = halves.iter().position(|half| !half.is_finite()) {
                        return Err(WeightsError::NotFinite { name: name.into(), index, value: data[index] });
                    }
                    halves.iter().flat_map(|half| half.to_le_bytes()).collect()
                }
            };
            Ok((name, shape, bytes, data.len()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let file_dtype = match dtype {
        Dtype::Float16 => FileDtype::F16,
        Dtype::Float32 => FileDtype::F32,
    };
    let views = encoded
        .iter()
        .map(|(name, shape, bytes, len)| {
            let view = TensorView::new(file_dtype, shape.to_vec(), bytes).map_err(|_| WeightsError::Shape {
                name: (*name).into(),
                expected: shape.to_vec(),
                found: vec![*len],
            })?;
            Ok((*name, view))
        })
        .collect::<Result<Vec<_>, WeightsError>>()?;
    safetensors::serialize(views, None).map_err(|error| WeightsError::NotSafetensors(error.to_string()))
}

fn finite(name: &str, data: &[f32]) -> Result<(), WeightsError> {
    match data.iter().position(|number| !number.is_finite()) {
        Some(index) => Err(WeightsError::NotFinite { name: name.into(), index, value: data[index] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let data = [0.5, -1.25, 3.0, 0.1, 2.0e-3, 7.0];
        for dtype in [Dtype::Float32, Dtype::Float16] {
            let bytes = save(&[("a.weight", &[2, 3], &data), ("a.bias", &[2], &data[..2])], dtype).unwrap();
            let weights = Weights::read(&bytes).unwrap();
            for (read, written) in weights.get("a.weight", &[2, 3]).unwrap().iter().zip(data) {
                let rounded = if dtype == Dtype::Float16 { f16::from_f32(written).to_f32() } else { written };
                assert_eq!(*read, rounded);
            }
            assert_eq!(weights.write(dtype).unwrap(), bytes);
        }
    }

    #[test]
    fn a_file_that_is_none_is_refused_with_a_sentence() {
        for bytes in [&b""[..], b"hello, I am a text file", &[0; 64], &[255; 64]] {
            let error = Weights::read(bytes).unwrap_err();
            assert!(matches!(error, WeightsError::NotSafetensors(_)), "{error}");
            assert!(error.to_string().contains("not a safetensors file"));
        }
    }

    #[test]
    fn a_tensor_that_is_missing_or_of_another_shape_is_named_with_what_was_expected_and_found() {
        let bytes = save(&[("fc.weight", &[2, 3], &[0.0; 6])], Dtype::Float32).unwrap();
        let weights = Weights::read(&bytes).unwrap();
        let missing = weights.get("fc.bias", &[2]).unwrap_err().to_string();
        assert!(missing.contains("fc.bias") && missing.contains("fc.weight"), "{missing}");
        let shape = weights.get("fc.weight", &[3, 2]).unwrap_err().to_string();
        assert!(shape.contains("[2, 3]") && shape.contains("[3, 2]"), "{shape}");
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_on_both_ways() {
        for bad in [f32::NAN, f32::INFINITY] {
            let error = save(&[("w", &[2], &[0.0, bad])], Dtype::Float32).unwrap_err();
            assert!(matches!(error, WeightsError::NotFinite { index: 1, .. }), "{error}");
            let mut bytes = save(&[("w", &[2], &[0.0, 1.0])], Dtype::Float32).unwrap();
            let end = bytes.len();
            bytes[end - 4..].copy_from_slice(&bad.to_le_bytes());
            assert!(matches!(Weights::read(&bytes), Err(WeightsError::NotFinite { index: 1, .. })));
        }
        let error = save(&[("w", &[2], &[1.0e6, 0.0])], Dtype::Float16).unwrap_err();
        assert!(matches!(error, WeightsError::NotFinite { index: 0, .. }), "{error}");
    }
}
