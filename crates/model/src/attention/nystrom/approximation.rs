//! The Nyström approximation of softmax attention (paper, section 3.1, equation 13).
//!
//! `softmax(Q Kᵀ/√d) V ≈ K1 · (Z · (K3 · V))` with `K1 = softmax(Q K̃ᵀ/√d)`, `A = softmax(Q̃ K̃ᵀ/√d)`,
//! `K3 = softmax(Q̃ Kᵀ/√d)` and `Z ≈ A⁺`, where Q̃ and K̃ are landmarks. Associating from the right keeps every
//! intermediate at `landmarks × head_dim` but kernels 1 and 3 themselves, which only the diagnosis holds.

use burn::tensor::Tensor;
use nystromformer_kernels::{attention, softmax};

use super::{landmarks::segment_means, pinv::Pinv};
use crate::attention::{
    factors::NystromFactors,
    padding::{Padding, Segments},
    self_attention::first_rows,
};

/// How many landmarks, and how their kernel is inverted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NystromOptions {
    /// Landmarks per head.
    pub num_landmarks: usize,
    /// The pseudo-inverse.
    pub pinv: Pinv,
}

/// Attends every token to every valid token, approximately.
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
    let [_, _, seq_len, _] = query.dims();
    nystrom_attention_of_first(query, key, value, padding, options, seq_len)
}

/// The same for the first `attending` tokens of each row alone: fewer rows of kernel 1.
///
/// # Shapes
/// - `query`, `key`, `value`: `[batch, heads, seq_len, head_dim]`
/// - output: `[batch, heads, attending, head_dim]`
pub(super) fn nystrom_attention_of_first(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    padding: Option<&Padding>,
    options: NystromOptions,
    attending: usize,
) -> Tensor<4> {
    let landmarks = Landmarks::new(query.clone(), key.clone(), padding, options);
    let (_, pinv) = landmarks.kernel_2_and_pinv(options);
    let scale = landmarks.scale;
    let key_bias = padding.map(|padding| padding.key_bias.clone());
    let summary = attention(landmarks.query, key, value, key_bias, scale); // K3 V
    let landmark_bias = landmarks.segments.map(|segments| segments.landmark_bias.clone());
    let query = first_rows(query, attending);
    attention(query, landmarks.key, pinv.matmul(summary), landmark_bias, scale)
}

/// What the query at `position` takes of each place: that row of `K1 Z K3`. Its weights can be a little below zero, and sum to
/// about 1.
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
    let landmarks = Landmarks::new(query.clone(), key.clone(), padding, options);
    let (_, pinv) = landmarks.kernel_2_and_pinv(options);
    let row = query.narrow(2, position, 1).mul_scalar(landmarks.scale);
    let mut scores_1 = row.matmul(landmarks.key.transpose()); // [batch, heads, 1, landmarks]
    if let Some(segments) = landmarks.segments {
        scores_1 = scores_1 + segments.landmark_bias.clone();
    }
    let mut scores_3 = landmarks.query.mul_scalar(landmarks.scale).matmul(key.transpose());
    if let Some(padding) = padding {
        scores_3 = scores_3 + padding.key_bias.clone();
    }
    softmax(scores_1).matmul(pinv).matmul(softmax(scores_3)).squeeze_dim(2)
}

/// The landmarks of one layer.
struct Landmarks<'a> {
    /// `[batch, heads, landmarks, head_dim]`.
    query: Tensor<4>,
    /// `[batch, heads, landmarks, head_dim]`.
    key: Tensor<4>,
    segments: Option<&'a Segments>,
    /// Factor of all scores, `1/√head_dim`.
    scale: f64,
}

impl<'a> Landmarks<'a> {
    fn new(
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&'a Padding>,
        options: NystromOptions,
    ) -> Self {
        let [_, _, _, head_dim] = query.dims();
        let segments = padding.and_then(Padding::segments);
        Self {
            query: segment_means(query, options.num_landmarks, segments),
            key: segment_means(key, options.num_landmarks, segments),
            segments,
            scale: (head_dim as f64).powf(-0.5),
        }
    }

    /// Each landmark over the landmarks, and the inverse.
    fn kernel_2_and_pinv(&self, options: NystromOptions) -> (Tensor<4>, Tensor<4>) {
        let query = self.query.clone().mul_scalar(self.scale);
        let mut scores = query.matmul(self.key.clone().transpose());
        if let Some(segments) = self.segments {
            scores = scores + segments.landmark_bias.clone();
        }
        let mut kernel_2 = softmax(scores);
        if let Some(segments) = self.segments {
            kernel_2 = kernel_2 * segments.keep.clone();
        }
        let pinv = options.pinv.invert(kernel_2.clone());
        (kernel_2, pinv)
    }
}

/// The factors of the approximated attention matrix.
///
/// `padding` masks keys; if it also lays [segments](Segments), spare landmarks are masked as well. Without segments
/// (transformers' semantics) landmarks average over padding too.
///
/// # Shapes
/// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
pub fn nystrom_factors(
    query: Tensor<4>,
    key: Tensor<4>,
    padding: Option<&Padding>,
    options: NystromOptions,
) -> NystromFactors {
    let landmarks = Landmarks::new(query.clone(), key.clone(), padding, options);
    let (kernel_2, pinv) = landmarks.kernel_2_and_pinv(options);
    // Scaling the few landmarks instead of all queries and keys saves two passes over the sequence.
    let key_landmarks = landmarks.key.mul_scalar(landmarks.scale);
    let query_landmarks = landmarks.query.mul_scalar(landmarks.scale);
    let mut scores_1 = query.matmul(key_landmarks.transpose());
    let mut scores_3 = query_landmarks.matmul(key.transpose());
    if let Some(segments) = landmarks.segments {
        scores_1 = scores_1 + segments.landmark_bias.clone();
    }
    if let Some(padding) = padding {
        scores_3 = scores_3 + padding.key_bias.clone();
    }
    NystromFactors { kernel_1: softmax(scores_1), kernel_2, pinv, kernel_3: softmax(scores_3) }
}
