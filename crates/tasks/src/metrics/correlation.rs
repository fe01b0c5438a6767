//! How close predicted numbers are to the right ones.

/// Pearson's linear correlation, from −1 to 1.
///
/// NaN where either side is constant, has fewer than two numbers, or one that is not finite. So does
/// `scipy.stats.pearsonr`, which however raises for fewer than two numbers.
///
/// # Panics
///
/// If the two sides differ in length.
pub fn pearson(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!(left.len(), right.len(), "every prediction has its reference");
    let (Some(left), Some(right)) = (scaled_deviations(left), scaled_deviations(right)) else {
        return f64::NAN;
    };
    let product = |left: &[f64], right: &[f64]| -> f64 {
        left.iter().zip(right).map(|(left, right)| left * right).sum()
    };
    let spread = (product(&left, &left) * product(&right, &right)).sqrt();
    (product(&left, &right) / spread).clamp(-1.0, 1.0)
}

/// Spearman's correlation: Pearson's of the ranks, where equal numbers share the mean of theirs.
///
/// NaN where either side is constant, has fewer than two numbers or a NaN, as with `scipy.stats.spearmanr`. Infinite
/// numbers have a rank.
///
/// # Panics
///
/// If the two sides differ in length.
pub fn spearman(left: &[f64], right: &[f64]) -> f64 {
    if left.iter().chain(right).any(|value| value.is_nan()) {
        return f64::NAN;
    }
    pearson(&average_ranks(left), &average_ranks(right))
}

/// The mean of squared differences; NaN of nothing.
///
/// # Panics
///
/// If the two sides differ in length.
pub fn mean_squared_error(predictions: &[f64], references: &[f64]) -> f64 {
    assert_eq!(predictions.len(), references.len(), "every prediction has its reference");
    let squares = predictions.iter().zip(references).map(|(left, right)| (left - right).powi(2));
    squares.sum::<f64>() / predictions.len() as f64
}

/// The mean of the differences' sizes; NaN of nothing.
///
/// # Panics
///
/// If the two sides differ in length.
pub fn mean_absolute_error(predictions: &[f64], references: &[f64]) -> f64 {
    assert_eq!(predictions.len(), references.len(), "every prediction has its reference");
    let sizes = predictions.iter().zip(references).map(|(left, right)| (left - right).abs());
    sizes.sum::<f64>() / predictions.len() as f64
}

/// The coefficient of determination: 1 less the squared error over that of always saying the references' mean. Of references
/// that are all the same it is 1 if the predictions are too and right, else 0, as in scikit-learn. NaN of fewer than two numbers.
///
/// # Panics
///
/// If the two sides differ in length.
pub fn r2(predictions: &[f64], references: &[f64]) -> f64 {
    if references.len() < 2 {
        return f64::NAN;
    }
    let error = mean_squared_error(predictions, references) * references.len() as f64;
    if references.iter().all(|value| *value == references[0]) {
        return if error == 0.0 { 1.0 } else { 0.0 };
    }
    let spread: f64 = deviations(references).iter().map(|deviation| deviation * deviation).sum();
    1.0 - error / spread
}

/// Deviations from the mean, the largest of which becomes 1, so that no square overflows or vanishes; `None` where all
/// are zero.
fn scaled_deviations(values: &[f64]) -> Option<Vec<f64>> {
    let first = *values.first()?;
    // Asked of the numbers themselves, because their rounded mean may differ from them.
    if values.iter().all(|&value| value == first) {
        return None;
    }
    let deviations = deviations(values);
    let largest = deviations.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    Some(deviations.iter().map(|value| value / largest).collect())
}

/// Deviations from the mean. The mean of large numbers that lie close together is rounded more coarsely than they
/// differ; what it is off by is the mean of the deviations, and is taken off in a second pass.
pub(super) fn deviations(values: &[f64]) -> Vec<f64> {
    let centred = |values: &[f64]| -> Vec<f64> {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| value - mean).collect()
    };
    centred(&centred(values))
}

/// The rank of each number, from 1; equal numbers share the mean of the ranks they take together.
fn average_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    // Adding zero makes the two zeros one.
    order.sort_by(|&left, &right| (values[left] + 0.0).total_cmp(&(values[right] + 0.0)));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    for equal in order.chunk_by(|&left, &right| values[left] == values[right]) {
        let rank = below as f64 + (equal.len() + 1) as f64 / 2.0;
        for &place in equal {
            ranks[place] = rank;
        }
        below += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_numbers_share_a_rank() {
        assert_eq!(average_ranks(&[3.0, 1.0, 3.0, -2.0]), [3.5, 2.0, 3.5, 1.0]);
        assert_eq!(average_ranks(&[0.0, -0.0, -1.0]), [2.5, 2.5, 1.0]);
    }

    #[test]
    fn a_constant_has_no_correlation() {
        // The mean of three times 0.1 is not 0.1.
        assert!(pearson(&[0.1; 3], &[1.0, 2.0, 3.0]).is_nan());
        assert!(spearman(&[1.0, 2.0, 3.0], &[0.1; 3]).is_nan());
    }

    #[test]
    fn json_shows_nan_as_null() {
        assert_eq!(serde_json::to_string(&pearson(&[1.0], &[1.0])).unwrap(), "null");
    }

    #[test]
    fn numbers_that_are_not_finite() {
        let line = [1.0, 2.0, 3.0];
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(pearson(&[1.0, odd, 3.0], &line).is_nan());
        }
        assert!(spearman(&[1.0, f64::NAN, 3.0], &line).is_nan());
        assert_eq!(spearman(&[1.0, 3.0, f64::INFINITY], &line), 1.0);
    }

    #[test]
    fn tiny_and_huge_numbers_correlate_as_others() {
        let line = [1.0, 2.0, 3.0, 5.0];
        let against = [2.0, 1.0, 4.0, 4.0];
        let expected = pearson(&line, &against);
        for scale in [1e-300, 1e300] {
            assert!((pearson(&line.map(|value| value * scale), &against) - expected).abs() < 1e-15);
        }
    }

    proptest! {
        /// Spearman's correlation knows nothing but the order.
        #[test]
        fn a_growing_function_leaves_ranks_alone(
            pairs in prop::collection::vec((-50i32..50, -50i32..50), 2..40),
        ) {
            let (left, right): (Vec<f64>, Vec<f64>) =
                pairs.iter().map(|&(left, right)| (f64::from(left), f64::from(right))).unzip();
            let bent: Vec<f64> = left.iter().map(|value| value.powi(3) + value).collect();
            let (straight, bent) = (spearman(&left, &right), spearman(&bent, &right));
            prop_assert!(straight == bent || straight.is_nan() && bent.is_nan());
        }

        #[test]
        fn a_line_correlates_fully(
            values in prop::collection::vec(-1e6..1e6f64, 2..40),
            slope in 1e-3..1e3f64,
            offset in -1e3..1e3f64,
        ) {
            prop_assume!(values.iter().any(|value| (value - values[0]).abs() > 1.0));
            let line: Vec<f64> = values.iter().map(|value| slope * value + offset).collect();
            let falling: Vec<f64> = line.iter().map(|value| -value).collect();
            prop_assert!((pearson(&values, &line) - 1.0).abs() < 1e-9);
            prop_assert!((pearson(&values, &falling) + 1.0).abs() < 1e-9);
        }
    }
}
