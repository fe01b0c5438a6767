//! The masked-language-modelling head.

use burn::{
    module::{Module, Param},
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::{WeightLayout, linear, trace};

use super::{
    ClassInfo, Head, Losses, ModelClass, Output, PreTrainedModel, Scored, TargetTensors,
    TermMetric, targets::require_count,
};
use crate::{
    activation::HiddenAct,
    config::NystromformerConfig,
    error::ModelError,
    layer_norm::LayerNorm,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput},
    wanted_tokens::states_at,
    weights,
};

/// `LayerNorm(act(dense(x)))`, transformers' `NystromformerPredictionHeadTransform`.
#[derive(Module, Debug)]
pub struct PredictionHeadTransform {
    /// `hidden_size → hidden_size`.
    pub dense: Linear,
    /// Over `hidden_size`.
    pub layer_norm: LayerNorm,
    #[module(skip)]
    activation: HiddenAct,
}

/// Scores of every vocabulary entry, transformers' `NystromformerLMPredictionHead`. The decoder's weight is
/// the token embedding itself, so only a bias is stored here.
#[derive(Module, Debug)]
pub struct LmPredictionHead {
    /// The layer before the decoder.
    pub transform: PredictionHeadTransform,
    /// `[vocab_size]`.
    pub bias: Param<Tensor<1>>,
}

/// Transformers' `NystromformerOnlyMLMHead`; it gives the parameters their published names.
#[derive(Module, Debug)]
pub struct MaskedLmHead {
    /// The only head there is.
    pub predictions: LmPredictionHead,
}

impl MaskedLmHead {
    /// Fresh weights of `config`'s sizes.
    pub(super) fn new(config: &NystromformerConfig, device: &Device) -> Self {
        let shared = &config.shared;
        Self {
            predictions: LmPredictionHead {
                transform: PredictionHeadTransform {
                    dense: shared.linear(shared.hidden_size, shared.hidden_size).init(device),
                    layer_norm: shared.layer_norm().init(device),
                    activation: shared.hidden_act,
                },
                bias: weights::zeros([config.embeddings.vocab_size], device),
            },
        }
    }

    /// Scores of every vocabulary entry, the decoder's weight being the token embedding of `encoder`.
    ///
    /// # Shapes
    /// - `hidden_states`: `[rows, hidden_size]`, of any number of rows, 0 too
    /// - output: `[rows, vocab_size]`
    ///
    /// # Errors
    /// [`ModelError::Inputs`] if the encoder reads vectors, and so has no token embedding.
    pub fn forward(
        &self,
        hidden_states: Tensor<2>,
        encoder: &Nystromformer,
    ) -> Result<Tensor<2>, ModelError> {
        let LmPredictionHead { transform, bias } = &self.predictions;
        if hidden_states.dims()[0] == 0 {
            return Ok(Tensor::zeros([0, bias.dims()[0]], &hidden_states.device()));
        }
        let _part = trace::part("cls");
        let hidden = transform.activation.forward(transform.dense.forward(hidden_states));
        let hidden = transform.layer_norm.forward(hidden);
        let decoder = encoder.embeddings.tokens()?.word_embeddings.weight.val();
        Ok(linear(hidden, decoder, Some(bias.val()), WeightLayout::OutputsFirst))
    }
}

/// A Nyströmformer that predicts masked tokens, transformers' `NystromformerForMaskedLM`.
#[derive(Module, Debug)]
pub struct NystromformerForMaskedLm {
    /// The encoder.
    pub nystromformer: Nystromformer,
    /// The head.
    pub cls: MaskedLmHead,
}

impl NystromformerForMaskedLm {
    /// Scores of every vocabulary entry at every position.
    ///
    /// # Shapes
    /// - output: `[batch, seq_len, vocab_size]`
    ///
    /// # Errors
    /// As for [`Nystromformer::forward`].
    pub fn forward(&self, input: NystromformerInput) -> Result<Tensor<3>, ModelError> {
        let hidden_states = self.nystromformer.forward(input)?;
        let [batch, seq_len, hidden_size] = hidden_states.dims();
        let rows = hidden_states.reshape([batch * seq_len, hidden_size]);
        let logits = self.cls.forward(rows, &self.nystromformer)?;
        Ok(logits.reshape([batch as isize, seq_len as isize, -1]))
    }

    /// Scores at chosen positions only, the tokens that the head then reads: in training about one token in seven is masked, and
    /// the product with the vocabulary is the largest of the model.
    ///
    /// # Shapes
    /// - `positions`: `[positions]`, flat indices `row · seq_len + column`
    /// - output: `[positions, vocab_size]`
    ///
    /// # Errors
    /// As for [`Nystromformer::forward`].
    pub fn forward_at(
        &self,
        input: NystromformerInput,
        positions: Tensor<1, Int>,
    ) -> Result<Tensor<2>, ModelError> {
        self.cls.forward(self.nystromformer.tokens_at(input, positions)?, &self.nystromformer)
    }
}

encoder_in_field!(NystromformerForMaskedLm);

impl ModelClass for NystromformerForMaskedLm {
    const CLASS: ClassInfo = ClassInfo {
        name: "NystromformerForMaskedLM",
        auto_class: "AutoModelForMaskedLM",
        pipeline_tag: "fill-mask",
        metrics: &[TermMetric::accuracy("accuracy", 0), TermMetric::perplexity("perplexity", 0)],
        scored: Some(Scored::Tokens),
        ..ClassInfo::DEFAULT
    };

    fn from_encoder(
        nystromformer: Nystromformer,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self {
        Self { nystromformer, cls: MaskedLmHead::new(config, device) }
    }
}

impl Head for NystromformerForMaskedLm {
    fn losses(
        &self,
        input: NystromformerInput,
        targets: TargetTensors,
    ) -> Result<Losses, ModelError> {
        let TargetTensors::Tokens { positions, labels } = targets else {
            return Err(targets.refused_by(self.class()));
        };
        require_count("labels", labels.dims()[0], positions.dims()[0])?;
        Ok(Losses::of_classes(self.forward_at(input, positions)?, labels))
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
        Ok(Some(self.cls.forward(states_at(states, positions), &self.nystromformer)?))
    }
}
