//! How good a model's answers are: the metrics of GLUE and the Long Range Arena, under the names that Hugging Face's
//! `evaluate` gives them, with the values of `sklearn.metrics` and `scipy.stats`.
//!
//! [`Predictions`] collects what a model answered beside what is right; a [`Metric`] makes one number of it:
//!
//! ```
//! use nystromformer_tasks::{Label, metrics::{Predictions, Metric}};
//!
//! let mut predictions = Predictions::new(2);
//! for (prediction, reference) in [(1, 1), (0, 1), (0, 0), (1, 1)] {
//!     predictions.record(&Label::Class(prediction), &Label::Class(reference));
//! }
//! assert_eq!(Metric::Accuracy.compute(&predictions), Some(0.75));
//! assert_eq!(Metric::Pearson.compute(&predictions), None); // for numbers, not for classes
//! ```
//!
//! Everything is computed in f64; what is counted stays whole until the one division at the end. A metric that its
//! answers leave undefined, such as the correlation with a constant, is NaN, which JSON shows as `null`.
//!
//! | module | idea |
//! |---|---|
//! | `predictions` | predictions beside references, as they come in |
//! | `metric` | the names, and which way is better |
//! | `confusion_matrix` | classes: counts, and what follows from them |
//! | `classification_report` | classes: the form that a run's summary holds |
//! | `entities` | named entities: precision, recall and F1 |
//! | `calibration`, `error_analysis` | classes: how far probabilities are to be believed, and the worst mistakes |
//! | `correlation` | numbers: Pearson, Spearman, squared error |
//! | `scorer` | what a task measures of predictions |
//! | `squad` | answers to questions: exact match and F1 |
//! | `seed_statistics` | one score over several seeds |

mod calibration;
mod classification_report;
mod confusion_matrix;
mod correlation;
mod entities;
mod error_analysis;
mod metric;
mod predictions;
mod scorer;
mod seed_statistics;
mod squad;

pub use calibration::{CALIBRATION_BINS, Calibration};
pub use classification_report::{ClassScores, ClassificationReport};
pub use confusion_matrix::ConfusionMatrix;
pub use correlation::{mean_squared_error, pearson, spearman};
pub use entities::{EntityMode, EntityScores, EntitySpan, EntityTag, entities};
pub use error_analysis::{ConfusionPair, ErrorAnalysis, ErrorCollector, Mistake, Place};
pub use metric::{Metric, UnknownMetric};
pub use predictions::Predictions;
pub use scorer::{Answered, MetricName, MetricScorer, Scorer, Thresholds};
pub use seed_statistics::SeedStatistics;
pub use squad::{
    BestThreshold, QuestionScore, SquadVersion, best_threshold, exact_match, normalize_answer,
    squad_scores, token_f1,
};
