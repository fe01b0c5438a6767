//! Token, position and type embeddings.

use burn::{
    module::Module,
    nn::Embedding,
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::{EmbeddingTables, dropout, embed};

use crate::{
    config::{NystromformerConfig, Semantics},
    init,
    layer_norm::LayerNorm,
    nystromformer::InputTokens,
};

/// Position ids start here, as in RoBERTa: the table's first two rows are never read.
pub const POSITION_OFFSET: usize = 2;

/// `LayerNorm((word + type) + position)`, then dropout; in pre-LN without the normalisation.
///
/// Named after transformers' `NystromformerEmbeddings`.
#[derive(Module, Debug)]
pub struct Embeddings {
    /// `[vocab_size, hidden_size]`.
    pub word_embeddings: Embedding,
    /// `[max_position_embeddings + 2, hidden_size]`.
    pub position_embeddings: Embedding,
    /// `[type_vocab_size, hidden_size]`.
    pub token_type_embeddings: Embedding,
    /// Over `hidden_size`; in post-LN only.
    pub layer_norm: Option<LayerNorm>,
    hidden_dropout_prob: f64,
    #[module(skip)]
    frozen_padding: Option<usize>,
}

impl Embeddings {
    /// Fresh tables of `config`'s sizes.
    pub fn new(config: &NystromformerConfig, device: &Device) -> Self {
        let positions = config.max_position_embeddings + POSITION_OFFSET;
        Self {
            word_embeddings: init::padded_embedding(
                config,
                config.vocab_size,
                config.pad_token_id,
                device,
            ),
            position_embeddings: init::embedding(config, positions, device),
            token_type_embeddings: init::embedding(config, config.type_vocab_size, device),
            layer_norm: (!config.norm_first).then(|| LayerNorm::new(config, device)),
            hidden_dropout_prob: config.hidden_dropout_prob,
            // PyTorch's `padding_idx` gives the padding row no gradient. In `paper` semantics masked
            // padding never reaches the loss, so there is nothing to stop.
            frozen_padding: (config.semantics == Semantics::Hf).then_some(config.pad_token_id),
        }
    }

    /// Embeds a batch of sequences.
    ///
    /// # Shapes
    /// - `tokens`, `token_type_ids`: `[batch, seq_len]`; types default to 0
    /// - output: `[batch, seq_len, hidden_size]`
    pub fn forward(
        &self,
        tokens: InputTokens,
        token_type_ids: Option<Tensor<2, Int>>,
    ) -> Tensor<3> {
        let summed = match tokens {
            InputTokens::Ids(input_ids) => self.sum(input_ids, token_type_ids),
            InputTokens::Embeds(embeds) => self.add_types_and_positions(embeds, token_type_ids),
        };
        let normalised = match &self.layer_norm {
            Some(layer_norm) => layer_norm.forward(summed),
            None => summed,
        };
        dropout(normalised, self.hidden_dropout_prob)
    }

    fn sum(&self, input_ids: Tensor<2, Int>, token_type_ids: Option<Tensor<2, Int>>) -> Tensor<3> {
        let tables = EmbeddingTables {
            words: self.word_embeddings.weight.val(),
            token_types: self.token_type_embeddings.weight.val(),
            positions: self.position_embeddings.weight.val(),
            position_offset: POSITION_OFFSET,
            frozen: self.frozen_padding,
        };
        embed(tables, input_ids, token_type_ids)
    }

    fn add_types_and_positions(
        &self,
        embeds: Tensor<3>,
        token_type_ids: Option<Tensor<2, Int>>,
    ) -> Tensor<3> {
        let [_, seq_len, _] = embeds.dims();
        let token_types = match token_type_ids {
            Some(token_type_ids) => self.token_type_embeddings.forward(token_type_ids),
            None => self.token_type_embeddings.weight.val().narrow(0, 0, 1).unsqueeze_dim(0),
        };
        let positions = self.position_embeddings.weight.val().narrow(0, POSITION_OFFSET, seq_len);
        embeds + token_types + positions.unsqueeze_dim(0)
    }
}
