//! Projections and heads around an attention.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use super::{
    convolution::DepthwiseConvolution,
    nystrom::{NystromFactors, NystromOptions},
    padding::Padding,
    softmax::softmax_attention,
};
use crate::{
    config::{NystromformerConfig, Semantics},
    linear::Linear,
};

/// Multi-head self-attention, up to but without the output projection.
///
/// Named after transformers' `NystromformerSelfAttention`.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// `hidden_size → hidden_size`.
    pub query: Linear,
    /// `hidden_size → hidden_size`.
    pub key: Linear,
    /// `hidden_size → hidden_size`.
    pub value: Linear,
    /// The convolution skip over the values, unless switched off.
    pub conv: Option<DepthwiseConvolution>,
    attention_probs_dropout_prob: f64,
    num_attention_heads: usize,
    #[module(skip)]
    nystrom: Option<NystromOptions>,
    #[module(skip)]
    semantics: Semantics,
}

impl SelfAttention {
    /// Fresh projections of `config`'s sizes.
    pub fn new(config: &NystromformerConfig, device: &Device) -> Self {
        let projection = || Linear::new(config, config.hidden_size, config.hidden_size, device);
        Self {
            query: projection(),
            key: projection(),
            value: projection(),
            conv: (config.conv_kernel_size > 0).then(|| DepthwiseConvolution::new(config, device)),
            // transformers has this dropout in its configuration but never applies it.
            attention_probs_dropout_prob: match config.semantics {
                Semantics::Paper => config.attention_probs_dropout_prob,
                Semantics::Hf => 0.0,
            },
            num_attention_heads: config.num_attention_heads,
            nystrom: (!config.is_full_attention()).then_some(NystromOptions {
                num_landmarks: config.num_landmarks,
                pinv_iterations: config.pinv_iterations,
                pinv_init: config.pinv_init,
            }),
            semantics: config.semantics,
        }
    }

    /// Attends every token to the sequence.
    ///
    /// # Shapes
    /// - `hidden_states`, output: `[batch, seq_len, hidden_size]`
    pub fn forward(&self, hidden_states: Tensor<3>, padding: Option<&Padding>) -> Tensor<3> {
        let [batch, seq_len, hidden_size] = hidden_states.dims();
        let query = self.split_heads(self.query.forward(hidden_states.clone()));
        let key = self.split_heads(self.key.forward(hidden_states.clone()));
        let value = self.split_heads(self.value.forward(hidden_states));
        self.context(query, key, value, padding).swap_dims(1, 2).reshape([
            batch,
            seq_len,
            hidden_size,
        ])
    }

    /// Attention and convolution of every head.
    ///
    /// # Shapes
    /// - `query`, `key`, `value`, output: `[batch, heads, seq_len, head_dim]`
    pub fn context(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
    ) -> Tensor<4> {
        let context = match self.nystrom {
            Some(options) => NystromFactors::new(query, key, padding, options).apply(value.clone()),
            None => softmax_attention(
                query,
                key,
                value.clone(),
                padding,
                self.attention_probs_dropout_prob,
            ),
        };
        let Some(conv) = &self.conv else {
            return context;
        };
        context
            + conv.forward(match (self.semantics, padding) {
                (Semantics::Paper, Some(padding)) => value * padding.keep.clone(),
                // transformers convolves padded values too.
                (Semantics::Hf, Some(_)) | (_, None) => value,
            })
    }

    /// The three factors of this layer's attention, or `None` if it is exact.
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, hidden_size]`
    pub fn factors(
        &self,
        hidden_states: Tensor<3>,
        padding: Option<&Padding>,
    ) -> Option<NystromFactors> {
        let options = self.nystrom?;
        let query = self.split_heads(self.query.forward(hidden_states.clone()));
        let key = self.split_heads(self.key.forward(hidden_states));
        Some(NystromFactors::new(query, key, padding, options))
    }

    /// `[batch, seq_len, hidden_size]` to `[batch, heads, seq_len, head_dim]`.
    fn split_heads(&self, projected: Tensor<3>) -> Tensor<4> {
        let [batch, seq_len, hidden_size] = projected.dims();
        let heads = self.num_attention_heads;
        projected.reshape([batch, seq_len, heads, hidden_size / heads]).swap_dims(1, 2)
    }
}
