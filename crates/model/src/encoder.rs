//! The stack of layers.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use crate::{attention::Padding, config::NystromformerConfig, layer::Layer, layer_norm::LayerNorm};

/// `num_hidden_layers` layers, transformers' `NystromformerEncoder`.
#[derive(Module, Debug)]
pub struct Encoder {
    /// First layer first; where layers share weights, one for each group.
    pub layer: Vec<Layer>,
    /// After the last layer; in pre-LN only.
    pub layer_norm: Option<LayerNorm>,
    layers_per_group: usize,
}

impl Encoder {
    /// A fresh stack of `config`'s sizes.
    pub fn new(config: &NystromformerConfig, device: &Device) -> Self {
        Self {
            layer: (0..config.num_own_layers()).map(|_| Layer::new(config, device)).collect(),
            layer_norm: config.norm_first.then(|| LayerNorm::new(config, device)),
            layers_per_group: config.layers_per_group(),
        }
    }

    /// The same stack with weights of its own for every layer.
    #[must_use]
    pub fn unshared(&self) -> Self {
        Self {
            layer: self.layers().cloned().collect(),
            layer_norm: self.layer_norm.clone(),
            layers_per_group: 1,
        }
    }

    /// All `num_hidden_layers` layers in order, shared ones as often as they are used.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.layer.iter().flat_map(|layer| std::iter::repeat_n(layer, self.layers_per_group))
    }

    /// Runs all layers.
    ///
    /// # Shapes
    /// - `hidden_states`, output: `[batch, seq_len, hidden_size]`
    pub fn forward(&self, hidden_states: Tensor<3>, padding: Option<&Padding>) -> Tensor<3> {
        self.finish(
            self.layers()
                .fold(hidden_states, |hidden_states, layer| layer.forward(hidden_states, padding)),
        )
    }

    /// What follows the last layer.
    pub(crate) fn finish(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        match &self.layer_norm {
            Some(layer_norm) => layer_norm.forward(hidden_states),
            None => hidden_states,
        }
    }
}
