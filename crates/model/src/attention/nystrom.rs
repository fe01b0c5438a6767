//! The Nyström approximation of softmax attention (paper, section 3.1, equation 13).
//!
//! `softmax(Q Kᵀ/√d) V ≈ K1 · (Z · (K3 · V))` with `K1 = softmax(Q K̃ᵀ/√d)`, `A = softmax(Q̃ K̃ᵀ/√d)`,
//! `K3 = softmax(Q̃ Kᵀ/√d)` and `Z ≈ A⁺`, where Q̃ and K̃ are landmarks. Associating from the right keeps every
//! intermediate at `landmarks × head_dim` but the two kernels themselves.

use burn::tensor::{Tensor, activation::softmax};

use super::{
    landmarks::segment_means,
    padding::Padding,
    pinv::{PinvInit, iterative_pinv, pinv_residual},
};

/// How many landmarks, and how their kernel is inverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NystromOptions {
    /// Landmarks per head.
    pub num_landmarks: usize,
    /// Iterations of the pseudo-inverse.
    pub pinv_iterations: usize,
    /// Start of the pseudo-inverse.
    pub pinv_init: PinvInit,
}

/// The three factors whose product approximates the attention matrix, for diagnosis. The `n × n` product
/// itself is never formed.
#[derive(Debug, Clone)]
pub struct NystromFactors {
    /// `[batch, heads, seq_len, landmarks]`: each token over the landmarks.
    pub kernel_1: Tensor<4>,
    /// `[batch, heads, landmarks, landmarks]`: each landmark over the landmarks.
    pub kernel_2: Tensor<4>,
    /// `[batch, heads, landmarks, landmarks]`: the inverse of `kernel_2`.
    pub pinv: Tensor<4>,
    /// `[batch, heads, landmarks, seq_len]`: each landmark over the tokens.
    pub kernel_3: Tensor<4>,
}

impl NystromFactors {
    /// Computes the factors.
    ///
    /// `padding` masks keys; if it also lays [segments](super::padding::Segments), spare landmarks are
    /// masked as well. Without segments (transformers' semantics) landmarks average over padding too.
    ///
    /// # Shapes
    /// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
    pub fn new(
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        options: NystromOptions,
    ) -> Self {
        let [_, _, _, head_dim] = query.dims();
        let segments = padding.and_then(|padding| padding.segments.as_ref());
        // Scaling the few landmarks by 1/√d (kernels 1 and 3, by d^-¼ each for kernel 2) instead of all
        // queries and keys saves two passes over the sequence.
        let scale = (head_dim as f64).powf(-0.5);
        let query_landmarks = segment_means(query.clone(), options.num_landmarks, segments);
        let key_landmarks =
            segment_means(key.clone(), options.num_landmarks, segments).mul_scalar(scale);

        let mut scores_1 = query.matmul(key_landmarks.clone().transpose());
        let mut scores_2 = query_landmarks.clone().matmul(key_landmarks.transpose());
        let mut scores_3 = query_landmarks.mul_scalar(scale).matmul(key.transpose());
        if let Some(segments) = segments {
            scores_1 = scores_1 + segments.landmark_bias.clone();
            scores_2 = scores_2 + segments.landmark_bias.clone();
        }
        if let Some(padding) = padding {
            scores_3 = scores_3 + padding.key_bias.clone();
        }
        let mut kernel_2 = softmax(scores_2, 3);
        if let Some(segments) = segments {
            kernel_2 = kernel_2 * segments.keep.clone();
        }
        let pinv = iterative_pinv(kernel_2.clone(), options.pinv_iterations, options.pinv_init);
        Self { kernel_1: softmax(scores_1, 3), kernel_2, pinv, kernel_3: softmax(scores_3, 3) }
    }

    /// Applies the approximated attention matrix to `value`.
    ///
    /// # Shapes
    /// - `value`, output: `[batch, heads, seq_len, head_dim]`
    pub fn apply(self, value: Tensor<4>) -> Tensor<4> {
        self.kernel_1.matmul(self.pinv.matmul(self.kernel_3.matmul(value)))
    }

    /// `‖A Z A − A‖ / ‖A‖` per matrix: large values mean that the pseudo-inverse needs more iterations.
    ///
    /// # Shapes
    /// - output: `[batch, heads]`
    pub fn residual(&self) -> Tensor<2> {
        pinv_residual(self.kernel_2.clone(), self.pinv.clone())
    }
}
