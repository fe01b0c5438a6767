//! From predictions to a metric's value.

use super::averages::mean;
use super::label_sets::LabelCount;
use super::ranking::{average_precision, log_loss, roc_auc};
use super::{
    ClassPredictions, ConfusionMatrix, LabelSetCounts, LabelSets, Metric, Numbers, Predictions,
    mean_absolute_error, mean_squared_error, pearson, r2, spearman,
};

impl Metric {
    /// The value for `predictions`, `None` where it does not apply to them ([`applies_to`](Self::applies_to)). Of several columns of
    /// numbers the mean. Labels apply from their `thresholds` on, one for each; only of labels these are looked at.
    ///
    /// NaN where it is undefined: of no answers at all, of a correlation with a constant.
    pub fn compute(self, predictions: &Predictions, thresholds: &[f64]) -> Option<f64> {
        match predictions {
            Predictions::Classes(classes) => self.of_classes(classes),
            Predictions::Choices { right, examples } => {
                (self == Self::Accuracy).then(|| *right as f64 / *examples as f64)
            }
            Predictions::Labels(sets) => self.of_labels(sets, &sets.counts(thresholds)),
            Predictions::Values(columns) => {
                let values = columns.iter().map(|column| self.of_numbers(column));
                Some(mean(values.collect::<Option<Vec<f64>>>()?.into_iter()))
            }
        }
    }

    fn of_classes(self, classes: &ClassPredictions) -> Option<f64> {
        let matrix: &ConfusionMatrix = &classes.matrix;
        let (is_empty, binary) = (matrix.total() == 0, matrix.num_labels() == 2);
        // Of two classes the second is the one that is looked for.
        let over_classes = |score: &dyn Fn(usize) -> Option<f64>| match classes.num_labels() {
            2 => score(1).unwrap_or(f64::NAN),
            several => mean((0..several).filter_map(score)),
        };
        Some(match self {
            Self::F1 | Self::Precision | Self::Recall if !binary => return None,
            Self::F1 | Self::Precision | Self::Recall | Self::MatthewsCorrelation if is_empty => {
                f64::NAN
            }
            Self::F1 => matrix.class_scores(1).f1,
            Self::Precision => matrix.class_scores(1).precision,
            Self::Recall => matrix.class_scores(1).recall,
            Self::MatthewsCorrelation => matrix.matthews_correlation(),
            Self::Accuracy | Self::F1Micro => matrix.accuracy(),
            Self::BalancedAccuracy => matrix.balanced_accuracy(),
            Self::F1Macro => matrix.f1_macro(),
            Self::F1Weighted => matrix.f1_weighted(),
            Self::PrecisionMacro => matrix.precision_macro(),
            Self::RecallMacro => matrix.recall_macro(),
            Self::CohenKappa => matrix.cohen_kappa(),
            Self::RocAuc => over_classes(&|class| roc_auc(classes.of_class(class))),
            Self::AveragePrecision => {
                over_classes(&|class| average_precision(classes.of_class(class)))
            }
            Self::LogLoss => mean(classes.of_right_class().map(log_loss)),
            _ => return None,
        })
    }

    fn of_labels(self, sets: &LabelSets, counts: &LabelSetCounts) -> Option<f64> {
        let is_empty = counts.examples == 0;
        let defined = |value: f64| if is_empty { f64::NAN } else { value };
        Some(match self {
            Self::F1Micro => defined(counts.together().f1()),
            Self::PrecisionMicro => defined(counts.together().precision()),
            Self::RecallMicro => defined(counts.together().recall()),
            Self::F1Macro => defined(counts.macro_average(LabelCount::f1)),
            Self::PrecisionMacro => defined(counts.macro_average(LabelCount::precision)),
            Self::RecallMacro => defined(counts.macro_average(LabelCount::recall)),
            Self::F1Weighted => defined(counts.f1_weighted()),
            Self::F1Samples => counts.f1_samples(),
            Self::SubsetAccuracy => counts.subset_accuracy(),
            Self::HammingLoss => counts.hamming_loss(),
            Self::LabelRankingAveragePrecision => sets.label_ranking_average_precision(),
            Self::RocAuc => sets.roc_auc(),
            Self::AveragePrecision => sets.average_precision(),
            _ => return None,
        })
    }

    /// The value for one column of numbers, `None` where it does not apply to numbers.
    pub(super) fn of_numbers(self, column: &Numbers) -> Option<f64> {
        let Numbers { predictions, references } = column;
        Some(match self {
            Self::Pearson => pearson(predictions, references),
            Self::Spearman => spearman(predictions, references),
            Self::MeanSquaredError => mean_squared_error(predictions, references),
            Self::RootMeanSquaredError => mean_squared_error(predictions, references).sqrt(),
            Self::MeanAbsoluteError => mean_absolute_error(predictions, references),
            Self::R2 => r2(predictions, references),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::AnswerKind;
    use super::*;
    use crate::{Label, Prediction};

    const KINDS: [AnswerKind; 6] = [
        AnswerKind::Values(1),
        AnswerKind::Values(3),
        AnswerKind::Classes(2),
        AnswerKind::Classes(5),
        AnswerKind::Labels(3),
        AnswerKind::Choices,
    ];

    #[test]
    fn exactly_the_metrics_that_apply_are_computed() {
        for kind in KINDS {
            let (prediction, label) = match kind {
                AnswerKind::Values(columns) => {
                    (Prediction::Values(vec![1.0; columns]), Label::Values(vec![1.0; columns]))
                }
                AnswerKind::Classes(classes) => {
                    let scores = vec![1.0 / classes as f32; classes];
                    (Prediction::Class { class: 1, scores }, Label::Class(1))
                }
                AnswerKind::Labels(labels) => {
                    (Prediction::Classes(vec![0.5; labels]), Label::Classes(vec![0]))
                }
                AnswerKind::Choices => (Prediction::one_class(&[0.0; 4]), Label::Class(3)),
            };
            let mut answers = Predictions::new(kind);
            answers.record(&prediction, &label).unwrap();
            for metric in Metric::ALL {
                let computed = metric.compute(&answers, &[0.5; 3]);
                assert_eq!(computed.is_some(), metric.applies_to(kind), "{metric} {kind:?}");
            }
        }
    }

    #[test]
    fn of_no_answers_every_metric_is_undefined() {
        for kind in KINDS {
            for metric in Metric::all_for(kind) {
                let value = metric.compute(&Predictions::new(kind), &[0.5; 3]).unwrap();
                assert!(value.is_nan(), "{metric} {kind:?}: {value}");
            }
        }
    }
}
