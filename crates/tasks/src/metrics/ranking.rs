//! How well scores put what is right before what is not: of one class, and of the labels of an example.

/// Area under the curve of recall over the share of false alarms: the chance that an example of the class has a higher score than
/// one of another, equal scores counting half. `None` where either kind is missing.
pub fn roc_auc(scored: impl IntoIterator<Item = (f32, bool)>) -> Option<f64> {
    let groups = grouped(scored);
    let positives: u64 = groups.iter().map(|group| group.right).sum();
    let negatives: u64 = groups.iter().map(|group| group.wrong).sum();
    if positives == 0 || negatives == 0 {
        return None;
    }
    // Twice the number of pairs in order, so that halves are whole.
    let (mut twice, mut above) = (0_u128, 0_u64);
    for Group { right, wrong, .. } in groups {
        twice += u128::from(wrong) * (2 * u128::from(above) + u128::from(right));
        above += right;
    }
    Some(twice as f64 / (2 * u128::from(positives) * u128::from(negatives)) as f64)
}

/// Average precision: the precision at each score that an example of the class has, weighed by how many have it, scikit-learn's
/// sum without interpolation. `None` where there is no example of the class.
pub fn average_precision(scored: impl IntoIterator<Item = (f32, bool)>) -> Option<f64> {
    let groups = grouped(scored);
    let positives: u64 = groups.iter().map(|group| group.right).sum();
    if positives == 0 {
        return None;
    }
    let (mut right, mut all, mut sum) = (0_u64, 0_u64, 0.0);
    for group in groups {
        right += group.right;
        all += group.right + group.wrong;
        sum += group.right as f64 * (right as f64 / all as f64);
    }
    Some(sum / positives as f64)
}

/// Minus the logarithm of the probability of the right class, which is kept at least [`f64::EPSILON`] from 0 and 1, as in scikit-learn.
pub fn log_loss(probability_of_right: f32) -> f64 {
    -f64::from(probability_of_right).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// Of an example's labels: the mean, over those that apply, of the share that applies among the labels of at least its score. 1 where
/// all or none apply.
pub fn label_ranking_precision(scores: &[f32], applies: &[bool]) -> f64 {
    let count = applies.iter().filter(|applies| **applies).count();
    if count == 0 || count == applies.len() {
        return 1.0;
    }
    let (mut right, mut all, mut sum) = (0_u64, 0_u64, 0.0);
    for group in grouped(scores.iter().copied().zip(applies.iter().copied())) {
        right += group.right;
        all += group.right + group.wrong;
        sum += group.right as f64 * (right as f64 / all as f64);
    }
    sum / count as f64
}

/// What has one score.
pub(super) struct Group {
    pub(super) score: f32,
    /// How many of it are of the class.
    pub(super) right: u64,
    /// How many are not.
    pub(super) wrong: u64,
}

/// By falling score; what is no number has the lowest.
pub(super) fn grouped(scored: impl IntoIterator<Item = (f32, bool)>) -> Vec<Group> {
    let number = |score: f32| if score.is_nan() { f32::NEG_INFINITY } else { score + 0.0 };
    let mut scored: Vec<(f32, bool)> =
        scored.into_iter().map(|(score, right)| (number(score), right)).collect();
    scored.sort_unstable_by(|left, right| right.0.total_cmp(&left.0));
    let groups = scored.chunk_by(|left, right| left.0 == right.0);
    groups
        .map(|group| {
            let right = group.iter().filter(|(_, right)| *right).count() as u64;
            Group { score: group[0].0, right, wrong: group.len() as u64 - right }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_alone_counts_and_equals_count_half() {
        let scored = [(0.9, true), (0.8, false), (0.8, true), (0.1, false)];
        assert_eq!(roc_auc(scored), Some(3.5 / 4.0));
        assert_eq!(average_precision(scored), Some(f64::midpoint(1.0, 2.0 / 3.0)));
        assert_eq!(roc_auc([(0.5, true)]), None);
        assert_eq!(average_precision([(0.5, false)]), None);
        assert_eq!(roc_auc([(f32::NAN, true), (0.0, false)]), Some(0.0));
    }

    #[test]
    fn a_ranking_of_labels_that_means_nothing_is_perfect() {
        assert_eq!(label_ranking_precision(&[0.1, 0.2], &[false, false]), 1.0);
        assert_eq!(label_ranking_precision(&[0.1, 0.2], &[true, true]), 1.0);
        assert_eq!(label_ranking_precision(&[0.1, 0.2, 0.0], &[true, false, false]), 0.5);
    }

    #[test]
    fn certainty_costs_no_infinity() {
        assert!(log_loss(0.0).is_finite() && log_loss(1.0) > 0.0);
    }
}
