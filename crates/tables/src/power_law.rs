//! How a cost grows with the length: slopes of its logarithm, where two curves cross, what a longer length will cost.

use serde::{Deserialize, Serialize};

/// A cost by length, both above zero.
pub type Point = (f64, f64);

/// The slope of `ln y` over `ln x` by least squares: the exponent of a power law. `None` of fewer than two lengths.
pub fn slope(points: &[Point]) -> Option<f64> {
    let count = points.len() as f64;
    let logs = || points.iter().map(|(x, y)| (x.ln(), y.ln()));
    let mean_x = logs().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs().map(|(_, y)| y).sum::<f64>() / count;
    let square: f64 = logs().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let product: f64 = logs().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (points.len() > 1 && square > 0.0).then(|| product / square)
}

/// The slope over the longer half of the lengths, at least three of them, where the cost of starting counts less.
pub fn long_slope(points: &[Point]) -> Option<f64> {
    let kept = points.len().div_ceil(2).max(3).min(points.len());
    slope(&points[points.len() - kept..])
}

/// From which length on one cost is below another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crossover {
    /// At all lengths measured; the shortest of them.
    Below(f64),
    /// From this length on: between two lengths, by straight lines through the logarithms.
    At(f64),
    /// At none, or no more at the longest, which it is.
    Above(f64),
}

/// From which length on `first` is below `second`, and stays there; `None` if no length has both.
///
/// # Shapes
/// - both by ascending length
pub fn crossover(first: &[Point], second: &[Point]) -> Option<Crossover> {
    // By length, how far above the other it is.
    let of_other = |x: f64| second.iter().find(|(other, _)| *other == x).map(|(_, y)| *y);
    let gaps: Vec<Point> =
        first.iter().filter_map(|(x, y)| Some((*x, y.ln() - of_other(*x)?.ln()))).collect();
    let (shortest, longest) = (gaps.first()?.0, gaps.last()?.0);
    let Some(place) = gaps.iter().rposition(|(_, gap)| *gap >= 0.0) else {
        return Some(Crossover::Below(shortest));
    };
    let (x, gap) = gaps[place];
    Some(match gaps.get(place + 1) {
        None => Crossover::Above(longest),
        Some((next, next_gap)) => {
            let part = gap / (gap - next_gap);
            Crossover::At((x.ln() + part * (next.ln() - x.ln())).exp())
        }
    })
}

/// What a longer length will cost, by the exponent between the last two lengths, not less than 1 and not more than 2; by 2 of one
/// length alone. `None` without one.
///
/// # Shapes
/// - `points`: by ascending length, all shorter than `x`
pub fn estimate(points: &[Point], x: f64) -> Option<f64> {
    let (last_x, last_y) = *points.last()?;
    let last_two = &points[points.len().saturating_sub(2)..];
    let exponent = slope(last_two).map_or(2.0, |exponent| exponent.clamp(1.0, 2.0));
    Some(last_y * (x / last_x).powf(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law(factor: f64, exponent: f64) -> Vec<Point> {
        [256.0, 512.0, 1024.0, 2048.0, 4096.0_f64].map(|x| (x, factor * x.powf(exponent))).to_vec()
    }

    #[test]
    fn the_slope_of_a_power_law_is_its_exponent() {
        let of = |points: &[Point]| [slope(points).unwrap(), long_slope(points).unwrap()];
        for exponent in [0.5, 1.0, 2.0] {
            assert!(of(&law(3e-4, exponent)).iter().all(|found| (found - exponent).abs() < 1e-12));
        }
        let mut late = law(1.0, 1.0);
        late[0].1 *= 100.0;
        let [all, long] = of(&late);
        assert!(all < 0.7 && (long - 1.0).abs() < 1e-12, "{all} {long}");
        assert_eq!((slope(&[(2.0, 1.0)]), slope(&[])), (None, None));
    }

    #[test]
    fn power_laws_cross_where_they_are_equal() {
        // 1000 n and n²: at 1000.
        let Some(Crossover::At(found)) = crossover(&law(1000.0, 1.0), &law(1.0, 2.0)) else {
            panic!("they cross")
        };
        assert!((found - 1000.0).abs() < 1e-6, "{found}");
        let all = |factor| crossover(&law(factor, 1.0), &law(1.0, 2.0));
        assert_eq!(all(1.0), Some(Crossover::Below(256.0)));
        assert_eq!(all(1e9), Some(Crossover::Above(4096.0)));
        // At a length that one of them alone has, nothing is compared.
        let longest = &law(1.0, 1.0)[4..];
        assert_eq!(crossover(longest, &law(1.0, 2.0)[..2]), None);
    }

    #[test]
    fn an_estimate_follows_the_last_two_lengths_within_bounds() {
        let estimated = |exponent| estimate(&law(1.0, exponent), 8192.0).unwrap();
        assert!((estimated(1.5) / 8192_f64.powf(1.5) - 1.0).abs() < 1e-12);
        assert!((estimated(0.1) / (2.0 * 4096_f64.powf(0.1)) - 1.0).abs() < 1e-12);
        assert!((estimated(3.0) / (4.0 * 4096_f64.powi(3)) - 1.0).abs() < 1e-12);
        assert_eq!(estimate(&[(10.0, 1.0)], 20.0), Some(4.0));
        assert_eq!(estimate(&[], 20.0), None);
    }
}
