//! The two heads of the authors' pretraining on sentence pairs: masked tokens, and sentence order.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::{cross_entropy, dropout, trace};

use super::{
    ClassInfo, Head, Losses, ModelClass, Output, PreTrainedModel, Scored, TargetTensors,
    TermMetric, masked_lm::MaskedLmHead, targets::require_count,
};
use crate::{
    classifier::first_tokens,
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput},
    wanted_tokens::states_at,
};

/// `dropout(tanh(dense(first token)))`, as in BERT.
#[derive(Module, Debug)]
pub struct Pooler {
    /// `hidden_size → hidden_size`.
    pub dense: Linear,
    hidden_dropout_prob: f64,
}

/// A Nyströmformer that predicts masked tokens, and whether two segments are in order or swapped (sentence
/// order prediction, SOP): the model that the authors pretrained (`reorganized_code/BERT`). transformers has
/// only its [masked-language-modelling part](super::NystromformerForMaskedLm).
#[derive(Module, Debug)]
pub struct NystromformerForPreTraining {
    /// The encoder.
    pub nystromformer: Nystromformer,
    /// The masked-language-modelling head.
    pub cls: MaskedLmHead,
    /// What the sentence-order head reads.
    pub pooler: Pooler,
    /// `hidden_size → num_labels`. Class 0 is in order, class 1 swapped; the authors' have two more, unused.
    pub sop_classifier: Linear,
}

impl NystromformerForPreTraining {
    /// Scores of every vocabulary entry at every position, and of the order.
    ///
    /// # Shapes
    /// - output: `[batch, seq_len, vocab_size]` and `[batch, num_labels]`
    ///
    /// # Errors
    /// As for [`Nystromformer::forward`].
    pub fn forward(&self, input: NystromformerInput) -> Result<(Tensor<3>, Tensor<2>), ModelError> {
        let hidden_states = self.nystromformer.forward(input)?;
        let [batch, seq_len, hidden_size] = hidden_states.dims();
        let tokens = hidden_states.clone().reshape([batch * seq_len, hidden_size]);
        let predictions = self.cls.forward(tokens, &self.nystromformer)?;
        Ok((
            predictions.reshape([batch as isize, seq_len as isize, -1]),
            self.order(first_tokens(hidden_states)),
        ))
    }

    /// Scores of every vocabulary entry at chosen positions, and of the order: the heads read these tokens and the first of each
    /// row.
    ///
    /// # Shapes
    /// - `positions`: `[positions]`, flat indices `row · seq_len + column`
    /// - output: `[positions, vocab_size]` and `[batch, num_labels]`
    ///
    /// # Errors
    /// As for [`Nystromformer::forward`].
    pub fn forward_at(
        &self,
        input: NystromformerInput,
        positions: Tensor<1, Int>,
    ) -> Result<(Tensor<2>, Tensor<2>), ModelError> {
        let ([batch, columns], [chosen]) = (input.tokens.dims(), positions.dims());
        let seq_len = columns + self.config().vectors.tokens_before();
        let first = Tensor::arange(0..batch as i64, &positions.device()).mul_scalar(seq_len as i64);
        let both = Tensor::cat(vec![first, positions], 0);
        let states = self.nystromformer.tokens_at(input, both)?;
        let order = self.order(states.clone().narrow(0, 0, batch));
        // Where nothing is masked, the order is learned alone.
        let tokens = match chosen {
            0 => Tensor::zeros([0, self.config().shared.hidden_size], &states.device()),
            _ => states.narrow(0, batch, chosen),
        };
        Ok((self.cls.forward(tokens, &self.nystromformer)?, order))
    }

    fn order(&self, first: Tensor<2>) -> Tensor<2> {
        let _part = trace::part("sop_classifier");
        let Pooler { dense, hidden_dropout_prob } = &self.pooler;
        let pooled = dropout(dense.forward(first).tanh(), *hidden_dropout_prob);
        self.sop_classifier.forward(pooled)
    }
}

encoder_in_field!(NystromformerForPreTraining);

impl ModelClass for NystromformerForPreTraining {
    const CLASS: ClassInfo = ClassInfo {
        // transformers has no such class; its name follows those of its other models.
        name: "NystromformerForPreTraining",
        auto_class: "AutoModelForPreTraining",
        pipeline_tag: "fill-mask",
        metrics: &[
            TermMetric::accuracy("accuracy", 0),
            TermMetric::perplexity("perplexity", 0),
            TermMetric::loss("mlm_loss", 0),
            TermMetric::loss("sop_loss", 1),
            TermMetric::accuracy("sop_accuracy", 1),
        ],
        scored: Some(Scored::Tokens),
        ..ClassInfo::DEFAULT
    };

    fn from_encoder(
        nystromformer: Nystromformer,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self {
        let shared = &config.shared;
        let hidden_size = shared.hidden_size;
        Self {
            nystromformer,
            cls: MaskedLmHead::new(config, device),
            pooler: Pooler {
                dense: shared.linear(hidden_size, hidden_size).init(device),
                hidden_dropout_prob: shared.hidden_dropout_prob,
            },
            sop_classifier: shared.linear(hidden_size, config.num_labels()).init(device),
        }
    }
}

impl Head for NystromformerForPreTraining {
    fn losses(
        &self,
        input: NystromformerInput,
        targets: TargetTensors,
    ) -> Result<Losses, ModelError> {
        let TargetTensors::TokensAndOrder { positions, labels, order } = targets else {
            return Err(targets.refused_by(self.class()));
        };
        require_count("labels", labels.dims()[0], positions.dims()[0])?;
        require_count("order", order.dims()[0], input.tokens.dims()[0])?;
        let (predictions, order_logits) = self.forward_at(input, positions)?;
        let of_tokens = cross_entropy(predictions.clone(), labels);
        let of_order = cross_entropy(order_logits.clone(), order);
        Ok(Losses::two(1.0, (of_tokens, predictions), (of_order, order_logits)))
    }

    fn outputs(&self, input: NystromformerInput, _: usize) -> Result<Vec<Output>, ModelError> {
        let (predictions, order) = self.forward(input)?;
        Ok(vec![Output::new("prediction_logits", predictions), Output::new("sop_logits", order)])
    }

    /// Of masked tokens; the order is no part of them.
    fn scores_of_states(
        &self,
        states: Tensor<3>,
        _: Option<Tensor<2, Int>>,
        positions: Tensor<1, Int>,
    ) -> Result<Option<Tensor<2>>, ModelError> {
        Ok(Some(self.cls.forward(states_at(states, positions), &self.nystromformer)?))
    }
}
