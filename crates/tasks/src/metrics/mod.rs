//! How good a model's answers are: the metrics of GLUE and the Long Range Arena, under the names that Hugging Face's
//! `evaluate` gives them, with the values of `sklearn.metrics` and `scipy.stats`.
//!
//! [`Predictions`] collects what a model answered beside what is right; a [`Metric`] makes one number of it:
//!
//! ```
//! use nystromformer_tasks::{Label, Prediction, metrics::{AnswerKind, Predictions, Metric}};
//!
//! let mut predictions = Predictions::new(AnswerKind::Classes(2));
//! for (logits, right) in [([0.0, 2.0], 1), ([1.0, 0.5], 1), ([3.0, 1.0], 0), ([0.0, 1.0], 1)] {
//!     predictions.record(&Prediction::one_class(&logits), &Label::Class(right)).unwrap();
//! }
//! assert_eq!(Metric::Accuracy.compute(&predictions, &[]), Some(0.75));
//! assert_eq!(Metric::Pearson.compute(&predictions, &[]), None); // for numbers, not for classes
//! ```
//!
//! Everything is computed in f64; what is counted stays whole until the one division at the end. A metric that its
//! answers leave undefined, such as the correlation with a constant, is NaN, which JSON shows as `null`.
//!
//! | module | idea |
//! |---|---|
//! | `predictions` | predictions beside references, as they come in |
//! | `metric` | the names, what each applies to, and which way is better |
//! | `compute` | from predictions to a metric's value |
//! | `confusion_matrix`, `averages` | one class each: counts, and what follows from them |
//! | `classification_report` | classes: the form that a run's summary holds |
//! | `entities` | named entities: precision, recall and F1 |
//! | `calibration`, `error_analysis` | classes: how far probabilities are to be believed, and the worst mistakes |
//! | `label_sets` | any number of classes each |
//! | `thresholds` | from which score on a class applies |
//! | `ranking` | scores: what is right before what is not |
//! | `correlation` | numbers: correlations, errors |
//! | `scorer`, `metric_scorer` | what a task measures of predictions; of examples that are answered as a whole |
//! | `squad` | answers to questions: exact match and F1 |
//! | `seed_statistics` | one score over several seeds |

mod averages;
mod calibration;
mod classification_report;
mod compute;
mod confusion_matrix;
mod correlation;
mod entities;
mod error_analysis;
mod label_sets;
mod metric;
mod metric_scorer;
mod predictions;
mod ranking;
mod scorer;
mod seed_statistics;
mod squad;
mod thresholds;

pub use calibration::{CALIBRATION_BINS, Calibration, ReliabilityBin};
pub use classification_report::{ClassScores, ClassificationReport};
pub use confusion_matrix::ConfusionMatrix;
pub use correlation::{mean_absolute_error, mean_squared_error, pearson, r2, spearman};
pub use entities::{EntityMode, EntityScores, EntitySpan, EntityTag, entities};
pub use error_analysis::{
    AnswerPlace, AnsweredExample, ConfusionPair, ErrorAnalysis, ErrorCollector, Mistake,
};
pub use label_sets::{LabelCount, LabelSetCounts, LabelSets};
pub use metric::{Metric, UnknownMetric};
pub use metric_scorer::MetricScorer;
pub use predictions::{AnswerKind, ClassPredictions, MismatchedAnswer, Numbers, Predictions};
pub use ranking::{average_precision, label_ranking_precision, log_loss, roc_auc};
pub use scorer::{LabelledPrediction, MetricName, Scorer, Thresholds};
pub use seed_statistics::SeedStatistics;
pub use squad::{
    BestThreshold, QuestionScore, SquadVersion, best_threshold, exact_match, normalize_answer,
    squad_scores, token_f1,
};
pub use thresholds::DEFAULT_THRESHOLD;
