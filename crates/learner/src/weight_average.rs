//! The exponential moving average of weights: the model that is evaluated, chosen and exported, where `trainer.ema_decay`
//! asks for it.
//!
//! After each update of the weights `w`, with the decay `d`:
//!
//! ```text
//! a ← a + (1 − d) (w − a)
//! ```
//!
//! as `torch.optim.swa_utils.get_ema_avg_fn` and timm's `ModelEma` have it. It begins with the weights that training
//! begins with, as timm's does.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use crate::error::{LearnerError, Result};
use crate::parameter_file;
use crate::parameter_groups::ParameterGroups;
use crate::parameters::Path;

/// The average of the weights that are trained; those that are frozen are their own.
#[derive(Debug)]
pub(crate) struct WeightAverage {
    decay: f64,
    /// By path, each in a row, on the device without autodiff.
    averages: BTreeMap<String, Tensor<1>>,
}

impl WeightAverage {
    /// The average before the first step: the weights of `module` as they are.
    pub(crate) fn new<M: Module>(decay: f64, module: &M, groups: &ParameterGroups) -> Self {
        let averages =
            weights(module, groups).into_iter().map(|(path, (_, weight))| (path, weight));
        Self { decay, averages: averages.collect() }
    }

    /// Takes in the weights of `module` after an update.
    pub(crate) fn update<M: Module>(&mut self, module: &M, groups: &ParameterGroups) {
        for (path, (_, weight)) in weights(module, groups) {
            if let Some(average) = self.averages.remove(&path) {
                let average = average.clone() + (weight - average).mul_scalar(1.0 - self.decay);
                self.averages.insert(path, average);
            }
        }
    }

    /// `module` with the averages in place of its weights.
    pub(crate) fn applied<M: Module>(&self, module: M) -> M {
        module.map(&mut Replacer { path: Path::default(), values: &self.averages })
    }
}

/// The weights of `module` that are trained, as the bytes of a safetensors file.
///
/// # Errors
/// [`LearnerError::Device`] if they cannot be read back.
pub(crate) fn weights_to_safetensors<M: Module>(
    module: &M,
    groups: &ParameterGroups,
) -> Result<Vec<u8>> {
    let weights = weights(module, groups);
    let entries = weights.iter().map(|(path, (shape, weight))| (path.clone(), &**shape, weight));
    parameter_file::to_safetensors(entries)
}

/// `module` with the weights of such a file, which is named in errors.
///
/// # Errors
/// [`LearnerError::Checkpoint`] if the file does not hold exactly the weights that are trained.
pub(crate) fn with_weights_of<M: Module>(
    module: M,
    groups: &ParameterGroups,
    device: &Device,
    file: &FilePath,
) -> Result<M> {
    let bytes = std::fs::read(file).map_err(LearnerError::io("read", file))?;
    let trained = groups.trained(&module).into_iter();
    let wanted = trained.map(|parameter| (parameter.path, parameter.shape)).collect();
    let values = parameter_file::from_safetensors(&bytes, &wanted, device, file)?;
    Ok(module.map(&mut Replacer { path: Path::default(), values: &values }))
}

/// Shapes and values of the parameters that are trained, by path.
fn weights<M: Module>(
    module: &M,
    groups: &ParameterGroups,
) -> BTreeMap<String, (Vec<usize>, Tensor<1>)> {
    struct Visitor<'a> {
        path: Path,
        groups: &'a ParameterGroups,
        found: BTreeMap<String, (Vec<usize>, Tensor<1>)>,
    }
    impl ModuleVisitor for Visitor<'_> {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.path.enter(name, container_type);
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.exit();
        }

        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let path = self.path.dotted();
            if !self.groups.is_frozen(&path) {
                let value = parameter.val().inner();
                let shape = value.dims().to_vec();
                let length = shape.iter().product::<usize>();
                self.found.insert(path, (shape, value.reshape([length])));
            }
        }
    }
    let mut visitor = Visitor { path: Path::default(), groups, found: BTreeMap::new() };
    module.visit(&mut visitor);
    visitor.found
}

/// Puts values in the place of parameters, which stay what else they are.
struct Replacer<'a> {
    path: Path,
    values: &'a BTreeMap<String, Tensor<1>>,
}

impl ModuleMapper for Replacer<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.values.get(&self.path.dotted()) else { return parameter };
        parameter.map(|tensor| {
            let (dims, requires_grad) = (tensor.dims(), tensor.is_require_grad());
            let value = value.clone().reshape(dims);
            if !tensor.device().is_autodiff() {
                return value;
            }
            let mut tracked = Tensor::from_inner(value);
            if let Some(strategy) = tensor.gradient_checkpointing_strategy() {
                tracked = tracked.with_gradient_checkpointing_strategy(strategy);
            }
            tracked.set_require_grad(requires_grad)
        })
    }
}
