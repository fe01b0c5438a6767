//! What is left of a curve with very many points.

/// At most about `most` of these points, which stand in the order of their `x`. Of each stretch the first, the lowest, the
/// highest and the last one are kept, so that no spike is lost.
pub(super) fn thinned(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most.max(4) {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil((most / 4).max(1));
    points
        .chunks(stretch)
        .flat_map(|points| {
            let lowest = extreme(points, |value, best| value < best);
            let highest = extreme(points, |value, best| value > best);
            let mut kept = [0, lowest, highest, points.len() - 1];
            kept.sort_unstable();
            let mut kept = kept.to_vec();
            kept.dedup();
            kept.into_iter().map(|place| points[place])
        })
        .collect()
}

fn extreme(points: &[(f64, f64)], is_better: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (place, (_, value)) in points.iter().enumerate() {
        if is_better(*value, points[best].1) {
            best = place;
        }
    }
    best
}

/// Means over stretches of the curve, about `count` of them, each at the end of its stretch.
pub(super) fn means(points: &[(f64, f64)], count: usize) -> Vec<(f64, f64)> {
    let stretch = points.len().div_ceil(count.max(1)).max(1);
    points
        .chunks(stretch)
        .map(|points| {
            let sum: f64 = points.iter().map(|(_, value)| value).sum();
            (points[points.len() - 1].0, sum / points.len() as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_and_ends_survive() {
        let mut points: Vec<(f64, f64)> =
            (0..100_000).map(|step| (f64::from(step), (f64::from(step) / 50.0).sin())).collect();
        points[70_001].1 = 40.0;
        points[31_234].1 = -40.0;
        let thin = thinned(&points, 1000);
        assert!(thin.len() <= 1004, "{}", thin.len());
        for point in [points[0], points[70_001], points[31_234], points[99_999]] {
            assert!(thin.contains(&point), "{point:?}");
        }
        assert!(thin.is_sorted_by(|left, right| left.0 < right.0));
        assert_eq!(thinned(&points[..900], 1000), points[..900]);
    }

    #[test]
    fn means_by_hand() {
        let points = [(1.0, 1.0), (2.0, 3.0), (3.0, 5.0), (4.0, 6.0), (5.0, 9.0)];
        assert_eq!(means(&points, 2), [(3.0, 3.0), (5.0, 7.5)]);
        assert!(means(&[], 2).is_empty());
    }
}
