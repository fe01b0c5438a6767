//! The encoder with a head: transformers' classes, the authors' pretraining model, and a dual encoder.
//!
//! | file | class | answers |
//! |---|---|---|
//! | `base` | [`Nystromformer`] | hidden states: the encoder without a head |
//! | [`masked_lm`] | [`NystromformerForMaskedLm`] | a score of every vocabulary entry for every token |
//! | [`pre_training`] | [`NystromformerForPreTraining`] | that, and whether two segments are in order |
//! | [`sequence_classification`] | [`NystromformerForSequenceClassification`] | a score of every class, or numbers |
//! | [`dual_encoder`] | [`NystromformerDualEncoder`] | a score of every class, for a pair of sequences |
//! | [`multiple_choice`] | [`NystromformerForMultipleChoice`] | a score of every choice |
//! | [`token_classification`] | [`NystromformerForTokenClassification`] | a score of every class for every token |
//! | [`question_answering`] | [`NystromformerForQuestionAnswering`] | scores of every token as an answer's first and last |
//!
//! A head is one file: its module, its name ([`ModelClass`]), the [`TargetTensors`] it is trained towards, its losses, metrics
//! and outputs ([`Head`]). To add one, write the file and add it to the list at the end of this one, which makes
//! [`Architecture`] and [`Model`]: a class by its name, and a model of any class.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};

mod base;
#[macro_use]
mod class;
mod depth;
pub mod dual_encoder;
pub mod loss_options;
pub mod masked_lm;
pub mod metrics;
pub mod multiple_choice;
pub mod pre_training;
pub mod question_answering;
#[macro_use]
mod registry;
pub mod sequence_classification;
pub mod targets;
#[cfg(test)]
mod tests;
pub mod token_classification;

pub use class::{ClassInfo, Head, ModelClass, Output, PreTrainedModel, RowsPerAnswer, Scored};
pub use depth::Depth;
pub use dual_encoder::NystromformerDualEncoder;
pub use loss_options::LossOptions;
pub use masked_lm::NystromformerForMaskedLm;
pub use metrics::{Measure, TermMetric};
pub use multiple_choice::NystromformerForMultipleChoice;
pub use pre_training::NystromformerForPreTraining;
pub use question_answering::NystromformerForQuestionAnswering;
pub use sequence_classification::NystromformerForSequenceClassification;
pub use targets::{LossTerm, Losses, TargetTensors, TargetsData};
pub use token_classification::NystromformerForTokenClassification;

use crate::{
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput},
    weights::draw_weights,
};

registry!(
    /// The encoder without a head.
    Base(Nystromformer),
    /// With the masked-language-modelling head.
    MaskedLm(NystromformerForMaskedLm),
    /// With the heads of the authors' pretraining: masked tokens and sentence order.
    PreTraining(NystromformerForPreTraining),
    /// With a sequence classifier.
    SequenceClassification(NystromformerForSequenceClassification),
    /// With a classifier of pairs of sequences, each of which is encoded by itself.
    DualEncoder(NystromformerDualEncoder),
    /// With a multiple-choice head.
    MultipleChoice(NystromformerForMultipleChoice),
    /// With a token classifier.
    TokenClassification(NystromformerForTokenClassification),
    /// With a question-answering head.
    QuestionAnswering(NystromformerForQuestionAnswering),
);

impl Architecture {
    /// The class's name, as in `architectures` of a `config.json`.
    pub const fn name(self) -> &'static str {
        self.class().name
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

impl std::str::FromStr for Architecture {
    type Err = ();

    /// By [`Self::name`].
    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|architecture| architecture.name() == name).ok_or(())
    }
}

impl Model {
    /// Fresh weights on `device`.
    ///
    /// # Errors
    /// See [`NystromformerConfig::validate`].
    pub fn init(
        architecture: Architecture,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        let model = Self::build(architecture, config, device);
        draw_weights(&model);
        Ok(model)
    }

    /// As [`ModelClass::build`]: for weights that are read and not drawn.
    #[doc(hidden)]
    pub fn build(
        architecture: Architecture,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self {
        let nystromformer = Nystromformer::new(config, device);
        Self::from_encoder(architecture, nystromformer, config, device)
    }
}
