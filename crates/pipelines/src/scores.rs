//! From a head's outputs to probabilities.

/// `exp(x) / Σ exp(x)`, in double precision.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> =
        logits.iter().map(|&logit| (f64::from(logit) - f64::from(largest)).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|exponential| exponential / total).collect()
}

/// `1 / (1 + exp(-x))` of each, in double precision.
pub(crate) fn sigmoid(logits: &[f32]) -> Vec<f64> {
    logits.iter().map(|&logit| 1.0 / (1.0 + (-f64::from(logit)).exp())).collect()
}

/// The indices of the scores, greatest first; the earlier of equals first.
pub(crate) fn ranking(scores: &[f64]) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..scores.len()).collect();
    indices.sort_by(|&left, &right| scores[right].total_cmp(&scores[left]));
    indices
}

/// The index of the greatest score, the first of equals; 0 of none.
pub(crate) fn argmax(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, index| if scores[index] > scores[best] { index } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_by_hand() {
        let probabilities = softmax(&[0.0, 2f32.ln(), 0.0, 4f32.ln()]);
        for (found, expected) in probabilities.iter().zip([0.125, 0.25, 0.125, 0.5]) {
            assert!((found - expected).abs() < 1e-7, "{probabilities:?}");
        }
        assert!((sigmoid(&[3f32.ln()])[0] - 0.75).abs() < 1e-7);
        assert_eq!(softmax(&[-1e30, 1e30]), [0.0, 1.0]);
    }

    #[test]
    fn the_first_of_equals_ranks_first() {
        assert_eq!(ranking(&[0.1, 0.4, 0.1, 0.4]), [1, 3, 0, 2]);
        assert_eq!(argmax(&[0.1, 0.4, 0.1, 0.4]), 1);
    }
}
