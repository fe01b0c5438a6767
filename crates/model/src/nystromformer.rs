//! [`Nystromformer`]: embeddings and encoder, without a head.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::{is_batch_invariant, trace};

use crate::{
    attention::{NystromFactors, Padding},
    config::NystromformerConfig,
    embeddings::InputTokens,
    encoder::Encoder,
    error::ModelError,
    input_embeddings::InputEmbeddings,
    wanted_tokens::WantedTokens,
    weights::draw_weights,
};

/// A batch of sequences.
#[derive(Debug, Clone)]
pub struct NystromformerInput {
    /// Ids or embeddings of the tokens.
    pub tokens: InputTokens,
    /// `[batch, seq_len]`: 1 for a token, 0 for padding. `None`: all are tokens (and cheaper than a mask of
    /// ones).
    pub attention_mask: Option<Tensor<2, Int>>,
    /// `[batch, seq_len]`, each below `type_vocab_size`. `None`: all 0.
    pub token_type_ids: Option<Tensor<2, Int>>,
}

impl NystromformerInput {
    /// Sequences without padding, all tokens of type 0.
    ///
    /// # Shapes
    /// - `input_ids`: `[batch, seq_len]`
    pub fn new(input_ids: Tensor<2, Int>) -> Self {
        Self { tokens: InputTokens::Ids(input_ids), attention_mask: None, token_type_ids: None }
    }

    /// The same with embeddings in place of ids.
    ///
    /// # Shapes
    /// - `inputs_embeds`: `[batch, seq_len, hidden_size]`
    pub fn from_embeds(inputs_embeds: Tensor<3>) -> Self {
        let tokens = InputTokens::Embeds(inputs_embeds);
        Self { tokens, attention_mask: None, token_type_ids: None }
    }

    /// The same with feature vectors, of a model that has `num_features`.
    ///
    /// # Shapes
    /// - `features`: `[batch, seq_len, num_features]`
    pub fn from_features(features: Tensor<3>) -> Self {
        let tokens = InputTokens::Vectors { features, coordinates: None };
        Self { tokens, attention_mask: None, token_type_ids: None }
    }

    /// With a mask: 1 for a token, 0 for padding.
    pub fn with_attention_mask(mut self, attention_mask: Tensor<2, Int>) -> Self {
        self.attention_mask = Some(attention_mask);
        self
    }

    /// With token types.
    pub fn with_token_type_ids(mut self, token_type_ids: Tensor<2, Int>) -> Self {
        self.token_type_ids = Some(token_type_ids);
        self
    }

    fn validate(&self, config: &NystromformerConfig) -> Result<(), ModelError> {
        let expected = self.tokens.dims();
        if expected.contains(&0) {
            return Err(ModelError::EmptyInput { shape: expected });
        }
        if let InputTokens::Embeds(embeds) = &self.tokens
            && embeds.dims()[2] != config.shared.hidden_size
        {
            let (got, hidden_size) = (embeds.dims(), config.shared.hidden_size);
            return Err(ModelError::EmbedsWidth { got, hidden_size });
        }
        if let InputTokens::Vectors { features, coordinates } = &self.tokens {
            let (got, num_features) = (features.dims(), config.vectors.num_features);
            if config.vectors.is_used() && got[2] != num_features {
                return Err(ModelError::VectorWidth { got, num_features });
            }
            let places = coordinates.as_ref().map(Tensor::dims);
            if let Some(got) = places.filter(|got| *got != [expected[0], expected[1], 2]) {
                return Err(ModelError::Coordinates { got, expected });
            }
        }
        for (name, tensor) in
            [("attention_mask", &self.attention_mask), ("token_type_ids", &self.token_type_ids)]
        {
            if let Some(got) = tensor.as_ref().map(Tensor::dims).filter(|got| *got != expected) {
                return Err(ModelError::ShapeMismatch { name, got, expected });
            }
        }
        config.validate_seq_len(expected[1])
    }
}

/// The encoder without a head, transformers' `NystromformerModel`.
#[derive(Module, Debug)]
pub struct Nystromformer {
    /// Token, position and type embeddings, or a projection of vectors.
    pub embeddings: InputEmbeddings,
    /// The stack of layers.
    pub encoder: Encoder,
    #[module(skip)]
    config: NystromformerConfig,
}

impl NystromformerConfig {
    /// Builds the bare encoder with fresh weights on `device`.
    ///
    /// # Errors
    /// See [`Self::validate`].
    pub fn init(&self, device: &Device) -> Result<Nystromformer, ModelError> {
        self.validate()?;
        let model = Nystromformer::new(self, device);
        draw_weights(&model);
        Ok(model)
    }
}

impl Nystromformer {
    /// Fresh weights; `config` is valid.
    pub(crate) fn new(config: &NystromformerConfig, device: &Device) -> Self {
        let embeddings = if config.vectors.is_used() {
            let positions = config.embeddings.max_position_embeddings;
            InputEmbeddings::Vectors(config.vectors.init(&config.shared, positions, device))
        } else {
            InputEmbeddings::Tokens(config.embeddings.init(&config.shared, device))
        };
        Self {
            embeddings,
            encoder: config.encoder.init(&config.layer(), device),
            config: config.clone(),
        }
    }

    /// The configuration that the model was built from.
    pub fn config(&self) -> &NystromformerConfig {
        &self.config
    }

    /// Encodes a batch of sequences.
    ///
    /// # Shapes
    /// - output, the last hidden states: `[batch, seq_len, hidden_size]`; here and below one more where vectors begin with a
    ///   class token. Those of padding mean nothing.
    ///
    /// # Errors
    /// If shapes disagree or the configuration cannot read sequences of this length.
    pub fn forward(&self, input: NystromformerInput) -> Result<Tensor<3>, ModelError> {
        self.forward_wanted(input, &WantedTokens::All)
    }

    /// Encodes a batch of which somebody reads the last hidden states of some tokens only: the last layer computes no others.
    /// They are what [`Self::forward`] gives for these tokens, dropout included.
    ///
    /// # Shapes
    /// - output: that of [`WantedTokens::of`]
    ///
    /// # Errors
    /// As for [`Self::forward`].
    ///
    /// # Panics
    /// If a position is no token of the batch.
    pub fn forward_wanted(
        &self,
        input: NystromformerInput,
        wanted: &WantedTokens,
    ) -> Result<Tensor<3>, ModelError> {
        // Padded places, which mean nothing, are what would make a row's tokens round otherwise.
        let wanted = match wanted {
            WantedTokens::All if is_batch_invariant() => &WantedTokens::Tokens,
            wanted => wanted,
        };
        let (embedded, padding) = self.embed(input)?;
        // A chunk of the feed-forward block is one of columns, which packed tokens have none of.
        let may_pack = self.config.feed_forward.chunk_size_feed_forward == 0;
        let packed = padding.as_ref().filter(|_| may_pack).and_then(|all| all.packed(wanted));
        let Some((padding, wanted_of_packed)) = packed else {
            return Ok(self.encoder.forward_wanted(embedded, padding.as_ref(), wanted));
        };
        let packed = padding.pack(embedded);
        let states = self.encoder.forward_wanted(packed, Some(&padding), &wanted_of_packed);
        Ok(match wanted {
            WantedTokens::All | WantedTokens::Tokens => padding.unpack(states),
            WantedTokens::First => states.swap_dims(0, 1),
            WantedTokens::At(_) => states,
        })
    }

    /// The last hidden states of chosen tokens, and no others. Of none, nothing is encoded.
    ///
    /// # Shapes
    /// - `positions`: `[positions]`, flat indices `row · seq_len + column`
    /// - output: `[positions, hidden_size]`
    ///
    /// # Errors
    /// As for [`Self::forward`].
    pub fn tokens_at(
        &self,
        input: NystromformerInput,
        positions: Tensor<1, Int>,
    ) -> Result<Tensor<2>, ModelError> {
        let states = self.forward_wanted(input, &WantedTokens::At(positions))?;
        let [_, chosen, width] = states.dims();
        Ok(match chosen {
            0 => Tensor::zeros([0, width], &states.device()),
            _ => states.squeeze_dim(0),
        })
    }

    /// The embeddings' output and every layer's, `num_hidden_layers + 1` tensors.
    ///
    /// # Shapes
    /// - each output: `[batch, seq_len, hidden_size]`
    ///
    /// # Errors
    /// As for [`Self::forward`].
    pub fn hidden_states(&self, input: NystromformerInput) -> Result<Vec<Tensor<3>>, ModelError> {
        let (embedded, padding) = self.embed(input)?;
        let mut states = vec![embedded.clone()];
        let mut current = embedded;
        for layer in self.encoder.layers() {
            current = layer.forward_in_stack(current, padding.as_ref(), &WantedTokens::All);
            states.push(current.clone());
        }
        states.pop();
        states.push(self.encoder.finish(current));
        Ok(states)
    }

    /// What the first layer reads, and what padding means to all layers, for who runs the layers one by one. Where padding can be
    /// left out it is ([`Padding::is_packed`]).
    ///
    /// # Shapes
    /// - output: `[batch, seq_len, hidden_size]`, or `[1, tokens, hidden_size]` without padding
    ///
    /// # Errors
    /// As for [`Self::forward`].
    pub fn embed_tokens(
        &self,
        input: NystromformerInput,
    ) -> Result<(Tensor<3>, Option<Padding>), ModelError> {
        let (embedded, padding) = self.embed(input)?;
        Ok(match padding.as_ref().and_then(|padding| padding.packed(&WantedTokens::Tokens)) {
            Some((packed, _)) => (packed.pack(embedded), Some(packed)),
            None => (embedded, padding),
        })
    }

    /// The Nyström factors of every layer, for diagnosis; empty if attention is exact.
    ///
    /// # Errors
    /// As for [`Self::forward`].
    pub fn attention_factors(
        &self,
        input: NystromformerInput,
    ) -> Result<Vec<NystromFactors>, ModelError> {
        let (embedded, padding) = self.embed(input)?;
        let mut factors = Vec::new();
        let mut current = embedded;
        for layer in self.encoder.layers() {
            let read = layer.attention.output.read(current.clone());
            factors.extend(layer.attention.self_attention.factors(read, padding.as_ref()));
            current = layer.forward(current, padding.as_ref());
        }
        Ok(factors)
    }

    /// What the attention of every layer reads, its queries, keys and values, for who studies attention by itself. Empty for a model
    /// without layers.
    ///
    /// # Shapes
    /// - output, for each layer: `[batch, heads, seq_len, head_dim]` each
    ///
    /// # Errors
    /// [`ModelError::NoAttentionRow`] if the kind of attention reads no queries; as for [`Self::forward`].
    pub fn attention_inputs(
        &self,
        input: NystromformerInput,
    ) -> Result<Vec<[Tensor<4>; 3]>, ModelError> {
        let (mut current, padding) = self.embed(input)?;
        let mut inputs = Vec::new();
        for layer in self.encoder.layers() {
            let read = layer.attention.output.read(current.clone());
            let of_layer = layer.attention.self_attention.inputs(read, padding.as_ref());
            inputs.push(of_layer.ok_or(ModelError::NoAttentionRow {
                attention: self.config.attention.kind.name(),
            })?);
            current = layer.forward(current, padding.as_ref());
        }
        Ok(inputs)
    }

    /// One row of every layer's attention matrix, as the layer's kind has it: what the query at `position` takes of each
    /// place. Under Nyström attention it is a row of `K1 Z K3`, which can have small negative weights and sums to about 1; no
    /// matrix of `seq_len` squared is made. The convolution skip beside it is no part of it. Empty for a model without layers.
    ///
    /// # Shapes
    /// - output, for each layer: `[batch, heads, seq_len]`, places counted with a class token if the model has one
    ///
    /// # Errors
    /// [`ModelError::Position`] if there is no such place; [`ModelError::NoAttentionRow`] if the kind of attention has no matrix;
    /// as for [`Self::forward`].
    pub fn attention_rows(
        &self,
        input: NystromformerInput,
        position: usize,
    ) -> Result<Vec<Tensor<3>>, ModelError> {
        let (mut current, padding) = self.embed(input)?;
        let [_, seq_len, _] = current.dims();
        if position >= seq_len {
            return Err(ModelError::Position { position, seq_len });
        }
        let mut rows = Vec::new();
        for layer in self.encoder.layers() {
            let row = layer.attention_row(current.clone(), padding.as_ref(), position);
            rows.push(row.ok_or(ModelError::NoAttentionRow {
                attention: self.config.attention.kind.name(),
            })?);
            current = layer.forward(current, padding.as_ref());
        }
        Ok(rows)
    }

    /// Rows and columns of the hidden states: those of the input, with one more column where vectors begin with a class token.
    pub(crate) fn dims_of_states(&self, input: &NystromformerInput) -> [usize; 2] {
        let [batch, seq_len] = input.tokens.dims();
        [batch, seq_len + self.config.vectors.tokens_before()]
    }

    /// The mask of the hidden states: that of the input, with a 1 before it where vectors begin with a class token.
    ///
    /// # Shapes
    /// - `attention_mask`: `[batch, seq_len]`
    pub fn mask_of_states(&self, attention_mask: Option<Tensor<2, Int>>) -> Option<Tensor<2, Int>> {
        let mask = attention_mask?;
        if self.config.vectors.tokens_before() == 0 {
            return Some(mask);
        }
        let [batch, _] = mask.dims();
        Some(Tensor::cat(vec![Tensor::ones([batch, 1], &mask.device()), mask], 1))
    }

    /// Checks the input, embeds it and prepares its mask for all layers.
    fn embed(&self, input: NystromformerInput) -> Result<(Tensor<3>, Option<Padding>), ModelError> {
        input.validate(&self.config)?;
        let NystromformerConfig { attention, shared, .. } = &self.config;
        let mask = input.attention_mask;
        let embeddings = trace::part("embeddings");
        let embedded =
            self.embeddings.forward(input.tokens, input.token_type_ids, mask.as_ref())?;
        drop(embeddings);
        let padding = self.mask_of_states(mask).map(|mask| attention.padding(mask, shared));
        Ok((embedded, padding.filter(|padding| !padding.is_empty())))
    }
}
