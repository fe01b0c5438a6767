//! What follows from the measurements.

use serde::{Deserialize, Serialize};

use super::{EXACT, Efficiency, Measurement};
use crate::power_law::{Crossover, crossover, long_slope, slope};

/// What follows from the measurements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Of every row, forward and with gradients.
    pub slopes: Vec<Slopes>,
    /// Of every length, forward and with gradients.
    pub fastest: Vec<Fastest>,
    /// Of every row beside exact attention.
    pub beats_exact: Vec<Beats>,
}

/// How a row's cost grows: slopes of its logarithm over that of the length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slopes {
    /// The row.
    pub variant: String,
    /// Whether gradients are computed too.
    pub backward: bool,
    /// Of the time, over all lengths.
    pub seconds: Option<f64>,
    /// Of the time, over the longer half of the lengths, three at least.
    pub seconds_of_long: Option<f64>,
    /// Of the memory beyond the inputs, over the longer half of the lengths.
    pub bytes_of_long: Option<f64>,
}

/// The fastest row of a length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fastest {
    /// Tokens.
    pub seq_len: usize,
    /// Whether gradients are computed too.
    pub backward: bool,
    /// The row.
    pub variant: String,
    /// Its time.
    pub seconds: f64,
    /// The row with the least memory beyond the inputs.
    pub smallest: String,
}

/// From which length on a row costs less than exact attention; `None` if no length has both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beats {
    /// The row.
    pub variant: String,
    /// Whether gradients are computed too.
    pub backward: bool,
    /// In time.
    pub seconds: Option<Crossover>,
    /// In memory beyond the inputs.
    pub bytes: Option<Crossover>,
}

pub(super) fn seconds(found: &Measurement) -> f64 {
    found.seconds_median
}

/// At least a byte, so that it has a logarithm.
pub(super) fn bytes(found: &Measurement) -> f64 {
    found.own_bytes().max(1) as f64
}

impl Summary {
    /// Of all measurements that are there.
    pub fn of(file: &Efficiency) -> Self {
        let (variants, lengths) = file.rows();
        let both = [false, true];
        let rows = || variants.iter().flat_map(|variant| both.map(|backward| (*variant, backward)));
        let slopes = rows()
            .filter(|(variant, backward)| !file.curve(variant, *backward, seconds).is_empty())
            .map(|(variant, backward)| {
                let seconds = file.curve(variant, backward, seconds);
                Slopes {
                    variant: variant.to_owned(),
                    backward,
                    seconds: slope(&seconds),
                    seconds_of_long: long_slope(&seconds),
                    bytes_of_long: long_slope(&file.curve(variant, backward, bytes)),
                }
            })
            .collect();
        let fastest = both
            .into_iter()
            .flat_map(|backward| lengths.iter().map(move |seq_len| (*seq_len, backward)))
            .filter_map(|(seq_len, backward)| fastest(file, seq_len, backward))
            .collect();
        let exact = EXACT.name();
        let beats_exact = rows()
            .filter(|(variant, _)| *variant != exact)
            .map(|(variant, backward)| {
                let crosses = |quantity: fn(&Measurement) -> f64| {
                    crossover(
                        &file.curve(variant, backward, quantity),
                        &file.curve(exact, backward, quantity),
                    )
                };
                let (seconds, bytes) = (crosses(seconds), crosses(bytes));
                Beats { variant: variant.to_owned(), backward, seconds, bytes }
            })
            .filter(|beats| beats.seconds.is_some())
            .collect();
        Self { slopes, fastest, beats_exact }
    }
}

fn fastest(file: &Efficiency, seq_len: usize, backward: bool) -> Option<Fastest> {
    let here = || {
        file.measured
            .iter()
            .filter(move |found| found.seq_len == seq_len && found.backward == backward)
    };
    let fastest = here().min_by(|left, right| seconds(left).total_cmp(&seconds(right)))?;
    let smallest = here().min_by(|left, right| bytes(left).total_cmp(&bytes(right)))?;
    Some(Fastest {
        seq_len,
        backward,
        variant: fastest.variant.clone(),
        seconds: fastest.seconds_median,
        smallest: smallest.variant.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::measured;
    use super::*;

    #[test]
    fn a_linear_row_beats_a_quadratic_one_from_where_they_cost_the_same() {
        let rows = [("softmax", 1e-9, 2.0), ("nystrom", 1e-6, 1.0), ("agent", 1e-3, 1.0)];
        let summary = Summary::of(&measured(&rows, &[256, 512, 1024, 2048]));
        assert_eq!(summary.slopes.len(), 6);
        for slopes in &summary.slopes {
            let expected = if slopes.variant == "softmax" { 2.0 } else { 1.0 };
            assert!((slopes.seconds.unwrap() - expected).abs() < 1e-9, "{slopes:?}");
        }
        let fastest: Vec<&str> =
            summary.fastest[..4].iter().map(|fastest| fastest.variant.as_str()).collect();
        assert_eq!(fastest, ["softmax", "softmax", "nystrom", "nystrom"]);
        assert!(summary.fastest.iter().all(|fastest| fastest.variant == fastest.smallest));
        let beats: Vec<Option<Crossover>> =
            summary.beats_exact.iter().map(|beats| beats.seconds).collect();
        let Some(Crossover::At(length)) = beats[0] else { panic!("{beats:?}") };
        assert!((length - 1000.0).abs() < 1e-6);
        assert_eq!(beats[2], Some(Crossover::Above(2048.0)));
    }

    #[test]
    fn without_exact_attention_nothing_is_compared() {
        let summary = Summary::of(&measured(&[("nystrom", 1e-6, 1.0)], &[256]));
        assert!(summary.beats_exact.is_empty());
        assert_eq!(summary.slopes[0].seconds, None);
    }
}
