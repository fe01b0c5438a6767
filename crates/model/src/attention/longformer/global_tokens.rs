//! The tokens of a row that see all and are seen by all.

use burn::tensor::{Device, Int, Tensor};

use crate::attention::{
    padding::{MASKED, Padding},
    self_attention::first_rows,
};

/// The first valid tokens of each row.
pub(super) struct GlobalTokens {
    count: usize,
    /// `[batch, 1, count, seq_len]`: a 1 where each of them is, in a row with fewer tokens no 1 for the spare ones; `None`:
    /// they are the first columns.
    places: Option<Tensor<4>>,
}

impl GlobalTokens {
    /// `None` if there are none; a row has more columns than there are global tokens.
    pub(super) fn new(count: usize, padding: Option<&Padding>) -> Option<Self> {
        if count == 0 {
            return None;
        }
        let places = padding.map(|padding| {
            let keep = padding.keep.clone(); // [batch, 1, seq_len, 1]
            let rank = Tensor::<1, Int>::arange(1..count as i64 + 1, &keep.device()).float();
            let rank = rank.reshape([1, 1, 1, count]);
            let is_place = keep.clone().cumsum(2).equal(rank).float() * keep;
            is_place.swap_dims(2, 3)
        });
        Some(Self { count, places })
    }

    /// Their rows.
    ///
    /// # Shapes
    /// - `x`: `[batch, heads, seq_len, width]`
    /// - output: `[batch, heads, count, width]`
    pub(super) fn of(&self, x: Tensor<4>) -> Tensor<4> {
        match &self.places {
            Some(places) => places.clone().matmul(x),
            None => first_rows(x, self.count),
        }
    }

    /// A 1 where each of them is: `[batch or 1, 1, count, seq_len]`.
    pub(super) fn places(&self, seq_len: usize, device: &Device) -> Tensor<4> {
        self.places.clone().unwrap_or_else(|| {
            let others = Tensor::<2>::zeros([self.count, seq_len - self.count], device);
            Tensor::cat(vec![Tensor::<2>::eye(self.count, device), others], 1).unsqueeze()
        })
    }

    /// 0, or a large negative number for a spare one: `[batch, 1, 1, count]`.
    pub(super) fn key_bias(&self) -> Option<Tensor<4>> {
        let is_there = self.places.clone()?.sum_dim(3).swap_dims(2, 3);
        Some(is_there.sub_scalar(1.0).mul_scalar(-MASKED))
    }

    /// `context` with their rows in place of what it has of them.
    ///
    /// # Shapes
    /// - `context`, output: `[batch, heads, attending, head_dim]`
    /// - `rows`: `[batch, heads, count, head_dim]`
    pub(super) fn put(&self, context: Tensor<4>, rows: Tensor<4>) -> Tensor<4> {
        let [_, _, attending, _] = context.dims();
        let Some(places) = &self.places else {
            if attending <= self.count {
                return first_rows(rows, attending);
            }
            let others = context.narrow(2, self.count, attending - self.count);
            return Tensor::cat(vec![rows, others], 2);
        };
        let places = places.clone().narrow(3, 0, attending).swap_dims(2, 3); // [batch, 1, attending, count]
        let is_other = places.clone().sum_dim(3).neg().add_scalar(1.0);
        context * is_other + places.matmul(rows)
    }
}
