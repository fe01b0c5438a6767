//! [`LayerStates`]: what a model computes of a batch, layer by layer.

use burn::tensor::Tensor;
use nystromformer::attention::Padding;
use nystromformer::layer::AttentionStates;
use nystromformer::{Nystromformer, NystromformerInput};

use crate::error::Result;

/// What an encoder computes of a batch. Padding is left out where it can be: states are then `[1, tokens, hidden_size]`, else
/// `[batch, seq_len, hidden_size]`.
pub(super) struct LayerStates {
    /// What each layer reads.
    pub(super) inputs: Vec<Tensor<3>>,
    /// What its attention half gives.
    pub(super) attention: Vec<AttentionStates>,
    /// What it gives; of the last layer what follows it too.
    pub(super) outputs: Vec<Tensor<3>>,
    /// Which of them are padding.
    pub(super) padding: Option<Padding>,
}

impl LayerStates {
    pub(super) fn of(model: &Nystromformer, input: NystromformerInput) -> Result<Self> {
        let (mut current, padding) = model.embed_tokens(input)?;
        let mut states =
            Self { inputs: Vec::new(), attention: Vec::new(), outputs: Vec::new(), padding };
        for layer in model.encoder.layers() {
            let padding = states.padding.as_ref();
            let attended = layer.attention.forward(current.clone(), padding);
            let output = layer.after_attention(attended.output.clone(), padding);
            states.inputs.push(std::mem::replace(&mut current, output.clone()));
            states.attention.push(attended);
            states.outputs.push(output);
        }
        if let Some(last) = states.outputs.last_mut() {
            *last = model.encoder.finish(current);
        }
        Ok(states)
    }

    /// The last hidden states.
    pub(super) fn last(&self) -> Tensor<3> {
        self.outputs.last().expect("a model of tokens has a layer").clone()
    }

    /// The same with padding, whose states mean nothing: `[batch, seq_len, hidden_size]`.
    pub(super) fn last_of_rows(&self) -> Tensor<3> {
        match &self.padding {
            Some(padding) => padding.unpack(self.last()),
            None => self.last(),
        }
    }

    /// 1 for a state of a token and 0 for one of padding: `[states]`; `None` if all are of tokens.
    pub(super) fn kept(&self) -> Option<Tensor<1>> {
        let padding = self.padding.as_ref().filter(|padding| !padding.is_packed())?;
        Some(padding.keep.clone().flatten(0, 3))
    }
}
