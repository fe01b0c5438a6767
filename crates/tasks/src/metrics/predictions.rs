//! What a model says of the examples of a set, beside what is right.

use crate::{Label, Prediction, Targets};

use super::{ConfusionMatrix, LabelSets};

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// One of so many classes.
    Classes(usize),
    /// One of the choices that an example has.
    Choices,
    /// Any number of so many classes.
    Labels(usize),
    /// So many numbers.
    Values(usize),
}

impl AnswerKind {
    /// What answers are where these are to be predicted; `None` of parts of an example, which their tasks measure.
    pub fn of(targets: &Targets) -> Option<Self> {
        Some(match targets {
            Targets::Classes(names) => Self::Classes(names.names().len()),
            Targets::Labels(names) => Self::Labels(names.names().len()),
            Targets::Numbers { .. } => Self::Values(1),
            Targets::Columns(names) => Self::Values(names.len()),
            Targets::Choices => Self::Choices,
            Targets::Tags(_) | Targets::Answers(_) => return None,
        })
    }
}

/// Predictions beside references.
#[derive(Debug, Clone, PartialEq)]
pub enum Predictions {
    /// Of one class each.
    Classes(ClassPredictions),
    /// Of choices: how many were right, of how many.
    Choices {
        /// Right answers.
        right: u64,
        /// All answers.
        examples: u64,
    },
    /// Of any number of classes each.
    Labels(LabelSets),
    /// Of numbers, column by column.
    Values(Vec<Numbers>),
}

/// One class for each example.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassPredictions {
    /// How often each class was taken for each.
    pub matrix: ConfusionMatrix,
    /// Probability of every class, example after example.
    scores: Vec<f32>,
    references: Vec<u16>,
}

/// Numbers; both lists have the same length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Numbers {
    /// What the model said, in the order of the examples.
    pub predictions: Vec<f64>,
    /// What is right.
    pub references: Vec<f64>,
}

/// A prediction and a label that cannot be compared, or not by what is measured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "the model gives {}, and the label is {}: neither measures the other here; measure the model on data that it was trained for",
    of_prediction(prediction),
    of_label(label)
)]
pub struct MismatchedAnswer {
    /// What the model said.
    pub prediction: Prediction,
    /// What is right.
    pub label: Label,
}

/// What a model gives, in words.
fn of_prediction(prediction: &Prediction) -> String {
    match prediction {
        Prediction::Class { scores, .. } => format!("one of `{}` classes", scores.len()),
        Prediction::Classes(scores) => format!("any of `{}` classes", scores.len()),
        Prediction::Values(values) => format!("`{}` numbers", values.len()),
        Prediction::Tags(tags) => format!("a class to each of `{}` words", tags.len()),
        Prediction::Answers(_) => "a part of a text".to_owned(),
    }
}

/// What is right, in words.
fn of_label(label: &Label) -> String {
    match label {
        Label::Class(class) => format!("class `{class}`, counted from 0"),
        Label::Classes(classes) => format!("the classes `{classes:?}`, counted from 0"),
        Label::Value(value) => format!("the number `{value}`"),
        Label::Values(values) => format!("`{}` numbers", values.len()),
        Label::Tags(tags) => format!("a class for each of `{}` words", tags.classes.len()),
        Label::Answers(_) => "a part of a text".to_owned(),
    }
}

impl Predictions {
    /// None yet.
    pub fn new(kind: AnswerKind) -> Self {
        match kind {
            AnswerKind::Classes(num_labels) => Self::Classes(ClassPredictions::new(num_labels)),
            AnswerKind::Choices => Self::Choices { right: 0, examples: 0 },
            AnswerKind::Labels(num_labels) => Self::Labels(LabelSets::new(num_labels)),
            AnswerKind::Values(columns) => Self::Values(vec![Numbers::default(); columns]),
        }
    }

    /// Takes in one more example.
    ///
    /// # Errors
    ///
    /// [`MismatchedAnswer`] if prediction and label are not of the kind that these are made of, or a class is not below their
    /// number; the example is left out.
    pub fn record(
        &mut self,
        prediction: &Prediction,
        label: &Label,
    ) -> Result<(), MismatchedAnswer> {
        if !self.fits(prediction, label) {
            return Err(MismatchedAnswer { prediction: prediction.clone(), label: label.clone() });
        }
        match (self, prediction, label) {
            (Self::Classes(classes), Prediction::Class { class, scores }, Label::Class(right)) => {
                classes.record(*class, scores, *right);
            }
            (
                Self::Choices { right, examples },
                Prediction::Class { class, .. },
                Label::Class(label),
            ) => {
                *right += u64::from(class == label);
                *examples += 1;
            }
            (Self::Labels(sets), Prediction::Classes(scores), Label::Classes(right)) => {
                sets.record(scores, right);
            }
            (Self::Values(columns), Prediction::Values(values), Label::Value(right)) => {
                record_numbers(columns, values, &[*right]);
            }
            (Self::Values(columns), Prediction::Values(values), Label::Values(right)) => {
                record_numbers(columns, values, right);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a prediction and a label are of the kind that these are made of.
    fn fits(&self, prediction: &Prediction, label: &Label) -> bool {
        let below = |count: usize| move |class: &u16| usize::from(*class) < count;
        match (self, prediction, label) {
            (Self::Classes(classes), Prediction::Class { class, scores }, Label::Class(right)) => {
                let count = classes.num_labels();
                scores.len() == count && [class, right].into_iter().all(below(count))
            }
            (Self::Choices { .. }, Prediction::Class { .. }, Label::Class(_)) => true,
            (Self::Labels(sets), Prediction::Classes(scores), Label::Classes(right)) => {
                scores.len() == sets.num_labels() && right.iter().all(below(sets.num_labels()))
            }
            (Self::Values(columns), Prediction::Values(values), Label::Value(_)) => {
                [columns.len(), values.len()] == [1; 2]
            }
            (Self::Values(columns), Prediction::Values(values), Label::Values(right)) => {
                [values.len(), right.len()] == [columns.len(); 2]
            }
            _ => false,
        }
    }

    /// Examples taken in.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.references.len(),
            Self::Choices { examples, .. } => *examples as usize,
            Self::Labels(sets) => sets.len(),
            Self::Values(columns) => columns.first().map_or(0, |column| column.references.len()),
        }
    }

    /// Whether nothing was taken in.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn record_numbers(columns: &mut [Numbers], predicted: &[f32], right: &[f32]) {
    for (column, (predicted, right)) in columns.iter_mut().zip(predicted.iter().zip(right)) {
        column.predictions.push(f64::from(*predicted));
        column.references.push(f64::from(*right));
    }
}

impl ClassPredictions {
    fn new(num_labels: usize) -> Self {
        Self {
            matrix: ConfusionMatrix::new(num_labels),
            scores: Vec::new(),
            references: Vec::new(),
        }
    }

    fn record(&mut self, class: u16, scores: &[f32], right: u16) {
        self.matrix.record(class, right);
        self.scores.extend_from_slice(scores);
        self.references.push(right);
    }

    /// The number of classes.
    pub fn num_labels(&self) -> usize {
        self.matrix.num_labels()
    }

    /// The probability of a class for each example, and whether it is the right one.
    pub fn of_class(&self, class: usize) -> impl Iterator<Item = (f32, bool)> {
        let scores = self.scores.iter().skip(class).step_by(self.num_labels().max(1));
        let right = self.references.iter().map(move |right| usize::from(*right) == class);
        scores.copied().zip(right)
    }

    /// The probability of the right class, for each example.
    pub fn of_right_class(&self) -> impl Iterator<Item = f32> {
        let rows = self.scores.chunks(self.num_labels().max(1));
        rows.zip(&self.references).map(|(scores, right)| scores[usize::from(*right)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassNames;

    #[test]
    fn each_kind_of_target_has_its_kind_of_answer() {
        let kind = |targets: &Targets| AnswerKind::of(targets);
        assert_eq!(kind(&Targets::classes(["a", "b"]).unwrap()), Some(AnswerKind::Classes(2)));
        assert_eq!(kind(&Targets::numbers()), Some(AnswerKind::Values(1)));
        assert_eq!(
            kind(&Targets::Columns(vec!["a".into(), "b".into()])),
            Some(AnswerKind::Values(2))
        );
        assert_eq!(kind(&Targets::Tags(ClassNames::new(["O"]).unwrap())), None);
    }

    #[test]
    fn classes_keep_their_probabilities() {
        let mut answers = Predictions::new(AnswerKind::Classes(3));
        assert!(answers.is_empty());
        let prediction = Prediction::Class { class: 2, scores: vec![0.1, 0.2, 0.7] };
        answers.record(&prediction, &Label::Class(0)).unwrap();
        answers.record(&prediction, &Label::Class(2)).unwrap();
        assert_eq!(answers.len(), 2);
        let Predictions::Classes(classes) = answers else { panic!("classes") };
        assert_eq!(classes.matrix.right(), 1);
        assert_eq!(classes.of_class(2).collect::<Vec<_>>(), [(0.7, false), (0.7, true)]);
        assert_eq!(classes.of_right_class().collect::<Vec<_>>(), [0.1, 0.7]);
    }

    #[test]
    fn numbers_go_by_column() {
        let mut answers = Predictions::new(AnswerKind::Values(2));
        let prediction = Prediction::Values(vec![2.5, 1.0]);
        answers.record(&prediction, &Label::Values(vec![3.0, 0.0])).unwrap();
        let Predictions::Values(columns) = answers else { panic!("numbers") };
        assert_eq!(columns[1], Numbers { predictions: vec![1.0], references: vec![0.0] });
    }

    #[test]
    fn what_cannot_be_compared_is_refused_and_left_out() {
        let of_two = |class| Prediction::Class { class, scores: vec![0.5, 0.5] };
        for (kind, prediction, label) in [
            (AnswerKind::Values(1), Prediction::Values(vec![1.0]), Label::Class(0)),
            (AnswerKind::Values(2), Prediction::Values(vec![1.0]), Label::Values(vec![1.0, 2.0])),
            (AnswerKind::Values(2), Prediction::Values(vec![1.0, 2.0]), Label::Value(1.0)),
            (AnswerKind::Classes(2), of_two(0), Label::Class(2)),
            (AnswerKind::Classes(2), of_two(2), Label::Class(0)),
            (AnswerKind::Classes(3), of_two(0), Label::Class(0)),
            (AnswerKind::Labels(2), Prediction::Classes(vec![0.5; 2]), Label::Classes(vec![2])),
            (AnswerKind::Labels(2), Prediction::Classes(vec![0.5; 3]), Label::Classes(vec![0])),
            (AnswerKind::Choices, of_two(0), Label::Value(0.0)),
        ] {
            let mut answers = Predictions::new(kind);
            let error = answers.record(&prediction, &label).unwrap_err();
            assert!(error.to_string().starts_with("the model gives "), "{error}");
            assert!(answers.is_empty(), "{kind:?}");
        }
    }
}
