//! Layer normalisation, of a sum where a skip ends in it.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor},
};

use crate::{config::NystromformerConfig, init};

/// `γ·(x − mean)/√(variance + ε) + β` over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[hidden_size]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[hidden_size]`.
    pub beta: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    /// Scale one and shift zero, over `hidden_size` with `layer_norm_eps`.
    pub fn new(config: &NystromformerConfig, device: &Device) -> Self {
        Self {
            gamma: init::ones([config.hidden_size], device),
            beta: init::zeros([config.hidden_size], device),
            epsilon: config.layer_norm_eps,
        }
    }

    /// Normalises `x`.
    ///
    /// # Shapes
    /// - `x`, output: `[..., hidden_size]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        nystromformer_kernels::layer_norm(x, None, self.gamma.val(), self.beta.val(), self.epsilon)
    }

    /// Normalises `x + residual`.
    ///
    /// # Shapes
    /// - `x`, `residual`, output: `[..., hidden_size]`
    pub fn forward_sum<const D: usize>(&self, x: Tensor<D>, residual: Tensor<D>) -> Tensor<D> {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        nystromformer_kernels::layer_norm(x, Some(residual), gamma, beta, self.epsilon)
    }
}
