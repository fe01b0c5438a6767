//! What a run's summary says about the answers of a classifier.

use serde::{Deserialize, Serialize};

use super::{ConfusionMatrix, LabelCount};

/// The confusion matrix with the scores of each class, or the scores of each type of entity.
///
/// In JSON:
///
/// ```json
/// {
///   "labels": ["negative", "positive"],
///   "confusion_matrix": [[40, 10], [5, 45]],
///   "per_class": [
///     {"precision": 0.8888888888888888, "recall": 0.8, "f1": 0.8421052631578947, "support": 50},
///     {"precision": 0.8181818181818182, "recall": 0.9, "f1": 0.8571428571428571, "support": 50}
///   ]
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassificationReport {
    /// Names of the classes, in the order of everything below.
    pub labels: Vec<String>,
    /// Counts: rows are references, columns predictions. `None` of named entities and of labels of any
    /// number, each of which may be taken for many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion_matrix: Option<ConfusionMatrix>,
    /// Scores of each class.
    pub per_class: Vec<ClassScores>,
}

/// How well one class is told from the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// The share of right answers where the class was predicted; 0 where it never was.
    pub precision: f64,
    /// The share of right answers where the class is the reference; 0 where it never is.
    pub recall: f64,
    /// The harmonic mean of precision and recall; 0 where both are.
    pub f1: f64,
    /// How often the class is the reference.
    pub support: u64,
}

impl ClassificationReport {
    /// The report of `confusion_matrix`, whose classes are called `labels`.
    ///
    /// # Panics
    ///
    /// If there is not one name for each class.
    pub fn new(confusion_matrix: ConfusionMatrix, labels: &[String]) -> Self {
        assert_eq!(labels.len(), confusion_matrix.num_labels(), "each class has a name");
        let per_class =
            (0..labels.len()).map(|class| confusion_matrix.class_scores(class)).collect();
        Self { labels: labels.to_vec(), confusion_matrix: Some(confusion_matrix), per_class }
    }
}

impl From<LabelCount> for ClassScores {
    fn from(count: LabelCount) -> Self {
        Self {
            precision: count.precision(),
            recall: count.recall(),
            f1: count.f1(),
            support: count.support,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example() {
        let matrix: ConfusionMatrix = vec![vec![40, 10], vec![5, 45]].try_into().unwrap();
        let report = ClassificationReport::new(matrix, &["negative".into(), "positive".into()]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "labels": ["negative", "positive"],
                "confusion_matrix": [[40, 10], [5, 45]],
                "per_class": [
                    {"precision": 40.0 / 45.0, "recall": 0.8, "f1": 80.0 / 95.0, "support": 50},
                    {"precision": 45.0 / 55.0, "recall": 0.9, "f1": 90.0 / 105.0, "support": 50},
                ],
            })
        );
        assert_eq!(serde_json::from_value::<ClassificationReport>(json).unwrap(), report);
    }
}
