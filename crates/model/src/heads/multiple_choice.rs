//! The multiple-choice head.

use burn::{
    module::Module,
    tensor::{Device, Tensor, activation::relu},
};
use nystromformer_kernels::trace;

use super::{
    ClassInfo, Head, Losses, ModelClass, Output, PreTrainedModel, RowsPerAnswer, TargetTensors,
    TermMetric, class::TOKEN_TABLE,
};
use crate::{
    classifier::first_tokens,
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput},
    wanted_tokens::WantedTokens,
};

/// The score of a choice that a question does not have: its probability underflows to an exact 0, and so does its
/// gradient.
const ABSENT: f64 = -1e9;

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
        Ok(self.scores(input)?.reshape([rows / num_choices, num_choices]))
    }

    /// The score of each row: `[rows, 1]`.
    fn scores(&self, input: NystromformerInput) -> Result<Tensor<2>, ModelError> {
        // The head reads the first token.
        let states = self.nystromformer.forward_wanted(input, &WantedTokens::First)?;
        let first = first_tokens(states);
        let _part = trace::part("classifier");
        Ok(self.classifier.forward(relu(self.pre_classifier.forward(first))))
    }
}

encoder_in_field!(NystromformerForMultipleChoice);

impl ModelClass for NystromformerForMultipleChoice {
    const CLASS: ClassInfo = ClassInfo {
        name: "NystromformerForMultipleChoice",
        auto_class: "AutoModelForMultipleChoice",
        pipeline_tag: "multiple-choice",
        rows_per_answer: RowsPerAnswer::Choices,
        token_table: Some(TOKEN_TABLE),
        metrics: &[TermMetric::accuracy("accuracy", 0)],
        ..ClassInfo::DEFAULT
    };

    fn from_encoder(
        nystromformer: Nystromformer,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self {
        let hidden_size = config.shared.hidden_size;
        Self {
            nystromformer,
            pre_classifier: config.shared.linear(hidden_size, hidden_size).init(device),
            classifier: config.shared.linear(hidden_size, 1).init(device),
        }
    }
}

impl Head for NystromformerForMultipleChoice {
    fn losses(
        &self,
        input: NystromformerInput,
        targets: TargetTensors,
    ) -> Result<Losses, ModelError> {
        match targets {
            TargetTensors::Class(labels) => {
                let ([rows, _], [questions]) = (input.tokens.dims(), labels.dims());
                let num_choices = rows / questions.max(1);
                if num_choices * questions != rows {
                    return Err(ModelError::Choices { rows, num_choices });
                }
                Ok(Losses::of_classes(self.forward(input, num_choices)?, labels))
            }
            TargetTensors::Choice { labels, rows, absent } => {
                let [questions, most] = rows.dims();
                let scores = self.scores(input)?.select(0, rows.reshape([questions * most]));
                let scores = scores.reshape([questions, most]).mask_fill(absent, ABSENT);
                Ok(Losses::of_classes(scores, labels))
            }
            targets => Err(targets.refused_by(self.class())),
        }
    }

    fn outputs(
        &self,
        input: NystromformerInput,
        num_choices: usize,
    ) -> Result<Vec<Output>, ModelError> {
        Ok(vec![Output::new("logits", self.forward(input, num_choices)?)])
    }
}
