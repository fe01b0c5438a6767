//! Exact attention, `softmax(Q Kᵀ / √d) V`: the baseline, O(n²) in time and memory.

use burn::tensor::{Tensor, activation::softmax};
use nystromformer_kernels::dropout;

use super::padding::Padding;

/// Attends every token to every valid token.
///
/// # Shapes
/// - `query`, `key`, `value`: `[batch, heads, seq_len, head_dim]`
/// - output: the same
pub fn softmax_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    padding: Option<&Padding>,
    attention_probs_dropout_prob: f64,
) -> Tensor<4> {
    let [_, _, _, head_dim] = query.dims();
    let scores = query.mul_scalar((head_dim as f64).powf(-0.5)).matmul(key.transpose());
    let scores = match padding {
        Some(padding) => scores + padding.key_bias.clone(),
        None => scores,
    };
    let probabilities = softmax(scores, 3);
    dropout(probabilities, attention_probs_dropout_prob).matmul(value)
}
