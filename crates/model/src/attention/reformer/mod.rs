//! Reformer: tokens attend to those that hash alike (Kitaev et al. 2020, section 2). Queries are the keys too, those of unit length.
//!
//! Random rotations hash every token to one of some buckets; tokens sorted by bucket are cut into chunks; each attends to those of its
//! bucket in its own chunk and in the one before. Rounds of other rotations are joined by what their scores sum to; a pair that
//! meets in several rounds counts in each, as in the authors' code, whose scores are not divided by √d either. A token attends to
//! itself only where it meets nobody else. Of n tokens, chunks of c, r rounds, b buckets, d channels a head: time
//! O(n (log n + r (c + b) d)), memory O(n r (c + d)).
//!
//! Buckets are as many whatever the length, and the first chunk meets none before it, so that padding, which is sorted behind all
//! tokens, changes nothing.

mod order;
#[cfg(test)]
mod tests;

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::softmax;

use self::order::Order;
use super::{
    kind::{Activations, AttentionMechanism, AttentionOptions, Projections},
    padding::{MASKED, Padding},
    random_rows::{RandomRows, independent},
    self_attention::first_rows,
};
use crate::{
    component::{Problems, component},
    shared::SharedConfig,
};

/// Added to the score of a token with itself, as in the authors' code.
const ITSELF: f64 = -5e4;

/// Added to the square of a key's length.
const LEAST_SQUARE: f64 = 1e-12;

/// So that a bucket and a place together are a number of 32 bits, of sequences of up to half a million tokens.
const MOST_BUCKETS: usize = 4096;

component! {
    /// Options of Reformer's attention.
    pub struct ReformerConfig {
        /// Rounds of hashing. Default: 2.
        num_hashes: usize = 2,
        /// Buckets of each round, even; 1 means that all tokens share one. Default: 32.
        num_buckets: usize = 32,
        /// Tokens of a chunk. Default: 64.
        lsh_attn_chunk_length: usize = 64,
        /// Draw the rotations anew in every step of training; all else computes with those of `hash_seed`.
        /// Default: false, these everywhere.
        hash_redraw: bool = false,
        /// Seed of the rotations, which no file holds; every layer draws others from it. Default: 0.
        hash_seed: usize = 0,
    }
}

impl ReformerConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("num_hashes", self.num_hashes, 1);
        problems.check_size("num_buckets", self.num_buckets, 1);
        problems.check(
            self.num_buckets == 1
                || (self.num_buckets.is_multiple_of(2) && self.num_buckets <= MOST_BUCKETS),
            "num_buckets",
            &self.num_buckets,
            format!("must be 1, or even and at most {MOST_BUCKETS}: a direction and its opposite are two"),
        );
        problems.check_size("lsh_attn_chunk_length", self.lsh_attn_chunk_length, 1);
        problems.check_size("hash_seed", self.hash_seed, 0);
    }

    /// The attention of a layer; it has no weights.
    pub fn init(&self, shared: &SharedConfig, _: &Device) -> ReformerAttention {
        let shape = [self.num_hashes * self.rotations(), shared.head_dim()];
        ReformerAttention {
            num_hashes: self.num_hashes,
            num_buckets: self.num_buckets,
            chunk: self.lsh_attn_chunk_length,
            rotations: RandomRows::new(shape, independent, self.hash_seed, self.hash_redraw),
        }
    }

    /// Directions that a round compares a token with, each with its opposite.
    fn rotations(&self) -> usize {
        self.num_buckets / 2
    }
}

impl AttentionOptions for ReformerConfig {
    fn projections(&self) -> Projections {
        Projections::Query
    }

    fn activations(&self, seq_len: usize, shared: &SharedConfig, _: bool) -> Activations {
        let (hashes, hidden) = (self.num_hashes as u64, shared.hidden_size as u64);
        let chunk = self.lsh_attn_chunk_length.min(seq_len) as u64;
        let scores = 2 * chunk * shared.num_attention_heads as u64;
        // Exponentials and weights; queries, keys and values, sorted and in chunks, and what each round gives; indices.
        Activations {
            kept_by_layer: hashes * (3 * scores + 10 * hidden) + 3 * hidden,
            at_once: 4 * scores,
        }
    }

    fn operations(&self, seq_len: usize, shared: &SharedConfig) -> f64 {
        let chunk = self.lsh_attn_chunk_length.min(seq_len);
        let of_round = 2.0 * self.rotations() as f64 + 8.0 * chunk as f64;
        self.num_hashes as f64 * of_round * shared.hidden_size as f64
    }
}

/// Reformer's attention.
#[derive(Module, Debug)]
pub struct ReformerAttention {
    num_hashes: usize,
    num_buckets: usize,
    /// Tokens of a chunk.
    chunk: usize,
    /// Those of one round after the other, for all heads.
    #[module(skip)]
    rotations: RandomRows,
}

impl AttentionMechanism for ReformerAttention {
    fn forward(
        &self,
        query: Tensor<4>,
        _: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        let key = of_unit_length(query.clone());
        let rotations = self.rotations_for(&query.device(), false);
        let rounds = (0..self.num_hashes).map(|round| {
            let buckets = self.buckets(&query, rotations.as_ref(), round, padding);
            let order = Order::new(buckets, self.chunk);
            let scores = order.scores(&query, &key);
            let largest = scores.clone().max_dim(3).detach();
            let weights = (scores - largest.clone()).exp();
            let sums = weights.clone().sum_dim(3);
            let context = weights.matmul(order.pairs(&value)) / sums.clone();
            (order.undo(context, &value), order.undo(sums.log() + largest, &value))
        });
        let (contexts, sums): (Vec<_>, Vec<_>) = rounds.unzip();
        let shares = softmax(Tensor::cat(sums, 3)); // [batch, heads, seq_len, rounds]
        let weighted = contexts
            .into_iter()
            .enumerate()
            .map(|(round, context)| context * shares.clone().narrow(3, round, 1));
        let context = weighted.reduce(|sum, context| sum + context);
        first_rows(context.expect("there is a round at least"), attending)
    }

    fn set_layer(&mut self, layer: usize) {
        self.rotations.set_layer(layer);
    }

    fn row(
        &self,
        query: Tensor<4>,
        _: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>> {
        let [batch, heads, seq_len, _] = query.dims();
        let key = of_unit_length(query.clone());
        let one = query.clone().narrow(2, position, 1);
        let scores = one.matmul(key.transpose()).reshape([batch, heads, seq_len]);
        let device = query.device();
        let places = Tensor::<1, Int>::arange(0..seq_len as i64, &device).reshape([1, 1, seq_len]);
        let is_itself = places.equal_elem(position as i64).float();
        let scores = scores + is_itself.mul_scalar(ITSELF);
        let rotations = self.rotations_for(&device, true);
        let of_rounds: Vec<Tensor<3>> = (0..self.num_hashes)
            .map(|round| {
                let buckets = self.buckets(&query, rotations.as_ref(), round, padding);
                let chunks = Order::new(buckets.clone(), self.chunk).chunks();
                let own = |of: &Tensor<3, Int>| of.clone().narrow(2, position, 1);
                let (bucket, chunk) = (own(&buckets), own(&chunks));
                let is_near = chunks.clone().equal(chunk.clone()).float()
                    + chunks.add_scalar(1).equal(chunk).float();
                let is_met = is_near * buckets.equal(bucket).float();
                scores.clone() + is_met.sub_scalar(1.0).mul_scalar(-MASKED)
            })
            .collect();
        let weights = softmax(Tensor::cat(of_rounds, 2));
        let of_round = |round: usize| weights.clone().narrow(2, round * seq_len, seq_len);
        (0..self.num_hashes).map(of_round).reduce(|sum, weights| sum + weights)
    }
}

impl ReformerAttention {
    /// The rotations of all rounds, `[rounds · rotations, head_dim]`; `None` where all tokens share one bucket.
    fn rotations_for(&self, device: &Device, is_fixed: bool) -> Option<Tensor<2>> {
        let rows = || {
            if is_fixed { self.rotations.fixed(device) } else { self.rotations.for_pass(device) }
        };
        (self.num_buckets > 1).then(rows)
    }

    /// The bucket of each token in a round; that of padding is one more than there are.
    ///
    /// # Shapes
    /// - `query`: `[batch, heads, seq_len, head_dim]`
    /// - output: `[batch, heads, seq_len]`
    fn buckets(
        &self,
        query: &Tensor<4>,
        rotations: Option<&Tensor<2>>,
        round: usize,
        padding: Option<&Padding>,
    ) -> Tensor<3, Int> {
        let [batch, heads, seq_len, _] = query.dims();
        let shape = [batch, heads, seq_len];
        let buckets = match rotations {
            Some(rotations) => {
                let count = self.num_buckets / 2;
                let of_round = rotations.clone().narrow(0, round * count, count).transpose();
                let turned = query.clone().detach().matmul(of_round.unsqueeze());
                Tensor::cat(vec![turned.clone(), turned.neg()], 3).argmax(3).reshape(shape)
            }
            None => Tensor::zeros(shape, &query.device()),
        };
        match padding {
            Some(padding) => {
                let is_padding = padding.keep.clone().equal_elem(0.0).reshape([batch, 1, seq_len]);
                buckets.mask_fill(is_padding.expand(shape), self.num_buckets as i64)
            }
            None => buckets,
        }
    }
}

/// Each row over its length.
fn of_unit_length(x: Tensor<4>) -> Tensor<4> {
    let length = x.clone().square().sum_dim(3).add_scalar(LEAST_SQUARE).sqrt();
    x / length
}
