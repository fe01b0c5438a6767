//! The metrics by name, what they apply to, and which way is better.

use std::{fmt, str::FromStr};

use nystromformer_data::DataError;
use serde::{Deserialize, Serialize};

use super::AnswerKind;

/// A number that tells how good answers are.
///
/// Averages over classes are scikit-learn's: *macro* is the mean over the classes, *weighted* over the examples, *micro* counts
/// every answer to every class, *samples* is the mean over the examples' sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Metric {
    /// `accuracy`: the share of right answers.
    Accuracy,
    /// `balanced_accuracy`: the mean of recall over the classes that occur.
    BalancedAccuracy,
    /// `f1`: the harmonic mean of precision and recall of class 1, of two classes. 0 where class 1 neither
    /// occurs nor is predicted.
    F1,
    /// `f1_macro`: the mean of every class's F1; of one class an example over the classes that occur or are predicted, of any
    /// number over all.
    F1Macro,
    /// `f1_micro`: F1 of all answers together; of one class an example it is the accuracy.
    F1Micro,
    /// `f1_weighted`: the mean of every class's F1, weighed by how often it occurs.
    F1Weighted,
    /// `f1_samples`: the mean over the examples of the F1 of their sets.
    F1Samples,
    /// `precision`: the share of right answers where class 1 was predicted, of two classes; 0 where it never was.
    Precision,
    /// `precision_macro`: the mean of every class's precision.
    PrecisionMacro,
    /// `precision_micro`: the share of right ones among all labels that were predicted.
    PrecisionMicro,
    /// `recall`: the share of right answers where class 1 is right, of two classes; 0 where it never is.
    Recall,
    /// `recall_macro`: the mean of every class's recall.
    RecallMacro,
    /// `recall_micro`: the share of right ones among all labels that apply.
    RecallMicro,
    /// `matthews_correlation`: of any number of classes (Gorodkin 2004, "Comparing two K-category assignments by a
    /// K-category correlation coefficient"). 0 where only one class is predicted, or only one occurs.
    MatthewsCorrelation,
    /// `cohen_kappa`: agreement beyond chance. NaN where both sides know one and the same class alone.
    CohenKappa,
    /// `roc_auc`: area under the receiver's curve, by the probability of class 1 of two; of more classes or labels the mean over
    /// those that occur, each against the rest. NaN where none can be told from another.
    RocAuc,
    /// `average_precision`: precision over recall, summed up, likewise.
    AveragePrecision,
    /// `log_loss`: minus the logarithm of the right class's probability.
    LogLoss,
    /// `subset_accuracy`: the share of examples all of whose labels are right, and no other is predicted.
    SubsetAccuracy,
    /// `hamming_loss`: the share of wrong answers, of each label of each example.
    HammingLoss,
    /// `label_ranking_average_precision`: how well the labels that apply are ranked before the others.
    LabelRankingAveragePrecision,
    /// `pearson`: linear correlation of numbers. NaN where predictions or references are all the same.
    Pearson,
    /// `spearman`: Pearson's correlation of ranks, equal numbers sharing the mean of theirs. NaN as there.
    Spearman,
    /// `mse`: the mean of squared differences.
    MeanSquaredError,
    /// `rmse`: its root.
    RootMeanSquaredError,
    /// `mae`: the mean of differences without their sign.
    MeanAbsoluteError,
    /// `r2`: the coefficient of determination. NaN of fewer than two numbers.
    R2,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::Accuracy,
        Self::BalancedAccuracy,
        Self::F1,
        Self::F1Macro,
        Self::F1Micro,
        Self::F1Weighted,
        Self::F1Samples,
        Self::Precision,
        Self::PrecisionMacro,
        Self::PrecisionMicro,
        Self::Recall,
        Self::RecallMacro,
        Self::RecallMicro,
        Self::MatthewsCorrelation,
        Self::CohenKappa,
        Self::RocAuc,
        Self::AveragePrecision,
        Self::LogLoss,
        Self::SubsetAccuracy,
        Self::HammingLoss,
        Self::LabelRankingAveragePrecision,
        Self::Pearson,
        Self::Spearman,
        Self::MeanSquaredError,
        Self::RootMeanSquaredError,
        Self::MeanAbsoluteError,
        Self::R2,
    ];

    /// The name in configs, logs and summaries: that of Hugging Face's `evaluate`, or scikit-learn's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced_accuracy",
            Self::F1 => "f1",
            Self::F1Macro => "f1_macro",
            Self::F1Micro => "f1_micro",
            Self::F1Weighted => "f1_weighted",
            Self::F1Samples => "f1_samples",
            Self::Precision => "precision",
            Self::PrecisionMacro => "precision_macro",
            Self::PrecisionMicro => "precision_micro",
            Self::Recall => "recall",
            Self::RecallMacro => "recall_macro",
            Self::RecallMicro => "recall_micro",
            Self::MatthewsCorrelation => "matthews_correlation",
            Self::CohenKappa => "cohen_kappa",
            Self::RocAuc => "roc_auc",
            Self::AveragePrecision => "average_precision",
            Self::LogLoss => "log_loss",
            Self::SubsetAccuracy => "subset_accuracy",
            Self::HammingLoss => "hamming_loss",
            Self::LabelRankingAveragePrecision => "label_ranking_average_precision",
            Self::Pearson => "pearson",
            Self::Spearman => "spearman",
            Self::MeanSquaredError => "mse",
            Self::RootMeanSquaredError => "rmse",
            Self::MeanAbsoluteError => "mae",
            Self::R2 => "r2",
        }
    }

    /// Whether a larger value is the better one.
    pub const fn greater_is_better(self) -> bool {
        !matches!(
            self,
            Self::LogLoss
                | Self::HammingLoss
                | Self::MeanSquaredError
                | Self::RootMeanSquaredError
                | Self::MeanAbsoluteError
        )
    }

    /// Whether `candidate` is better than `best`. NaN is worse than any number, and nothing is better than its equal.
    pub fn is_better(self, candidate: f64, best: f64) -> bool {
        if candidate.is_nan() || best.is_nan() {
            return best.is_nan() && !candidate.is_nan();
        }
        if self.greater_is_better() { candidate > best } else { candidate < best }
    }

    /// Whether it is defined for such answers.
    pub const fn applies_to(self, kind: AnswerKind) -> bool {
        match self {
            Self::Accuracy => matches!(kind, AnswerKind::Classes(_) | AnswerKind::Choices),
            Self::F1 | Self::Precision | Self::Recall => matches!(kind, AnswerKind::Classes(2)),
            Self::BalancedAccuracy
            | Self::MatthewsCorrelation
            | Self::CohenKappa
            | Self::LogLoss => matches!(kind, AnswerKind::Classes(_)),
            Self::F1Macro
            | Self::F1Micro
            | Self::F1Weighted
            | Self::PrecisionMacro
            | Self::RecallMacro
            | Self::RocAuc
            | Self::AveragePrecision => {
                matches!(kind, AnswerKind::Classes(_) | AnswerKind::Labels(_))
            }
            Self::F1Samples
            | Self::PrecisionMicro
            | Self::RecallMicro
            | Self::SubsetAccuracy
            | Self::HammingLoss
            | Self::LabelRankingAveragePrecision => matches!(kind, AnswerKind::Labels(_)),
            Self::Pearson
            | Self::Spearman
            | Self::MeanSquaredError
            | Self::RootMeanSquaredError
            | Self::MeanAbsoluteError
            | Self::R2 => matches!(kind, AnswerKind::Values(_)),
        }
    }

    /// Every metric that is defined for such answers.
    pub fn all_for(kind: AnswerKind) -> Vec<Self> {
        Self::ALL.into_iter().filter(|metric| metric.applies_to(kind)).collect()
    }

    /// For a config's `key`: refuses a metric that such answers do not have.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`], with the metrics to choose from.
    pub fn check(self, key: &'static str, kind: AnswerKind) -> Result<(), DataError> {
        if self.applies_to(kind) {
            return Ok(());
        }
        let described = match kind {
            AnswerKind::Values(_) => "a regression".to_owned(),
            AnswerKind::Classes(classes) => format!("a task with {classes} classes"),
            AnswerKind::Labels(_) => "a task with any number of classes an example".to_owned(),
            AnswerKind::Choices => "a task of choices".to_owned(),
        };
        let choices = listed(&Self::all_for(kind));
        Err(DataError::config(key, self, format!("{described} has no such metric; use {choices}")))
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
        // Its name before, which is that of Hugging Face's `evaluate`.
        if name == "spearmanr" {
            return Ok(Self::Spearman);
        }
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
    use super::*;

    #[test]
    fn names_are_read_back() {
        for metric in Metric::ALL {
            assert_eq!(metric.name().parse(), Ok(metric));
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(json, format!("\"{metric}\""));
            assert_eq!(serde_json::from_str::<Metric>(&json).unwrap(), metric);
        }
        assert_eq!("spearmanr".parse(), Ok(Metric::Spearman));
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = serde_json::from_str::<Metric>("\"f2\"").unwrap_err().to_string();
        assert!(error.contains("`f2` is no metric; there are `accuracy`, "), "{error}");
    }

    #[test]
    fn a_metric_of_another_kind_of_task_is_refused() {
        Metric::F1.check("task.metrics", AnswerKind::Classes(2)).unwrap();
        let error =
            Metric::F1.check("task.metrics", AnswerKind::Classes(3)).unwrap_err().to_string();
        let expected = "`task.metrics` is `f1`: a task with 3 classes has no such metric; use `accuracy`, `balanced_accuracy`, \
                        `f1_macro`, ";
        assert!(error.starts_with(expected), "{error}");
        let error =
            Metric::Accuracy.check("task.metrics", AnswerKind::Values(1)).unwrap_err().to_string();
        assert!(error.contains("a regression has no such metric; use `pearson`"), "{error}");
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
