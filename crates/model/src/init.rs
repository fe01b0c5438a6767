//! Fresh weights: normal with a standard deviation of `initializer_range`, biases zero, as in transformers'
//! `NystromformerPreTrainedModel._init_weights`.

use burn::{
    module::Param,
    nn::{
        Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
    },
    tensor::{Device, Tensor},
};

use crate::config::NystromformerConfig;

/// The normal distribution of fresh weights.
pub(crate) fn normal(config: &NystromformerConfig) -> Initializer {
    Initializer::Normal { mean: 0.0, std: config.initializer_range }
}

/// A linear layer from `inputs` to `outputs` features, bias zero.
pub(crate) fn linear(
    config: &NystromformerConfig,
    inputs: usize,
    outputs: usize,
    device: &Device,
) -> Linear {
    let mut linear =
        LinearConfig::new(inputs, outputs).with_initializer(normal(config)).init(device);
    linear.bias = Some(Initializer::Zeros.init([outputs], device));
    linear
}

/// An embedding table of `rows` rows of `hidden_size`.
pub(crate) fn embedding(config: &NystromformerConfig, rows: usize, device: &Device) -> Embedding {
    EmbeddingConfig::new(rows, config.hidden_size).with_initializer(normal(config)).init(device)
}

/// An embedding table whose row `padding` is zero.
pub(crate) fn padded_embedding(
    config: &NystromformerConfig,
    rows: usize,
    padding: usize,
    device: &Device,
) -> Embedding {
    let table = embedding(config, rows, device);
    let hidden_size = config.hidden_size;
    let weight = table.weight.map(|weight| {
        let zeros = Tensor::zeros([1, hidden_size], &weight.device());
        // A fresh leaf: the assignment itself must not be part of the graph.
        weight.slice_assign([padding..padding + 1, 0..hidden_size], zeros).detach().require_grad()
    });
    Embedding { weight }
}

/// A layer normalisation over `hidden_size`, scale one and shift zero.
pub(crate) fn layer_norm(config: &NystromformerConfig, device: &Device) -> LayerNorm {
    LayerNormConfig::new(config.hidden_size).with_epsilon(config.layer_norm_eps).init(device)
}

/// A parameter of zeros.
pub(crate) fn zeros<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Initializer::Zeros.init(shape, device)
}
