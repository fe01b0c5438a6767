//! The stack of layers.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::trace;

use crate::{
    attention::Padding,
    component::{Problems, component, divides},
    layer::{Layer, LayerConfig},
    layer_norm::LayerNorm,
    wanted_tokens::WantedTokens,
};

component! {
    /// Options of the stack of layers.
    pub struct EncoderConfig {
        /// Encoder layers; 0 for a model of vectors that pools what it projects. Default: 12.
        num_hidden_layers: usize = 12,
        /// Groups of consecutive layers that share one layer's weights, as in ALBERT (whose key this is); it
        /// must divide `num_hidden_layers`. 0 means that every layer has its own. Default: 0.
        num_hidden_groups: usize = 0,
        /// Causal use. Must be false: a landmark averages over tokens of the future. Default: false.
        is_decoder: bool = false,
    }
}

impl EncoderConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("num_hidden_layers", self.num_hidden_layers, 0);
        problems.check(
            self.num_hidden_groups <= self.num_hidden_layers
                && divides(self.num_hidden_groups, self.num_hidden_layers),
            "num_hidden_groups",
            &self.num_hidden_groups,
            format!("must divide num_hidden_layers = {}, or be 0", self.num_hidden_layers),
        );
        problems.check(
            !self.is_decoder,
            "is_decoder",
            &self.is_decoder,
            "Nyström attention cannot be causal (a landmark averages over future tokens); set it to false",
        );
    }

    /// Layers that have weights of their own.
    pub fn num_own_layers(&self) -> usize {
        match self.num_hidden_groups {
            0 => self.num_hidden_layers,
            groups => groups,
        }
    }

    /// Consecutive layers that share one layer's weights.
    pub fn layers_per_group(&self) -> usize {
        self.num_hidden_layers / self.num_own_layers().max(1)
    }

    /// A stack of layers, each of `layer`, with fresh weights on `device`.
    pub fn init(&self, layer: &LayerConfig, device: &Device) -> Encoder {
        let shared = &layer.shared;
        let own_layer = |number| {
            let mut own = layer.init(device);
            own.attention.self_attention.set_layer(number);
            own
        };
        Encoder {
            layer: (0..self.num_own_layers()).map(own_layer).collect(),
            layer_norm: shared.norm_first.then(|| shared.layer_norm().init(device)),
            layers_per_group: self.layers_per_group(),
        }
    }
}

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
    pub fn layers(&self) -> impl DoubleEndedIterator<Item = &Layer> {
        self.layer.iter().flat_map(|layer| std::iter::repeat_n(layer, self.layers_per_group))
    }

    /// Runs all layers.
    ///
    /// # Shapes
    /// - `hidden_states`, output: `[batch, seq_len, hidden_size]`
    pub fn forward(&self, hidden_states: Tensor<3>, padding: Option<&Padding>) -> Tensor<3> {
        self.forward_wanted(hidden_states, padding, &WantedTokens::All)
    }

    /// Runs all layers, the last one for the tokens that are wanted.
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, hidden_size]`
    /// - output: that of [`WantedTokens::of`]
    pub fn forward_wanted(
        &self,
        hidden_states: Tensor<3>,
        padding: Option<&Padding>,
        wanted: &WantedTokens,
    ) -> Tensor<3> {
        if wanted.are_none() {
            return wanted.of(hidden_states);
        }
        let _encoder = trace::part("encoder");
        let mut layers = self.layers();
        let last = layers.next_back();
        let all = (hidden_states, 0);
        let (hidden_states, number) = layers.fold(all, |(hidden_states, number), layer| {
            let _layer = trace::numbered_part("layer", number);
            (layer.forward_in_stack(hidden_states, padding, &WantedTokens::All), number + 1)
        });
        self.finish(match last {
            Some(layer) => {
                let _layer = trace::numbered_part("layer", number);
                layer.forward_in_stack(hidden_states, padding, wanted)
            }
            None => wanted.of(hidden_states),
        })
    }

    /// What follows the last layer: its normalisation in pre-LN, else nothing.
    ///
    /// # Shapes
    /// - `hidden_states`, output: `[batch, seq_len, hidden_size]`
    pub fn finish(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        match &self.layer_norm {
            Some(layer_norm) => layer_norm.forward(hidden_states),
            None => hidden_states,
        }
    }
}
