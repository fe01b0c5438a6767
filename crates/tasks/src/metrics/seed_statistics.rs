//! One score over the seeds of a run.

use std::fmt;

use nystromformer_files::null_as_nan;
use serde::{Deserialize, Serialize};

use super::correlation::deviations;

/// Mean and standard deviation of a score over seeds.
///
/// Shown as `0.9137 ± 0.0042`, or with as many decimals as the format asks for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeedStatistics {
    /// The mean; NaN, in JSON `null`, where a score is.
    #[serde(deserialize_with = "null_as_nan")]
    pub mean: f64,
    /// The standard deviation of the sample (divided by one less than the number of seeds); `None` of one seed.
    pub std: Option<f64>,
    /// The number of seeds.
    pub seeds: usize,
}

impl SeedStatistics {
    /// The statistics of one score for each seed; `None` without scores.
    pub fn of(scores: &[f64]) -> Option<Self> {
        let (first, others) = (*scores.first()?, scores.len() - 1);
        // From the first score on, so that equal scores have themselves as their mean.
        let mean =
            first + scores.iter().map(|score| score - first).sum::<f64>() / scores.len() as f64;
        let squares: f64 = deviations(scores).iter().map(|deviation| deviation * deviation).sum();
        let std = (others > 0).then(|| (squares / others as f64).sqrt());
        Some(Self { mean, std, seeds: scores.len() })
    }
}

impl fmt::Display for SeedStatistics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = formatter.precision().unwrap_or(4);
        write!(formatter, "{:.decimals$}", self.mean)?;
        match self.std {
            Some(std) => write!(formatter, " ± {std:.decimals$}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_seed_there_is_no_deviation() {
        let one = SeedStatistics::of(&[0.5]).unwrap();
        assert_eq!(one, SeedStatistics { mean: 0.5, std: None, seeds: 1 });
        assert_eq!(one.to_string(), "0.5000");
        assert_eq!(SeedStatistics::of(&[]), None);
    }

    #[test]
    fn shown_with_the_decimals_asked_for() {
        let scores = SeedStatistics::of(&[0.90, 0.91, 0.92]).unwrap();
        assert_eq!(scores.to_string(), "0.9100 ± 0.0100");
        assert_eq!(format!("{scores:.2}"), "0.91 ± 0.01");
    }

    #[test]
    fn equal_scores_do_not_deviate() {
        let equal = SeedStatistics::of(&[0.1; 3]).unwrap();
        assert_eq!((equal.mean, equal.std), (0.1, Some(0.0)));
    }

    #[test]
    fn an_undefined_score_survives_json() {
        let undefined = SeedStatistics::of(&[0.5, f64::NAN]).unwrap();
        let json = serde_json::to_string(&undefined).unwrap();
        assert_eq!(json, r#"{"mean":null,"std":null,"seeds":2}"#);
        let read: SeedStatistics = serde_json::from_str(&json).unwrap();
        assert!(read.mean.is_nan() && read.std.is_none() && read.seeds == 2);
    }
}
