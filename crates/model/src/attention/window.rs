//! A window around each token: exact attention to the tokens near by, and to further keys that every token sees, in one softmax.
//!
//! Blocks of queries, each as long as half a window, meet three blocks of keys: their own and both neighbours. Of n tokens, a
//! window of w, g further keys, d channels a head: time O(n (w + g) d), memory O(n (w + g)). Distances are counted in columns,
//! so padding between tokens counts.

use burn::tensor::{Device, Tensor, TensorData};
use nystromformer_kernels::softmax;

use super::{padding::MASKED, self_attention::first_rows, softmax::score_scale};

/// How far a token sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Tokens on each side of it.
    reach: usize,
}

/// Keys that every token sees beside its window.
pub(super) struct FurtherKeys {
    /// `[batch, heads, keys, head_dim]`.
    pub key: Tensor<4>,
    /// What a token takes of each: `[batch, heads, keys, head_dim]`.
    pub value: Tensor<4>,
    /// Added to their scores: `[batch or 1, 1, 1, keys]`.
    pub bias: Option<Tensor<4>>,
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

    /// Keys whose scores are computed for each query: those of three blocks.
    pub(super) fn keys(self) -> usize {
        3 * self.reach
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
        let keys = windows(key, reach, blocks, 0.0);
        let scores = in_blocks(query.clone()).matmul(keys.transpose());

        // Beyond the ends stand no keys.
        let mut bias = Tensor::<4>::zeros([1, 1, seq_len, 1], (&device, query.dtype()));
        if let Some(key_bias) = key_bias {
            bias = bias + key_bias.swap_dims(2, 3);
        }
        let bias = windows(bias, reach, blocks, MASKED); // [batch or 1, 1, blocks, 3 reach, 1]
        let scores = scores + (bias.swap_dims(3, 4) + self.band(&device));
        let values = windows(value, reach, blocks, 0.0);
        let Some(further) = further else {
            let context = softmax(scores).matmul(values);
            return first_rows(context.reshape([batch, heads, rows, head_dim]), attending);
        };

        let [_, _, count, _] = further.key.dims();
        let mut of_further = query.matmul(further.key.transpose()); // [batch, heads, rows, keys]
        if let Some(bias) = further.bias {
            of_further = of_further + bias;
        }
        let probabilities = softmax(Tensor::cat(vec![in_blocks(of_further), scores], 4));
        let of_window = probabilities.clone().narrow(4, count, self.keys()).matmul(values);
        let of_further = probabilities.narrow(4, 0, count).reshape([batch, heads, rows, count]);
        let context =
            of_window.reshape([batch, heads, rows, head_dim]) + of_further.matmul(further.value);
        first_rows(context, attending)
    }

    /// A 1 for each place that the token at `position` sees, 0 elsewhere: `[1, 1, 1, seq_len]`.
    pub(super) fn places(self, position: usize, seq_len: usize, device: &Device) -> Tensor<4> {
        let is_near = |place: usize| place.abs_diff(position) <= self.reach;
        let places: Vec<f32> =
            (0..seq_len).map(|place| if is_near(place) { 1.0 } else { 0.0 }).collect();
        Tensor::from_data(TensorData::new(places, [1, 1, 1, seq_len]), device)
    }

    /// 0 where a key of three blocks is within reach of a query of the middle one, a large negative number elsewhere:
    /// `[1, 1, 1, reach, 3 reach]`.
    fn band(self, device: &Device) -> Tensor<5> {
        let reach = self.reach;
        let bias = |query: usize, key: usize| {
            if (query..=query + 2 * reach).contains(&key) { 0.0 } else { MASKED as f32 }
        };
        let band: Vec<f32> =
            (0..reach).flat_map(|query| (0..3 * reach).map(move |key| bias(query, key))).collect();
        Tensor::from_data(TensorData::new(band, [1, 1, 1, reach, 3 * reach]), device)
    }
}

/// 0 where `seen` is 1, a large negative number where it is 0.
pub(super) fn bias_of(seen: Tensor<4>) -> Tensor<4> {
    seen.sub_scalar(1.0).mul_scalar(-MASKED)
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
