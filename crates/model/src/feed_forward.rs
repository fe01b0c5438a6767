//! The position-wise feed-forward block.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use nystromformer_kernels::dropout;

use crate::{activation::HiddenAct, config::NystromformerConfig, linear::Linear};

/// `dropout(act(dense(x)))`: the widening half of the block, transformers' `NystromformerIntermediate`. The narrowing
/// half is the [`Residual`](crate::layer::Residual) that follows.
#[derive(Module, Debug)]
pub struct Intermediate {
    /// `hidden_size → intermediate_size`.
    pub dense: Linear,
    activation_dropout: f64,
    #[module(skip)]
    activation: HiddenAct,
}

impl Intermediate {
    /// A fresh block of `config`'s sizes.
    pub fn new(config: &NystromformerConfig, device: &Device) -> Self {
        Self {
            dense: Linear::new(config, config.hidden_size, config.intermediate_size, device),
            activation_dropout: config.activation_dropout,
            activation: config.hidden_act,
        }
    }

    /// Widens every token.
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, hidden_size]`
    /// - output: `[batch, seq_len, intermediate_size]`
    pub fn forward(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        let widened = self.activation.forward(self.dense.forward(hidden_states));
        dropout(widened, self.activation_dropout)
    }
}
