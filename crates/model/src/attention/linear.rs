//! Linear attention: the features `φ(x) = elu(x) + 1` in place of the exponential (Katharopoulos et al. 2020, "Transformers are
//! RNNs", equations 4 to 7).
//!
//! Of n tokens, d channels a head: time O(n d²), memory O(n d + d²). As in the paper, queries and keys are not scaled.

use burn::{
    module::Module,
    tensor::{Device, Tensor, activation::relu},
};

use super::{
    features::{feature_attention, feature_row},
    kind::{Activations, AttentionMechanism, AttentionOptions},
    padding::Padding,
    self_attention::first_rows,
};
use crate::{
    component::{Problems, component},
    shared::SharedConfig,
};

/// Added to each sum of weights, as in the authors' code.
const EPSILON: f64 = 1e-6;

component! {
    /// Options of linear attention: there are none.
    pub struct LinearAttentionConfig {}
}

impl LinearAttentionConfig {
    #[expect(clippy::unused_self, reason = "each part looks at its own values")]
    fn check(&self, _: &mut Problems) {}

    /// The attention of a layer; it has no weights.
    pub fn init(&self, _: &SharedConfig, _: &Device) -> LinearAttention {
        LinearAttention
    }
}

impl AttentionOptions for LinearAttentionConfig {
    /// Features are compared, which a turn of what they are made of changes otherwise.
    fn has_inner_products(&self) -> bool {
        false
    }

    fn activations(&self, seq_len: usize, shared: &SharedConfig, _: bool) -> Activations {
        let (hidden, head_dim) = (shared.hidden_size as u64, shared.head_dim() as u64);
        // Features of queries and keys with what they are made of; the summary and its gradient are of each head, not each token.
        let of_heads = (2 * hidden * head_dim).div_ceil(seq_len.max(1) as u64);
        Activations { kept_by_layer: 8 * hidden + of_heads, at_once: 4 * hidden }
    }

    fn operations(&self, _: usize, shared: &SharedConfig) -> f64 {
        // The summary, and its product with the queries.
        4.0 * shared.hidden_size as f64 * shared.head_dim() as f64
    }
}

/// Linear attention.
#[derive(Module, Debug)]
pub struct LinearAttention;

impl AttentionMechanism for LinearAttention {
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        let query = features(first_rows(query, attending));
        feature_attention(query, features(key), value, padding, EPSILON)
    }

    fn row(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>> {
        let query = features(query.narrow(2, position, 1));
        Some(feature_row(query, features(key), padding, EPSILON))
    }
}

/// `elu(x) + 1`: `x + 1` above zero and `exp(x)` below, without the sum that would round small ones to zero.
fn features(x: Tensor<4>) -> Tensor<4> {
    relu(x.clone()) + x.clamp_max(0.0).exp()
}
