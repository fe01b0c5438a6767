//! The stack of layers.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use crate::{attention::Padding, config::NystromformerConfig, layer::Layer};

/// `num_hidden_layers` layers, transformers' `NystromformerEncoder`.
#[derive(Module, Debug)]
pub struct Encoder {
    /// First layer first.
    pub layer: Vec<Layer>,
}

impl Encoder {
    /// A fresh stack of `config`'s sizes.
    pub fn new(config: &NystromformerConfig, device: &Device) -> Self {
        Self { layer: (0..config.num_hidden_layers).map(|_| Layer::new(config, device)).collect() }
    }

    /// Runs all layers.
    ///
    /// # Shapes
    /// - `hidden_states`, output: `[batch, seq_len, hidden_size]`
    pub fn forward(&self, hidden_states: Tensor<3>, padding: Option<&Padding>) -> Tensor<3> {
        self.layer
            .iter()
            .fold(hidden_states, |hidden_states, layer| layer.forward(hidden_states, padding))
    }
}
