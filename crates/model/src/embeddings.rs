//! Token, position and type embeddings.

use burn::{
    module::Module,
    nn::Embedding,
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::{EmbeddingTables, dropout, embed};

use crate::{
    component::{Problems, component},
    layer_norm::LayerNorm,
    shared::{Semantics, SharedConfig},
};

/// Position ids start here, as in RoBERTa: the table's first two rows are never read.
pub const POSITION_OFFSET: usize = 2;

/// What stands at each place of a batch of sequences.
#[expect(clippy::large_enum_variant, reason = "a few handles of tensors, moved once a step")]
#[derive(Debug, Clone)]
pub enum InputTokens {
    /// Token ids, each below `vocab_size`: `[batch, seq_len]` (transformers' `input_ids`).
    Ids(Tensor<2, Int>),
    /// Token embeddings in place of the table's rows: `[batch, seq_len, hidden_size]` (transformers'
    /// `inputs_embeds`). Types and positions are added to them as to the table's.
    Embeds(Tensor<3>),
    /// Feature vectors, of a model that has `num_features`.
    Vectors {
        /// `[batch, seq_len, num_features]` (transformers' `input_features`).
        features: Tensor<3>,
        /// `[batch, seq_len, 2]`: row and column of each, where positions are of a grid and known. `None`: vectors fill a
        /// square.
        coordinates: Option<Tensor<3>>,
    },
}

impl InputTokens {
    /// `[batch, seq_len]`.
    pub fn dims(&self) -> [usize; 2] {
        match self {
            Self::Ids(ids) => ids.dims(),
            Self::Embeds(vectors) | Self::Vectors { features: vectors, .. } => {
                let [batch, seq_len, _] = vectors.dims();
                [batch, seq_len]
            }
        }
    }
}

component! {
    /// Sizes of the embeddings, and ids with a meaning.
    pub struct EmbeddingsConfig {
        /// Rows of the token embedding. Default: 30000.
        vocab_size: usize = 30000,
        /// Longest sequence, in tokens. The table has two more rows, since ids start at 2. Default: 510.
        max_position_embeddings: usize = 510,
        /// Rows of the token-type embedding. Default: 2.
        type_vocab_size: usize = 2,
        /// Id of the padding token; its embedding starts at zero. Default: 1.
        pad_token_id: usize = 1,
        /// Id of the first token of a sequence. Default: 0.
        bos_token_id: usize = 0,
        /// Id of the last token of a sequence. Default: 2.
        eos_token_id: usize = 2,
    }
}

impl EmbeddingsConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("vocab_size", self.vocab_size, 1);
        problems.check_size("max_position_embeddings", self.max_position_embeddings, 1);
        problems.check_size("type_vocab_size", self.type_vocab_size, 1);
        problems.check_size("bos_token_id", self.bos_token_id, 0);
        problems.check_size("eos_token_id", self.eos_token_id, 0);
        problems.check(
            self.pad_token_id < self.vocab_size.max(1),
            "pad_token_id",
            &self.pad_token_id,
            format!("must be below vocab_size = {}", self.vocab_size),
        );
    }

    /// Tables of fresh weights on `device`.
    pub fn init(&self, shared: &SharedConfig, device: &Device) -> Embeddings {
        let table = |rows| shared.weights.embedding(rows, shared.hidden_size, device);
        Embeddings {
            word_embeddings: shared.weights.padded_embedding(
                self.vocab_size,
                shared.hidden_size,
                self.pad_token_id,
                device,
            ),
            position_embeddings: table(self.max_position_embeddings + POSITION_OFFSET),
            token_type_embeddings: table(self.type_vocab_size),
            layer_norm: (!shared.norm_first).then(|| shared.layer_norm().init(device)),
            hidden_dropout_prob: shared.hidden_dropout_prob,
            // PyTorch's `padding_idx` gives the padding row no gradient. In `paper` semantics masked
            // padding never reaches the loss, so there is nothing to stop.
            frozen_padding: (shared.semantics == Semantics::Hf).then_some(self.pad_token_id),
        }
    }
}

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
            InputTokens::Embeds(embeds) | InputTokens::Vectors { features: embeds, .. } => {
                self.add_types_and_positions(embeds, token_type_ids)
            }
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
