//! Fresh weights: normal with a standard deviation of `initializer_range`, biases zero, as in transformers'
//! `NystromformerPreTrainedModel._init_weights`; or for linear layers and convolutions PyTorch's own.

use burn::{
    module::{Initializer, Module, ModuleVisitor, Param, ParamId},
    nn::Embedding,
    tensor::{Device, Distribution, Shape, Tensor},
};
use nystromformer_kernels::random;
use serde::{Deserialize, Serialize};

use crate::component::{Problems, component};

/// How fresh weights of linear layers and convolutions are drawn. Embeddings are normal in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightInit {
    /// Normal with a standard deviation of `initializer_range`, biases 0: transformers.
    #[default]
    Normal,
    /// Uniform in ±1/√inputs, biases too: PyTorch's own, which the authors' code leaves as it is.
    KaimingUniform,
}

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

component! {
    /// How fresh weights are drawn.
    pub struct WeightsConfig {
        /// Standard deviation of fresh weights. Default: 0.02.
        initializer_range: f64 = 0.02,
        /// How fresh weights of linear layers and convolutions are drawn. Default: `normal`.
        weight_init: WeightInit = WeightInit::default(),
    }
}

impl WeightsConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_positive("initializer_range", self.initializer_range);
    }

    /// The distribution of a fresh embedding.
    fn normal(&self) -> Fresh {
        Fresh(Distribution::Normal(0.0, self.initializer_range))
    }

    /// The distribution of fresh weights, each output of which sums over `inputs`.
    pub(crate) fn fresh(&self, inputs: usize) -> Fresh {
        match self.weight_init {
            WeightInit::Normal => self.normal(),
            WeightInit::KaimingUniform => uniform(inputs),
        }
    }

    /// A fresh bias of a layer that sums over `inputs`.
    pub(crate) fn bias(&self, inputs: usize, outputs: usize, device: &Device) -> Param<Tensor<1>> {
        match self.weight_init {
            WeightInit::Normal => zeros([outputs], device),
            WeightInit::KaimingUniform => uniform(inputs).init([outputs], device),
        }
    }

    /// An embedding table of `rows` rows of `width`.
    pub(crate) fn embedding(&self, rows: usize, width: usize, device: &Device) -> Embedding {
        Embedding { weight: self.normal().init([rows, width], device) }
    }

    /// A token of its own, `[1, 1, width]`, drawn as an embedding is.
    pub(crate) fn token(&self, width: usize, device: &Device) -> Param<Tensor<3>> {
        self.normal().init([1, 1, width], device)
    }

    /// An embedding table whose row `padding` is zero.
    pub(crate) fn padded_embedding(
        &self,
        rows: usize,
        width: usize,
        padding: usize,
        device: &Device,
    ) -> Embedding {
        let Embedding { weight } = self.embedding(rows, width, device);
        let clear_padding = move |weight: Tensor<2>| {
            let zeros = Tensor::zeros([1, width], &weight.device());
            weight.slice_assign([padding..padding + 1, 0..width], zeros)
        };
        Embedding { weight: weight.init_mapper(clear_padding) }
    }
}

/// PyTorch's `kaiming_uniform_(a = √5)`, which comes to ±1/√inputs.
fn uniform(inputs: usize) -> Fresh {
    let bound = (inputs as f64).powf(-0.5);
    Fresh(Distribution::Uniform(-bound, bound))
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
pub fn draw_weights<M: Module>(module: &M) {
    struct Draw;
    impl ModuleVisitor for Draw {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let _drawn = param.val();
        }
    }
    module.visit(&mut Draw);
}
