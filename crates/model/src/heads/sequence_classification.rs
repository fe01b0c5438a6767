//! The sequence-classification head.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::dropout;

use crate::{
    activation::HiddenAct,
    config::{NystromformerConfig, Pooling},
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput},
};

/// `out_proj(dropout(act(dense(dropout(x)))))`, transformers' `NystromformerClassificationHead`.
///
/// The authors' head uses tanh where transformers uses `hidden_act`; `classifier_act` is to choose. Theirs for the Long
/// Range Arena has `relu`, a width of its own and no dropout.
#[derive(Module, Debug)]
pub struct ClassificationHead {
    /// From the features to `classifier_hidden_size`.
    pub dense: Linear,
    /// To `num_labels`.
    pub out_proj: Linear,
    dropout_prob: f64,
    #[module(skip)]
    activation: HiddenAct,
}

impl ClassificationHead {
    /// A fresh head that reads `inputs` features.
    pub fn new(config: &NystromformerConfig, inputs: usize, device: &Device) -> Self {
        let width = config.classifier_width();
        Self {
            dense: Linear::new(config, inputs, width, device),
            out_proj: Linear::new(config, width, config.num_labels(), device),
            dropout_prob: config.classifier_dropout_prob.unwrap_or(config.hidden_dropout_prob),
            activation: config.classifier_act.unwrap_or(config.hidden_act),
        }
    }

    /// Scores of every class.
    ///
    /// # Shapes
    /// - `features`: `[batch, inputs]`
    /// - output: `[batch, num_labels]`
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let dropout = |hidden| dropout(hidden, self.dropout_prob);
        let hidden = self.activation.forward(self.dense.forward(dropout(features)));
        self.out_proj.forward(dropout(hidden))
    }
}

/// A Nyströmformer that classifies sequences, transformers' `NystromformerForSequenceClassification`.
#[derive(Module, Debug)]
pub struct NystromformerForSequenceClassification {
    /// The encoder.
    pub nystromformer: Nystromformer,
    /// The head.
    pub classifier: ClassificationHead,
    #[module(skip)]
    pooling: Pooling,
}

impl NystromformerForSequenceClassification {
    /// Fresh weights; `config` is valid.
    pub(crate) fn new(config: &NystromformerConfig, device: &Device) -> Self {
        Self {
            nystromformer: Nystromformer::new(config, device),
            classifier: ClassificationHead::new(config, config.hidden_size, device),
            pooling: config.pooling,
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
        let mask = input.attention_mask.clone();
        let pooled = self.pooling.pool(self.nystromformer.forward(input)?, mask);
        Ok(self.classifier.forward(pooled))
    }
}
