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

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::{select_rows, softmax};

use super::{
    kind::{Activations, AttentionMechanism, AttentionOptions, Projections, refuse_hf},
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
        /// Seed of the rotations, which no file holds. Default: 0.
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

    fn check_with(&self, shared: &SharedConfig, problems: &mut Problems) {
        refuse_hf("reformer", shared, problems);
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

/// The tokens of each head sorted by bucket, those of a bucket by place, and cut into chunks.
struct Order {
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
    fn new(buckets: Tensor<3, Int>, chunk: usize) -> Self {
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
    fn chunks(&self) -> Tensor<3, Int> {
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
    fn pairs(&self, x: &Tensor<4>) -> Tensor<4> {
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
    fn scores(&self, query: &Tensor<4>, key: &Tensor<4>) -> Tensor<4> {
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
    fn undo(&self, x: Tensor<4>, like: &Tensor<4>) -> Tensor<4> {
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

/// Each row over its length.
fn of_unit_length(x: Tensor<4>) -> Tensor<4> {
    let length = x.clone().square().sum_dim(3).add_scalar(LEAST_SQUARE).sqrt();
    x / length
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;
    use nystromformer_kernels::{Seed, random};

    use super::*;

    const TOKENS: usize = 23;
    const HEAD_DIM: usize = 4;

    fn numbers<const D: usize>(x: &Tensor<D>) -> Vec<f64> {
        x.clone().into_data().iter::<f64>().collect()
    }

    fn dot(left: &[f64], right: &[f64]) -> f64 {
        left.iter().zip(right).map(|(left, right)| left * right).sum()
    }

    /// Buckets, sorting, chunks and rounds in 64-bit floats; the last chunk is not full, and some tokens are padding, which stand
    /// among the others.
    #[test]
    fn it_is_its_definition() {
        let device = Device::flex();
        let shared =
            SharedConfig { hidden_size: HEAD_DIM, num_attention_heads: 1, ..Default::default() };
        let normal = Distribution::Normal(0.0, 1.0);
        let draw = || random::<4>([1, 1, TOKENS, HEAD_DIM], normal, &device);
        let (query, value) = Seed::new(8).scope(|| (draw(), draw()));
        for (num_hashes, num_buckets, chunk) in [(1, 4, 5), (3, 4, 4), (2, 8, 1), (2, 2, 40)] {
            let options = ReformerConfig {
                num_hashes,
                num_buckets,
                lsh_attn_chunk_length: chunk,
                ..Default::default()
            };
            let mechanism = options.init(&shared, &device);
            let rotations = numbers(&mechanism.rotations.fixed(&device));
            let rotations: Vec<&[f64]> = rotations.chunks(HEAD_DIM).collect();
            for is_padded in [false, true] {
                let mask: [i64; TOKENS] =
                    std::array::from_fn(|token| i64::from(!is_padded || token % 4 != 1));
                let padding = Padding::new(Tensor::from_ints([mask], &device), None, true);
                let padding = is_padded.then_some(&padding);
                let [queries, values] = [&query, &value].map(numbers);
                let of = |numbers: &[f64], token: usize| -> Vec<f64> {
                    numbers[token * HEAD_DIM..][..HEAD_DIM].to_vec()
                };
                let bucket = |token: usize, round: usize| -> usize {
                    let half = num_buckets / 2;
                    let of_round = &rotations[round * half..][..half];
                    let turned: Vec<f64> =
                        of_round.iter().map(|row| dot(row, &of(&queries, token))).collect();
                    let all = turned.iter().copied().chain(turned.iter().map(|number| -number));
                    let all: Vec<f64> = all.collect();
                    (0..num_buckets).max_by(|a, b| all[*a].total_cmp(&all[*b])).unwrap()
                };
                let valid: Vec<usize> = (0..TOKENS).filter(|token| mask[*token] == 1).collect();
                // What a token meets, as often as it does, each with its score.
                let met = |position: usize| -> Vec<(usize, f64)> {
                    let of_round = |round: usize| {
                        let mut sorted = valid.clone();
                        sorted.sort_by_key(|token| (bucket(*token, round), *token));
                        let chunk_of = |token: usize| {
                            sorted.iter().position(|other| *other == token).unwrap() / chunk
                        };
                        let own = chunk_of(position);
                        let is_met = |token: &usize| {
                            let distance = own.checked_sub(chunk_of(*token));
                            bucket(*token, round) == bucket(position, round)
                                && distance.is_some_and(|distance| distance <= 1)
                        };
                        let key = |token: usize| {
                            let (query, key) = (of(&queries, position), of(&queries, token));
                            let itself = if token == position { ITSELF } else { 0.0 };
                            (token, dot(&query, &key) / dot(&key, &key).sqrt() + itself)
                        };
                        sorted.iter().copied().filter(is_met).map(key).collect::<Vec<_>>()
                    };
                    (0..num_hashes).flat_map(of_round).collect()
                };
                let (q, v) = (query.clone(), value.clone());
                let context = mechanism.forward(q.clone(), q, v, padding, TOKENS);
                let context = numbers(&context);
                for &position in &valid {
                    let met = met(position);
                    let largest = met.iter().map(|(_, score)| *score).fold(f64::MIN, f64::max);
                    let mut weights = [0.0; TOKENS];
                    for (token, score) in met {
                        weights[token] += (score - largest).exp();
                    }
                    let total: f64 = weights.iter().sum();
                    let row = mechanism.row(query.clone(), query.clone(), padding, position);
                    for (found, weight) in numbers(&row.unwrap()).into_iter().zip(weights) {
                        assert!((found - weight / total).abs() < 1e-5, "row {position}");
                    }
                    for channel in 0..HEAD_DIM {
                        let expected: f64 = (0..TOKENS)
                            .map(|token| weights[token] / total * of(&values, token)[channel])
                            .sum();
                        let found = context[position * HEAD_DIM + channel];
                        assert!((found - expected).abs() < 1e-5, "{position}: {found} {expected}");
                    }
                }
            }
        }
    }
}
