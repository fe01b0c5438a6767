//! Performer: random features whose products estimate the exponential, FAVOR+ (Choromanski et al. 2020, equations 5 to 7 and lemma
//! 1): `softmax(Q Kᵀ/√d) V ≈ φ(Q) (φ(K)ᵀ V)` over its sums, with `φ(x) = exp(W x − |x|²/2)` for `x` over the fourth root of d, and
//! rows of W that are random and orthogonal in blocks of d.
//!
//! Of n tokens, r features, d channels a head: time O(n r d), memory O(n r + r d). More features estimate better: the error falls
//! with 1/√r, and rises with the length of queries and keys. Features are positive, and so is every weight.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use super::{
    features::{feature_attention, feature_row},
    kind::{Activations, AttentionMechanism, AttentionOptions},
    padding::Padding,
    random_rows::{RandomRows, orthogonal},
    self_attention::first_rows,
};
use crate::{
    component::{Problems, component},
    shared::SharedConfig,
};

/// Added to each feature, of which the largest is 1, as in the authors' code: no sum of weights becomes zero.
const LEAST_FEATURE: f64 = 1e-6;

/// Added to each sum of weights, for rows of padding alone.
const EPSILON: f64 = 1e-12;

component! {
    /// Options of Performer's attention.
    pub struct PerformerConfig {
        /// Random features per head. Default: 256.
        performer_features: usize = 256,
        /// Draw the features anew in every step of training; all else computes with those of `performer_seed`.
        /// Default: false, these everywhere.
        performer_redraw: bool = false,
        /// Seed of the features, which no file holds; every layer draws others from it. Default: 0.
        performer_seed: usize = 0,
    }
}

impl PerformerConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("performer_features", self.performer_features, 1);
        problems.check_size("performer_seed", self.performer_seed, 0);
    }

    /// The attention of a layer; it has no weights.
    pub fn init(&self, shared: &SharedConfig, _: &Device) -> PerformerAttention {
        let shape = [self.performer_features, shared.head_dim()];
        let redraw = self.performer_redraw;
        PerformerAttention {
            projection: RandomRows::new(shape, orthogonal, self.performer_seed, redraw),
        }
    }
}

impl AttentionOptions for PerformerConfig {
    fn activations(&self, seq_len: usize, shared: &SharedConfig, _: bool) -> Activations {
        let (tokens, hidden) = (seq_len.max(1) as u64, shared.hidden_size as u64);
        let features = self.performer_features as u64;
        let of_token = shared.num_attention_heads as u64 * features;
        // The summary and its gradient, as a share of each token.
        let of_heads = (2 * hidden * features).div_ceil(tokens);
        // Exponentials and features of queries and keys; what they are scaled to.
        Activations { kept_by_layer: 6 * of_token + 4 * hidden + of_heads, at_once: 4 * of_token }
    }

    fn operations(&self, _: usize, shared: &SharedConfig) -> f64 {
        // Features of queries and keys, the summary, and its product with the queries.
        8.0 * self.performer_features as f64 * shared.hidden_size as f64
    }
}

/// Performer's attention.
#[derive(Module, Debug)]
pub struct PerformerAttention {
    /// The rows of W, for all heads.
    #[module(skip)]
    projection: RandomRows,
}

impl AttentionMechanism for PerformerAttention {
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        let projection = self.projection.for_pass(&query.device());
        let query = query_features(first_rows(query, attending), projection.clone());
        let key = key_features(key, projection, padding);
        feature_attention(query, key, value, padding, EPSILON)
    }

    fn set_layer(&mut self, layer: usize) {
        self.projection.set_layer(layer);
    }

    fn row(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>> {
        let projection = self.projection.fixed(&query.device());
        let query = query_features(query.narrow(2, position, 1), projection.clone());
        Some(feature_row(query, key_features(key, projection, padding), padding, EPSILON))
    }
}

/// Features of queries, up to a factor of each that the sum of its weights has too: it makes the largest 1.
///
/// # Shapes
/// - `query`: `[batch, heads, queries, head_dim]`
/// - `projection`: `[features, head_dim]`
/// - output: `[batch, heads, queries, features]`
fn query_features(query: Tensor<4>, projection: Tensor<2>) -> Tensor<4> {
    let scores = scaled(query).matmul(projection.transpose().unsqueeze());
    let largest = scores.clone().max_dim(3);
    (scores - largest).exp().add_scalar(LEAST_FEATURE)
}

/// Features of keys, up to one factor that makes the largest of a head's valid keys 1.
///
/// # Shapes
/// - `key`: `[batch, heads, seq_len, head_dim]`
/// - `projection`: `[features, head_dim]`
/// - output: `[batch, heads, seq_len, features]`; of padding they mean nothing
fn key_features(key: Tensor<4>, projection: Tensor<2>, padding: Option<&Padding>) -> Tensor<4> {
    let key = scaled(key);
    let half_square = key.clone().square().sum_dim(3).mul_scalar(0.5);
    let mut scores = key.matmul(projection.transpose().unsqueeze()) - half_square;
    if let Some(padding) = padding {
        scores = scores + padding.key_bias.clone().swap_dims(2, 3);
    }
    let largest = scores.clone().max_dim(3).max_dim(2);
    (scores - largest).exp().add_scalar(LEAST_FEATURE)
}

/// Queries or keys over the fourth root of `head_dim`, so that their products are over its square root.
fn scaled(x: Tensor<4>) -> Tensor<4> {
    let [_, _, _, head_dim] = x.dims();
    x.mul_scalar((head_dim as f64).powf(-0.25))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Int};
    use nystromformer_kernels::{Seed, random};

    use super::*;

    const TOKENS: usize = 9;
    const HEAD_DIM: usize = 3;
    const FEATURES: usize = 8;

    fn numbers(x: &Tensor<4>) -> Vec<f64> {
        x.clone().into_data().iter::<f64>().collect()
    }

    /// Equation 5 in 64-bit floats, without what keeps exponentials within 32 bits, which changes a little. What is no token is far from all: with it, the
    /// largest feature would be another.
    #[test]
    fn weights_are_products_of_random_features() {
        let device = Device::flex();
        let shared =
            SharedConfig { hidden_size: HEAD_DIM, num_attention_heads: 1, ..Default::default() };
        let options = PerformerConfig { performer_features: FEATURES, ..Default::default() };
        let mechanism = options.init(&shared, &device);
        let shape = [1, 1, TOKENS, HEAD_DIM];
        let normal = Distribution::Normal(0.0, 1.0);
        let draw = || random::<4>(shape, normal, &device);
        let (query, key, value) = Seed::new(8).scope(|| (draw(), draw(), draw()));
        let far = Tensor::full([1, 1, 2, HEAD_DIM], 5.0, &device);
        let key = key.slice_assign([0..1, 0..1, TOKENS - 2..TOKENS, 0..HEAD_DIM], far);
        let mask: [i64; TOKENS] = std::array::from_fn(|token| i64::from(token < TOKENS - 2));
        let padding = Padding::new(Tensor::<2, Int>::from_ints([mask], &device), None, true);

        let projection: Vec<f64> =
            mechanism.projection.fixed(&device).into_data().iter::<f64>().collect();
        let root = (HEAD_DIM as f64).powf(-0.25);
        let [queries, keys, values] = [&query, &key, &value].map(numbers);
        let of = |numbers: &[f64], token: usize| -> Vec<f64> {
            numbers[token * HEAD_DIM..][..HEAD_DIM].to_vec()
        };
        let dot = |left: &[f64], right: &[f64]| -> f64 {
            left.iter().zip(right).map(|(left, right)| left * right).sum()
        };
        let features = |x: &[f64]| -> Vec<f64> {
            let x: Vec<f64> = x.iter().map(|x| x * root).collect();
            let half_square = dot(&x, &x) / 2.0;
            projection.chunks(HEAD_DIM).map(|row| (dot(row, &x) - half_square).exp()).collect()
        };
        let (q, k, v) = (query.clone(), key.clone(), value);
        let context = numbers(&mechanism.forward(q, k, v, Some(&padding), TOKENS));
        for position in 0..TOKENS {
            let weights: Vec<f64> = (0..TOKENS)
                .map(|token| {
                    let weight =
                        dot(&features(&of(&queries, position)), &features(&of(&keys, token)));
                    if mask[token] == 1 { weight } else { 0.0 }
                })
                .collect();
            let total: f64 = weights.iter().sum();
            let row = mechanism.row(query.clone(), key.clone(), Some(&padding), position).unwrap();
            for (found, weight) in numbers(&row.unsqueeze_dim(2)).into_iter().zip(&weights) {
                assert!((found - weight / total).abs() < 1e-3, "{found} {}", weight / total);
            }
            for channel in 0..HEAD_DIM {
                let expected: f64 = (0..TOKENS)
                    .map(|token| weights[token] / total * of(&values, token)[channel])
                    .sum();
                let found = context[position * HEAD_DIM + channel];
                assert!((found - expected).abs() < 3e-3, "{found} {expected}");
            }
        }
    }
}
