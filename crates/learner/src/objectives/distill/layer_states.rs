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
    /// What the model gives: the last of them, or of a model without layers its embeddings.
    pub(super) last: Tensor<3>,
    /// Which of them are padding.
    pub(super) padding: Option<Padding>,
}

impl LayerStates {
    pub(super) fn of(model: &Nystromformer, input: NystromformerInput) -> Result<Self> {
        let (mut current, padding) = model.embed_tokens(input)?;
        let (mut inputs, mut attention, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        for layer in model.encoder.layers() {
            let attended = layer.attention.forward(current.clone(), padding.as_ref());
            let output = layer.after_attention(attended.output.clone(), padding.as_ref());
            inputs.push(std::mem::replace(&mut current, output.clone()));
            attention.push(attended);
            outputs.push(output);
        }
        let last = model.encoder.finish(current);
        if let Some(output) = outputs.last_mut() {
            *output = last.clone();
        }
        Ok(Self { inputs, attention, outputs, last, padding })
    }

    /// The last hidden states.
    pub(super) fn last(&self) -> Tensor<3> {
        self.last.clone()
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
