//! [`Nystromformer`]: embeddings and encoder, without a head.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};

use crate::{
    attention::{NystromFactors, Padding},
    config::NystromformerConfig,
    embeddings::{Embeddings, InputTokens},
    encoder::Encoder,
    error::ModelError,
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
    /// Token, position and type embeddings.
    pub embeddings: Embeddings,
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
        Self {
            embeddings: config.embeddings.init(&config.shared, device),
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
    /// - output, the last hidden states: `[batch, seq_len, hidden_size]`
    ///
    /// # Errors
    /// If shapes disagree or the configuration cannot read sequences of this length.
    pub fn forward(&self, input: NystromformerInput) -> Result<Tensor<3>, ModelError> {
        let (embedded, padding) = self.embed(input)?;
        Ok(self.encoder.forward(embedded, padding.as_ref()))
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
            current = layer.forward(current, padding.as_ref());
            states.push(current.clone());
        }
        states.pop();
        states.push(self.encoder.finish(current));
        Ok(states)
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
            factors
                .extend(layer.attention.self_attention.factors(current.clone(), padding.as_ref()));
            current = layer.forward(current, padding.as_ref());
        }
        Ok(factors)
    }

    /// Checks the input, embeds it and prepares its mask for all layers.
    fn embed(&self, input: NystromformerInput) -> Result<(Tensor<3>, Option<Padding>), ModelError> {
        input.validate(&self.config)?;
        let NystromformerConfig { attention, shared, .. } = &self.config;
        let padding = input.attention_mask.map(|mask| attention.padding(mask, shared));
        Ok((self.embeddings.forward(input.tokens, input.token_type_ids), padding))
    }
}

/// The hidden states of chosen tokens.
///
/// # Shapes
/// - `hidden_states`: `[batch, seq_len, hidden_size]`
/// - `positions`: `[positions]`, flat indices `row · seq_len + column`
/// - output: `[positions, hidden_size]`
pub(crate) fn tokens_at(hidden_states: Tensor<3>, positions: Tensor<1, Int>) -> Tensor<2> {
    let [batch, seq_len, hidden_size] = hidden_states.dims();
    hidden_states.reshape([batch * seq_len, hidden_size]).select(0, positions)
}
