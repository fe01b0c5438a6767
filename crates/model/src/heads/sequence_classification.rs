//! The sequence-classification head.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::dropout;

use crate::{
    activation::HiddenAct,
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput, first_tokens},
};

/// `out_proj(dropout(act(dense(dropout(first token)))))`, transformers' `NystromformerClassificationHead`.
///
/// The authors' head uses tanh where transformers uses `hidden_act`; this is transformers'.
#[derive(Module, Debug)]
pub struct ClassificationHead {
    /// `hidden_size → hidden_size`.
    pub dense: Linear,
    /// `hidden_size → num_labels`.
    pub out_proj: Linear,
    hidden_dropout_prob: f64,
    #[module(skip)]
    activation: HiddenAct,
}

/// A Nyströmformer that classifies sequences, transformers' `NystromformerForSequenceClassification`.
#[derive(Module, Debug)]
pub struct NystromformerForSequenceClassification {
    /// The encoder.
    pub nystromformer: Nystromformer,
    /// The head.
    pub classifier: ClassificationHead,
}

impl NystromformerForSequenceClassification {
    /// Fresh weights; `config` is valid.
    pub(crate) fn new(config: &NystromformerConfig, device: &Device) -> Self {
        Self {
            nystromformer: Nystromformer::new(config, device),
            classifier: ClassificationHead {
                dense: Linear::new(config, config.hidden_size, config.hidden_size, device),
                out_proj: Linear::new(config, config.hidden_size, config.num_labels(), device),
                hidden_dropout_prob: config.hidden_dropout_prob,
                activation: config.hidden_act,
            },
        }
    }

    /// Scores of every class, or for regression the numbers themselves.
    ///
    /// # Shapes
    /// - output: `[batch, num_labels]`
    ///
    /// # Errors
    /// As for [`Nystromformer::forward`].
    pub fn forward(&self, input: NystromformerInput) -> Result<Tensor<2>, ModelError> {
        let ClassificationHead { dense, out_proj, hidden_dropout_prob, activation } =
            &self.classifier;
        let dropout = |hidden| dropout(hidden, *hidden_dropout_prob);
        let first = first_tokens(self.nystromformer.forward(input)?);
        let hidden = activation.forward(dense.forward(dropout(first)));
        Ok(out_proj.forward(dropout(hidden)))
    }
}
