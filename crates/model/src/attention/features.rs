//! Attention by features, `φ(Q) (φ(K)ᵀ V)` over its sum of weights: what kinds do that replace the exponential of a product by a
//! product of features. `φ(K)ᵀ V` is `features × head_dim`, so time and memory are O(n).

use burn::tensor::Tensor;

use super::padding::{Padding, of_tokens};

/// Attends queries to all valid keys, `Σⱼ φ(qᵢ)·φ(kⱼ) vⱼ / (Σⱼ φ(qᵢ)·φ(kⱼ) + epsilon)`.
///
/// # Shapes
/// - `query`: `[batch, heads, queries, features]`, not negative
/// - `key`: `[batch, heads, seq_len, features]`, not negative
/// - `value`: `[batch, heads, seq_len, head_dim]`
/// - output: `[batch, heads, queries, head_dim]`
pub(super) fn feature_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    padding: Option<&Padding>,
    epsilon: f64,
) -> Tensor<4> {
    let key = of_tokens(key, padding);
    let sums = key.clone().sum_dim(2); // [batch, heads, 1, features]
    let summary = key.transpose().matmul(value); // [batch, heads, features, head_dim]
    let total = query.clone().matmul(sums.transpose()).add_scalar(epsilon);
    query.matmul(summary) / total
}

/// What one query takes of each place.
///
/// # Shapes
/// - `query`: `[batch, heads, 1, features]`
/// - `key`: `[batch, heads, seq_len, features]`
/// - output: `[batch, heads, seq_len]`
pub(super) fn feature_row(
    query: Tensor<4>,
    key: Tensor<4>,
    padding: Option<&Padding>,
    epsilon: f64,
) -> Tensor<3> {
    let weights = query.matmul(of_tokens(key, padding).transpose());
    let total = weights.clone().sum_dim(3).add_scalar(epsilon);
    (weights / total).squeeze_dim(2)
}
