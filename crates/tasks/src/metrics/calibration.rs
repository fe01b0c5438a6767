//! How well a classifier's probabilities say how often it is right.

use serde::{Deserialize, Serialize};

/// Bins of [`Calibration`], those of Guo et al. 2017.
pub const CALIBRATION_BINS: usize = 15;

/// The expected calibration error (Naeini et al. 2015; Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 3).
///
/// Answers are put in 15 bins of equal width by their confidence, which is the probability of the class that was predicted:
/// bin `b` holds those above `(b − 1) / 15` and at most `b / 15`. With the accuracy and the mean confidence of each bin
///
/// ```text
/// error = Σ_b (answers of b / all answers) · |accuracy of b − confidence of b|
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Calibration {
    bins: [Bin; CALIBRATION_BINS],
}

/// Answers of about the same confidence: a bar of a reliability diagram (Guo et al. 2017, fig. 1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// How many there are.
    pub answers: u64,
    /// Their mean confidence; `None` without answers.
    pub confidence: Option<f64>,
    /// The share of them that is right; `None` without answers.
    pub accuracy: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Bin {
    answers: u64,
    right: u64,
    confidence: f64,
}

impl Calibration {
    /// Takes in an answer that was given with this confidence.
    pub fn record(&mut self, confidence: f64, is_right: bool) {
        let upper = |bin: usize| (bin + 1) as f64 / CALIBRATION_BINS as f64;
        // What is no probability is told elsewhere; the last bin takes it.
        let bin = (0..CALIBRATION_BINS - 1).find(|bin| confidence <= upper(*bin));
        let bin = &mut self.bins[bin.unwrap_or(CALIBRATION_BINS - 1)];
        bin.answers += 1;
        bin.right += u64::from(is_right);
        bin.confidence += confidence;
    }

    /// The bins, by confidence.
    pub fn reliability(&self) -> Vec<ReliabilityBin> {
        let shown = |bin: &Bin| {
            let mean = |sum: f64| (bin.answers > 0).then(|| sum / bin.answers as f64);
            let (confidence, accuracy) = (mean(bin.confidence), mean(bin.right as f64));
            ReliabilityBin { answers: bin.answers, confidence, accuracy }
        };
        self.bins.iter().map(shown).collect()
    }

    /// The error, between 0 and 1; NaN without answers.
    pub fn error(&self) -> f64 {
        let answers: u64 = self.bins.iter().map(|bin| bin.answers).sum();
        // |right / n − confidence / n| · n / all, with the n left out.
        let gap = |bin: &Bin| (bin.right as f64 - bin.confidence).abs();
        self.bins.iter().map(gap).sum::<f64>() / answers as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(answers: &[(f64, bool)]) -> f64 {
        let mut calibration = Calibration::default();
        for (confidence, is_right) in answers {
            calibration.record(*confidence, *is_right);
        }
        calibration.error()
    }

    #[test]
    fn errors_by_hand() {
        // Right as often as it says.
        assert_eq!(error(&[(0.5, true), (0.5, false)]), 0.0);
        assert_eq!(error(&[(1.0, true), (1.0, true)]), 0.0);
        // Always sure, half of the time wrong.
        assert_eq!(error(&[(1.0, true), (1.0, false)]), 0.5);
        // Two bins of one answer each: (0.1 + 0.75) / 2.
        assert!((error(&[(0.9, true), (0.75, false)]) - 0.425).abs() < 1e-15);
        assert!(error(&[]).is_nan());
    }

    #[test]
    fn the_error_is_the_mean_distance_of_the_bins() {
        let answers =
            [(0.9, true), (0.91, false), (0.75, false), (0.34, true), (0.34, true), (0.05, false)];
        let mut calibration = Calibration::default();
        for (confidence, is_right) in answers {
            calibration.record(confidence, is_right);
        }
        let bins = calibration.reliability();
        assert_eq!((bins.len(), bins[1].answers, bins[1].confidence), (15, 0, None));
        assert_eq!((bins[5].answers, bins[5].accuracy), (2, Some(1.0)));
        let distance = |bin: &ReliabilityBin| {
            bin.answers as f64 * (bin.accuracy.unwrap_or(0.0) - bin.confidence.unwrap_or(0.0)).abs()
        };
        let mean = bins.iter().map(distance).sum::<f64>() / answers.len() as f64;
        assert!((mean - calibration.error()).abs() < 1e-15);
    }
}
