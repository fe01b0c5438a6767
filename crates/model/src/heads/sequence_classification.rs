//! The sequence-classification head.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};

use super::{
    ClassInfo, Head, Losses, ModelClass, Output, PreTrainedModel, Scored, TargetTensors,
    TermMetric,
    class::TOKEN_TABLE,
    targets::{binary_cross_entropy, require_count, squared_error},
};
use crate::{
    classifier::{ClassificationHead, Pooler, ProblemType},
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput},
};

/// A Nyströmformer that classifies sequences, transformers' `NystromformerForSequenceClassification`.
#[derive(Module, Debug)]
pub struct NystromformerForSequenceClassification {
    /// The encoder.
    pub nystromformer: Nystromformer,
    /// The head.
    pub classifier: ClassificationHead,
    /// From a sequence's states to the one that the head reads.
    pub pooling: Pooler,
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
        let scores = self.scores(input)?;
        Ok(match self.config().classifier.standardization() {
            Some(standardization) => standardization.undo(scores),
            None => scores,
        })
    }

    /// What the classifier itself gives: scores of every class, or numbers as it was trained towards them.
    fn scores(&self, input: NystromformerInput) -> Result<Tensor<2>, ModelError> {
        let mask = self.nystromformer.mask_of_states(input.attention_mask.clone());
        let (shape, device) = (self.nystromformer.dims_of_states(&input), input.tokens.device());
        let wanted = self.pooling.wanted_tokens(shape, mask.as_ref(), &device);
        let states = self.nystromformer.forward_wanted(input, &wanted)?;
        let pooled = self.pooling.forward(states, mask);
        Ok(self.classifier.forward(pooled))
    }
}

encoder_in_field!(NystromformerForSequenceClassification);

impl ModelClass for NystromformerForSequenceClassification {
    const CLASS: ClassInfo = ClassInfo {
        name: "NystromformerForSequenceClassification",
        auto_class: "AutoModelForSequenceClassification",
        pipeline_tag: "text-classification",
        label_layer: Some("classifier.out_proj"),
        token_table: Some(TOKEN_TABLE),
        metrics: &[TermMetric::accuracy("accuracy", 0)],
        scored: Some(Scored::Sequences),
        ..ClassInfo::DEFAULT
    };

    fn from_encoder(
        nystromformer: Nystromformer,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self {
        Self {
            nystromformer,
            classifier: config.classifier.init(
                &config.shared,
                config.classifier.pooling.width(config.shared.hidden_size),
                device,
            ),
            pooling: config.classifier.pooling.init(&config.shared, device),
        }
    }
}

impl Head for NystromformerForSequenceClassification {
    fn losses(
        &self,
        input: NystromformerInput,
        targets: TargetTensors,
    ) -> Result<Losses, ModelError> {
        let (problem, stated) =
            (self.config().problem_type(), self.config().classifier.problem_type);
        let [rows, _] = input.tokens.dims();
        match targets {
            TargetTensors::Class(labels) if problem == ProblemType::SingleLabelClassification => {
                require_count("labels", labels.dims()[0], rows)?;
                Ok(Losses::of_classes(self.forward(input)?, labels))
            }
            TargetTensors::Values(values)
                if stated != Some(ProblemType::SingleLabelClassification) =>
            {
                let [found, columns] = values.dims();
                require_count("labels", found, rows)?;
                require_count("labels of a row", columns, self.config().num_labels())?;
                let logits = self.scores(input)?;
                let standardization = self.config().classifier.standardization();
                let losses = match problem {
                    ProblemType::Regression => {
                        if let Some(standardization) = standardization {
                            let values = standardization.standardize(values);
                            let losses = squared_error(logits.clone(), values);
                            return Ok(Losses::one(losses, standardization.undo(logits)));
                        }
                        squared_error(logits.clone(), values)
                    }
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

    fn scores_of_states(
        &self,
        states: Tensor<3>,
        attention_mask: Option<Tensor<2, Int>>,
        _: Tensor<1, Int>,
    ) -> Result<Option<Tensor<2>>, ModelError> {
        if self.config().problem_type() != ProblemType::SingleLabelClassification {
            return Ok(None);
        }
        let ([batch, seq_len, _], device) = (states.dims(), states.device());
        let wanted = self.pooling.wanted_tokens([batch, seq_len], attention_mask.as_ref(), &device);
        Ok(Some(self.classifier.forward(self.pooling.forward(wanted.of(states), attention_mask))))
    }

    fn label_layer_mut(&mut self) -> Option<&mut Linear> {
        Some(&mut self.classifier.out_proj)
    }
}
