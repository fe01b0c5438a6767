//! [`Scorer`]: what is measured of predictions beside what is right.

use std::collections::BTreeMap;
use std::fmt;

use nystromformer_data::DataError;

use super::{ClassificationReport, Metric};
use crate::example::Label;
use crate::prediction::Prediction;

/// From what probability on a class applies, by its name, or by what score a question has no answer; chosen on validation data.
pub type Thresholds = BTreeMap<String, f64>;

/// An example with a label and what a model said of it.
#[derive(Debug, Clone, Copy)]
pub struct LabelledPrediction<'a> {
    /// The example's place in its split, from 0.
    pub place: usize,
    /// What the model said.
    pub prediction: &'a Prediction,
    /// What is right.
    pub label: &'a Label,
}

/// A metric's name, and which way is better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricName {
    /// The field's name for it, e.g. `accuracy`.
    pub name: String,
    /// Whether a larger value is the better one.
    pub greater_is_better: bool,
}

impl MetricName {
    /// A metric whose larger value is the better one.
    pub fn greater_is_better(name: impl Into<String>) -> Self {
        Self { name: name.into(), greater_is_better: true }
    }

    /// A metric whose smaller value is the better one.
    pub fn lower_is_better(name: impl Into<String>) -> Self {
        Self { name: name.into(), greater_is_better: false }
    }
}

impl From<Metric> for MetricName {
    fn from(metric: Metric) -> Self {
        Self { name: metric.name().to_owned(), greater_is_better: metric.greater_is_better() }
    }
}

/// How good predictions are.
pub trait Scorer: fmt::Debug + Send + Sync {
    /// What [`Self::score`] gives. The first is what the best checkpoint is chosen by if nothing else is said.
    fn names(&self) -> Vec<MetricName>;

    /// The metrics by name. One that is undefined is NaN; one that does not apply is left out.
    ///
    /// # Errors
    ///
    /// [`DataError::Example`] for a prediction and a label that cannot be compared.
    fn score(
        &self,
        answered: &[LabelledPrediction<'_>],
        thresholds: &Thresholds,
    ) -> Result<BTreeMap<String, f64>, DataError>;

    /// The thresholds that the task's keys set, which no others take the place of. Default: none are set.
    fn fixed_thresholds(&self) -> Option<Thresholds> {
        None
    }

    /// The key of the task that sets thresholds, and the value that decides where none is set and none were chosen. Default: `None`,
    /// nothing is decided by a threshold.
    fn threshold_key(&self) -> Option<(&'static str, f64)> {
        None
    }

    /// The thresholds by which these answers score best; asked where no key sets them. Default: there is nothing to choose.
    ///
    /// # Errors
    ///
    /// As [`Self::score`].
    fn best_thresholds(
        &self,
        answered: &[LabelledPrediction<'_>],
    ) -> Result<Thresholds, DataError> {
        let _ = answered;
        Ok(Thresholds::new())
    }

    /// Scores of each class, and the confusion matrix where an answer is one class. Default: none, where answers are no classes.
    ///
    /// # Errors
    ///
    /// As [`Self::score`].
    fn report(
        &self,
        answered: &[LabelledPrediction<'_>],
        thresholds: &Thresholds,
    ) -> Result<Option<ClassificationReport>, DataError> {
        let _ = (answered, thresholds);
        Ok(None)
    }

    /// The metrics of a predictor that always says the same, which is right most often among the labels of training; one
    /// that is undefined is left out. Default: none.
    ///
    /// # Errors
    ///
    /// As [`Self::score`].
    fn constant_predictor(
        &self,
        training: &mut dyn Iterator<Item = &Label>,
        answered: &[LabelledPrediction<'_>],
    ) -> Result<BTreeMap<String, f64>, DataError> {
        let _ = (training, answered);
        Ok(BTreeMap::new())
    }
}
