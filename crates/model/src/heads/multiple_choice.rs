//! The multiple-choice head.

use burn::{
    module::Module,
    tensor::{Device, Tensor, activation::relu},
};

use crate::{
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput, first_tokens},
};

/// A Nyströmformer that chooses among answers, transformers' `NystromformerForMultipleChoice`: each pair of
/// question and choice is scored by itself, by `classifier(relu(pre_classifier(first token)))`.
#[derive(Module, Debug)]
pub struct NystromformerForMultipleChoice {
    /// The encoder.
    pub nystromformer: Nystromformer,
    /// `hidden_size → hidden_size`.
    pub pre_classifier: Linear,
    /// `hidden_size → 1`.
    pub classifier: Linear,
}

impl NystromformerForMultipleChoice {
    /// Fresh weights; `config` is valid.
    pub(crate) fn new(config: &NystromformerConfig, device: &Device) -> Self {
        Self {
            nystromformer: Nystromformer::new(config, device),
            pre_classifier: Linear::new(config, config.hidden_size, config.hidden_size, device),
            classifier: Linear::new(config, config.hidden_size, 1, device),
        }
    }

    /// Scores of every choice.
    ///
    /// # Shapes
    /// - `input`: rows `[questions · num_choices, seq_len]`, a question's choices one after the other
    /// - output: `[questions, num_choices]`
    ///
    /// # Errors
    /// [`ModelError::Choices`] if the rows are no multiple of `num_choices`; as for
    /// [`Nystromformer::forward`].
    pub fn forward(
        &self,
        input: NystromformerInput,
        num_choices: usize,
    ) -> Result<Tensor<2>, ModelError> {
        let [rows, _] = input.tokens.dims();
        if num_choices == 0 || !rows.is_multiple_of(num_choices) {
            return Err(ModelError::Choices { rows, num_choices });
        }
        let first = first_tokens(self.nystromformer.forward(input)?);
        let scores = self.classifier.forward(relu(self.pre_classifier.forward(first)));
        Ok(scores.reshape([rows / num_choices, num_choices]))
    }
}
