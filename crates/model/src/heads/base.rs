//! The encoder without a head, as a class of model.

use burn::tensor::Device;

use super::{ClassInfo, Head, Losses, ModelClass, Output, PreTrainedModel, TargetTensors};
use crate::{
    config::NystromformerConfig,
    error::ModelError,
    nystromformer::{Nystromformer, NystromformerInput},
};

impl PreTrainedModel for Nystromformer {
    fn class(&self) -> &'static ClassInfo {
        &Self::CLASS
    }

    fn nystromformer(&self) -> &Nystromformer {
        self
    }

    fn nystromformer_mut(&mut self) -> &mut Nystromformer {
        self
    }
}

impl ModelClass for Nystromformer {
    const CLASS: ClassInfo = ClassInfo::DEFAULT;

    fn from_encoder(nystromformer: Nystromformer, _: &NystromformerConfig, _: &Device) -> Self {
        nystromformer
    }
}

impl Head for Nystromformer {
    fn losses(&self, _: NystromformerInput, targets: TargetTensors) -> Result<Losses, ModelError> {
        Err(targets.refused_by(self.class()))
    }

    fn outputs(&self, input: NystromformerInput, _: usize) -> Result<Vec<Output>, ModelError> {
        Ok(vec![Output::new("last_hidden_state", self.forward(input)?)])
    }
}
