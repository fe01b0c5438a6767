//! Token, position and type embeddings.

use burn::{
    module::Module,
    nn::{Dropout, DropoutConfig, Embedding, LayerNorm},
    tensor::{Device, Int, Tensor},
};

use crate::{
    config::{NystromformerConfig, Semantics},
    init,
};

/// Position ids start here, as in RoBERTa: the table's first two rows are never read.
pub const POSITION_OFFSET: usize = 2;

/// `LayerNorm((word + type) + position)`, then dropout.
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
    /// Over `hidden_size`.
    pub layer_norm: LayerNorm,
    dropout: Dropout,
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
            layer_norm: init::layer_norm(config, device),
            dropout: DropoutConfig::new(config.hidden_dropout_prob).init(),
            // PyTorch's `padding_idx` gives the padding row no gradient. In `paper` semantics masked
            // padding never reaches the loss, so there is nothing to stop.
            frozen_padding: (config.semantics == Semantics::Hf).then_some(config.pad_token_id),
        }
    }

    /// Embeds a batch of sequences.
    ///
    /// # Shapes
    /// - `input_ids`, `token_type_ids`: `[batch, seq_len]`; types default to 0
    /// - output: `[batch, seq_len, hidden_size]`
    pub fn forward(
        &self,
        input_ids: Tensor<2, Int>,
        token_type_ids: Option<Tensor<2, Int>>,
    ) -> Tensor<3> {
        let [_, seq_len] = input_ids.dims();
        let mut words = self.word_embeddings.forward(input_ids.clone());
        if let Some(padding) = self.frozen_padding {
            let is_padding = input_ids.equal_elem(padding as i64).unsqueeze_dim::<3>(2);
            let is_padding = is_padding.expand(words.dims());
            words = words.clone().mask_where(is_padding, words.detach());
        }
        let types = match token_type_ids {
            Some(token_type_ids) => self.token_type_embeddings.forward(token_type_ids),
            None => self.token_type_embeddings.weight.val().narrow(0, 0, 1).unsqueeze_dim(0),
        };
        let positions = self
            .position_embeddings
            .weight
            .val()
            .narrow(0, POSITION_OFFSET, seq_len)
            .unsqueeze_dim(0);
        self.dropout.forward(self.layer_norm.forward(words + types + positions))
    }
}
