//! The sequence-classification head.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::dropout;

use super::{
    ClassInfo, Head, Losses, ModelClass, Output, PreTrainedModel, Targets, TermMetric,
    targets::{binary_cross_entropy, require_count, squared_error},
};
use crate::{
    activation::HiddenAct,
    config::{NystromformerConfig, Pooling, ProblemType},
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

impl PreTrainedModel for NystromformerForSequenceClassification {
    fn class(&self) -> &'static ClassInfo {
        &Self::CLASS
    }

    fn nystromformer(&self) -> &Nystromformer {
        &self.nystromformer
    }

    fn nystromformer_mut(&mut self) -> &mut Nystromformer {
        &mut self.nystromformer
    }
}

impl ModelClass for NystromformerForSequenceClassification {
    const CLASS: ClassInfo = ClassInfo {
        name: "NystromformerForSequenceClassification",
        auto_class: "AutoModelForSequenceClassification",
        pipeline_tag: "text-classification",
        label_layer: Some("classifier.out_proj"),
        metrics: &[TermMetric::accuracy("accuracy", 0)],
        ..ClassInfo::DEFAULT
    };

    fn from_encoder(
        nystromformer: Nystromformer,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self {
        Self {
            nystromformer,
            classifier: ClassificationHead::new(config, config.hidden_size, device),
            pooling: config.pooling,
        }
    }
}

impl Head for NystromformerForSequenceClassification {
    fn losses(&self, input: NystromformerInput, targets: Targets) -> Result<Losses, ModelError> {
        let (problem, stated) = (self.config().problem_type(), self.config().problem_type);
        let [rows, _] = input.tokens.dims();
        match targets {
            Targets::Class(labels) if problem == ProblemType::SingleLabelClassification => {
                require_count("labels", labels.dims()[0], rows)?;
                Ok(Losses::of_classes(self.forward(input)?, labels))
            }
            Targets::Values(values) if stated != Some(ProblemType::SingleLabelClassification) => {
                let [found, columns] = values.dims();
                require_count("labels", found, rows)?;
                require_count("labels of a row", columns, self.config().num_labels())?;
                let logits = self.forward(input)?;
                let losses = match problem {
                    ProblemType::Regression => squared_error(logits.clone(), values),
                    // By transformers' rule, numbers for several classes say of each whether it applies.
                    _ => binary_cross_entropy(logits.clone(), values),
                };
                Ok(Losses::one(losses, logits))
            }
            targets => Err(targets.refused_by(self.class())),
        }
    }

    fn outputs(&self, input: NystromformerInput, _: usize) -> Result<Vec<Output>, ModelError> {
        Ok(vec![Output::new("logits", self.forward(input)?)])
    }

    fn label_layer_mut(&mut self) -> Option<&mut Linear> {
        Some(&mut self.classifier.out_proj)
    }
}
