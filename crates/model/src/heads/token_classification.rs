//! The token-classification head.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::dropout;

use crate::{
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput, tokens_at},
};

/// A Nyströmformer that classifies tokens, transformers' `NystromformerForTokenClassification`:
/// `classifier(dropout(token))`.
#[derive(Module, Debug)]
pub struct NystromformerForTokenClassification {
    /// The encoder.
    pub nystromformer: Nystromformer,
    /// `hidden_size → num_labels`.
    pub classifier: Linear,
    hidden_dropout_prob: f64,
}

impl NystromformerForTokenClassification {
    /// Fresh weights; `config` is valid.
    pub(crate) fn new(config: &NystromformerConfig, device: &Device) -> Self {
        Self {
            nystromformer: Nystromformer::new(config, device),
            classifier: Linear::new(config, config.hidden_size, config.num_labels(), device),
            hidden_dropout_prob: config.hidden_dropout_prob,
        }
    }

    /// Scores of every class for every token.
    ///
    /// # Shapes
    /// - output: `[batch, seq_len, num_labels]`
    ///
    /// # Errors
    /// As for [`Nystromformer::forward`].
    pub fn forward(&self, input: NystromformerInput) -> Result<Tensor<3>, ModelError> {
        let hidden_states = self.nystromformer.forward(input)?;
        Ok(self.classifier.forward(dropout(hidden_states, self.hidden_dropout_prob)))
    }

    /// Scores for chosen tokens only, those with a label.
    ///
    /// # Shapes
    /// - `positions`: `[positions]`, flat indices `row · seq_len + column`
    /// - output: `[positions, num_labels]`
    ///
    /// # Errors
    /// As for [`Nystromformer::forward`].
    pub fn forward_at(
        &self,
        input: NystromformerInput,
        positions: Tensor<1, Int>,
    ) -> Result<Tensor<2>, ModelError> {
        let tokens = tokens_at(self.nystromformer.forward(input)?, positions);
        Ok(self.classifier.forward(dropout(tokens, self.hidden_dropout_prob)))
    }
}
