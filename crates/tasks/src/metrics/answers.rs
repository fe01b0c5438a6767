//! What a model answered to the examples of a set, beside what is right.

use crate::Label;

use super::ConfusionMatrix;

/// Predictions beside references. Classes are counted as they come, numbers are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Answers {
    /// Of a classifier.
    Classes(ConfusionMatrix),
    /// Of a regression; both lists have the same length.
    Values {
        /// What the model said, in the order of the examples.
        predictions: Vec<f64>,
        /// What is right.
        references: Vec<f64>,
    },
}

impl Answers {
    /// No answers yet, of a model with `num_labels` outputs. As Hugging Face has it, one output is a regression.
    pub fn new(num_labels: usize) -> Self {
        if num_labels == 1 {
            Self::Values { predictions: Vec::new(), references: Vec::new() }
        } else {
            Self::Classes(ConfusionMatrix::new(num_labels))
        }
    }

    /// Takes in one more example.
    ///
    /// # Panics
    ///
    /// If a label is not of the kind that these answers are made of, or a class is not below their number: readers
    /// and models give no such labels.
    pub fn record(&mut self, prediction: Label, reference: Label) {
        match (self, prediction, reference) {
            (Self::Classes(matrix), Label::Class(prediction), Label::Class(reference)) => {
                matrix.record(prediction, reference);
            }
            (
                Self::Values { predictions, references },
                Label::Value(prediction),
                Label::Value(reference),
            ) => {
                predictions.push(f64::from(prediction));
                references.push(f64::from(reference));
            }
            (_, prediction, reference) => {
                panic!("{prediction:?} beside {reference:?} among answers of another kind")
            }
        }
    }

    /// Examples taken in.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(matrix) => matrix.total() as usize,
            Self::Values { predictions, .. } => predictions.len(),
        }
    }

    /// Whether nothing was taken in.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Outputs of the model: 1 for a regression.
    pub fn num_labels(&self) -> usize {
        match self {
            Self::Classes(matrix) => matrix.num_labels(),
            Self::Values { .. } => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_output_is_a_regression() {
        let mut answers = Answers::new(1);
        answers.record(Label::Value(2.5), Label::Value(3.0));
        assert_eq!(answers, Answers::Values { predictions: vec![2.5], references: vec![3.0] });
        assert_eq!((answers.len(), answers.num_labels()), (1, 1));
    }

    #[test]
    fn several_outputs_are_classes() {
        let mut answers = Answers::new(3);
        assert!(answers.is_empty());
        answers.record(Label::Class(2), Label::Class(0));
        assert_eq!((answers.len(), answers.num_labels()), (1, 3));
    }

    #[test]
    #[should_panic(expected = "Value(1.0) beside Class(0)")]
    fn kinds_do_not_mix() {
        Answers::new(2).record(Label::Value(1.0), Label::Class(0));
    }
}
