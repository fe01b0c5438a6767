//! Tokens sorted by what they hash to, in chunks.

use burn::tensor::{Int, Tensor};
use nystromformer_kernels::select_rows;

use super::ITSELF;
use crate::attention::padding::MASKED;

/// The tokens of each head sorted by bucket, those of a bucket by place, and cut into chunks.
pub(super) struct Order {
    /// `[batch, heads, seq_len]`: the place of each sorted token.
    sorted: Tensor<3, Int>,
    /// `[batch, heads, seq_len]`: where each token is among the sorted.
    rank: Tensor<3, Int>,
    /// `[batch, heads, seq_len]`: the bucket of each sorted token.
    buckets: Tensor<3, Int>,
    /// Tokens of a chunk.
    chunk: usize,
}

impl Order {
    /// # Shapes
    /// - `buckets`: `[batch, heads, seq_len]`
    pub(super) fn new(buckets: Tensor<3, Int>, chunk: usize) -> Self {
        let [_, _, seq_len] = buckets.dims();
        let places = Tensor::<1, Int>::arange(0..seq_len as i64, &buckets.device());
        // No two are equal, so that the order does not hang on the device's way of sorting.
        let keys = buckets.clone().mul_scalar(seq_len as i64) + places.reshape([1, 1, seq_len]);
        let of_places = |order: Tensor<3, Int>| order.cast(buckets.dtype());
        let sorted = of_places(keys.argsort(2));
        let rank = of_places(sorted.clone().argsort(2));
        let buckets = buckets.gather(2, sorted.clone());
        Self { sorted, rank, buckets, chunk: chunk.min(seq_len) }
    }

    /// The chunk of each token: `[batch, heads, seq_len]`.
    pub(super) fn chunks(&self) -> Tensor<3, Int> {
        self.rank.clone().div_scalar(self.chunk as i64)
    }

    /// Heads, chunks of each, and the tokens that fill the last one.
    fn sizes(&self) -> [usize; 3] {
        let [batch, heads, seq_len] = self.sorted.dims();
        let chunks = seq_len.div_ceil(self.chunk);
        [batch * heads, chunks, chunks * self.chunk - seq_len]
    }

    /// Tokens in their order.
    ///
    /// # Shapes
    /// - `x`: `[batch, heads, seq_len, width]`
    /// - output: `[batch · heads, chunks, chunk, width]`
    fn arrange(&self, x: &Tensor<4>) -> Tensor<4> {
        let [_, _, seq_len, width] = x.dims();
        let [heads, chunks, spare] = self.sizes();
        let rows = x.clone().reshape([heads * seq_len, width]);
        let sorted = select_rows(rows, flat(&self.sorted, seq_len));
        let sorted = with_more(sorted.reshape([heads, seq_len, width]), spare);
        sorted.reshape([heads, chunks, self.chunk, width])
    }

    /// For each chunk the tokens of the one before and its own.
    ///
    /// # Shapes
    /// - `x`: `[batch, heads, seq_len, width]`
    /// - output: `[batch · heads, chunks, 2 chunk, width]`
    pub(super) fn pairs(&self, x: &Tensor<4>) -> Tensor<4> {
        let own = self.arrange(x);
        let [heads, chunks, chunk, width] = own.dims();
        let none = Tensor::zeros([heads, 1, chunk, width], (&own.device(), own.dtype()));
        let before = Tensor::cat(vec![none, own.clone()], 1).narrow(1, 0, chunks);
        Tensor::cat(vec![before, own], 2)
    }

    /// Scores of each token with those that it may meet: `[batch · heads, chunks, chunk, 2 chunk]`.
    ///
    /// # Shapes
    /// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
    pub(super) fn scores(&self, query: &Tensor<4>, key: &Tensor<4>) -> Tensor<4> {
        let [heads, chunks, spare] = self.sizes();
        let chunk = self.chunk;
        // What fills up is in a bucket of its own, as a query and as a key.
        let cut = |x: &Tensor<3, Int>, of_spare: i64| -> Tensor<3, Int> {
            let [_, _, seq_len] = x.dims();
            let rows = x.clone().reshape([heads, seq_len]);
            if spare == 0 {
                return rows.reshape([heads, chunks, chunk]);
            }
            let more = Tensor::full([heads, spare], of_spare, (&rows.device(), rows.dtype()));
            let rows = Tensor::cat(vec![rows, more], 1);
            rows.reshape([heads, chunks, chunk])
        };
        let pair = |own: Tensor<3, Int>| -> Tensor<3, Int> {
            let none = Tensor::full([heads, 1, chunk], -3, (&own.device(), own.dtype()));
            let before = Tensor::cat(vec![none, own.clone()], 1).narrow(1, 0, chunks);
            Tensor::cat(vec![before, own], 2)
        };
        let is_same = |x: &Tensor<3, Int>| -> Tensor<4> {
            let (query, key) = (cut(x, -1), pair(cut(x, -2)));
            query.unsqueeze_dim::<4>(3).equal(key.unsqueeze_dim(2)).float()
        };
        let bias = is_same(&self.buckets).sub_scalar(1.0).mul_scalar(-MASKED)
            + is_same(&self.sorted).mul_scalar(ITSELF);
        self.arrange(query).matmul(self.pairs(key).transpose()) + bias
    }

    /// Back to the order of the sequence.
    ///
    /// # Shapes
    /// - `x`: `[batch · heads, chunks, chunk, width]`
    /// - output: `[batch, heads, seq_len, width]`
    pub(super) fn undo(&self, x: Tensor<4>, like: &Tensor<4>) -> Tensor<4> {
        let [batch, heads, seq_len, _] = like.dims();
        let [all, chunks, chunk, width] = x.dims();
        let rows = x.reshape([all * chunks * chunk, width]);
        let rows = select_rows(rows, flat(&self.rank, chunks * chunk));
        rows.reshape([batch, heads, seq_len, width])
    }
}

/// Places in sequences as places in all of them, one after the other, each `length` long.
///
/// # Shapes
/// - `places`: `[batch, heads, seq_len]`
/// - output: `[batch · heads · seq_len]`
fn flat(places: &Tensor<3, Int>, length: usize) -> Tensor<1, Int> {
    let [batch, heads, seq_len] = places.dims();
    let starts = Tensor::<1, Int>::arange(0..(batch * heads) as i64, &places.device());
    let starts = starts.mul_scalar(length as i64).reshape([batch, heads, 1]);
    (places.clone() + starts).reshape([batch * heads * seq_len])
}

/// The same with rows of zeros behind.
///
/// # Shapes
/// - `x`: `[heads, rows, width]`
fn with_more(x: Tensor<3>, count: usize) -> Tensor<3> {
    if count == 0 {
        return x;
    }
    let [heads, _, width] = x.dims();
    let more = Tensor::zeros([heads, count, width], (&x.device(), x.dtype()));
    Tensor::cat(vec![x, more], 1)
}
