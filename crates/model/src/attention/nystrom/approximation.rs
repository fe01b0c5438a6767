//! The Nyström approximation of softmax attention (paper, section 3.1, equation 13).
//!
//! `softmax(Q Kᵀ/√d) V ≈ K1 · (Z · (K3 · V))` with `K1 = softmax(Q K̃ᵀ/√d)`, `A = softmax(Q̃ K̃ᵀ/√d)`,
//! `K3 = softmax(Q̃ Kᵀ/√d)` and `Z ≈ A⁺`, where Q̃ and K̃ are landmarks. Associating from the right keeps every
//! intermediate at `landmarks × head_dim` but kernels 1 and 3 themselves, which only the diagnosis holds.
//!
//! With a window beside the landmarks, a token's scores over both go through one softmax: kernel 1 is the part over landmarks, and
//! the part over near tokens takes their values as they are (two branches under one normalisation, as in Long-Short
//! Transformer, Zhu et al. 2021, whose landmarks are projections).

use burn::tensor::Tensor;
use nystromformer_kernels::{FurtherKeys, attention, softmax};

use super::{
    pinv::Pinv,
    selection::{LandmarkSelection, Spare},
};
use crate::attention::{
    factors::NystromFactors,
    padding::Padding,
    softmax::score_scale,
    window::{Window, bias_of},
};

/// How many landmarks, and how their kernel is inverted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NystromOptions {
    /// Landmarks per head.
    pub num_landmarks: usize,
    /// The pseudo-inverse.
    pub pinv: Pinv,
}

/// Attends every token to every valid token, approximately, with means over segments for landmarks.
///
/// As in [`NystromFactors`], but kernels 1 and 3 are never held: each is multiplied with its right side while it is
/// computed.
///
/// # Shapes
/// - `query`, `key`, `value`, output: `[batch, heads, seq_len, head_dim]`
pub fn nystrom_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    padding: Option<&Padding>,
    options: NystromOptions,
) -> Tensor<4> {
    let of_landmarks = Landmarks::of_segments(query.clone(), key.clone(), padding, options);
    of_landmarks.attend(query, key, value, padding, None)
}

/// What the query at `position` takes of each place, with means over segments for landmarks: that row of `K1 Z K3`. Its weights
/// can be a little below zero, and sum to about 1.
///
/// # Shapes
/// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
/// - output: `[batch, heads, seq_len]`
pub fn nystrom_row(
    query: Tensor<4>,
    key: Tensor<4>,
    padding: Option<&Padding>,
    position: usize,
    options: NystromOptions,
) -> Tensor<3> {
    let of_landmarks = Landmarks::of_segments(query.clone(), key.clone(), padding, options);
    of_landmarks.row(query, key, padding, position, None)
}

/// The factors of the approximated attention matrix, with means over segments for landmarks.
///
/// `padding` masks keys; if it also lays [segments](crate::attention::padding::Segments), spare landmarks are masked as well.
/// Without segments (transformers' semantics) landmarks average over padding too.
///
/// # Shapes
/// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
pub fn nystrom_factors(
    query: Tensor<4>,
    key: Tensor<4>,
    padding: Option<&Padding>,
    options: NystromOptions,
) -> NystromFactors {
    let of_landmarks = Landmarks::of_segments(query.clone(), key.clone(), padding, options);
    of_landmarks.factors(query, key, padding)
}

/// The landmarks of one layer, and how their kernel is inverted.
pub(super) struct Landmarks {
    /// `[batch, heads, landmarks, head_dim]`.
    query: Tensor<4>,
    /// `[batch, heads, landmarks, head_dim]`.
    key: Tensor<4>,
    spare: Option<Spare>,
    /// Factor of all scores, `1/√head_dim`.
    scale: f64,
    pinv: Pinv,
}

impl Landmarks {
    /// Means over segments.
    fn of_segments(
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        options: NystromOptions,
    ) -> Self {
        let selection = LandmarkSelection::segment_means(options.num_landmarks);
        Self::new(query, key, padding, &selection, options.pinv)
    }

    /// Those that `selection` chooses.
    pub(super) fn new(
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        selection: &LandmarkSelection,
        pinv: Pinv,
    ) -> Self {
        let scale = score_scale(&query);
        let chosen = selection.choose(query, key, padding);
        Self { query: chosen.query, key: chosen.key, spare: chosen.spare, scale, pinv }
    }

    /// The context of some tokens: fewer rows of kernel 1 than there are tokens.
    ///
    /// # Shapes
    /// - `query`: `[batch, heads, attending, head_dim]`
    /// - `key`, `value`: `[batch, heads, seq_len, head_dim]`
    /// - output: `[batch, heads, attending, head_dim]`
    pub(super) fn attend(
        self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        window: Option<Window>,
    ) -> Tensor<4> {
        let (_, pinv) = self.kernel_2_and_pinv();
        let scale = self.scale;
        let key_bias = padding.map(|padding| padding.key_bias.clone());
        let landmark_bias = self.spare.map(|spare| spare.bias);
        let Some(window) = window else {
            let summary = attention(self.query, key, value, key_bias, scale); // K3 V
            return attention(query, self.key, pinv.matmul(summary), landmark_bias, scale);
        };
        let (keys, values) = (key.clone(), value.clone());
        let summary = attention(self.query, keys, values, key_bias.clone(), scale);
        let of_landmarks =
            FurtherKeys { key: self.key, value: pinv.matmul(summary), bias: landmark_bias };
        window.attend(query, key, value, key_bias, Some(of_landmarks))
    }

    /// One row of `K1 Z K3`, and of the window.
    ///
    /// # Shapes
    /// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
    /// - output: `[batch, heads, seq_len]`
    pub(super) fn row(
        self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
        window: Option<Window>,
    ) -> Tensor<3> {
        let (_, pinv) = self.kernel_2_and_pinv();
        let device = query.device();
        let row = query.narrow(2, position, 1).mul_scalar(self.scale);
        let mut scores_1 = row.clone().matmul(self.key.transpose()); // [batch, heads, 1, landmarks]
        if let Some(spare) = self.spare {
            scores_1 = scores_1 + spare.bias;
        }
        let mut scores_3 = self.query.mul_scalar(self.scale).matmul(key.clone().transpose());
        if let Some(padding) = padding {
            scores_3 = scores_3 + padding.key_bias.clone();
        }
        let of_landmarks =
            |kernel_1: Tensor<4>| kernel_1.matmul(pinv).matmul(softmax(scores_3)).squeeze_dim(2);
        let Some(window) = window else {
            return of_landmarks(softmax(scores_1));
        };
        let [_, _, seq_len, _] = key.dims();
        let places = window.places(position, seq_len, &device);
        let mut of_window = row.matmul(key.transpose()) + bias_of(places);
        if let Some(padding) = padding {
            of_window = of_window + padding.key_bias.clone();
        }
        let [_, _, _, landmarks] = scores_1.dims();
        let both = softmax(Tensor::cat(vec![scores_1, of_window], 3));
        of_landmarks(both.clone().narrow(3, 0, landmarks))
            + both.narrow(3, landmarks, seq_len).squeeze_dim(2)
    }

    /// The factors of the approximated attention matrix.
    ///
    /// # Shapes
    /// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
    pub(super) fn factors(
        self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
    ) -> NystromFactors {
        let (kernel_2, pinv) = self.kernel_2_and_pinv();
        // Scaling the few landmarks instead of all queries and keys saves two passes over the sequence.
        let key_landmarks = self.key.mul_scalar(self.scale);
        let query_landmarks = self.query.mul_scalar(self.scale);
        let mut scores_1 = query.matmul(key_landmarks.transpose());
        let mut scores_3 = query_landmarks.matmul(key.transpose());
        if let Some(spare) = self.spare {
            scores_1 = scores_1 + spare.bias;
        }
        if let Some(padding) = padding {
            scores_3 = scores_3 + padding.key_bias.clone();
        }
        NystromFactors { kernel_1: softmax(scores_1), kernel_2, pinv, kernel_3: softmax(scores_3) }
    }

    /// Each landmark over the landmarks, and the inverse.
    fn kernel_2_and_pinv(&self) -> (Tensor<4>, Tensor<4>) {
        let query = self.query.clone().mul_scalar(self.scale);
        let mut scores = query.matmul(self.key.clone().transpose());
        if let Some(spare) = &self.spare {
            scores = scores + spare.bias.clone();
        }
        let mut kernel_2 = softmax(scores);
        if let Some(spare) = &self.spare {
            kernel_2 = kernel_2 * spare.keep.clone();
        }
        let pinv = self.pinv.invert(kernel_2.clone());
        (kernel_2, pinv)
    }
}
