//! Which of two evaluations is the better one.

use nystromformer_tasks::metrics::Metric;

use crate::batch::BatchSource;
use crate::error::{LearnerError, Result};
use crate::metrics_log::EvaluationRecord;

/// What evaluations are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BestBy {
    /// The lowest loss.
    Loss,
    /// The best value of a metric.
    Metric(Metric),
}

impl BestBy {
    /// By the value of `trainer.metric_for_best_model`.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if the data has no such metric.
    pub(super) fn of(name: &str, data: &dyn BatchSource) -> Result<Self> {
        let metrics = data.metrics();
        if name == "loss" || metrics.is_empty() && name.is_empty() {
            return Ok(Self::Loss);
        }
        let found = metrics.iter().find(|metric| name.is_empty() || metric.name() == name);
        found.map(|metric| Self::Metric(*metric)).ok_or_else(|| {
            let known: Vec<&str> = metrics.iter().map(|metric| metric.name()).collect();
            LearnerError::Config(format!(
                "`trainer.metric_for_best_model` is `{name}`, which is not measured here; use one of: loss {}",
                known.join(" ")
            ))
        })
    }

    /// The name of what is compared.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Metric(metric) => metric.name(),
        }
    }

    /// The rule in words.
    pub(super) fn describe(self) -> String {
        match self {
            Self::Loss => "the lowest loss on the validation split".to_owned(),
            Self::Metric(metric) => {
                let most = if metric.greater_is_better() { "highest" } else { "lowest" };
                format!("the {most} {} on the validation split", metric.name())
            }
        }
    }

    /// The rule of this name, as [`Self::name`] gives it.
    pub(super) fn named(name: &str) -> Self {
        name.parse().map_or(Self::Loss, Self::Metric)
    }

    /// What an evaluation is compared by; not a number if it was not measured.
    pub(super) fn value(self, record: &EvaluationRecord) -> f64 {
        match self {
            Self::Loss => record.loss,
            Self::Metric(metric) => record.metric(metric.name()).unwrap_or(f64::NAN),
        }
    }

    /// Whether `candidate` is better than `best`. What is not finite is no best, and would bar every later one.
    pub(super) fn is_better(
        self,
        candidate: &EvaluationRecord,
        best: Option<&EvaluationRecord>,
    ) -> bool {
        let value = self.value(candidate);
        if !value.is_finite() {
            return false;
        }
        let Some(best) = best.map(|best| self.value(best)).filter(|best| best.is_finite()) else {
            return true;
        };
        match self {
            Self::Loss => value < best,
            Self::Metric(metric) => metric.is_better(value, best),
        }
    }
}
