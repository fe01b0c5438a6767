//! Which of two evaluations is the better one.

use nystromformer_tasks::metrics::Metric;

use crate::error::{LearnerError, Result};
use crate::metrics_log::EvaluationRecord;
use crate::trainable::MetricName;

const LOSS: &str = "loss";

/// What evaluations are compared by: the loss or a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BestBy(MetricName);

impl BestBy {
    /// The lowest loss.
    pub(super) fn loss() -> Self {
        Self(MetricName { name: LOSS.to_owned(), greater_is_better: false })
    }

    /// By the value of `trainer.metric_for_best_model`; if that is empty, by the first metric of the data, or by the loss
    /// if it names none.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if neither the data nor, where the data names no metrics, the model has such a metric.
    pub(super) fn of(name: &str, data: &[MetricName], model: Vec<MetricName>) -> Result<Self> {
        if name == LOSS || name.is_empty() && data.is_empty() {
            return Ok(Self::loss());
        }
        let mut known: Vec<MetricName> = data.to_vec();
        if known.is_empty() {
            known = model;
        }
        let names: Vec<String> = known.iter().map(|metric| metric.name.clone()).collect();
        let mut known = known.into_iter();
        known.find(|metric| name.is_empty() || metric.name == name).map(Self).ok_or_else(|| {
            LearnerError::Config(format!(
                "`trainer.metric_for_best_model` is `{name}`, which is not measured here; use one of: {LOSS} {}",
                names.join(" ")
            ))
        })
    }

    /// The name of what is compared.
    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// The rule in words.
    pub(super) fn describe(&self) -> String {
        let most = if self.0.greater_is_better { "highest" } else { "lowest" };
        format!("the {most} {} on the validation split", self.0.name)
    }

    /// The rule of this name, as [`Self::name`] gives it.
    pub(super) fn named(name: &str) -> Self {
        name.parse::<Metric>().map_or_else(|_| Self::loss(), |metric| Self(metric.into()))
    }

    /// What an evaluation is compared by; not a number if it was not measured.
    fn value(&self, record: &EvaluationRecord) -> f64 {
        if self.0.name == LOSS {
            return record.loss;
        }
        record.metric(&self.0.name).unwrap_or(f64::NAN)
    }

    /// Whether `candidate` is better than `best`. What is not finite is no best, and would bar every later one.
    pub(super) fn is_better(
        &self,
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
        if self.0.greater_is_better { value > best } else { value < best }
    }
}
