//! Fresh weights: normal with a standard deviation of `initializer_range`, biases zero, as in transformers'
//! `NystromformerPreTrainedModel._init_weights`; or for linear layers and convolutions PyTorch's own.

use burn::{
    module::{Initializer, Module, ModuleVisitor, Param, ParamId},
    nn::Embedding,
    tensor::{Device, Distribution, Shape, Tensor},
};
use nystromformer_kernels::random;

use crate::config::{NystromformerConfig, WeightInit};

/// The distribution of fresh weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fresh(Distribution);

impl Fresh {
    /// A parameter that is drawn when it is first read, from the [`Seed`](nystromformer_kernels::Seed) in whose scope
    /// that happens.
    pub(crate) fn init<const D: usize>(
        self,
        shape: [usize; D],
        device: &Device,
    ) -> Param<Tensor<D>> {
        let draw = move |device: &Device, require_grad: bool| {
            device.memory_persistent_allocations((), move |()| {
                let weights = random(shape, self.0, device);
                if require_grad { weights.require_grad() } else { weights }
            })
        };
        Param::uninitialized(ParamId::new(), draw, device.clone(), true, Shape::from(shape))
    }
}

/// The distribution of a fresh embedding.
fn normal(config: &NystromformerConfig) -> Fresh {
    Fresh(Distribution::Normal(0.0, config.initializer_range))
}

/// The distribution of fresh weights, each output of which sums over `inputs`.
pub(crate) fn weights(config: &NystromformerConfig, inputs: usize) -> Fresh {
    match config.weight_init {
        WeightInit::Normal => normal(config),
        WeightInit::KaimingUniform => uniform(inputs),
    }
}

/// A fresh bias of a layer that sums over `inputs`.
pub(crate) fn bias(
    config: &NystromformerConfig,
    inputs: usize,
    outputs: usize,
    device: &Device,
) -> Param<Tensor<1>> {
    match config.weight_init {
        WeightInit::Normal => zeros([outputs], device),
        WeightInit::KaimingUniform => uniform(inputs).init([outputs], device),
    }
}

/// PyTorch's `kaiming_uniform_(a = √5)`, which comes to ±1/√inputs.
fn uniform(inputs: usize) -> Fresh {
    let bound = (inputs as f64).powf(-0.5);
    Fresh(Distribution::Uniform(-bound, bound))
}

/// An embedding table of `rows` rows of `hidden_size`.
pub(crate) fn embedding(config: &NystromformerConfig, rows: usize, device: &Device) -> Embedding {
    Embedding { weight: normal(config).init([rows, config.hidden_size], device) }
}

/// An embedding table whose row `padding` is zero.
pub(crate) fn padded_embedding(
    config: &NystromformerConfig,
    rows: usize,
    padding: usize,
    device: &Device,
) -> Embedding {
    let hidden_size = config.hidden_size;
    let Embedding { weight } = embedding(config, rows, device);
    let clear_padding = move |weight: Tensor<2>| {
        let zeros = Tensor::zeros([1, hidden_size], &weight.device());
        weight.slice_assign([padding..padding + 1, 0..hidden_size], zeros)
    };
    Embedding { weight: weight.init_mapper(clear_padding) }
}

/// A parameter of zeros.
pub(crate) fn zeros<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Initializer::Zeros.init(shape, device)
}

/// A parameter of ones.
pub(crate) fn ones<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Initializer::Ones.init(shape, device)
}

/// Draws every weight now. Burn draws a weight when it is first read; two models made from one seed would
/// then differ by what was done to them in between.
pub(crate) fn draw_weights<M: Module>(module: &M) {
    struct Draw;
    impl ModuleVisitor for Draw {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let _drawn = param.val();
        }
    }
    module.visit(&mut Draw);
}
