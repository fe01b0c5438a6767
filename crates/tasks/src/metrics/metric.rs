//! The metrics by name, what they apply to, and which way is better.

use std::{fmt, str::FromStr};

use nystromformer_data::DataError;
use serde::{Deserialize, Serialize};

use super::{Predictions, mean_squared_error, pearson, spearman};

/// A number that tells how good answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Metric {
    /// `accuracy`: the share of right answers.
    Accuracy,
    /// `f1`: the harmonic mean of precision and recall of class 1, of two classes. 0 where class 1 neither
    /// occurs nor is predicted.
    F1,
    /// `f1_macro`: the mean of every class's F1 over the classes that occur or are predicted.
    F1Macro,
    /// `matthews_correlation`: of any number of classes (Gorodkin 2004, "Comparing two K-category assignments by a
    /// K-category correlation coefficient"). 0 where only one class is predicted, or only one occurs.
    MatthewsCorrelation,
    /// `pearson`: linear correlation of numbers. NaN where predictions or references are all the same.
    Pearson,
    /// `spearmanr`: Pearson's correlation of ranks, equal numbers sharing the mean of theirs. NaN as there.
    Spearman,
    /// `mse`: the mean of squared differences.
    MeanSquaredError,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Accuracy,
        Self::F1,
        Self::F1Macro,
        Self::MatthewsCorrelation,
        Self::Pearson,
        Self::Spearman,
        Self::MeanSquaredError,
    ];

    /// The name in configs, logs and summaries: that of Hugging Face's `evaluate`; `f1_macro` is scikit-learn's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::F1Macro => "f1_macro",
            Self::MatthewsCorrelation => "matthews_correlation",
            Self::Pearson => "pearson",
            Self::Spearman => "spearmanr",
            Self::MeanSquaredError => "mse",
        }
    }

    /// Whether a larger value is the better one.
    pub const fn greater_is_better(self) -> bool {
        !matches!(self, Self::MeanSquaredError)
    }

    /// Whether `candidate` is better than `best`. NaN is worse than any number, and nothing is better than its equal.
    pub fn is_better(self, candidate: f64, best: f64) -> bool {
        if candidate.is_nan() || best.is_nan() {
            return best.is_nan() && !candidate.is_nan();
        }
        if self.greater_is_better() { candidate > best } else { candidate < best }
    }

    /// Whether it is defined for a model with `num_labels` outputs, where one output is a regression.
    pub const fn applies_to(self, num_labels: usize) -> bool {
        match self {
            Self::Accuracy | Self::F1Macro | Self::MatthewsCorrelation => num_labels > 1,
            Self::F1 => num_labels == 2,
            Self::Pearson | Self::Spearman | Self::MeanSquaredError => num_labels == 1,
        }
    }

    /// Every metric that is defined for a model with `num_labels` outputs.
    pub fn all_for(num_labels: usize) -> Vec<Self> {
        Self::ALL.into_iter().filter(|metric| metric.applies_to(num_labels)).collect()
    }

    /// For a config's `key`: refuses a metric that a model with `num_labels` outputs does not have.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`], with the metrics to choose from.
    pub fn check(self, key: &'static str, num_labels: usize) -> Result<(), DataError> {
        if self.applies_to(num_labels) {
            return Ok(());
        }
        let kind = match num_labels {
            1 => "a regression".to_owned(),
            classes => format!("a task with {classes} classes"),
        };
        let choices = listed(&Self::all_for(num_labels));
        Err(DataError::config(key, self, format!("{kind} has no such metric; use {choices}")))
    }

    /// The value for `answers`, `None` where it does not apply to them ([`applies_to`](Self::applies_to)).
    ///
    /// NaN where it is undefined: of no answers at all, of a correlation with a constant.
    pub fn compute(self, answers: &Predictions) -> Option<f64> {
        if !self.applies_to(answers.num_labels()) {
            return None;
        }
        if answers.is_empty() {
            return Some(f64::NAN);
        }
        Some(match (self, answers) {
            (Self::Accuracy, Predictions::Classes(matrix)) => matrix.accuracy(),
            (Self::F1, Predictions::Classes(matrix)) => matrix.class_scores(1).f1,
            (Self::F1Macro, Predictions::Classes(matrix)) => matrix.f1_macro(),
            (Self::MatthewsCorrelation, Predictions::Classes(matrix)) => {
                matrix.matthews_correlation()
            }
            (Self::Pearson, Predictions::Values { predictions, references }) => {
                pearson(predictions, references)
            }
            (Self::Spearman, Predictions::Values { predictions, references }) => {
                spearman(predictions, references)
            }
            (Self::MeanSquaredError, Predictions::Values { predictions, references }) => {
                mean_squared_error(predictions, references)
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// No metric has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no metric; there are {}", listed(&Metric::ALL), name = .0)]
pub struct UnknownMetric(pub String);

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.name() == name)
            .ok_or_else(|| UnknownMetric(name.to_owned()))
    }
}

impl TryFrom<String> for Metric {
    type Error = UnknownMetric;

    fn try_from(name: String) -> Result<Self, UnknownMetric> {
        name.parse()
    }
}

impl From<Metric> for &'static str {
    fn from(metric: Metric) -> Self {
        metric.name()
    }
}

fn listed(metrics: &[Metric]) -> String {
    let names: Vec<String> = metrics.iter().map(|metric| format!("`{metric}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::Label;

    use super::*;

    #[test]
    fn names_are_read_back() {
        for metric in Metric::ALL {
            assert_eq!(metric.name().parse(), Ok(metric));
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(json, format!("\"{metric}\""));
            assert_eq!(serde_json::from_str::<Metric>(&json).unwrap(), metric);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = serde_json::from_str::<Metric>("\"precision\"").unwrap_err().to_string();
        assert!(error.contains("`precision` is no metric; there are `accuracy`, `f1`"), "{error}");
    }

    #[test]
    fn a_metric_of_another_kind_of_task_is_refused() {
        Metric::F1.check("task.metric", 2).unwrap();
        let error = Metric::F1.check("task.metric", 3).unwrap_err().to_string();
        assert_eq!(
            error,
            "`task.metric` is `f1`: a task with 3 classes has no such metric; use `accuracy`, `f1_macro`, \
             `matthews_correlation`"
        );
        let error = Metric::Accuracy.check("task.metric", 1).unwrap_err().to_string();
        assert!(error.contains("a regression has no such metric; use `pearson`"), "{error}");
    }

    #[test]
    fn exactly_the_metrics_that_apply_are_computed() {
        for (num_labels, label) in
            [(1, Label::Value(1.0)), (2, Label::Class(1)), (5, Label::Class(4))]
        {
            let mut answers = Predictions::new(num_labels);
            answers.record(&label, &label);
            for metric in Metric::ALL {
                let computed = metric.compute(&answers);
                assert_eq!(computed.is_some(), metric.applies_to(num_labels), "{metric}");
            }
        }
    }

    #[test]
    fn of_no_answers_every_metric_is_undefined() {
        for num_labels in 1..4 {
            for metric in Metric::all_for(num_labels) {
                assert!(
                    metric.compute(&Predictions::new(num_labels)).unwrap().is_nan(),
                    "{metric}"
                );
            }
        }
    }

    #[test]
    fn better_is_larger_but_for_errors_and_never_undefined() {
        assert!(Metric::Accuracy.is_better(0.6, 0.5) && !Metric::Accuracy.is_better(0.5, 0.6));
        assert!(Metric::MeanSquaredError.is_better(0.5, 0.6));
        for metric in Metric::ALL {
            assert!(!metric.is_better(0.5, 0.5));
            assert!(metric.is_better(0.5, f64::NAN) && !metric.is_better(f64::NAN, 0.5));
            assert!(!metric.is_better(f64::NAN, f64::NAN));
        }
    }
}
