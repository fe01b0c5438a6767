//! What all classes have in common.

use burn::{module::Module, tensor::Device};

use super::{
    Architecture, NystromformerDualEncoder, NystromformerForMaskedLm,
    NystromformerForMultipleChoice, NystromformerForPreTraining, NystromformerForQuestionAnswering,
    NystromformerForSequenceClassification, NystromformerForTokenClassification,
};
use crate::{
    config::NystromformerConfig, error::ModelError, init::draw_weights,
    nystromformer::Nystromformer,
};

/// A model of any class.
pub trait PreTrainedModel: Module {
    /// Which class it is.
    fn architecture(&self) -> Architecture;

    /// The encoder.
    fn nystromformer(&self) -> &Nystromformer;

    /// The encoder, to change.
    fn nystromformer_mut(&mut self) -> &mut Nystromformer;

    /// The configuration that the model was built from.
    fn config(&self) -> &NystromformerConfig {
        self.nystromformer().config()
    }
}

/// A class that is known when compiling; [`Model`](super::Model) is a model whose class is not.
pub trait ModelClass: PreTrainedModel {
    /// Which class it is.
    const ARCHITECTURE: Architecture;

    /// The parts with weights yet to be drawn; `config` is valid. [`Self::init`] is for everyone else.
    #[doc(hidden)]
    fn build(config: &NystromformerConfig, device: &Device) -> Self;

    /// Fresh weights on `device`.
    ///
    /// # Errors
    /// See [`NystromformerConfig::validate`].
    fn init(config: &NystromformerConfig, device: &Device) -> Result<Self, ModelError> {
        config.validate()?;
        let model = Self::build(config, device);
        draw_weights(&model);
        Ok(model)
    }
}

/// The encoder of a class with a head is its field `nystromformer`; that of the class without, itself.
macro_rules! classes {
    ($($class:ident: $architecture:ident, $model:ident => $encoder:expr;)*) => {$(
        impl PreTrainedModel for $class {
            fn architecture(&self) -> Architecture {
                Self::ARCHITECTURE
            }

            fn nystromformer(&self) -> &Nystromformer {
                let $model = self;
                &$encoder
            }

            fn nystromformer_mut(&mut self) -> &mut Nystromformer {
                let $model = self;
                &mut $encoder
            }
        }

        impl ModelClass for $class {
            const ARCHITECTURE: Architecture = Architecture::$architecture;

            fn build(config: &NystromformerConfig, device: &Device) -> Self {
                Self::new(config, device)
            }
        }
    )*};
}

classes!(
    Nystromformer: Base, model => *model;
    NystromformerForMaskedLm: MaskedLm, model => model.nystromformer;
    NystromformerForPreTraining: PreTraining, model => model.nystromformer;
    NystromformerForSequenceClassification: SequenceClassification, model => model.nystromformer;
    NystromformerDualEncoder: DualEncoder, model => model.nystromformer;
    NystromformerForMultipleChoice: MultipleChoice, model => model.nystromformer;
    NystromformerForTokenClassification: TokenClassification, model => model.nystromformer;
    NystromformerForQuestionAnswering: QuestionAnswering, model => model.nystromformer;
);
