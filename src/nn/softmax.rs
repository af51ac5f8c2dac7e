//! From logits to probabilities, losses and their gradients, for one picture's K logits.
//!
//! All of it is computed from differences of logits in double precision, never from rounded or clipped probabilities:
//! the gradient of the cross-entropy stays meaningful on confident pictures, where 1 − p rounds to 0 in single
//! precision. `libm` makes every platform agree.

/// The class with the greatest logit, the first of equals. If a logit is not a number, that class is taken.
pub fn predicted(logits: &[f32]) -> usize {
    let mut best = 0;
    for (class, &logit) in logits.iter().enumerate() {
        if logit > logits[best] || logit.is_nan() {
            best = class;
        }
    }
    best
}

/// Writes the class probabilities.
pub fn softmax(logits: &[f32], probabilities: &mut [f32]) {
    let greatest = greatest(logits);
    let sum: f64 = logits.iter().map(|&logit| libm::exp(logit as f64 - greatest)).sum();
    for (probability, &logit) in probabilities.iter_mut().zip(logits) {
        *probability = (libm::exp(logit as f64 - greatest) / sum) as f32;
    }
}

/// The class probabilities of any number of pictures: `logits` is (N, K) with K = `classes`.
pub fn probabilities(logits: &[f32], classes: usize) -> Vec<f32> {
    let mut probabilities = vec![0.0; logits.len()];
    for (logits, probabilities) in logits.chunks_exact(classes).zip(probabilities.chunks_exact_mut(classes)) {
        softmax(logits, probabilities);
    }
    probabilities
}

/// The predicted class and its probability.
pub fn confidence(logits: &[f32]) -> (usize, f32) {
    let class = predicted(logits);
    (class, libm::exp(-cross_entropy_f64(logits, class)) as f32)
}

/// The cross-entropy −log softmax(logits)[label], in nats.
pub fn cross_entropy(logits: &[f32], label: usize) -> f32 {
    cross_entropy_f64(logits, label) as f32
}

/// Writes `scale` times the gradient of the cross-entropy of `label` with respect to the logits:
/// softmax(logits) − onehot(label). The label's entry is summed from the others, so it does not round to 0.
pub fn cross_entropy_gradient(logits: &[f32], label: usize, scale: f32, gradient: &mut [f32]) {
    let greatest = greatest(logits);
    let sum: f64 = logits.iter().map(|&logit| libm::exp(logit as f64 - greatest)).sum();
    let mut others = 0.0;
    for (class, (entry, &logit)) in gradient.iter_mut().zip(logits).enumerate() {
        if class != label {
            let probability = libm::exp(logit as f64 - greatest) / sum;
            others += probability;
            *entry = scale * probability as f32;
        }
    }
    gradient[label] = scale * -others as f32;
}

fn cross_entropy_f64(logits: &[f32], label: usize) -> f64 {
    let own = logits[label] as f64;
    let others = || logits.iter().enumerate().filter(|(class, _)| *class != label).map(|(_, &logit)| logit as f64);
    // log Σ exp(z_i − z_label), with the greatest difference taken out; log1p keeps tiny losses exact.
    let greatest = greatest(logits) - own;
    if greatest > 0.0 {
        let sum = libm::exp(-greatest) + others().map(|logit| libm::exp(logit - own - greatest)).sum::<f64>();
        greatest + libm::log(sum)
    } else {
        libm::log1p(others().map(|logit| libm::exp(logit - own)).sum())
    }
}

fn greatest(logits: &[f32]) -> f64 {
    logits[predicted(logits)] as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_do_not_depend_on_a_shift_of_the_logits() {
        let mut p = [0.0; 3];
        softmax(&[1.0, 2.0, 3.0], &mut p);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let mut q = [0.0; 3];
        softmax(&[-999.0, -998.0, -997.0], &mut q);
        assert_eq!(p, q);
        assert_eq!(confidence(&[1.0, 2.0, 3.0]), (2, p[2]));
    }

    #[test]
    fn the_gradient_does_not_vanish_on_a_confident_picture() {
        // In single precision softmax(logits)[0] is exactly 1 here.
        let logits = [40.0, 0.0, 1.0];
        let mut gradient = [0.0; 3];
        cross_entropy_gradient(&logits, 0, 1.0, &mut gradient);
        assert!(gradient[0] < 0.0 && gradient[1] > 0.0 && gradient[2] > 0.0, "{gradient:?}");
        assert!(cross_entropy(&logits, 0) > 0.0);
        assert!(cross_entropy(&logits, 0) < 1e-16);
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let logits = [0.3f32, -1.2, 2.0, 0.1];
        for label in 0..4 {
            let mut gradient = [0.0; 4];
            cross_entropy_gradient(&logits, label, 1.0, &mut gradient);
            for class in 0..4 {
                let at = |h: f32| {
                    let mut moved = logits;
                    moved[class] += h;
                    cross_entropy_f64(&moved, label)
                };
                let h = 0.015625;
                let slope = (at(h) - at(-h)) / (2.0 * h as f64);
                assert!((slope - gradient[class] as f64).abs() < 1e-4, "{label} {class}: {slope} {gradient:?}");
            }
        }
    }

    #[test]
    fn what_is_not_a_number_is_not_hidden() {
        assert!(cross_entropy(&[0.0, f32::NAN], 0).is_nan());
        let mut p = [0.0; 2];
        softmax(&[0.0, f32::NAN], &mut p);
        assert!(p[0].is_nan() && p[1].is_nan());
    }
}
