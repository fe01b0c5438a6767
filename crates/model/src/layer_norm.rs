//! Layer normalisation, of a sum where a skip ends in it.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor},
};

use crate::weights;

/// Sizes of a [`LayerNorm`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerNormConfig {
    /// Length of the axis that is normalised.
    pub size: usize,
    /// Added to the variance. Default: 1e-5.
    pub epsilon: f64,
}

impl LayerNormConfig {
    /// Over an axis of `size`.
    pub fn new(size: usize) -> Self {
        Self { size, epsilon: 1e-5 }
    }

    /// With another number added to the variance.
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// Scale one and shift zero, on `device`.
    pub fn init(&self, device: &Device) -> LayerNorm {
        LayerNorm {
            gamma: weights::ones([self.size], device),
            beta: weights::zeros([self.size], device),
            epsilon: self.epsilon,
        }
    }
}

/// `γ·(x − mean)/√(variance + ε) + β` over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[size]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[size]`.
    pub beta: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    /// Normalises `x`.
    ///
    /// # Shapes
    /// - `x`, output: `[..., size]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        nystromformer_kernels::layer_norm(x, None, self.gamma.val(), self.beta.val(), self.epsilon)
    }

    /// Normalises `x + residual`.
    ///
    /// # Shapes
    /// - `x`, `residual`, output: `[..., size]`
    pub fn forward_sum<const D: usize>(&self, x: Tensor<D>, residual: Tensor<D>) -> Tensor<D> {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        nystromformer_kernels::layer_norm(x, Some(residual), gamma, beta, self.epsilon)
    }
}
