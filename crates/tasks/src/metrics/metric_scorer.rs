//! [`MetricScorer`]: some metrics of examples that are answered as a whole.

use std::collections::BTreeMap;

use nystromformer_data::DataError;
use nystromformer_files::say_once;

use super::{
    AnswerKind, ClassScores, ClassificationReport, DEFAULT_THRESHOLD, LabelledPrediction, Metric,
    MetricName, Predictions, Scorer, Thresholds,
};
use crate::example::Label;
use crate::labelled::Targets;
use crate::prediction::Prediction;

/// Some [`Metric`]s of examples that are answered as a whole: by classes, choices or numbers.
#[derive(Debug, Clone)]
pub struct MetricScorer {
    metrics: Vec<Metric>,
    /// `None` where answers are parts of examples, of which there are no such metrics.
    kind: Option<AnswerKind>,
    /// Names of the model's outputs.
    names: Vec<String>,
    /// From which probability on every label applies, if that is given.
    threshold: Option<f64>,
}

impl MetricScorer {
    /// These metrics of a task with these targets.
    pub fn new(metrics: Vec<Metric>, targets: &Targets) -> Self {
        Self { metrics, kind: AnswerKind::of(targets), names: targets.names(), threshold: None }
    }

    /// With one threshold for all labels, if there is one. Default: each label has the one of its best F1 on the validation data.
    #[must_use]
    pub fn with_threshold(self, threshold: Option<f64>) -> Self {
        Self { threshold, ..self }
    }

    /// What was said of these examples, or is said by `constant` of each; `None` where answers are parts of examples.
    fn predictions(
        &self,
        answered: &[LabelledPrediction<'_>],
        constant: Option<&Prediction>,
    ) -> Result<Option<Predictions>, DataError> {
        let Some(kind) = self.kind else { return Ok(None) };
        let mut predictions = Predictions::new(kind);
        for LabelledPrediction { place, prediction, label } in answered {
            predictions.record(constant.unwrap_or(prediction), label).map_err(|mismatch| {
                DataError::Example { place: *place, problem: mismatch.to_string() }
            })?;
        }
        Ok(Some(predictions))
    }

    /// The threshold of each label.
    fn of_labels(&self, thresholds: &Thresholds) -> Vec<f64> {
        let of_label = |name: &String| {
            thresholds.get(name).copied().unwrap_or_else(|| f64::from(DEFAULT_THRESHOLD))
        };
        self.names.iter().map(of_label).collect()
    }

    /// The metrics, and where several numbers are predicted, also those of each: `pearson/NAME`.
    fn compute(&self, predictions: &Predictions, thresholds: &Thresholds) -> BTreeMap<String, f64> {
        let thresholds = self.of_labels(thresholds);
        let mut values = BTreeMap::new();
        for metric in &self.metrics {
            if let Some(value) = metric.compute(predictions, &thresholds) {
                values.insert(metric.name().to_owned(), value);
            }
            if let Predictions::Values(columns) = predictions
                && columns.len() > 1
            {
                for (column, name) in columns.iter().zip(&self.names) {
                    if let Some(value) = metric.of_numbers(column) {
                        values.insert(of_column(*metric, name), value);
                    }
                }
            }
        }
        values
    }

    /// A predictor that always says the same: how often each class occurs in training, of which it chooses the most frequent (the
    /// first of equals); the mean of the numbers.
    fn constant(&self, training: &mut dyn Iterator<Item = &Label>) -> Option<Prediction> {
        let mut sums = vec![0.0; self.names.len()];
        let mut examples = 0_usize;
        for label in training {
            examples += 1;
            let mut count = |class: &u16| {
                let class = usize::from(*class);
                // Choices have no names that say how many there are.
                sums.resize(sums.len().max(class + 1), 0.0);
                sums[class] += 1.0;
            };
            match label {
                Label::Class(class) => count(class),
                Label::Classes(classes) => classes.iter().for_each(count),
                Label::Value(value) => sums[0] += f64::from(*value),
                Label::Values(values) => {
                    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
                }
                Label::Tags(_) | Label::Answers(_) => {}
            }
        }
        let means: Vec<f32> = sums.iter().map(|sum| (sum / examples as f64) as f32).collect();
        Some(match self.kind? {
            AnswerKind::Values(_) => Prediction::Values(means),
            AnswerKind::Labels(_) => Prediction::Classes(means),
            AnswerKind::Classes(_) | AnswerKind::Choices => {
                let classes = sums.iter().enumerate().rev();
                let most = classes.max_by(|left, right| left.1.total_cmp(right.1));
                let class = most.map_or(0, |(class, _)| class as u16);
                Prediction::Class { class, scores: means }
            }
        })
    }
}

/// The accuracy to expect of whoever draws one of the choices, which are more for one question than for another.
fn chance(answered: &[LabelledPrediction<'_>]) -> f64 {
    let of_question = answered.iter().filter_map(|answered| match answered.prediction {
        Prediction::Class { scores, .. } => {
            // An empty place is no choice.
            let choices = scores.iter().filter(|score| !score.is_nan()).count();
            Some(1.0 / choices as f64)
        }
        _ => None,
    });
    of_question.sum::<f64>() / answered.len() as f64
}

/// What a metric of one of several numbers is called.
fn of_column(metric: Metric, name: &str) -> String {
    format!("{metric}/{name}")
}

impl Scorer for MetricScorer {
    fn names(&self) -> Vec<MetricName> {
        let mut names: Vec<MetricName> =
            self.metrics.iter().copied().map(MetricName::from).collect();
        if let Some(AnswerKind::Values(columns)) = self.kind
            && columns > 1
        {
            let of_columns = self.metrics.iter().flat_map(|metric| {
                self.names.iter().map(|name| MetricName {
                    name: of_column(*metric, name),
                    greater_is_better: metric.greater_is_better(),
                })
            });
            names.extend(of_columns);
        }
        names
    }

    fn score(
        &self,
        answered: &[LabelledPrediction<'_>],
        thresholds: &Thresholds,
    ) -> Result<BTreeMap<String, f64>, DataError> {
        let predictions = self.predictions(answered, None)?;
        Ok(predictions.map_or_else(BTreeMap::new, |found| self.compute(&found, thresholds)))
    }

    fn fixed_thresholds(&self) -> Option<Thresholds> {
        let threshold = self.threshold?;
        Some(self.names.iter().map(|name| (name.clone(), threshold)).collect())
    }

    fn threshold_key(&self) -> Option<(&'static str, f64)> {
        let scores_sets = matches!(self.kind, Some(AnswerKind::Labels(_)));
        scores_sets.then(|| ("task.threshold", f64::from(DEFAULT_THRESHOLD)))
    }

    fn best_thresholds(
        &self,
        answered: &[LabelledPrediction<'_>],
    ) -> Result<Thresholds, DataError> {
        let Some(Predictions::Labels(sets)) = self.predictions(answered, None)? else {
            return Ok(Thresholds::new());
        };
        let chosen = sets.best_thresholds();
        let left = chosen.iter().filter(|threshold| threshold.is_none()).count();
        if left > 0 && !sets.is_empty() {
            say_once(format!(
                "`{left}` of the `{}` classes apply to no example of the validation split: their threshold stays at \
                 {DEFAULT_THRESHOLD} (`task.threshold` sets one for all)",
                chosen.len()
            ));
        }
        let thresholds = chosen.into_iter().map(|threshold| threshold.unwrap_or(DEFAULT_THRESHOLD));
        Ok(self.names.iter().cloned().zip(thresholds.map(f64::from)).collect())
    }

    fn report(
        &self,
        answered: &[LabelledPrediction<'_>],
        thresholds: &Thresholds,
    ) -> Result<Option<ClassificationReport>, DataError> {
        Ok(match self.predictions(answered, None)? {
            Some(Predictions::Classes(classes)) => {
                Some(ClassificationReport::new(classes.matrix, &self.names))
            }
            Some(Predictions::Labels(sets)) => {
                let counts = sets.counts(&self.of_labels(thresholds));
                let per_class = counts.labels.into_iter().map(ClassScores::from).collect();
                let labels = self.names.clone();
                Some(ClassificationReport { labels, confusion_matrix: None, per_class })
            }
            Some(Predictions::Choices { .. } | Predictions::Values(_)) | None => None,
        })
    }

    fn constant_predictor(
        &self,
        training: &mut dyn Iterator<Item = &Label>,
        answered: &[LabelledPrediction<'_>],
    ) -> Result<BTreeMap<String, f64>, DataError> {
        let Some(constant) = self.constant(training) else { return Ok(BTreeMap::new()) };
        let Some(predictions) = self.predictions(answered, Some(&constant))? else {
            return Ok(BTreeMap::new());
        };
        let mut values = self.compute(&predictions, &Thresholds::new());
        if let Some(AnswerKind::Choices) = self.kind {
            values.insert("chance".to_owned(), chance(answered));
        }
        values.retain(|_, value| value.is_finite());
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labelled::ClassNames;

    #[test]
    fn a_threshold_that_is_set_is_not_chosen() {
        let targets = Targets::Labels(ClassNames::new(["a", "b"]).unwrap());
        let scorer = MetricScorer::new(vec![Metric::F1Micro], &targets);
        assert_eq!(scorer.fixed_thresholds(), None);
        let set = scorer.with_threshold(Some(0.25)).fixed_thresholds().unwrap();
        assert_eq!(set, Thresholds::from([("a".to_owned(), 0.25), ("b".to_owned(), 0.25)]));
    }

    #[test]
    fn a_constant_predictor_is_the_most_frequent_class_of_training() {
        let targets = Targets::classes(["a", "b"]).unwrap();
        let scorer = MetricScorer::new(vec![Metric::Accuracy], &targets);
        let training = [Label::Class(1), Label::Class(0), Label::Class(1)];
        let labels = [Label::Class(0), Label::Class(1), Label::Class(0), Label::Class(0)];
        let prediction = Prediction::one_class(&[1.0, 0.0]);
        let answered: Vec<LabelledPrediction<'_>> = labels
            .iter()
            .enumerate()
            .map(|(place, label)| LabelledPrediction { place, prediction: &prediction, label })
            .collect();
        assert_eq!(scorer.score(&answered, &Thresholds::new()).unwrap()["accuracy"], 0.75);
        let constant = scorer.constant_predictor(&mut training.iter(), &answered).unwrap();
        assert_eq!(constant["accuracy"], 0.25);
        assert_eq!(
            scorer.report(&answered, &Thresholds::new()).unwrap().unwrap().per_class[0].support,
            3
        );
    }

    #[test]
    fn a_constant_number_is_the_mean() {
        let scorer =
            MetricScorer::new(vec![Metric::Pearson, Metric::MeanSquaredError], &Targets::numbers());
        let training = [Label::Value(1.0), Label::Value(3.0)];
        let prediction = Prediction::Values(vec![5.0]);
        let label = Label::Value(4.0);
        let answered = [LabelledPrediction { place: 0, prediction: &prediction, label: &label }];
        let constant = scorer.constant_predictor(&mut training.iter(), &answered).unwrap();
        // The correlation with a constant is undefined.
        assert_eq!(constant, BTreeMap::from([("mse".to_owned(), 4.0)]));
    }

    fn answered(rows: &[(Prediction, Label)]) -> Vec<LabelledPrediction<'_>> {
        let rows = rows.iter().enumerate();
        rows.map(|(place, (prediction, label))| LabelledPrediction { place, prediction, label })
            .collect()
    }

    #[test]
    fn labels_have_thresholds_of_their_own_and_a_constant_says_how_often_each_occurs() {
        let targets = Targets::Labels(ClassNames::new(["a", "b", "c"]).unwrap());
        let metrics = vec![Metric::F1Micro, Metric::SubsetAccuracy];
        let scorer = MetricScorer::new(metrics.clone(), &targets);
        let rows = [
            (Prediction::Classes(vec![0.3, 0.9, 0.1]), Label::Classes(vec![0, 1])),
            (Prediction::Classes(vec![0.2, 0.8, 0.2]), Label::Classes(vec![])),
        ];
        let answered = answered(&rows);
        let thresholds = scorer.best_thresholds(&answered).unwrap();
        let expected = [("a", 0.25_f32), ("b", 0.85), ("c", 0.5)];
        let expected = expected.map(|(name, value)| (name.to_owned(), f64::from(value)));
        for ((name, value), (expected_name, expected)) in thresholds.iter().zip(&expected) {
            assert!(name == expected_name && (value - expected).abs() < 1e-6, "{thresholds:?}");
        }
        assert_eq!(scorer.score(&answered, &thresholds).unwrap()["subset_accuracy"], 1.0);
        let report = scorer.report(&answered, &thresholds).unwrap().unwrap();
        assert!(report.confusion_matrix.is_none() && report.per_class[1].support == 1);
        assert_eq!((report.per_class[1].f1, report.per_class[2].f1), (1.0, 0.0));
        let halves = scorer.score(&answered, &Thresholds::new()).unwrap();
        assert_eq!(halves["subset_accuracy"], 0.0);
        let fixed = MetricScorer::new(metrics, &targets).with_threshold(Some(0.5));
        assert_eq!(fixed.score(&answered, &fixed.fixed_thresholds().unwrap()).unwrap(), halves);
        let training = [Label::Classes(vec![1]), Label::Classes(vec![0, 1])];
        // It says `a` and `b`: 2 right of 4 predicted, 2 apply.
        let constant = scorer.constant_predictor(&mut training.iter(), &answered).unwrap();
        assert!((constant["f1_micro"] - 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn several_numbers_are_measured_together_and_one_by_one() {
        let targets = Targets::Columns(vec!["x".into(), "y".into()]);
        let scorer = MetricScorer::new(vec![Metric::MeanSquaredError], &targets);
        let names: Vec<String> = scorer.names().into_iter().map(|metric| metric.name).collect();
        assert_eq!(names, ["mse", "mse/x", "mse/y"]);
        let rows = [(Prediction::Values(vec![1.0, 5.0]), Label::Values(vec![2.0, 2.0]))];
        let scores = scorer.score(&answered(&rows), &Thresholds::new()).unwrap();
        assert_eq!((scores["mse"], scores["mse/x"], scores["mse/y"]), (5.0, 1.0, 9.0));
    }

    /// Of always taking the place that is right most often in training, and of drawing one.
    #[test]
    fn choices_are_measured_beside_the_most_frequent_place_and_chance() {
        let labels = [0, 1, 2, 1].map(Label::Class);
        let scores: [&[f32]; 4] = [&[0.0, 1.0], &[0.0, 1.0], &[0.0, 0.0, 3.0, 0.0], &[1.0, 0.0]];
        let predictions = scores.map(Prediction::one_class);
        let answered: Vec<LabelledPrediction<'_>> = labels
            .iter()
            .zip(&predictions)
            .enumerate()
            .map(|(place, (label, prediction))| LabelledPrediction { place, prediction, label })
            .collect();
        let scorer = MetricScorer::new(vec![Metric::Accuracy], &Targets::Choices);
        let scores = scorer.score(&answered, &Thresholds::new()).unwrap();
        assert_eq!(scores, BTreeMap::from([("accuracy".to_owned(), 0.5)]));
        let training = [2, 1, 1, 2].map(Label::Class);
        let constant = scorer.constant_predictor(&mut training.iter(), &answered).unwrap();
        // Place 1, the first of two that are equally frequent; (1/2 + 1/2 + 1/4 + 1/2) / 4.
        assert_eq!((constant["accuracy"], constant["chance"]), (0.5, 0.4375));
        let with_gap = Prediction::Class { class: 2, scores: vec![0.25, f32::NAN, 0.75] };
        let answered = [LabelledPrediction { place: 0, prediction: &with_gap, label: &labels[0] }];
        assert_eq!(chance(&answered), 0.5);
    }

    /// A task of another crate may give a label that is none of its classes.
    #[test]
    fn an_example_that_cannot_be_measured_is_named() {
        let targets = Targets::classes(["a", "b"]).unwrap();
        let scorer = MetricScorer::new(vec![Metric::Accuracy], &targets);
        let rows = [
            (Prediction::one_class(&[1.0, 0.0]), Label::Class(0)),
            (Prediction::one_class(&[1.0, 0.0]), Label::Class(7)),
        ];
        let error = scorer.score(&answered(&rows), &Thresholds::new()).unwrap_err().to_string();
        assert!(
            error.starts_with("example `1`, counted from 0: ") && error.contains("`7`"),
            "{error}"
        );
    }
}
