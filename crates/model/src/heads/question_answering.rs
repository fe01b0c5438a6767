//! The question-answering head.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use crate::{
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput},
};

/// A Nyströmformer that marks answers in a text, transformers' `NystromformerForQuestionAnswering`.
#[derive(Module, Debug)]
pub struct NystromformerForQuestionAnswering {
    /// The encoder.
    pub nystromformer: Nystromformer,
    /// `hidden_size → 2`: the score of being an answer's first token, and its last.
    pub qa_outputs: Linear,
}

/// Scores of every token as an answer's first and last.
#[derive(Debug, Clone)]
pub struct SpanLogits {
    /// `[batch, seq_len]`.
    pub start: Tensor<2>,
    /// `[batch, seq_len]`.
    pub end: Tensor<2>,
}

impl NystromformerForQuestionAnswering {
    /// Fresh weights; `config` is valid.
    pub(crate) fn new(config: &NystromformerConfig, device: &Device) -> Self {
        Self {
            nystromformer: Nystromformer::new(config, device),
            // transformers sets num_labels to 2 whatever the configuration says.
            qa_outputs: Linear::new(config, config.hidden_size, 2, device),
        }
    }

    /// Scores of every token, padding included.
    ///
    /// # Errors
    /// As for [`Nystromformer::forward`].
    pub fn forward(&self, input: NystromformerInput) -> Result<SpanLogits, ModelError> {
        let logits = self.qa_outputs.forward(self.nystromformer.forward(input)?);
        Ok(SpanLogits {
            start: logits.clone().narrow(2, 0, 1).squeeze_dim(2),
            end: logits.narrow(2, 1, 1).squeeze_dim(2),
        })
    }
}
