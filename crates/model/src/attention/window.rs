//! A window around each token: exact attention to the tokens near by, and to further keys that every token sees, in one softmax.
//!
//! Distances are counted in columns, so padding between tokens counts.

use burn::tensor::{Device, Tensor, TensorData};
use nystromformer_kernels::{FurtherKeys, window_attention};

use super::{kind::Activations, padding::MASKED, softmax::score_scale};
use crate::shared::SharedConfig;

/// How far a token sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Tokens on each side of it.
    reach: usize,
}

impl Window {
    /// One of `tokens`, half of them on each side of a token, which sees itself too.
    pub(super) fn of(tokens: usize) -> Self {
        Self { reach: (tokens / 2).max(1) }
    }

    /// Tokens on each side.
    pub(super) fn reach(self) -> usize {
        self.reach
    }

    /// Tokens that one sees: those on both sides, and itself.
    pub(super) fn tokens(self) -> usize {
        2 * self.reach + 1
    }

    /// Keys whose scores are computed for each token where no kernel does: those of three blocks as long as it reaches.
    pub(super) fn composed_keys(self) -> usize {
        3 * self.reach
    }

    /// What a token of `seq_len` keeps for the backward pass and holds at once, in values, beside `further` keys that all see.
    pub(super) fn activations(
        self,
        further: u64,
        seq_len: usize,
        shared: &SharedConfig,
        is_fused: bool,
    ) -> Activations {
        let (heads, hidden_size) = (shared.num_attention_heads as u64, shared.hidden_size as u64);
        if is_fused {
            // Keys and values behind further ones, and statistics of the softmax; gradients of the former.
            let of_further = (2 * hidden_size * further).div_ceil(seq_len.max(1) as u64);
            let copied = if further == 0 { 0 } else { 2 * hidden_size + of_further };
            return Activations { kept_by_layer: copied + 2 * heads, at_once: copied };
        }
        // Scores of further keys and of three blocks in one softmax: exponentials, and probabilities, which are cut in two; keys and
        // values of three blocks.
        let scores = heads * (further + self.composed_keys() as u64);
        Activations { kept_by_layer: 3 * scores + 6 * hidden_size, at_once: 2 * scores }
    }

    /// Attends the first tokens of each row to their windows, and to further keys.
    ///
    /// # Shapes
    /// - `query`: `[batch, heads, attending, head_dim]`
    /// - `key`, `value`: `[batch, heads, seq_len, head_dim]`
    /// - `key_bias`, added to the scores of the windows: `[batch or 1, 1, 1, seq_len]`
    /// - output: `[batch, heads, attending, head_dim]`
    pub(super) fn attend(
        self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        key_bias: Option<Tensor<4>>,
        further: Option<FurtherKeys>,
    ) -> Tensor<4> {
        let scale = score_scale(&query);
        window_attention(query, key, value, key_bias, further, self.reach, scale)
    }

    /// A 1 for each place that the token at `position` sees, 0 elsewhere: `[1, 1, 1, seq_len]`.
    pub(super) fn places(self, position: usize, seq_len: usize, device: &Device) -> Tensor<4> {
        let is_near = |place: usize| place.abs_diff(position) <= self.reach;
        let places: Vec<f32> =
            (0..seq_len).map(|place| if is_near(place) { 1.0 } else { 0.0 }).collect();
        Tensor::from_data(TensorData::new(places, [1, 1, 1, seq_len]), device)
    }
}

/// 0 where `seen` is 1, a large negative number where it is 0.
pub(super) fn bias_of(seen: Tensor<4>) -> Tensor<4> {
    seen.sub_scalar(1.0).mul_scalar(-MASKED)
}
