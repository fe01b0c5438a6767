//! What a model answered to the examples of a set, beside what is right.

use crate::Label;

use super::ConfusionMatrix;

/// Predictions beside references. Classes are counted as they come, numbers are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Predictions {
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

impl Predictions {
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
    pub fn record(&mut self, prediction: &Label, reference: &Label) {
        match (self, prediction, reference) {
            (Self::Classes(matrix), Label::Class(prediction), Label::Class(reference)) => {
                matrix.record(*prediction, *reference);
            }
            (
                Self::Values { predictions, references },
                Label::Value(prediction),
                Label::Value(reference),
            ) => {
                predictions.push(f64::from(*prediction));
                references.push(f64::from(*reference));
            }
            (_, prediction, reference) => {
                panic!("{prediction:?} beside {reference:?} among answers of another kind")
            }
        }
    }

    /// The answers of a predictor that says `constant` to each of the same examples.
    ///
    /// # Panics
    ///
    /// If `constant` is not of the kind that these answers are made of.
    pub fn of_constant(&self, constant: &Label) -> Self {
        let mut answers = Self::new(self.num_labels());
        match self {
            Self::Classes(matrix) => {
                for class in 0..matrix.num_labels() {
                    for _ in 0..matrix.support(class) {
                        answers.record(constant, &Label::Class(class as u16));
                    }
                }
            }
            Self::Values { references, .. } => {
                for reference in references {
                    answers.record(constant, &Label::Value(*reference as f32));
                }
            }
        }
        answers
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
        let mut answers = Predictions::new(1);
        answers.record(&Label::Value(2.5), &Label::Value(3.0));
        assert_eq!(answers, Predictions::Values { predictions: vec![2.5], references: vec![3.0] });
        assert_eq!((answers.len(), answers.num_labels()), (1, 1));
    }

    #[test]
    fn several_outputs_are_classes() {
        let mut answers = Predictions::new(3);
        assert!(answers.is_empty());
        answers.record(&Label::Class(2), &Label::Class(0));
        assert_eq!((answers.len(), answers.num_labels()), (1, 3));
    }

    #[test]
    fn a_constant_is_measured_by_the_same_references() {
        let mut classes = Predictions::new(3);
        let mut constant = Predictions::new(3);
        for (prediction, reference) in [(0, 1), (2, 2), (1, 1), (0, 0)] {
            classes.record(&Label::Class(prediction), &Label::Class(reference));
            constant.record(&Label::Class(1), &Label::Class(reference));
        }
        assert_eq!(classes.of_constant(&Label::Class(1)), constant);
        let mut values = Predictions::new(1);
        values.record(&Label::Value(2.5), &Label::Value(0.1));
        let expected =
            Predictions::Values { predictions: vec![3.0], references: vec![f64::from(0.1_f32)] };
        assert_eq!(values.of_constant(&Label::Value(3.0)), expected);
    }

    #[test]
    #[should_panic(expected = "Value(1.0) beside Class(0)")]
    fn kinds_do_not_mix() {
        Predictions::new(2).record(&Label::Value(1.0), &Label::Class(0));
    }
}
