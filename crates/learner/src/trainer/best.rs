//! Which of two evaluations is the better one.

use nystromformer_tasks::metrics::Metric;

use super::best_model_results::BestModelResults;
use crate::error::{LearnerError, Result};
use crate::metrics_log::EvaluationRecord;
use crate::trainable::MetricName;

const LOSS: &str = "loss";

/// What evaluations are compared by: the loss or a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BestBy(MetricName);

impl BestBy {
    /// By a metric that is known, or the loss.
    pub(super) fn named(name: String, greater_is_better: bool) -> Self {
        Self(MetricName { name, greater_is_better })
    }

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

    /// What is compared, and which way.
    pub(super) fn into_name(self) -> MetricName {
        self.0
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

    /// Whether a larger value is the better one.
    pub(super) fn greater_is_better(&self) -> bool {
        self.0.greater_is_better
    }

    /// The rule by which a finished run has chosen its best model.
    ///
    /// # Errors
    /// [`LearnerError::Data`] if its summary does not say which way is better, as older ones do not, and the metric is none
    /// of which that is known.
    pub(super) fn of_results(results: &BestModelResults) -> Result<Self> {
        let name = results.best_by.as_str();
        let known = match (results.greater_is_better, name.parse::<Metric>()) {
            (Some(greater_is_better), _) => {
                Some(Self(MetricName { name: name.to_owned(), greater_is_better }))
            }
            (None, Ok(metric)) => Some(Self(metric.into())),
            (None, Err(_)) => (name == LOSS).then(Self::loss),
        };
        known.ok_or_else(|| {
            LearnerError::Data(format!(
                "a run of this series has chosen its best model by `{name}`, and its `summary.json` does not say whether more \
                 of that is better: add `\"greater_is_better\": true` or `false` beside `best_by` there"
            ))
        })
    }

    /// What an evaluation is compared by; not a number if it was not measured.
    pub(super) fn value(&self, record: &EvaluationRecord) -> f64 {
        if self.0.name == LOSS {
            return record.loss;
        }
        record.metric(&self.0.name).unwrap_or(f64::NAN)
    }

    /// Whether a model whose loss is a number has none by which it is compared.
    pub(super) fn is_undefined(&self, record: &EvaluationRecord) -> bool {
        record.loss.is_finite() && !self.value(record).is_finite()
    }

    /// Whether `candidate` is better than `best`. What is not finite is no best, and would bar every later one.
    pub(super) fn is_better(
        &self,
        candidate: &EvaluationRecord,
        best: Option<&EvaluationRecord>,
    ) -> bool {
        self.is_better_by(candidate, best, 0.0)
    }

    /// Whether it is better by more than `threshold`, as transformers' `early_stopping_threshold` has it.
    pub(super) fn is_better_by(
        &self,
        candidate: &EvaluationRecord,
        best: Option<&EvaluationRecord>,
        threshold: f64,
    ) -> bool {
        let value = self.value(candidate);
        if !value.is_finite() {
            return false;
        }
        // Metrics of answers that are not numbers say nothing of a model. Without targets there is no loss at all.
        if let Some(best) = best.filter(|best| best.loss.is_nan() != candidate.loss.is_nan()) {
            return best.loss.is_nan();
        }
        let Some(best) = best.map(|best| self.value(best)).filter(|best| best.is_finite()) else {
            return true;
        };
        let is_better = if self.0.greater_is_better { value > best } else { value < best };
        is_better && (value - best).abs() > threshold
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn record(loss: f64, accuracy: f64) -> EvaluationRecord {
        let metrics = BTreeMap::from([("accuracy".to_owned(), accuracy)]);
        EvaluationRecord { step: 1, loss, metrics }
    }

    #[test]
    fn an_improvement_counts_if_it_is_larger_than_the_threshold() {
        let accuracy = BestBy::of("accuracy", &[Metric::Accuracy.into()], Vec::new()).unwrap();
        let best = record(1.0, 0.5);
        // The loss is no matter, and a threshold is not met by its equal.
        for (candidate, threshold, expected) in
            [(0.75, 0.0, true), (0.75, 0.25, false), (0.75, 0.2, true), (0.5, 0.0, false)]
        {
            let found = accuracy.is_better_by(&record(9.0, candidate), Some(&best), threshold);
            assert_eq!(found, expected, "{candidate} {threshold}");
        }
        assert!(BestBy::loss().is_better_by(&record(0.5, 0.0), Some(&best), 0.4));
        assert!(!BestBy::loss().is_better_by(&record(0.5, 0.0), Some(&best), 0.5));
        // The first is the best, and what is not finite never is.
        assert!(accuracy.is_better_by(&record(1.0, 0.1), None, 5.0));
        assert!(!accuracy.is_better_by(&record(1.0, f64::NAN), None, 0.0));
        assert!(accuracy.is_undefined(&record(1.0, f64::NAN)));
        assert!(!accuracy.is_undefined(&record(f64::NAN, f64::NAN)));
        assert!(!accuracy.is_undefined(&best));
        // Whose loss is not a number is no better than whose loss is one, whatever else was measured.
        let diverged = record(f64::NAN, 0.9);
        assert!(!accuracy.is_better_by(&diverged, Some(&best), 0.0));
        assert!(accuracy.is_better_by(&best, Some(&diverged), 0.0));
        assert!(accuracy.is_better_by(&diverged, Some(&record(f64::NAN, 0.5)), 0.0));
    }

    /// Series compare their runs by what the runs' summaries say, also by metrics that no list knows.
    #[test]
    fn the_rule_of_a_finished_run_is_read_from_its_summary() {
        let results = |best_by: &str, more: &str| {
            let json = format!(
                "{{\"step\": 3, \"chosen_by\": \"\", \"best_by\": \"{best_by}\", {more} \"evaluations\": {{}}, \
                 \"constant_predictor\": {{}}}}"
            );
            BestBy::of_results(&serde_json::from_str(&json).unwrap())
        };
        let entities = results("entity_f1", "\"greater_is_better\": true,").unwrap();
        assert!(entities.greater_is_better() && entities.name() == "entity_f1");
        assert!(results("accuracy", "").unwrap().greater_is_better());
        assert!(!results("mse", "").unwrap().greater_is_better());
        assert_eq!(results("loss", "").unwrap(), BestBy::loss());
        let error = results("entity_f1", "").unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("`entity_f1`"), "{error}");
    }
}
