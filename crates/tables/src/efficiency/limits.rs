//! What is left out: a measurement that would take too long, or more memory than there is, by what shorter ones took.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Efficiency, Job, Measurement, WARM_UP};
use crate::power_law::estimate;

/// What a measurement may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Seconds of all its passes.
    pub seconds: f64,
    /// Bytes that are free; `None` where the system does not say.
    pub bytes: Option<u64>,
}

/// A measurement that was not made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The row.
    pub variant: String,
    /// Tokens.
    pub seq_len: usize,
    /// Whether gradients were to be computed too.
    pub backward: bool,
    /// Why.
    pub reason: Reason,
}

/// Why a measurement was not made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// So many seconds were to be expected.
    Seconds(f64),
    /// So many bytes were to be expected.
    Bytes(u64),
    /// Its process ended without a measurement; what it said last.
    Failed(String),
}

impl Reason {
    /// In a cell of a table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Seconds(_) => "time",
            Self::Bytes(_) => "memory",
            Self::Failed(_) => "failed",
        }
    }
}

impl LeftOut {
    /// Whether it is this measurement.
    pub(super) fn is_of(&self, variant: &str, seq_len: usize, backward: bool) -> bool {
        (self.variant.as_str(), self.seq_len, self.backward) == (variant, seq_len, backward)
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variant, seq_len, backward, reason } = self;
        let passes = if *backward { "forward and backward" } else { "forward" };
        write!(formatter, "`{variant}`, {seq_len} tokens, {passes}: ")?;
        match reason {
            Reason::Seconds(seconds) => write!(formatter, "about {seconds:.0} s to be expected"),
            Reason::Bytes(bytes) => {
                write!(formatter, "about {:.1} GB of memory to be expected", *bytes as f64 / 1e9)
            }
            Reason::Failed(message) => write!(formatter, "{message}"),
        }
    }
}

impl Efficiency {
    /// Says that a measurement is to be left out, by what shorter ones of its row took; the shortest never is.
    pub fn beyond(&self, job: &Job, limits: Limits) -> Option<LeftOut> {
        let variant = job.variant.to_string();
        let expected = |quantity: fn(&Measurement) -> f64| {
            let mut shorter = self.curve(&variant, job.backward, quantity);
            shorter.retain(|(length, _)| *length < job.seq_len as f64);
            estimate(&shorter, job.seq_len as f64)
        };
        let passes = (self.settings.repeats + WARM_UP) as f64;
        let seconds = expected(|found| found.seconds_median).map(|seconds| seconds * passes);
        let bytes = expected(|found| found.peak_rss_bytes as f64);
        let reason = match (seconds, bytes, limits.bytes) {
            (Some(seconds), _, _) if seconds > limits.seconds => Reason::Seconds(seconds),
            (_, Some(bytes), Some(free)) if bytes > free as f64 => Reason::Bytes(bytes as u64),
            _ => return None,
        };
        let (seq_len, backward) = (job.seq_len, job.backward);
        Some(LeftOut { variant, seq_len, backward, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::measured;
    use super::*;

    #[test]
    fn a_quadratic_row_is_left_out_where_a_linear_one_is_not() {
        // 0.1 s at 1,024 tokens, of both.
        let rows = [("softmax", 0.1 / 1024_f64.powi(2), 2.0), ("linear", 0.1 / 1024.0, 1.0)];
        let file = measured(&rows, &[512, 1024]);
        let beyond = |variant: &str, seq_len, backward, seconds, bytes| {
            let job = Job { variant: variant.parse().unwrap(), seq_len, backward };
            file.beyond(&job, Limits { seconds, bytes }).map(|left_out| left_out.reason)
        };
        // Five passes of 1.6 s, and of 0.4 s.
        assert!(
            matches!(beyond("softmax", 4096, false, 7.0, None), Some(Reason::Seconds(found)) if (found - 8.0).abs() < 0.01)
        );
        assert_eq!(beyond("softmax", 4096, false, 9.0, None), None);
        assert_eq!(beyond("linear", 4096, false, 7.0, None), None);
        assert!(beyond("linear", 4096, true, 5.0, None).is_some());
        assert!(matches!(
            beyond("linear", 4096, false, 7.0, Some(2_000_000)),
            Some(Reason::Bytes(_))
        ));
        // Nothing is known of a row that has no shorter one.
        assert_eq!(beyond("agent", 65_536, true, 1e-9, Some(1)), None);
        assert_eq!(beyond("softmax", 512, true, 1e-9, Some(1)), None);
    }

    #[test]
    fn what_is_left_out_is_told_in_words() {
        let told = |reason| {
            let variant = "softmax".to_owned();
            LeftOut { variant, seq_len: 65_536, backward: true, reason }.to_string()
        };
        assert_eq!(
            told(Reason::Seconds(1234.4)),
            "`softmax`, 65536 tokens, forward and backward: about 1234 s to be expected"
        );
        assert!(
            told(Reason::Bytes(25_000_000_000)).ends_with("about 25.0 GB of memory to be expected")
        );
    }
}
