//! The linear layer.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor},
};
use nystromformer_kernels::WeightLayout;

use crate::{config::NystromformerConfig, init};

/// `x W + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// Fresh weights from `inputs` to `outputs` features, drawn by `weight_init`.
    pub fn new(
        config: &NystromformerConfig,
        inputs: usize,
        outputs: usize,
        device: &Device,
    ) -> Self {
        Self {
            weight: init::weights(config, inputs).init([inputs, outputs], device),
            bias: init::bias(config, inputs, outputs, device),
        }
    }

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
