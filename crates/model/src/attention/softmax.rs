//! Exact attention, `softmax(Q Kᵀ / √d) V`: the baseline, O(n²) in time, and in memory too
//! where probabilities are dropped.

use burn::tensor::Tensor;
use nystromformer_kernels::{attention, dropout, softmax};

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
    let scale = (head_dim as f64).powf(-0.5);
    let key_bias = padding.map(|padding| padding.key_bias.clone());
    if attention_probs_dropout_prob == 0.0 || !query.device().is_autodiff() {
        return attention(query, key, value, key_bias, scale);
    }
    let mut scores = query.mul_scalar(scale).matmul(key.transpose());
    if let Some(key_bias) = key_bias {
        scores = scores + key_bias;
    }
    dropout(softmax(scores), attention_probs_dropout_prob).matmul(value)
}
