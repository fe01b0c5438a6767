//! The linear layer.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor},
};
use nystromformer_kernels::WeightLayout;

use crate::weights::WeightsConfig;

/// Sizes of a [`Linear`] layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearConfig {
    /// Features that it reads.
    pub inputs: usize,
    /// Features that it gives.
    pub outputs: usize,
    /// How fresh weights are drawn.
    pub weights: WeightsConfig,
}

impl LinearConfig {
    /// From `inputs` to `outputs` features, with weights drawn as transformers does.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, weights: WeightsConfig::default() }
    }

    /// With weights drawn by `weights`.
    pub fn with_weights(self, weights: WeightsConfig) -> Self {
        Self { weights, ..self }
    }

    /// Fresh weights on `device`.
    pub fn init(&self, device: &Device) -> Linear {
        Linear {
            weight: self.weights.fresh(self.inputs).init([self.inputs, self.outputs], device),
            bias: self.weights.bias(self.inputs, self.outputs, device),
        }
    }
}

/// `x W + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// Transforms the last axis.
    ///
    /// # Shapes
    /// - `x`: `[..., inputs]`
    /// - output: `[..., outputs]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        nystromformer_kernels::linear(x, weight, Some(bias), WeightLayout::InputsFirst)
    }
}
