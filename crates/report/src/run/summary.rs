//! `summary.json`, as far as a page shows it.

use std::collections::BTreeMap;
use std::path::Path;

use nystromformer_files::null_as_nan;
use serde::Deserialize;
use serde_json::Value;

use super::json;
use super::metrics::Evaluation;
use crate::error::Result;

const FILE: &str = "summary.json";

/// What a run was and what came of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    pub(crate) name: String,
    pub(crate) ended_by: String,
    pub(crate) steps: usize,
    pub(crate) skipped_steps: usize,
    pub(crate) steps_without_targets: usize,
    pub(crate) final_train_loss: Option<f64>,
    pub(crate) best_evaluation: Option<Evaluation>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) wall_seconds: f64,
    pub(crate) tokens_per_second: f64,
    pub(crate) tokens: u64,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) parameters: u64,
    pub(crate) trained_parameters: Option<u64>,
    pub(crate) device: String,
    pub(crate) dtype: String,
    pub(crate) computed_with: Vec<BTreeMap<String, Value>>,
    pub(crate) notes: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) fingerprints: BTreeMap<String, String>,
}

/// The best model's results, by split.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Verdict {
    pub(crate) step: usize,
    pub(crate) chosen_by: String,
    pub(crate) evaluations: BTreeMap<String, Evaluation>,
    pub(crate) classes: BTreeMap<String, ClassificationReport>,
    pub(crate) errors: BTreeMap<String, ErrorAnalysis>,
    pub(crate) constant_predictor: BTreeMap<String, BTreeMap<String, Option<f64>>>,
}

/// Of classes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ClassificationReport {
    pub(crate) labels: Vec<String>,
    /// Counts: rows are references, columns predictions.
    pub(crate) confusion_matrix: Option<Vec<Vec<u64>>>,
    pub(crate) per_class: Vec<ClassScores>,
}

/// Of one class.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ClassScores {
    pub(crate) precision: f64,
    pub(crate) recall: f64,
    pub(crate) f1: f64,
    pub(crate) support: u64,
}

/// What a classifier gets wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorAnalysis {
    pub(crate) answers: u64,
    pub(crate) mistakes: u64,
    pub(crate) expected_calibration_error: Option<f64>,
    /// Bins of equal width. Absent in older summaries.
    pub(crate) reliability: Vec<ReliabilityBin>,
    pub(crate) most_confident_mistakes: Vec<Mistake>,
    pub(crate) confusion_pairs: Vec<ConfusionPair>,
}

/// Answers whose confidence lies in a bin.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ReliabilityBin {
    pub(crate) answers: u64,
    /// Of no answers there is none.
    pub(crate) confidence: Option<f64>,
    pub(crate) accuracy: Option<f64>,
}

/// A wrong answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Mistake {
    pub(crate) example: u64,
    pub(crate) word: Option<u64>,
    pub(crate) id: Option<String>,
    pub(crate) text: String,
    pub(crate) label: String,
    pub(crate) prediction: String,
    /// Not a number if the model's answers are none.
    #[serde(deserialize_with = "null_as_nan")]
    pub(crate) score: f64,
}

/// Two classes of which one was taken for the other.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ConfusionPair {
    pub(crate) label: String,
    pub(crate) prediction: String,
    pub(crate) count: u64,
}

impl Summary {
    /// Reads that of the run in `path`; `None` if it has none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        json::value(&path.join(FILE), "summary of a run")
    }

    /// Whether the run came to its end, and was not stopped.
    pub(crate) fn is_complete(&self) -> bool {
        ["finished", "early_stopping"].contains(&self.ended_by.as_str())
    }
}
