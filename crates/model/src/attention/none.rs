//! No attention: tokens reach each other by the convolution over the values alone. The control that says what the convolution does
//! by itself.
//!
//! Time and memory are those of the convolution. There are no queries and keys, and no weights for them.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use super::{
    kind::{Activations, AttentionMechanism, AttentionOptions, Projections},
    padding::Padding,
    self_attention::first_rows,
};
use crate::{
    component::{Problems, component},
    shared::SharedConfig,
};

component! {
    /// Options of no attention: there are none.
    pub struct NoAttentionConfig {}
}

impl NoAttentionConfig {
    #[expect(clippy::unused_self, reason = "each part looks at its own values")]
    fn check(&self, _: &mut Problems) {}

    /// What adds nothing to the convolution.
    pub fn init(&self, _: &SharedConfig, _: &Device) -> NoAttention {
        NoAttention
    }
}

impl AttentionOptions for NoAttentionConfig {
    fn has_inner_products(&self) -> bool {
        false
    }

    fn projections(&self) -> Projections {
        Projections::Neither
    }

    fn activations(&self, _: usize, _: &SharedConfig, _: bool) -> Activations {
        Activations::default()
    }

    fn operations(&self, _: usize, _: &SharedConfig) -> f64 {
        0.0
    }
}

/// No attention.
#[derive(Module, Debug)]
pub struct NoAttention;

impl AttentionMechanism for NoAttention {
    fn forward(
        &self,
        _: Tensor<4>,
        _: Tensor<4>,
        value: Tensor<4>,
        _: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        first_rows(value, attending).zeros_like()
    }

    fn row(&self, _: Tensor<4>, _: Tensor<4>, _: Option<&Padding>, _: usize) -> Option<Tensor<3>> {
        None
    }
}
