//! The training loss.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{like, to_vec, values};

/// The mean cross-entropy of logits (N, K) with the N class indices `labels`, a scalar.
///
/// With `smoothing` s in [0, 1) the target is 1 − s on the label plus s spread evenly over all K classes. Computed from
/// the logits through log-sum-exp: exact also where a probability rounds to 0 or 1.
///
/// # Errors
/// If there are not as many labels as rows, or a label is no class.
pub fn cross_entropy(logits: &Tensor, labels: &[u8], smoothing: f32) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    if labels.len() != rows || rows == 0 || labels.iter().any(|&label| label as usize >= classes) {
        candle_core::bail!("{rows} rows of {classes} logits need as many labels below {classes}");
    }
    logits.contiguous()?.apply_op1(CrossEntropy { labels: labels.to_vec(), classes, smoothing })
}

struct CrossEntropy {
    labels: Vec<u8>,
    classes: usize,
    smoothing: f32,
}

impl CrossEntropy {
    fn target(&self, class: usize, label: u8) -> f32 {
        let share = self.smoothing / self.classes as f32;
        if class == label as usize { 1.0 - self.smoothing + share } else { share }
    }
}

/// log Σ exp of a row.
fn log_sum_exp(row: &[f32]) -> f32 {
    let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    greatest + libm::logf(row.iter().map(|&z| libm::expf(z - greatest)).sum())
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut total = 0.0f64;
        for (row, &label) in values(logits, layout)?.chunks_exact(self.classes).zip(&self.labels) {
            let normaliser = log_sum_exp(row);
            for (class, &z) in row.iter().enumerate() {
                total += (self.target(class, label) * (normaliser - z)) as f64;
            }
        }
        Ok((CpuStorage::F32(vec![(total / self.labels.len() as f64) as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _result: &Tensor, cotangent: &Tensor) -> Result<Option<Tensor>> {
        let scale = cotangent.to_vec0::<f32>()? / self.labels.len() as f32;
        let logits_values = to_vec(logits)?;
        let mut gradient = Vec::with_capacity(logits_values.len());
        for (row, &label) in logits_values.chunks_exact(self.classes).zip(&self.labels) {
            let normaliser = log_sum_exp(row);
            let slope = |(class, &z): (usize, &f32)| (libm::expf(z - normaliser) - self.target(class, label)) * scale;
            gradient.extend(row.iter().enumerate().map(slope));
        }
        Ok(Some(like(gradient, logits)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn the_gradient_is_the_slope() {
        let logits = check::normal(5, &[3, 4]);
        for smoothing in [0.0, 0.1] {
            check::gradient(&[&logits], || cross_entropy(&logits, &[0, 3, 1], smoothing));
        }
    }

    #[test]
    fn even_logits_cost_the_logarithm_of_the_number_of_classes() {
        let logits = Tensor::zeros((2, 10), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
        let loss = cross_entropy(&logits, &[3, 7], 0.0).unwrap().to_vec0::<f32>().unwrap();
        assert!((loss - 10f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn great_logits_give_finite_losses_and_gradients() {
        let logits = candle_core::Var::new(&[[2000.0f32, -2000.0]], &candle_core::Device::Cpu).unwrap();
        let loss = cross_entropy(&logits, &[1], 0.0).unwrap();
        assert_eq!(loss.to_vec0::<f32>().unwrap(), 4000.0);
        assert_eq!(to_vec(loss.backward().unwrap().get(&logits).unwrap()).unwrap(), [1.0, -1.0]);
    }

    #[test]
    fn labels_that_do_not_fit_are_an_error() {
        let logits = check::normal(5, &[2, 4]);
        assert!(cross_entropy(&logits, &[0], 0.0).is_err());
        assert!(cross_entropy(&logits, &[0, 4], 0.0).is_err());
    }
}
