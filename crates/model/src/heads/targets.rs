//! What a model is trained towards, and how far off it is: the losses of transformers' classes.

use burn::tensor::{Int, Tensor, activation::log_sigmoid};
pub use nystromformer_kernels::cross_entropy;

/// The right answers of a batch, on its device.
#[expect(clippy::large_enum_variant, reason = "a few handles of tensors, moved once a step")]
#[derive(Debug, Clone)]
pub enum Targets {
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
    /// choice): `[batch]`.
    Class(Tensor<1, Int>),
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

impl Targets {
    /// In words, for messages.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Tokens { .. } => "classes of tokens",
            Self::TokensAndOrder { .. } => "tokens and sentence order",
            Self::Class(_) => "one class a row",
            Self::Values(_) => "numbers",
            Self::Span { .. } => "spans of tokens",
        }
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
