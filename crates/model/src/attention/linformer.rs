//! Linformer: keys and values projected along the sequence to a fixed number of places (Wang et al. 2020, equation 7):
//! `softmax(Q (E K)ᵀ/√d) (F V)`.
//!
//! Of n tokens, k places, d channels a head: time O(n k d), memory O(n d + k d), and k scores for each token where Burn's operations
//! compute. E and F have a column for each place of the sequence, so there is a longest one; a shorter sequence reads the first
//! columns. All heads of a layer share them (the paper's headwise sharing). Keys and values of padding are zero before they are
//! projected; tokens behind padding have the columns of where they stand, as they have its positions.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor},
};
use nystromformer_kernels::{attention, softmax};

use super::{
    kind::{Activations, AttentionMechanism, AttentionOptions, FEW_ON_GPU, WIDEST_HEAD_ON_GPU},
    padding::{Padding, of_tokens},
    self_attention::first_rows,
    softmax::score_scale,
};
use crate::{
    component::{Problems, component},
    error::ModelError,
    shared::SharedConfig,
};

component! {
    /// Options of Linformer's attention.
    pub struct LinformerConfig {
        /// Places that keys and values are projected to. Default: 256.
        linformer_k: usize = 256,
        /// Tokens of the longest sequence, a class token counted: columns of the projections. At least
        /// `max_position_embeddings`, where these are what limits the length. Default: 512.
        linformer_seq_len: usize = 512,
    }
}

impl LinformerConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("linformer_k", self.linformer_k, 1);
        problems.check_size("linformer_seq_len", self.linformer_seq_len, 1);
    }

    /// The attention of a layer, with fresh projections on `device`.
    pub fn init(&self, shared: &SharedConfig, device: &Device) -> LinformerAttention {
        let projection = || {
            let shape = [self.linformer_k, self.linformer_seq_len];
            shared.weights.fresh(self.linformer_seq_len).init(shape, device)
        };
        LinformerAttention { compress_k: projection(), compress_v: projection() }
    }
}

impl AttentionOptions for LinformerConfig {
    fn longest_len(&self, _: &SharedConfig) -> Option<(&'static str, usize)> {
        Some(("linformer_seq_len", self.linformer_seq_len))
    }

    fn is_of_gpu_kernels(&self, _seq_len: usize, shared: &SharedConfig) -> bool {
        self.linformer_k <= FEW_ON_GPU && shared.head_dim() <= WIDEST_HEAD_ON_GPU
    }

    fn activations(&self, seq_len: usize, shared: &SharedConfig, is_fused: bool) -> Activations {
        let (tokens, hidden) = (seq_len.max(1) as u64, shared.hidden_size as u64);
        let places = self.linformer_k as u64;
        // Projected keys and values with their gradients, and those of the projections, as a share of each token.
        let of_places = (4 * hidden * places).div_ceil(tokens) + 2 * places;
        // Burn's softmax keeps its exponentials and its probabilities.
        let scores = if is_fused { 0 } else { 2 * shared.num_attention_heads as u64 * places };
        Activations { kept_by_layer: scores + of_places + 2 * hidden, at_once: scores }
    }

    fn operations(&self, _: usize, shared: &SharedConfig) -> f64 {
        8.0 * self.linformer_k as f64 * shared.hidden_size as f64
    }

    fn check_len(&self, seq_len: usize, _: &SharedConfig) -> Result<(), ModelError> {
        let longest = self.linformer_seq_len;
        if seq_len <= longest {
            return Ok(());
        }
        let (attention, key) = ("linformer", "linformer_seq_len");
        Err(ModelError::AttentionLength { seq_len, attention, key, longest })
    }
}

/// Linformer's attention.
#[derive(Module, Debug)]
pub struct LinformerAttention {
    /// `[linformer_k, linformer_seq_len]`: E. Named as in the authors' code.
    pub compress_k: Param<Tensor<2>>,
    /// `[linformer_k, linformer_seq_len]`: F.
    pub compress_v: Param<Tensor<2>>,
}

impl AttentionMechanism for LinformerAttention {
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        let scale = score_scale(&query);
        let key = columns(&self.compress_k, &key).matmul(of_tokens(key, padding));
        let value = columns(&self.compress_v, &value).matmul(of_tokens(value, padding));
        attention(first_rows(query, attending), key, value, None, scale)
    }

    fn row(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>> {
        let scale = score_scale(&query);
        let given = columns(&self.compress_v, &key); // [1, 1, places, seq_len]
        let key = columns(&self.compress_k, &key).matmul(of_tokens(key, padding));
        let row = query.narrow(2, position, 1).mul_scalar(scale);
        let weights = softmax(row.matmul(key.transpose())).matmul(given); // [batch, heads, 1, seq_len]
        let weights = match padding {
            Some(padding) => weights * padding.keep.clone().swap_dims(2, 3),
            None => weights,
        };
        Some(weights.squeeze_dim(2))
    }
}

/// The columns of a projection that a sequence reads: `[1, 1, places, seq_len]`.
fn columns(projection: &Param<Tensor<2>>, tokens: &Tensor<4>) -> Tensor<4> {
    let [_, _, seq_len, _] = tokens.dims();
    let [_, longest] = projection.dims();
    let projection = projection.val();
    let read = if seq_len == longest { projection } else { projection.narrow(1, 0, seq_len) };
    read.unsqueeze()
}
