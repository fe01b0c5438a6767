//! How often each class was taken for each, and what follows from it.

use serde::{Deserialize, Serialize};

use super::ClassScores;

/// Counts of answers by class: `counts[reference][prediction]`, scikit-learn's orientation.
///
/// In JSON it is the list of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<u64>>", into = "Vec<Vec<u64>>")]
pub struct ConfusionMatrix {
    counts: Vec<Vec<u64>>,
}

impl ConfusionMatrix {
    /// A matrix of `num_labels` classes, without answers.
    pub fn new(num_labels: usize) -> Self {
        Self { counts: vec![vec![0; num_labels]; num_labels] }
    }

    /// Counts one more answer.
    ///
    /// # Panics
    ///
    /// If a class is not below the number of classes: readers and models give no such classes.
    pub fn record(&mut self, prediction: u16, reference: u16) {
        self.counts[usize::from(reference)][usize::from(prediction)] += 1;
    }

    /// Rows are references, columns predictions.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// The number of classes.
    pub fn num_labels(&self) -> usize {
        self.counts.len()
    }

    /// Predictions counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Right answers counted.
    pub fn right(&self) -> u64 {
        self.counts.iter().enumerate().map(|(class, row)| row[class]).sum()
    }

    /// How often `class` is the reference.
    pub fn support(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// How often `class` was predicted.
    pub fn predicted(&self, class: usize) -> u64 {
        self.counts.iter().map(|row| row[class]).sum()
    }

    /// The share of right answers; NaN without answers.
    pub fn accuracy(&self) -> f64 {
        self.right() as f64 / self.total() as f64
    }

    /// Precision, recall and F1 of one class. As in scikit-learn each is 0 where its denominator is: precision where
    /// the class is never predicted, recall where it never occurs, F1 where neither happens.
    pub fn class_scores(&self, class: usize) -> ClassScores {
        let right = self.counts[class][class];
        let (support, predicted) = (self.support(class), self.predicted(class));
        ClassScores {
            precision: share(right, predicted),
            recall: share(right, support),
            f1: share(2 * right, support + predicted),
            support,
        }
    }

    /// Matthews' correlation of any number of classes; 0 where only one class is predicted, or only one occurs.
    ///
    /// With `c` right of `s` answers, class `k` occurring `t_k` and predicted `p_k` times:
    /// `(c·s − Σ t_k·p_k) / √((s² − Σ p_k²)·(s² − Σ t_k²))`.
    pub fn matthews_correlation(&self) -> f64 {
        let (right, total) = (i128::from(self.right()), i128::from(self.total()));
        let mut covariance = right * total;
        let (mut of_references, mut of_predictions) = (total * total, total * total);
        for class in 0..self.num_labels() {
            let (support, predicted) =
                (i128::from(self.support(class)), i128::from(self.predicted(class)));
            covariance -= support * predicted;
            of_references -= support * support;
            of_predictions -= predicted * predicted;
        }
        if of_references == 0 || of_predictions == 0 {
            return 0.0;
        }
        covariance as f64 / (of_references as f64 * of_predictions as f64).sqrt()
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl TryFrom<Vec<Vec<u64>>> for ConfusionMatrix {
    type Error = String;

    fn try_from(counts: Vec<Vec<u64>>) -> Result<Self, String> {
        if let Some(row) = counts.iter().find(|row| row.len() != counts.len()) {
            let (rows, columns) = (counts.len(), row.len());
            return Err(format!(
                "a confusion matrix is square, but a row has {columns} numbers of {rows}"
            ));
        }
        // Sums of counts, and what is doubled among them, then stay within u64.
        if counts.iter().flatten().any(|&count| count > u64::from(u32::MAX)) {
            return Err(
                "a confusion matrix counts no more than 4294967295 answers of a kind".into()
            );
        }
        Ok(Self { counts })
    }
}

impl From<ConfusionMatrix> for Vec<Vec<u64>> {
    fn from(matrix: ConfusionMatrix) -> Self {
        matrix.counts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matrix(pairs: &[(u16, u16)], num_labels: usize) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(num_labels);
        for &(prediction, reference) in pairs {
            matrix.record(prediction, reference);
        }
        matrix
    }

    #[test]
    fn rows_are_references() {
        let matrix = matrix(&[(1, 0), (1, 0), (0, 1)], 2);
        assert_eq!(matrix.counts(), [[0, 2], [1, 0]]);
        assert_eq!((matrix.support(0), matrix.predicted(0)), (2, 1));
    }

    #[test]
    fn a_class_never_predicted_scores_zero() {
        let scores = matrix(&[(0, 0), (0, 1), (0, 1)], 2).class_scores(1);
        assert_eq!(scores, ClassScores { precision: 0.0, recall: 0.0, f1: 0.0, support: 2 });
    }

    #[test]
    fn a_class_that_never_occurs_does_not_count_in_the_mean() {
        assert_eq!(matrix(&[(0, 0), (1, 1)], 5).f1_macro(), 1.0);
    }

    #[test]
    fn json_is_a_list_of_rows() {
        let counted = matrix(&[(1, 0), (1, 1)], 2);
        let json = serde_json::to_string(&counted).unwrap();
        assert_eq!(json, "[[0,1],[0,1]]");
        assert_eq!(serde_json::from_str::<ConfusionMatrix>(&json).unwrap(), counted);
    }

    #[test]
    fn a_damaged_matrix_is_refused() {
        let read = |json| serde_json::from_str::<ConfusionMatrix>(json).unwrap_err().to_string();
        assert!(read("[[1,2],[3]]").contains("a row has 1 numbers of 2"));
        assert!(read("[[18446744073709551615]]").contains("no more than 4294967295"));
    }

    fn answers() -> impl Strategy<Value = (Vec<(u16, u16)>, usize)> {
        (2..6usize).prop_flat_map(|num_labels| {
            let class = 0..num_labels as u16;
            (prop::collection::vec((class.clone(), class), 1..60), Just(num_labels))
        })
    }

    proptest! {
        #[test]
        fn scores_stay_in_their_ranges((pairs, num_labels) in answers()) {
            let matrix = matrix(&pairs, num_labels);
            prop_assert!((0.0..=1.0).contains(&matrix.accuracy()));
            prop_assert!((0.0..=1.0).contains(&matrix.f1_macro()));
            prop_assert!((-1.0 - 1e-15..=1.0 + 1e-15).contains(&matrix.matthews_correlation()));
        }

        /// Matthews' correlation and the macro F1 treat predictions and references alike.
        #[test]
        fn exchanging_predictions_and_references_transposes((pairs, num_labels) in answers()) {
            let swapped: Vec<_> = pairs.iter().map(|&(left, right)| (right, left)).collect();
            let (matrix, swapped) = (matrix(&pairs, num_labels), matrix(&swapped, num_labels));
            prop_assert_eq!(matrix.matthews_correlation(), swapped.matthews_correlation());
            prop_assert_eq!(matrix.f1_macro(), swapped.f1_macro());
            for class in 0..num_labels {
                prop_assert_eq!(
                    matrix.class_scores(class).precision,
                    swapped.class_scores(class).recall
                );
            }
        }

        /// Recall weighted by support is the share of right answers.
        #[test]
        fn recalls_add_up_to_the_accuracy((pairs, num_labels) in answers()) {
            let matrix = matrix(&pairs, num_labels);
            let recalled: f64 = (0..num_labels)
                .map(|class| matrix.class_scores(class))
                .map(|scores| scores.recall * scores.support as f64)
                .sum();
            prop_assert!((recalled / pairs.len() as f64 - matrix.accuracy()).abs() < 1e-12);
        }
    }
}
