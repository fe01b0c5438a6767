//! The question-answering head.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::trace;

use super::{
    ClassInfo, Head, Losses, ModelClass, Output, PreTrainedModel, TargetTensors, TermMetric,
    class::TOKEN_TABLE,
    targets::{require_count, span_cross_entropy},
};
use crate::{
    attention::padding::bias as mask_bias,
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput},
    shared::Semantics,
    wanted_tokens::WantedTokens,
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
    /// Scores of every token, padding included.
    ///
    /// # Errors
    /// As for [`Nystromformer::forward`].
    pub fn forward(&self, input: NystromformerInput) -> Result<SpanLogits, ModelError> {
        self.forward_wanted(input, &WantedTokens::All)
    }

    fn forward_wanted(
        &self,
        input: NystromformerInput,
        wanted: &WantedTokens,
    ) -> Result<SpanLogits, ModelError> {
        let states = self.nystromformer.forward_wanted(input, wanted)?;
        let _part = trace::part("qa_outputs");
        let logits = self.qa_outputs.forward(states);
        Ok(SpanLogits {
            start: logits.clone().narrow(2, 0, 1).squeeze_dim(2),
            end: logits.narrow(2, 1, 1).squeeze_dim(2),
        })
    }
}

encoder_in_field!(NystromformerForQuestionAnswering);

impl ModelClass for NystromformerForQuestionAnswering {
    const CLASS: ClassInfo = ClassInfo {
        name: "NystromformerForQuestionAnswering",
        auto_class: "AutoModelForQuestionAnswering",
        pipeline_tag: "question-answering",
        token_table: Some(TOKEN_TABLE),
        metrics: &[
            TermMetric::accuracy("start_accuracy", 0),
            TermMetric::accuracy("end_accuracy", 1),
        ],
        ..ClassInfo::DEFAULT
    };

    fn from_encoder(
        nystromformer: Nystromformer,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self {
        Self {
            nystromformer,
            // transformers sets num_labels to 2 whatever the configuration says.
            qa_outputs: config.shared.linear(config.shared.hidden_size, 2).init(device),
        }
    }
}

impl Head for NystromformerForQuestionAnswering {
    /// In `paper` semantics padding is no possible answer; in transformers it is.
    fn losses(
        &self,
        input: NystromformerInput,
        targets: TargetTensors,
    ) -> Result<Losses, ModelError> {
        let TargetTensors::Span { start, end } = targets else {
            return Err(targets.refused_by(self.class()));
        };
        let [rows, _] = input.tokens.dims();
        require_count("start_positions", start.dims()[0], rows)?;
        require_count("end_positions", end.dims()[0], rows)?;
        let logits = match (self.config().shared.semantics, input.attention_mask.clone()) {
            (Semantics::Paper, Some(mask)) => {
                let SpanLogits { start, end } =
                    self.forward_wanted(input, &WantedTokens::Tokens)?;
                let bias = mask_bias(mask.float());
                SpanLogits { start: start + bias.clone(), end: end + bias }
            }
            _ => self.forward(input)?,
        };
        let of_start = span_cross_entropy(logits.start.clone(), start);
        let of_end = span_cross_entropy(logits.end.clone(), end);
        Ok(Losses::two(0.5, (of_start, logits.start), (of_end, logits.end)))
    }

    fn outputs(&self, input: NystromformerInput, _: usize) -> Result<Vec<Output>, ModelError> {
        let logits = self.forward(input)?;
        Ok(vec![Output::new("start_logits", logits.start), Output::new("end_logits", logits.end)])
    }
}
