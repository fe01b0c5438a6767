//! [`Scorer`]: what is measured of predictions beside what is right.

use std::collections::BTreeMap;
use std::fmt;

use super::{ClassificationReport, Metric, Predictions};
use crate::example::Label;
use crate::labelled::Targets;
use crate::prediction::Prediction;

/// From what probability on a class applies, by its name, or by what score a question has no answer; chosen on validation data.
pub type Thresholds = BTreeMap<String, f64>;

/// An example with a label and what a model said of it.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
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
    fn score(&self, answered: &[Answered<'_>], thresholds: &Thresholds) -> BTreeMap<String, f64>;

    /// The thresholds by which these answers score best. Default: there is nothing to choose.
    fn thresholds(&self, answered: &[Answered<'_>]) -> Thresholds {
        let _ = answered;
        Thresholds::new()
    }

    /// Confusion matrix and scores of each class. Default: none, where an example is not of one class.
    fn report(&self, answered: &[Answered<'_>]) -> Option<ClassificationReport> {
        let _ = answered;
        None
    }

    /// The metrics of a predictor that always says the same, which is right most often among the labels of training; one
    /// that is undefined is left out. Default: none.
    fn constant_predictor(
        &self,
        training: &mut dyn Iterator<Item = &Label>,
        answered: &[Answered<'_>],
    ) -> BTreeMap<String, f64> {
        let _ = (training, answered);
        BTreeMap::new()
    }
}

/// Some [`Metric`]s of classes or of numbers.
#[derive(Debug, Clone)]
pub struct MetricScorer {
    metrics: Vec<Metric>,
    /// Names of the model's outputs.
    names: Vec<String>,
    is_regression: bool,
}

impl MetricScorer {
    /// These metrics of a task with these targets.
    pub fn new(metrics: Vec<Metric>, targets: &Targets) -> Self {
        Self { metrics, names: targets.names(), is_regression: targets.is_regression() }
    }

    fn predictions(&self, answered: &[Answered<'_>]) -> Predictions {
        let mut predictions = Predictions::new(self.names.len());
        for Answered { prediction, label, .. } in answered {
            if let Some(decided) = prediction.decided(&self.names, &Thresholds::new()) {
                predictions.record(&decided, label);
            }
        }
        predictions
    }

    fn compute(&self, predictions: &Predictions) -> BTreeMap<String, f64> {
        let value =
            |metric: &Metric| Some((metric.name().to_owned(), metric.compute(predictions)?));
        self.metrics.iter().filter_map(value).collect()
    }

    /// The most frequent class, the first of equals, or the mean of the numbers.
    fn constant(&self, training: &mut dyn Iterator<Item = &Label>) -> Label {
        let mut counts = vec![0_usize; self.names.len()];
        let (mut sum, mut examples) = (0.0, 0_usize);
        for label in training {
            examples += 1;
            match label {
                Label::Class(class) => counts[usize::from(*class)] += 1,
                Label::Value(value) => sum += f64::from(*value),
                _ => {}
            }
        }
        if self.is_regression {
            return Label::Value((sum / examples as f64) as f32);
        }
        let classes = counts.iter().enumerate().rev();
        let most = classes.max_by_key(|(_, count)| **count).map_or(0, |(class, _)| class);
        Label::Class(most as u16)
    }
}

impl Scorer for MetricScorer {
    fn names(&self) -> Vec<MetricName> {
        self.metrics.iter().copied().map(MetricName::from).collect()
    }

    fn score(&self, answered: &[Answered<'_>], _: &Thresholds) -> BTreeMap<String, f64> {
        self.compute(&self.predictions(answered))
    }

    fn report(&self, answered: &[Answered<'_>]) -> Option<ClassificationReport> {
        match self.predictions(answered) {
            Predictions::Classes(matrix) => Some(ClassificationReport::new(matrix, &self.names)),
            Predictions::Values { .. } => None,
        }
    }

    fn constant_predictor(
        &self,
        training: &mut dyn Iterator<Item = &Label>,
        answered: &[Answered<'_>],
    ) -> BTreeMap<String, f64> {
        let constant = self.constant(training);
        let mut values = self.compute(&self.predictions(answered).of_constant(&constant));
        values.retain(|_, value| value.is_finite());
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_predictor_is_the_most_frequent_class_of_training() {
        let targets = Targets::classes(["a", "b"]).unwrap();
        let scorer = MetricScorer::new(vec![Metric::Accuracy], &targets);
        let training = [Label::Class(1), Label::Class(0), Label::Class(1)];
        let labels = [Label::Class(0), Label::Class(1), Label::Class(0), Label::Class(0)];
        let prediction = Prediction::one_class(&[1.0, 0.0]);
        let answered: Vec<Answered<'_>> = labels
            .iter()
            .enumerate()
            .map(|(place, label)| Answered { place, prediction: &prediction, label })
            .collect();
        assert_eq!(scorer.score(&answered, &Thresholds::new())["accuracy"], 0.75);
        let constant = scorer.constant_predictor(&mut training.iter(), &answered);
        assert_eq!(constant["accuracy"], 0.25);
        assert_eq!(scorer.report(&answered).unwrap().per_class[0].support, 3);
    }

    #[test]
    fn a_constant_number_is_the_mean() {
        let scorer =
            MetricScorer::new(vec![Metric::Pearson, Metric::MeanSquaredError], &Targets::numbers());
        let training = [Label::Value(1.0), Label::Value(3.0)];
        let prediction = Prediction::Values(vec![5.0]);
        let label = Label::Value(4.0);
        let answered = [Answered { place: 0, prediction: &prediction, label: &label }];
        let constant = scorer.constant_predictor(&mut training.iter(), &answered);
        // The correlation with a constant is undefined.
        assert_eq!(constant, BTreeMap::from([("mse".to_owned(), 4.0)]));
    }
}
