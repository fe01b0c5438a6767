//! From which score on a label is taken to apply: the threshold of the best F1.

use super::ranking::grouped;

/// Where nothing is chosen.
pub const DEFAULT_THRESHOLD: f32 = 0.5;

/// The threshold whose F1 is the highest, where a label is predicted from it on. Thresholds between the same two scores predict
/// the same: [`DEFAULT_THRESHOLD`] stands for those it lies among, else their middle. Of equally good ones the nearest to
/// [`DEFAULT_THRESHOLD`]. `None` where the label never applies, so that nothing can be chosen by.
pub(super) fn best_threshold(scored: impl IntoIterator<Item = (f32, bool)>) -> Option<f32> {
    let groups = grouped(scored);
    let positives: u64 = groups.iter().map(|group| group.right).sum();
    if positives == 0 {
        return None;
    }
    let (mut right, mut predicted) = (0_u64, 0_u64);
    let mut best: Option<(u64, u64, f32)> = None;
    for (place, group) in groups.iter().enumerate() {
        right += group.right;
        predicted += group.right + group.wrong;
        let lower = groups.get(place + 1).map_or(0.0, |next| next.score);
        let threshold = between(lower, group.score);
        // F1 is twice the right ones over these two together.
        let (hits, all) = (right, predicted + positives);
        let is_better = best.is_none_or(|(best_hits, best_all, chosen)| {
            let (new, old) =
                (u128::from(hits) * u128::from(best_all), u128::from(best_hits) * u128::from(all));
            let distance = |threshold: f32| (threshold - DEFAULT_THRESHOLD).abs();
            new > old || (new == old && distance(threshold) < distance(chosen))
        });
        if is_better {
            best = Some((hits, all, threshold));
        }
    }
    best.map(|(.., threshold)| threshold)
}

/// A threshold above `lower` and not above `upper`.
fn between(lower: f32, upper: f32) -> f32 {
    if lower < DEFAULT_THRESHOLD && DEFAULT_THRESHOLD <= upper {
        return DEFAULT_THRESHOLD;
    }
    let middle = f32::midpoint(lower, upper);
    if middle > lower && middle <= upper { middle } else { upper }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// F1 by its definition.
    fn f1(scored: &[(f32, bool)], threshold: f32) -> f64 {
        let predicted = scored.iter().filter(|(score, _)| *score >= threshold).count();
        let right = scored.iter().filter(|(score, is)| *score >= threshold && *is).count();
        let support = scored.iter().filter(|(_, is)| *is).count();
        2.0 * right as f64 / (predicted + support) as f64
    }

    #[test]
    fn the_half_is_kept_where_nothing_is_better() {
        assert_eq!(best_threshold([(0.9, true), (0.1, false)]), Some(0.5));
        assert_eq!(best_threshold([(0.9, false), (0.1, false)]), None);
        assert_eq!(best_threshold([(0.4, true), (0.2, false)]), Some(0.3));
        // Two are equally good: one right of one, or both of three.
        let threshold = best_threshold([(0.75, true), (0.25, true), (0.125, false)]).unwrap();
        assert_eq!(threshold, 0.1875);
    }

    proptest! {
        #[test]
        fn no_threshold_is_better(scored in prop::collection::vec((0u8..20, any::<bool>()), 1..40)) {
            let scored: Vec<(f32, bool)> =
                scored.into_iter().map(|(score, is)| (f32::from(score) / 19.0, is)).collect();
            if let Some(threshold) = best_threshold(scored.iter().copied()) {
                let best = f1(&scored, threshold);
                for other in scored.iter().map(|(score, _)| *score).chain([0.0, 0.5]) {
                    prop_assert!(f1(&scored, other) <= best + 1e-12, "{other} beats {threshold}");
                }
            } else {
                prop_assert!(scored.iter().all(|(_, is)| !is));
            }
        }
    }
}
