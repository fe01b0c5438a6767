//! `metrics.jsonl`: one JSON object a line, for every optimizer step and every evaluation.
//!
//! The file is the record of the run; what a person sees on the terminal is only drawn from the
//! same values. When a run resumes, lines beyond its checkpoint are cut off, so the finished log is
//! that of an uninterrupted run (times aside).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nystromformer_files::{null_as_nan, nulls_as_nan};
use serde::{Deserialize, Serialize};

use crate::error::{LearnerError, Result};
use crate::line_log::LineLog;

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "split", rename_all = "snake_case")]
pub enum MetricsRecord {
    /// An optimizer step.
    Train(StepRecord),
    /// An evaluation.
    Validation(EvaluationRecord),
}

/// What is known about one optimizer step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step; the first is 1.
    pub step: usize,
    /// Mean loss over all targets of the effective batch, before the update; of classes in nats. Not
    /// a number, and `null` in the file, if it was not finite or if there were no targets.
    #[serde(deserialize_with = "null_as_nan")]
    pub loss: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// L2 norm of the whole gradient, before clipping. Not a number, and `null` in the file, if not
    /// finite.
    #[serde(deserialize_with = "null_as_nan")]
    pub grad_norm: f64,
    /// Tokens of this step (padding not counted) over its wall time.
    pub tokens_per_second: f64,
    /// Wall seconds of training up to the end of this step, over all sessions.
    pub elapsed_s: f64,
    /// Whether weights and moments were left as they were because loss or gradient was not finite.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// Whether no example had a target, so that there was no loss and nothing to learn. That is no divergence.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_targets: bool,
}

/// The result of one evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// Steps taken before it.
    pub step: usize,
    /// Mean loss over all answers; of classes in nats.
    #[serde(deserialize_with = "null_as_nan")]
    pub loss: f64,
    /// What else was measured, by name; which depends on the model's head. Of a masked language model:
    /// `accuracy`, the fraction of the predicted tokens whose likeliest prediction is right, and
    /// `perplexity`, `exp(loss)`.
    #[serde(flatten, deserialize_with = "nulls_as_nan")]
    pub metrics: BTreeMap<String, f64>,
}

impl EvaluationRecord {
    /// Adds what was measured on MNLI's examples of other genres, under names that say so.
    pub(crate) fn add_mismatched(&mut self, mismatched: Self) {
        self.metrics.insert("loss_mismatched".to_owned(), mismatched.loss);
        let metrics = mismatched.metrics.into_iter();
        self.metrics.extend(metrics.map(|(name, value)| (format!("{name}_mismatched"), value)));
    }

    /// A metric by name, if it was measured.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.get(name).copied()
    }
}

impl MetricsRecord {
    /// The step that the line belongs to.
    pub fn step(&self) -> usize {
        match self {
            Self::Train(record) => record.step,
            Self::Validation(record) => record.step,
        }
    }
}

/// Appends to `metrics.jsonl`.
#[derive(Debug)]
pub struct MetricsLog(LineLog);

impl MetricsLog {
    /// Opens the log of a run that stands at `step`, and was evaluated at step `evaluated` last (0: never): later lines, and a
    /// line that was cut short, are removed.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn open(path: PathBuf, step: usize, evaluated: usize) -> Result<Self> {
        let is_before = |line: &str| {
            serde_json::from_str(line).is_ok_and(|record| match record {
                MetricsRecord::Train(record) => record.step <= step,
                // Before the first checkpoint nothing is known of an evaluation at step 0.
                MetricsRecord::Validation(record) => record.step <= evaluated && step > 0,
            })
        };
        Ok(Self(LineLog::open(path, is_before)?))
    }

    /// Appends one line, in one write.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn append(&mut self, record: &MetricsRecord) -> Result<()> {
        self.0.append(record)
    }

    /// Makes all lines durable; called before a checkpoint that they belong to.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn sync(&self) -> Result<()> {
        self.0.sync()
    }

    /// The evaluations of a log, which a process that was killed may have left with a line cut short; none if it is not there.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn evaluations(path: &Path) -> Result<Vec<EvaluationRecord>> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(LearnerError::io("read", path)(error)),
        };
        let text = String::from_utf8_lossy(&text);
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        Ok(whole
            .filter_map(|line| match serde_json::from_str(line).ok()? {
                MetricsRecord::Validation(record) => Some(record),
                MetricsRecord::Train(_) => None,
            })
            .collect())
    }

    /// Reads all lines of a log.
    ///
    /// # Errors
    /// [`LearnerError::Io`] if it cannot be read, [`LearnerError::Data`] if a line does not parse.
    pub fn read(path: &Path) -> Result<Vec<MetricsRecord>> {
        let text = std::fs::read_to_string(path).map_err(LearnerError::io("read", path))?;
        text.lines()
            .enumerate()
            .map(|(index, line)| {
                serde_json::from_str(line).map_err(|error| {
                    LearnerError::Data(format!(
                        "`{}:{}` is not a line of metrics ({error})",
                        path.display(),
                        index + 1
                    ))
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(step: usize, loss: f64) -> MetricsRecord {
        MetricsRecord::Train(StepRecord {
            step,
            loss,
            learning_rate: 1e-4,
            grad_norm: 0.5,
            tokens_per_second: 10.0,
            elapsed_s: step as f64,
            skipped: !loss.is_finite(),
            no_targets: false,
        })
    }

    fn validation(step: usize) -> MetricsRecord {
        MetricsRecord::Validation(EvaluationRecord {
            step,
            loss: 2.0,
            metrics: [("accuracy", 0.25), ("perplexity", 2.0_f64.exp())]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
        })
    }

    /// As runs have them on disk since before there were other heads.
    #[test]
    fn a_line_of_an_older_run_is_read() {
        let line =
            r#"{"split":"validation","step":7,"loss":2.5,"accuracy":0.25,"perplexity":null}"#;
        let MetricsRecord::Validation(record) = serde_json::from_str(line).unwrap() else {
            panic!("it is an evaluation");
        };
        assert_eq!((record.step, record.loss, record.metric("accuracy")), (7, 2.5, Some(0.25)));
        assert!(record.metric("perplexity").unwrap().is_nan());
        assert_eq!(serde_json::to_string(&MetricsRecord::Validation(record)).unwrap(), line);
    }

    #[test]
    fn the_line_has_the_documented_keys() {
        assert_eq!(
            serde_json::to_string(&train(3, 2.5)).unwrap(),
            r#"{"split":"train","step":3,"loss":2.5,"learning_rate":0.0001,"grad_norm":0.5,"tokens_per_second":10.0,"elapsed_s":3.0}"#
        );
    }

    #[test]
    fn a_loss_that_is_not_finite_is_null_and_read_back_as_not_a_number() {
        let line = serde_json::to_string(&train(3, f64::INFINITY)).unwrap();
        assert!(line.contains(r#""loss":null"#) && line.contains(r#""skipped":true"#), "{line}");
        let MetricsRecord::Train(record) = serde_json::from_str(&line).unwrap() else {
            panic!("{line}")
        };
        assert!(record.loss.is_nan());
    }

    #[test]
    fn resuming_cuts_off_what_lies_beyond_the_checkpoint_and_what_was_cut_short() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(path.clone(), 0, 0).unwrap();
        for record in [train(1, 3.0), train(2, 2.0), validation(2), train(3, 1.0)] {
            log.append(&record).unwrap();
        }
        drop(log);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"split\":\"train\",\"st");
        std::fs::write(&path, text).unwrap();

        let mut log = MetricsLog::open(path.clone(), 2, 2).unwrap();
        log.append(&train(3, 1.5)).unwrap();
        assert_eq!(
            MetricsLog::read(&path).unwrap(),
            [train(1, 3.0), train(2, 2.0), validation(2), train(3, 1.5)]
        );
        // Also of a log that was cut short.
        let mut text = std::fs::read_to_string(&path).unwrap();
        let whole = text.clone();
        text.push_str("{\"split\":\"validation\",\"st");
        std::fs::write(&path, text).unwrap();
        let steps: Vec<usize> =
            MetricsLog::evaluations(&path).unwrap().iter().map(|record| record.step).collect();
        assert_eq!(steps, [2]);
        std::fs::write(&path, whole).unwrap();
        assert!(MetricsLog::evaluations(&directory.path().join("none")).unwrap().is_empty());
        // An evaluation of which the checkpoint knows nothing is done again.
        MetricsLog::open(path.clone(), 2, 0).unwrap();
        assert_eq!(MetricsLog::read(&path).unwrap(), [train(1, 3.0), train(2, 2.0)]);
    }
}
