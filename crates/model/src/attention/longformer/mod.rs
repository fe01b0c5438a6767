//! Longformer: a window around each token, and a few tokens that see all and are seen by all (Beltagy et al. 2020, section 3.1).
//!
//! Of n tokens, a window of w, g global tokens, d channels a head: time O(n (w + g) d), memory O(n (w + g)). The first g tokens of
//! each row are global; window and global tokens have the same projections, where the authors' models have others for the global
//! ones. Distances are counted in columns, so padding between tokens counts.
//!
//! Blocks of queries, each as long as half a window, meet three blocks of keys: their own and both neighbours.

mod global_tokens;

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use nystromformer_kernels::{attention, softmax};

use self::global_tokens::GlobalTokens;
use super::{
    kind::{Activations, AttentionMechanism, AttentionOptions},
    padding::{MASKED, Padding},
    self_attention::first_rows,
    softmax::{exact_activations, exact_operations, score_scale, softmax_attention, softmax_row},
};
use crate::{
    component::{Problems, component},
    shared::SharedConfig,
};

component! {
    /// Options of Longformer's attention.
    pub struct LongformerConfig {
        /// Tokens of the window, half of them on each side of a token, which sees itself too; even. Default: 512.
        attention_window: usize = 512,
        /// Tokens at the start of each row that see all and are seen by all. Default: 1.
        num_global_tokens: usize = 1,
    }
}

impl LongformerConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("attention_window", self.attention_window, 2);
        problems.check(
            self.attention_window.is_multiple_of(2),
            "attention_window",
            &self.attention_window,
            "must be even: half of it lies on each side of a token",
        );
        problems.check_size("num_global_tokens", self.num_global_tokens, 0);
    }

    /// The attention of a layer; it has no weights.
    pub fn init(&self, _: &SharedConfig, _: &Device) -> LongformerAttention {
        LongformerAttention {
            reach: (self.attention_window / 2).max(1),
            num_global_tokens: self.num_global_tokens,
        }
    }

    /// Keys that each query meets, in and around its window.
    fn keys(&self) -> usize {
        3 * (self.attention_window / 2) + self.num_global_tokens
    }

    fn is_exact_for(&self, seq_len: usize) -> bool {
        sees_all(self.attention_window / 2, self.num_global_tokens, seq_len)
    }
}

/// Whether every token sees all.
fn sees_all(reach: usize, num_global_tokens: usize, seq_len: usize) -> bool {
    seq_len <= reach.saturating_add(1) || seq_len <= num_global_tokens
}

impl AttentionOptions for LongformerConfig {
    fn activations(&self, seq_len: usize, shared: &SharedConfig, is_fused: bool) -> Activations {
        if self.is_exact_for(seq_len) {
            return exact_activations(seq_len, shared, is_fused, false);
        }
        let scores = (shared.num_attention_heads * self.keys()) as u64;
        // Keys and values of three blocks; the probabilities, which are cut in two; where Burn computes them, exponentials too.
        let copies = if is_fused { 2 } else { 3 };
        Activations {
            kept_by_layer: copies * scores + 6 * shared.hidden_size as u64,
            at_once: 2 * scores,
        }
    }

    fn operations(&self, seq_len: usize, shared: &SharedConfig) -> f64 {
        if self.is_exact_for(seq_len) {
            return exact_operations(seq_len, shared);
        }
        // Its own rows, and those of the global tokens over all.
        4.0 * (self.keys() + self.num_global_tokens) as f64 * shared.hidden_size as f64
    }
}

/// Longformer's attention.
#[derive(Module, Debug)]
pub struct LongformerAttention {
    /// Tokens on each side that a token sees.
    reach: usize,
    num_global_tokens: usize,
}

impl AttentionMechanism for LongformerAttention {
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        let [_, _, seq_len, _] = query.dims();
        if sees_all(self.reach, self.num_global_tokens, seq_len) {
            return softmax_attention(first_rows(query, attending), key, value, padding, 0.0);
        }
        let first = first_rows(query.clone(), attending);
        let Some(global) = GlobalTokens::new(self.num_global_tokens, padding) else {
            return self.local(first, key, value, padding, None);
        };
        let scale = score_scale(&query);
        let local = self.local(first, key.clone(), value.clone(), padding, Some(&global));
        let key_bias = padding.map(|padding| padding.key_bias.clone());
        global.put(local, attention(global.of(query), key, value, key_bias, scale))
    }

    fn row(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>> {
        let [_, _, seq_len, _] = query.dims();
        if sees_all(self.reach, self.num_global_tokens, seq_len) {
            return Some(softmax_row(query, key, padding, position));
        }
        let device = query.device();
        let in_window: Vec<f32> = (0..seq_len)
            .map(|place| if place.abs_diff(position) <= self.reach { 1.0 } else { 0.0 })
            .collect();
        let in_window = TensorData::new(in_window, [1, 1, 1, seq_len]);
        let mut seen = Tensor::<4>::from_data(in_window, &device);
        if let Some(global) = GlobalTokens::new(self.num_global_tokens, padding) {
            let is_global = global.places(seq_len, &device).sum_dim(2); // [batch, 1, 1, seq_len]
            seen = seen + is_global.clone() + is_global.narrow(3, position, 1);
        }
        let bias = seen.clamp_max(1.0).sub_scalar(1.0).mul_scalar(-MASKED);
        let scale = score_scale(&query);
        let row = query.narrow(2, position, 1).mul_scalar(scale);
        let mut scores = row.matmul(key.transpose()) + bias;
        if let Some(padding) = padding {
            scores = scores + padding.key_bias.clone();
        }
        Some(softmax(scores).squeeze_dim(2))
    }
}

impl LongformerAttention {
    /// Attends the first tokens of each row to their windows, and to the global tokens.
    ///
    /// # Shapes
    /// - `query`: `[batch, heads, attending, head_dim]`
    /// - `key`, `value`: `[batch, heads, seq_len, head_dim]`
    /// - output: `[batch, heads, attending, head_dim]`
    fn local(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        global: Option<&GlobalTokens>,
    ) -> Tensor<4> {
        let [batch, heads, attending, head_dim] = query.dims();
        let (reach, device) = (self.reach, query.device());
        let [_, _, seq_len, _] = key.dims();
        let blocks = attending.div_ceil(reach);
        let rows = blocks * reach;

        let scale = score_scale(&query);
        let query = filled(query.mul_scalar(scale), rows, 0.0);
        let in_blocks = |x: Tensor<4>| -> Tensor<5> {
            let [_, _, _, width] = x.dims();
            x.reshape([batch, heads, blocks, reach, width])
        };
        let keys = windows(key.clone(), reach, blocks, 0.0);
        let scores = in_blocks(query.clone()).matmul(keys.transpose());

        let mut key_bias = Tensor::<4>::zeros([1, 1, seq_len, 1], (&device, query.dtype()));
        if let Some(padding) = padding {
            key_bias = key_bias + padding.key_bias.clone().swap_dims(2, 3);
        }
        if let Some(global) = global {
            // They are met by themselves.
            let is_global = global.places(seq_len, &device).sum_dim(2);
            key_bias = key_bias + is_global.mul_scalar(MASKED).swap_dims(2, 3);
        }
        let key_bias = windows(key_bias, reach, blocks, MASKED); // [batch, 1, blocks, 3 reach, 1]
        let scores = scores + (key_bias.swap_dims(3, 4) + self.band(&device));
        let values = windows(value.clone(), reach, blocks, 0.0);
        let Some(global) = global else {
            let context = softmax(scores).matmul(values);
            return first_rows(context.reshape([batch, heads, rows, head_dim]), attending);
        };

        let count = global.count();
        let mut of_global = query.matmul(global.of(key).transpose()); // [batch, heads, rows, globals]
        if let Some(bias) = global.key_bias() {
            of_global = of_global + bias;
        }
        let probabilities = softmax(Tensor::cat(vec![in_blocks(of_global), scores], 4));
        let of_window = probabilities.clone().narrow(4, count, 3 * reach).matmul(values);
        let of_global = probabilities.narrow(4, 0, count).reshape([batch, heads, rows, count]);
        let context =
            of_window.reshape([batch, heads, rows, head_dim]) + of_global.matmul(global.of(value));
        first_rows(context, attending)
    }

    /// 0 where a key of three blocks is within reach of a query of the middle one, a large negative number elsewhere:
    /// `[1, 1, 1, reach, 3 reach]`.
    fn band(&self, device: &Device) -> Tensor<5> {
        let reach = self.reach;
        let bias = |query: usize, key: usize| {
            if (query..=query + 2 * reach).contains(&key) { 0.0 } else { MASKED as f32 }
        };
        let band: Vec<f32> =
            (0..reach).flat_map(|query| (0..3 * reach).map(move |key| bias(query, key))).collect();
        Tensor::from_data(TensorData::new(band, [1, 1, 1, reach, 3 * reach]), device)
    }
}

/// The same with more rows, of a number.
///
/// # Shapes
/// - `x`: `[batch, heads, rows, width]`, of as many rows or fewer
/// - output: `[batch, heads, rows, width]`
fn filled(x: Tensor<4>, rows: usize, number: f64) -> Tensor<4> {
    let [batch, heads, present, width] = x.dims();
    if present == rows {
        return x;
    }
    let shape = [batch, heads, rows - present, width];
    let more = Tensor::full(shape, number, (&x.device(), x.dtype()));
    Tensor::cat(vec![x, more], 2)
}

/// For each block of `reach` rows, the one before it, itself, and the one behind it; beyond the ends stands a number.
///
/// # Shapes
/// - `x`: `[batch, heads, seq_len, width]`
/// - output: `[batch, heads, blocks, 3 reach, width]`
fn windows(x: Tensor<4>, reach: usize, blocks: usize, number: f64) -> Tensor<5> {
    let [batch, heads, seq_len, width] = x.dims();
    let before = Tensor::full([batch, heads, reach, width], number, (&x.device(), x.dtype()));
    let read = (blocks + 1) * reach;
    let x = filled(first_rows(x, read.min(seq_len)), read, number);
    let x = Tensor::cat(vec![before, x], 2);
    let shifted = |by: usize| {
        let block = x.clone().narrow(2, by * reach, blocks * reach);
        block.reshape([batch, heads, blocks, reach, width])
    };
    Tensor::cat(vec![shifted(0), shifted(1), shifted(2)], 3)
}
