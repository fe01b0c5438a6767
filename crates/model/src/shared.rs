//! What all parts of a model share: the width of what flows through them, and how it is treated.

use serde::{Deserialize, Serialize};

use crate::{
    activation::HiddenAct,
    component::{Problems, component, divides},
    layer_norm::LayerNormConfig,
    linear::LinearConfig,
    positions::PositionEmbeddingType,
    weights::WeightsConfig,
};

/// How padding and lengths are treated; stored with the model, because weights trained under one meaning
/// compute something else under the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Semantics {
    /// Padding is masked out of landmarks, keys and convolution, and segments are laid over each row's own
    /// valid tokens: any length works, and a prediction never depends on its batch neighbours or on how
    /// far its row was padded.
    #[default]
    Paper,
    /// Exactly what transformers 4.56.2 computes, including what looks like a bug there: padding leaks
    /// into landmarks and convolution, the pseudo-inverse is scaled by the whole batch, and
    /// `num_landmarks == segment_means_seq_len` means full softmax attention.
    Hf,
}

component! {
    /// What all parts of a model share. A part is built from its own configuration and this one.
    pub struct SharedConfig {
        /// Width of the residual stream, a multiple of `num_attention_heads`. Default: 768.
        hidden_size: usize = 768,
        /// Attention heads per layer. Default: 12.
        num_attention_heads: usize = 12,
        /// Activation of the feed-forward block and of the prediction head. Default: `gelu_new`.
        hidden_act: HiddenAct = HiddenAct::default(),
        /// Dropout after the embeddings and after each block's output, in [0, 1). Default: 0.1.
        hidden_dropout_prob: f64 = 0.1,
        /// Added to the variance in every layer normalisation. Default: 1e-5.
        layer_norm_eps: f64 = 1e-5,
        /// Normalise before each half of a layer and after the last layer (pre-LN, PyTorch's word) instead of after
        /// each sum; the embeddings are then not normalised. The authors' Long Range Arena models. Default: false.
        norm_first: bool = false,
        /// Treatment of padding and lengths. Default: `paper`.
        semantics: Semantics = Semantics::default(),
        /// What says where a token stands. Default: `absolute`, as in the paper.
        position_embedding_type: PositionEmbeddingType = PositionEmbeddingType::default(),
    } with {
        /// How fresh weights are drawn.
        weights: WeightsConfig,
    }
}

impl SharedConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("hidden_size", self.hidden_size, 1);
        problems.check_size("num_attention_heads", self.num_attention_heads, 1);
        problems.check(
            divides(self.num_attention_heads, self.hidden_size),
            "hidden_size",
            &self.hidden_size,
            format!("must be a multiple of num_attention_heads = {}", self.num_attention_heads),
        );
        problems.check_dropout("hidden_dropout_prob", self.hidden_dropout_prob);
        problems.check_positive("layer_norm_eps", self.layer_norm_eps);
    }

    /// Channels per attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// A linear layer with weights drawn as this model's are.
    pub fn linear(&self, inputs: usize, outputs: usize) -> LinearConfig {
        LinearConfig { inputs, outputs, weights: self.weights.clone() }
    }

    /// A normalisation of the residual stream.
    pub fn layer_norm(&self) -> LayerNormConfig {
        LayerNormConfig { size: self.hidden_size, epsilon: self.layer_norm_eps }
    }
}
