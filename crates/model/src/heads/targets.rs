//! What a model is trained towards, and how far off it is: the losses of transformers' classes.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation::log_sigmoid};
pub use nystromformer_kernels::cross_entropy;

use super::ClassInfo;
use crate::error::ModelError;

/// The right answers of a batch, on its device.
#[derive(Debug, Clone)]
pub enum TargetTensors {
    /// A class of some tokens: their vocabulary entry (masked language modelling) or label (token
    /// classification). Tokens without a label, transformers' `-100`, are left out.
    Tokens {
        /// `[positions]`, flat indices `row · seq_len + column`.
        positions: Tensor<1, Int>,
        /// `[positions]`.
        labels: Tensor<1, Int>,
    },
    /// The same, and whether each row's segments are swapped (pretraining).
    TokensAndOrder {
        /// `[positions]`, flat indices `row · seq_len + column`.
        positions: Tensor<1, Int>,
        /// `[positions]`.
        labels: Tensor<1, Int>,
        /// `[batch]`: 0 in order, 1 swapped.
        order: Tensor<1, Int>,
    },
    /// One class of each row (sequence classification), or the right choice of each question (multiple
    /// choice) where all have as many: `[batch]`.
    Class(Tensor<1, Int>),
    /// The right choice of each question, of questions that differ in how many choices they have.
    Choice {
        /// `[questions]`: its place among the question's choices.
        labels: Tensor<1, Int>,
        /// `[questions, most]`: the row of each choice; some row where the question has no such choice.
        rows: Tensor<2, Int>,
        /// `[questions, most]`: whether the question has no such choice.
        absent: Tensor<2, Bool>,
    },
    /// Numbers, or for each class whether it applies (1) or not (0): `[batch, num_labels]`.
    Values(Tensor<2>),
    /// Each row's answer, first and last token. A place at or beyond the row's length means that the answer
    /// lies outside and does not count, as in transformers.
    Span {
        /// `[batch]`.
        start: Tensor<1, Int>,
        /// `[batch]`.
        end: Tensor<1, Int>,
    },
}

impl TargetTensors {
    /// In words, for messages.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Tokens { .. } => "classes of tokens",
            Self::TokensAndOrder { .. } => "tokens and sentence order",
            Self::Class(_) => "one class a row",
            Self::Choice { .. } => "one choice a question",
            Self::Values(_) => "numbers",
            Self::Span { .. } => "spans of tokens",
        }
    }

    /// What to say of a class of model whose head does not give such answers.
    pub(super) fn refused_by(&self, class: &ClassInfo) -> ModelError {
        ModelError::Targets { architecture: class.name, targets: self.describe() }
    }

    /// The right class of each answer, where answers are classes, for each term of the loss.
    pub fn classes(&self) -> Vec<Option<Tensor<1, Int>>> {
        match self {
            Self::Tokens { labels, .. } | Self::Class(labels) | Self::Choice { labels, .. } => {
                vec![Some(labels.clone())]
            }
            Self::TokensAndOrder { labels, order, .. } => {
                vec![Some(labels.clone()), Some(order.clone())]
            }
            Self::Span { start, end } => vec![Some(start.clone()), Some(end.clone())],
            Self::Values(_) => vec![None],
        }
    }
}

/// Refuses what is not as many as there must be. Only shapes are looked at: values are on the device.
pub(super) fn require_count(
    name: &'static str,
    got: usize,
    expected: usize,
) -> Result<(), ModelError> {
    if got == expected { Ok(()) } else { Err(ModelError::Answers { name, got, expected }) }
}

/// [`TargetTensors`] in main memory.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetsData {
    /// A class of some tokens.
    Tokens {
        /// `row · seq_len + column` of each. Of token classification those that have no class, and are answered all the same, follow behind
        /// all others.
        positions: Vec<i32>,
        /// The class of each, of the first ones.
        labels: Vec<i32>,
    },
    /// The same, and whether each row's segments are swapped.
    TokensAndOrder {
        /// `row · seq_len + column` of each token, ascending.
        positions: Vec<i32>,
        /// The class of each.
        labels: Vec<i32>,
        /// Of each row: 0 in order, 1 swapped.
        order: Vec<i32>,
    },
    /// One class of each row, or the right choice of each question where all have as many. The rows of a question follow
    /// each other.
    Class(Vec<i32>),
    /// The right choice of each question, whose rows follow each other.
    Choice {
        /// Of each question: its place among the question's choices.
        labels: Vec<i32>,
        /// Choices of each question; at least one.
        num_choices: Vec<usize>,
    },
    /// As many numbers for each row as the model has labels, row after row.
    Values(Vec<f32>),
    /// First and last token of each row's answer; `seq_len` or more if the row does not have it.
    Span {
        /// Of each row.
        start: Vec<i32>,
        /// Of each row.
        end: Vec<i32>,
    },
}

impl TargetsData {
    /// How many of them count in each term of the loss, of rows of `seq_len` tokens.
    pub fn counts(&self, seq_len: usize) -> Vec<usize> {
        // A place before the row counts as its first, as in transformers.
        let inside = |places: &[i32]| {
            places.iter().filter(|place| i64::from(**place) < seq_len as i64).count()
        };
        match self {
            Self::Tokens { labels, .. } | Self::Class(labels) | Self::Choice { labels, .. } => {
                vec![labels.len()]
            }
            Self::TokensAndOrder { labels, order, .. } => vec![labels.len(), order.len()],
            Self::Values(values) => vec![values.len()],
            Self::Span { start, end } => vec![inside(start), inside(end)],
        }
    }

    /// The same on `device`, for a batch of `rows` rows.
    pub fn into_targets(self, rows: usize, device: &Device) -> TargetTensors {
        let vector = |values: Vec<i32>| {
            let count = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [count]), device)
        };
        match self {
            Self::Tokens { positions, labels } => {
                TargetTensors::Tokens { positions: vector(positions), labels: vector(labels) }
            }
            Self::TokensAndOrder { positions, labels, order } => TargetTensors::TokensAndOrder {
                positions: vector(positions),
                labels: vector(labels),
                order: vector(order),
            },
            Self::Class(labels) => TargetTensors::Class(vector(labels)),
            Self::Choice { labels, num_choices } => {
                choice_targets(vector(labels), &num_choices, device)
            }
            Self::Values(values) => {
                let columns = values.len() / rows.max(1);
                let data = TensorData::new(values, [rows, columns]);
                TargetTensors::Values(Tensor::from_data(data, device))
            }
            Self::Span { start, end } => {
                TargetTensors::Span { start: vector(start), end: vector(end) }
            }
        }
    }
}

/// Which row holds each choice of each question. Where all questions have as many choices, rows are what they are.
fn choice_targets(labels: Tensor<1, Int>, num_choices: &[usize], device: &Device) -> TargetTensors {
    let most = num_choices.iter().copied().max().unwrap_or_default();
    if num_choices.iter().all(|count| *count == most) {
        return TargetTensors::Class(labels);
    }
    let (mut rows, mut absent) = (Vec::new(), Vec::new());
    let mut first = 0;
    for count in num_choices {
        rows.extend((0..most).map(|place| (first + place.min(count - 1)) as i32));
        absent.extend((0..most).map(|place| place >= *count));
        first += count;
    }
    let shape = [num_choices.len(), most];
    TargetTensors::Choice {
        labels,
        rows: Tensor::from_data(TensorData::new(rows, shape), device),
        absent: Tensor::from_data(TensorData::new(absent, shape), device),
    }
}

/// A part of the loss: it counts by its mean over the answers that count.
#[derive(Debug, Clone)]
pub struct LossTerm {
    /// Loss of each answer; 0 for one that does not count.
    pub losses: Tensor<1>,
    /// Factor of that mean in the whole loss.
    pub weight: f64,
}

/// A model's answers to a batch, and how far off they are.
#[derive(Debug, Clone)]
pub struct Losses {
    /// The whole loss is the sum over the terms of `weight · sum(losses) / answers that count`; all count but a
    /// span's place beyond its row.
    pub terms: Vec<LossTerm>,
    /// The scores behind each term: `[answers, classes]`.
    pub logits: Vec<Tensor<2>>,
}

impl Losses {
    /// A single term.
    pub(super) fn one(losses: Tensor<1>, logits: Tensor<2>) -> Self {
        Self { terms: vec![LossTerm { losses, weight: 1.0 }], logits: vec![logits] }
    }

    /// One class of several for each row of scores.
    pub(super) fn of_classes(logits: Tensor<2>, labels: Tensor<1, Int>) -> Self {
        Self::one(cross_entropy(logits.clone(), labels), logits)
    }

    /// The same where rows of scores follow that have no class: they are answers, and take no part in the loss.
    pub(super) fn of_first_classes(logits: Tensor<2>, labels: Tensor<1, Int>) -> Self {
        let [labelled] = labels.dims();
        if labelled == 0 {
            return Self::one(Tensor::zeros([0], &logits.device()), logits);
        }
        Self::one(cross_entropy(logits.clone().narrow(0, 0, labelled), labels), logits)
    }

    /// Two terms of the same weight.
    pub(super) fn two(
        weight: f64,
        (first, first_logits): (Tensor<1>, Tensor<2>),
        (second, second_logits): (Tensor<1>, Tensor<2>),
    ) -> Self {
        let term = |losses| LossTerm { losses, weight };
        Self { terms: vec![term(first), term(second)], logits: vec![first_logits, second_logits] }
    }
}

/// Squared error of every number.
///
/// # Shapes
/// - `predictions`, `values`: `[batch, num_labels]`
/// - output: `[batch · num_labels]`
pub fn squared_error(predictions: Tensor<2>, values: Tensor<2>) -> Tensor<1> {
    (predictions - values).square().flatten(0, 1)
}

/// Binary cross-entropy of every score, in nats (PyTorch's `BCEWithLogitsLoss` before its mean).
///
/// # Shapes
/// - `logits`, `values`: `[batch, num_labels]`, values between 0 and 1
/// - output: `[batch · num_labels]`
pub fn binary_cross_entropy(logits: Tensor<2>, values: Tensor<2>) -> Tensor<1> {
    let applies = values.clone() * log_sigmoid(logits.clone());
    let does_not = (values.neg() + 1.0) * log_sigmoid(logits.neg());
    (applies + does_not).neg().flatten(0, 1)
}

/// Cross-entropy of each row's scores against a place in it, in nats; 0 where the place lies beyond the row.
///
/// # Shapes
/// - `logits`: `[batch, seq_len]`
/// - `places`, output: `[batch]`
pub fn span_cross_entropy(logits: Tensor<2>, places: Tensor<1, Int>) -> Tensor<1> {
    let [_, seq_len] = logits.dims();
    let counts = places.clone().lower_elem(seq_len as i64).float();
    cross_entropy(logits, places.clamp(0, seq_len as i64 - 1)) * counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData, Tolerance};

    #[test]
    fn losses_by_hand() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[0.0, 2.0], [-30.0, 100.0]], &device);
        let values = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device);
        // ln 2; 2 + ln(1 + e⁻²); both confident and right: 0.
        let expected = TensorData::from([std::f32::consts::LN_2, 2.126_928, 9.357_6e-14, 0.0]);
        binary_cross_entropy(logits.clone(), values.clone())
            .to_data()
            .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
        squared_error(logits, values).to_data().assert_approx_eq::<f32>(
            &TensorData::from([1.0f32, 4.0, 900.0, 9801.0]),
            Tolerance::default(),
        );
    }

    #[test]
    fn a_place_beyond_the_row_does_not_count() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[1.0, 1.0], [5.0, 0.0], [0.0, 0.0]], &device);
        let places = Tensor::<1, Int>::from_ints([1, 2, 9], &device);
        span_cross_entropy(logits, places).to_data().assert_approx_eq::<f32>(
            &TensorData::from([std::f32::consts::LN_2, 0.0, 0.0]),
            Tolerance::absolute(1e-6),
        );
    }
}
