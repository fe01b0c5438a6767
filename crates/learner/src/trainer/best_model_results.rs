//! What a run's summary says of its best model.

use std::collections::BTreeMap;

use nystromformer_tasks::metrics::{ClassificationReport, ErrorAnalysis, Thresholds};
use serde::{Deserialize, Serialize};

use crate::metrics_log::EvaluationRecord;

/// The best model's results, by split (`validation`, `test`, …).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestModelResults {
    /// The step of the model.
    pub step: usize,
    /// How it was chosen.
    pub chosen_by: String,
    /// What it was chosen by: `loss` or a metric.
    pub best_by: String,
    /// Whether a larger value of that is the better one. Absent in older summaries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greater_is_better: Option<bool>,
    /// From what score on a class applies, or a question has no answer, chosen on the validation split.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: Thresholds,
    /// Loss and metrics.
    pub evaluations: BTreeMap<String, EvaluationRecord>,
    /// Confusion matrix and scores of each class; of classifiers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, ClassificationReport>,
    /// The worst mistakes, and how far probabilities are to be believed; of classifiers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, ErrorAnalysis>,
    /// The metrics of a predictor that always gives the most frequent class of the training examples, or the mean of
    /// their numbers. A metric that is undefined for a constant, as a correlation is, is left out.
    pub constant_predictor: BTreeMap<String, BTreeMap<String, f64>>,
}
