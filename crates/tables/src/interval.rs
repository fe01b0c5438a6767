//! Means over seeds, and how sure they are: Student's t.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A mean with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Half of the interval that holds the true mean in 95 of 100 such samples, if they are normal; `None` of one value.
    pub half_width: Option<f64>,
    /// Values that it is a mean over.
    pub count: usize,
}

impl Interval {
    /// Of some values; `None` without any.
    pub fn of(values: &[f64]) -> Option<Self> {
        let first = *values.first()?;
        let count = values.len();
        // From the first value on, so that equal values have themselves as their mean.
        let mean = first + values.iter().map(|value| value - first).sum::<f64>() / count as f64;
        let half_width = (count > 1).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let deviation = (squares / (count - 1) as f64).sqrt();
            two_sided(count - 1) * deviation / (count as f64).sqrt()
        });
        Some(Self { mean, half_width, count })
    }

    /// Of the differences of values that belong together, the first less the second.
    pub fn of_differences(first: &[f64], second: &[f64]) -> Option<Self> {
        let differences: Vec<f64> =
            first.iter().zip(second).map(|(left, right)| left - right).collect();
        Self::of(&differences)
    }
}

impl fmt::Display for Interval {
    /// `0.8514 ± 0.0123`, with as many decimals as are asked for.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = formatter.precision().unwrap_or(4);
        write!(formatter, "{:.decimals$}", self.mean)?;
        match self.half_width {
            Some(half) => write!(formatter, " ± {half:.decimals$}"),
            None => Ok(()),
        }
    }
}

/// What the absolute value of t, with so many degrees of freedom, stays below with a probability of 0.95.
pub fn two_sided(degrees: usize) -> f64 {
    let (mut low, mut high) = (0.0, 13.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if probability_within(middle, degrees) < 0.95 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The probability that |t| is below `limit` (Abramowitz and Stegun, equations 26.7.3 and 26.7.4).
fn probability_within(limit: f64, degrees: usize) -> f64 {
    let angle = (limit / (degrees as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let is_odd = degrees % 2 == 1;
    // Odd: cos, 2/3 cos³, 2·4/(3·5) cos⁵ …; even: 1, 1/2 cos², 1·3/(2·4) cos⁴ …
    let mut term = if is_odd { cosine } else { 1.0 };
    let mut power = usize::from(is_odd);
    let mut sum = 0.0;
    while power + 2 <= degrees {
        sum += term;
        term *= cosine * cosine * (power + 1) as f64 / (power + 2) as f64;
        power += 2;
    }
    if is_odd { (angle + sine * sum) * std::f64::consts::FRAC_2_PI } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_value_there_is_no_interval_and_equal_values_have_one_of_zero() {
        assert_eq!(Interval::of(&[]), None);
        assert_eq!(Interval::of(&[0.3]).unwrap().to_string(), "0.3000");
        let equal = Interval::of(&[0.1; 3]).unwrap();
        assert_eq!(equal, Interval { mean: 0.1, half_width: Some(0.0), count: 3 });
        assert_eq!(format!("{equal:.1}"), "0.1 ± 0.0");
    }

    #[test]
    fn pairs_are_compared_one_by_one() {
        let found = Interval::of_differences(&[0.9, 0.8, 0.7], &[0.8, 0.7, 0.6]).unwrap();
        assert!((found.mean - 0.1).abs() < 1e-12 && found.half_width.unwrap() < 1e-12);
    }
}
