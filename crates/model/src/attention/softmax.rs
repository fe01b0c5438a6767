//! Exact attention, `softmax(Q Kᵀ / √d) V`: the baseline, O(n²) in time, and in memory too
//! where probabilities are dropped.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::{attention, dropout, drops, softmax};

use super::{
    kind::{Activations, AttentionMechanism, AttentionOptions, FEW_ON_GPU, WIDEST_HEAD_ON_GPU},
    padding::Padding,
    self_attention::first_rows,
};
use crate::{
    component::{Problems, component},
    shared::{Semantics, SharedConfig},
};

component! {
    /// Options of exact attention.
    pub struct SoftmaxConfig {
        /// Dropout on attention probabilities, in [0, 1). Only softmax attention under
        /// `semantics = "paper"` has such probabilities to drop: neither the authors' Nyström attention nor
        /// transformers applies it. Default: 0.1.
        attention_probs_dropout_prob: f64 = 0.1,
    }
}

impl SoftmaxConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_dropout("attention_probs_dropout_prob", self.attention_probs_dropout_prob);
    }

    /// Exact attention; it has no weights.
    pub fn init(&self, shared: &SharedConfig, _: &Device) -> SoftmaxAttention {
        SoftmaxAttention { attention_probs_dropout_prob: self.dropped(shared) }
    }

    /// transformers has this dropout in its configuration but never applies it.
    fn dropped(&self, shared: &SharedConfig) -> f64 {
        match shared.semantics {
            Semantics::Paper => self.attention_probs_dropout_prob,
            Semantics::Hf => 0.0,
        }
    }
}

impl AttentionOptions for SoftmaxConfig {
    fn is_exact(&self, _: &SharedConfig) -> bool {
        true
    }

    fn is_of_transformers(&self) -> bool {
        true
    }

    fn is_of_kernels(&self) -> bool {
        true
    }

    fn is_of_gpu_kernels(&self, seq_len: usize, shared: &SharedConfig) -> bool {
        self.dropped(shared) == 0.0 && is_exact_of_gpu_kernels(seq_len, shared)
    }

    fn activations(&self, seq_len: usize, shared: &SharedConfig, is_fused: bool) -> Activations {
        exact_activations(seq_len, shared, is_fused, self.dropped(shared) > 0.0)
    }

    fn operations(&self, seq_len: usize, shared: &SharedConfig) -> f64 {
        exact_operations(seq_len, shared)
    }
}

/// Exact attention.
#[derive(Module, Debug)]
pub struct SoftmaxAttention {
    attention_probs_dropout_prob: f64,
}

impl AttentionMechanism for SoftmaxAttention {
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        let probability = self.attention_probs_dropout_prob;
        if drops(probability, &query.device()) {
            // A probability is dropped by its place among all of them.
            let context = softmax_attention(query, key, value, padding, probability);
            return first_rows(context, attending);
        }
        softmax_attention(first_rows(query, attending), key, value, padding, 0.0)
    }

    fn row(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>> {
        Some(softmax_row(query, key, padding, position))
    }
}

/// What the query at `position` takes of each valid place.
///
/// # Shapes
/// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
/// - output: `[batch, heads, seq_len]`
pub fn softmax_row(
    query: Tensor<4>,
    key: Tensor<4>,
    padding: Option<&Padding>,
    position: usize,
) -> Tensor<3> {
    let scale = score_scale(&query);
    let row = query.narrow(2, position, 1).mul_scalar(scale);
    let mut scores = row.matmul(key.transpose());
    if let Some(padding) = padding {
        scores = scores + padding.key_bias.clone();
    }
    softmax(scores).squeeze_dim(2)
}

/// Factor of all scores, `1/√head_dim`.
///
/// # Shapes
/// - `query`: `[batch, heads, seq_len, head_dim]`
pub(super) fn score_scale(query: &Tensor<4>) -> f64 {
    let [_, _, _, head_dim] = query.dims();
    (head_dim as f64).powf(-0.5)
}

/// Whether kernels for GPUs compute exact attention over so many tokens.
pub(super) fn is_exact_of_gpu_kernels(seq_len: usize, shared: &SharedConfig) -> bool {
    seq_len <= FEW_ON_GPU && shared.head_dim() <= WIDEST_HEAD_ON_GPU
}

/// What training holds of exact attention, with or without dropout of its probabilities.
pub(super) fn exact_activations(
    seq_len: usize,
    shared: &SharedConfig,
    is_fused: bool,
    drops: bool,
) -> Activations {
    let scores = shared.num_attention_heads as u64 * seq_len as u64;
    match (is_fused, drops) {
        (true, false) => Activations::default(),
        // Probabilities that are dropped must be held: scores, probabilities, and their gradients.
        (true, true) => Activations { kept_by_layer: 4 * scores, at_once: 0 },
        // Burn's softmax keeps its exponentials and its probabilities.
        (false, false) => Activations { kept_by_layer: 2 * scores, at_once: 2 * scores },
        (false, true) => Activations { kept_by_layer: 4 * scores, at_once: 2 * scores },
    }
}

/// Scores, and their product with the values.
pub(super) fn exact_operations(seq_len: usize, shared: &SharedConfig) -> f64 {
    4.0 * seq_len as f64 * shared.hidden_size as f64
}

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
    let scale = score_scale(&query);
    let key_bias = padding.map(|padding| padding.key_bias.clone());
    if !drops(attention_probs_dropout_prob, &query.device()) {
        return attention(query, key, value, key_bias, scale);
    }
    let mut scores = query.mul_scalar(scale).matmul(key.transpose());
    if let Some(key_bias) = key_bias {
        scores = scores + key_bias;
    }
    dropout(softmax(scores), attention_probs_dropout_prob).matmul(value)
}
