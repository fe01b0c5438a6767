//! The token-classification head.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::{dropout, trace};

use super::{
    ClassInfo, Head, Losses, ModelClass, Output, PreTrainedModel, Scored, TargetTensors,
    TermMetric, class::TOKEN_TABLE, targets::require_count,
};
use crate::{
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput},
    wanted_tokens::states_at,
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

    /// Scores for chosen tokens only, those with a label, which the head then reads.
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
        Ok(self.scores(self.nystromformer.tokens_at(input, positions)?))
    }

    /// Scores for the states of tokens, of which there may be none.
    fn scores(&self, tokens: Tensor<2>) -> Tensor<2> {
        if tokens.dims()[0] == 0 {
            return Tensor::zeros([0, self.classifier.bias.dims()[0]], &tokens.device());
        }
        let _part = trace::part("classifier");
        self.classifier.forward(dropout(tokens, self.hidden_dropout_prob))
    }
}

encoder_in_field!(NystromformerForTokenClassification);

impl ModelClass for NystromformerForTokenClassification {
    const CLASS: ClassInfo = ClassInfo {
        name: "NystromformerForTokenClassification",
        auto_class: "AutoModelForTokenClassification",
        pipeline_tag: "token-classification",
        label_layer: Some("classifier"),
        token_table: Some(TOKEN_TABLE),
        metrics: &[TermMetric::accuracy("accuracy", 0)],
        scored: Some(Scored::Tokens),
        ..ClassInfo::DEFAULT
    };

    fn from_encoder(
        nystromformer: Nystromformer,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self {
        let shared = &config.shared;
        Self {
            nystromformer,
            classifier: shared.linear(shared.hidden_size, config.num_labels()).init(device),
            hidden_dropout_prob: shared.hidden_dropout_prob,
        }
    }
}

impl Head for NystromformerForTokenClassification {
    fn losses(
        &self,
        input: NystromformerInput,
        targets: TargetTensors,
    ) -> Result<Losses, ModelError> {
        let TargetTensors::Tokens { positions, labels } = targets else {
            return Err(targets.refused_by(self.class()));
        };
        // Tokens that are asked for and have no label come behind those that have one.
        let ([asked], [labelled]) = (positions.dims(), labels.dims());
        require_count("labels", labelled, labelled.min(asked))?;
        let logits = self.forward_at(input, positions)?;
        Ok(if labelled == asked {
            Losses::of_classes(logits, labels)
        } else {
            Losses::of_first_classes(logits, labels)
        })
    }

    fn outputs(&self, input: NystromformerInput, _: usize) -> Result<Vec<Output>, ModelError> {
        Ok(vec![Output::new("logits", self.forward(input)?)])
    }

    fn scores_of_states(
        &self,
        states: Tensor<3>,
        _: Option<Tensor<2, Int>>,
        positions: Tensor<1, Int>,
    ) -> Result<Option<Tensor<2>>, ModelError> {
        Ok(Some(self.scores(states_at(states, positions))))
    }

    fn label_layer_mut(&mut self) -> Option<&mut Linear> {
        Some(&mut self.classifier)
    }
}
