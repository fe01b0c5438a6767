//! `AdamW` as PyTorch computes it, over a Burn module.
//!
//! Burn's own `AdamW` keeps its decay rates fixed, corrects the bias in `f32` and stores its state
//! under parameter ids that change from process to process. A one-cycle schedule moves `beta_1` at
//! every step, 500,000 steps want `beta_2^t` in `f64`, and an exact resume wants states that are
//! found again by path: so this one.
//!
//! For a parameter `p` with gradient `g` at step `t` (Loshchilov and Hutter 2019, and
//! `torch.optim.AdamW`):
//!
//! ```text
//! m ← β₁ m + (1 − β₁) g              p ← p (1 − η λ)
//! v ← β₂ v + (1 − β₂) g²             p ← p − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
//! ```

mod state;
mod waiting_rows;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use nystromformer_kernels::{AdamWStep, AdamWUpdate, adam_w, updates_rows};
use serde::{Deserialize, Serialize};

use crate::parameter_groups::ParameterGroups;
use crate::parameters::Path;
pub use waiting_rows::RowsRead;
use waiting_rows::WaitingRows;
pub(crate) use waiting_rows::rows_of_all;

/// `[optimizer]`: `AdamW`'s constants. Defaults: the authors' pretraining script.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Peak learning rate; `[schedule]` scales it. Default: 1e-4.
    pub learning_rate: f64,
    /// Decoupled weight decay λ. Default: 0.01.
    pub weight_decay: f64,
    /// Decay rate of the first moment; `one_cycle` may move it. Default: 0.9.
    pub beta_1: f64,
    /// Decay rate of the second moment. Default: 0.999.
    pub beta_2: f64,
    /// Added to the root of the second moment. Default: 1e-6.
    pub epsilon: f64,
    /// Exempt biases and layer norms from weight decay, as BERT does. Default: false, as in the
    /// paper's runs.
    pub no_decay_on_bias_and_norm: bool,
    /// Layer-wise learning-rate decay, as in `BEiT` and timm, whose word this is: each layer's learning rate is this share of
    /// that of the layer above it. The head and a last normalisation have the full one, the last of `L` layers
    /// `layer_decay` times it, the first `layer_decay^L`, and the embeddings `layer_decay^(L + 1)`. It scales weight decay
    /// with it, as a learning rate does. In `(0, 1]`; 1 for the same rate everywhere. Default: 1.
    pub layer_decay: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-4,
            weight_decay: 0.01,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-6,
            no_decay_on_bias_and_norm: false,
            layer_decay: 1.0,
        }
    }
}

impl OptimizerConfig {
    /// Everything wrong with the values, as (key, sentence).
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let unit = |value: f64| (0.0..1.0).contains(&value);
        [
            (
                "learning_rate",
                self.learning_rate,
                positive(self.learning_rate),
                "a positive number",
            ),
            (
                "weight_decay",
                self.weight_decay,
                self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
                "zero or a positive number",
            ),
            ("beta_1", self.beta_1, unit(self.beta_1), "in `[0, 1)`"),
            ("beta_2", self.beta_2, unit(self.beta_2), "in `[0, 1)`"),
            ("epsilon", self.epsilon, positive(self.epsilon), "a positive number"),
            (
                "layer_decay",
                self.layer_decay,
                self.layer_decay > 0.0 && self.layer_decay <= 1.0,
                "above 0 and at most 1",
            ),
        ]
        .into_iter()
        .filter(|(_, _, valid, _)| !valid)
        .map(|(key, value, _, range)| {
            (format!("optimizer.{key}"), format!("`{value}` is not {range}"))
        })
        .collect()
    }
}

/// What may change from one step to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSettings {
    /// Learning rate η.
    pub learning_rate: f64,
    /// First-moment decay β₁.
    pub beta_1: f64,
    /// Factor on every gradient, from clipping; folded into the moments so that it costs no pass of
    /// its own.
    pub gradient_scale: f64,
}

/// `AdamW`'s state for a whole module: two moments for each floating-point parameter that is trained, and a step
/// count.
#[derive(Debug)]
pub struct AdamW {
    config: OptimizerConfig,
    groups: ParameterGroups,
    completed_steps: usize,
    moments: BTreeMap<String, Moments>,
}

/// Both moments of one parameter, flattened so that parameters of every rank share one type.
#[derive(Debug, Clone)]
struct Moments {
    shape: Vec<usize>,
    exp_avg: Tensor<1>,
    exp_avg_sq: Tensor<1>,
    /// Rows of the parameter that have yet to take steps.
    waiting: WaitingRows,
}

impl Moments {
    /// Those of a parameter of which no row waits.
    fn new(shape: Vec<usize>, exp_avg: Tensor<1>, exp_avg_sq: Tensor<1>) -> Self {
        Self { shape, exp_avg, exp_avg_sq, waiting: WaitingRows::default() }
    }
}

impl AdamW {
    /// Zero moments for every floating-point parameter of `module`, on `device` (not an autodiff
    /// one).
    pub fn new<M: Module>(config: OptimizerConfig, module: &M, device: &Device) -> Self {
        Self::with_groups(config, module, device, ParameterGroups::default())
    }

    /// The same for the parameters that `groups` does not freeze, each of which goes at its own rate.
    pub fn with_groups<M: Module>(
        config: OptimizerConfig,
        module: &M,
        device: &Device,
        groups: ParameterGroups,
    ) -> Self {
        let moments = groups
            .trained(module)
            .into_iter()
            .map(|parameter| {
                let zeros =
                    || Tensor::<1>::zeros([parameter.shape.iter().product::<usize>()], device);
                (parameter.path, Moments::new(parameter.shape.clone(), zeros(), zeros()))
            })
            .collect();
        Self { config, groups, completed_steps: 0, moments }
    }

    /// Optimizer steps taken so far; skipped steps do not count.
    pub fn completed_steps(&self) -> usize {
        self.completed_steps
    }

    /// Takes one step. Parameters without a gradient keep their value and their moments.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        settings: StepSettings,
    ) -> M {
        self.step_of_rows(module, gradients, settings, &RowsRead::new())
    }

    /// The same where of some tables only these rows have a gradient: the others wait, and take the step when
    /// [`Self::catch_up`] is asked for them.
    pub(crate) fn step_of_rows<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        settings: StepSettings,
        rows: &RowsRead,
    ) -> M {
        self.completed_steps += 1;
        let OptimizerConfig { beta_2, weight_decay, epsilon, .. } = self.config;
        let StepSettings { learning_rate, beta_1, gradient_scale } = settings;
        // PyTorch computes `1 - beta1**step` with the current `beta1`, also while a schedule moves
        // it.
        let exponent = self.completed_steps as f64;
        let update = |rate: f64| {
            let learning_rate = learning_rate * rate;
            AdamWStep {
                gradient_scale,
                beta_1,
                beta_2,
                decay: 1.0 - learning_rate * weight_decay,
                step_size: learning_rate / (1.0 - beta_1.powf(exponent)),
                bias_correction_2_root: (1.0 - beta_2.powf(exponent)).sqrt(),
                epsilon,
            }
        };
        let mut taking = TakeMapper {
            path: Path::default(),
            moments: &mut self.moments,
            gradients,
            update: |path: &str| update(self.groups.rate(path)),
            rows,
            no_decay_on_bias_and_norm: self.config.no_decay_on_bias_and_norm,
            taken: Vec::new(),
            updates: Vec::new(),
        };
        let module = module.map(&mut taking);
        let TakeMapper { taken, updates, .. } = taking;
        let mut values = BTreeMap::new();
        for (parameter, [value, exp_avg, exp_avg_sq]) in taken.into_iter().zip(adam_w(updates)) {
            let Taken { path, shape, waiting } = parameter;
            values.insert(path.clone(), value);
            self.moments.insert(path, Moments { shape, exp_avg, exp_avg_sq, waiting });
        }
        module.map(&mut PutMapper { path: Path::default(), moments: &self.moments, values })
    }

    /// Rows that wait take the steps that they have missed: those that are read, or all. Whoever reads a parameter after
    /// [`Self::step_of_rows`] asks for it first.
    pub(crate) fn catch_up<M: Module>(&mut self, module: M, rows: Option<&RowsRead>) -> M {
        if self.is_settled() {
            return module;
        }
        module.map(&mut CatchUpMapper { path: Path::default(), moments: &mut self.moments, rows })
    }

    /// Whether no row waits.
    pub(crate) fn is_settled(&self) -> bool {
        !self.moments.values().any(|moments| moments.waiting.any())
    }
}

/// A table has so many rows to each one that is read, if the others are to wait: of few rows all are as quickly updated.
const LEAST_ROWS_TO_ONE_READ: usize = 4;

/// What takes a step is taken out of its module, since a device updates many tensors at once.
struct TakeMapper<'a, U> {
    path: Path,
    moments: &'a mut BTreeMap<String, Moments>,
    gradients: GradientsParams,
    /// The update of the parameter at a path.
    update: U,
    /// Tables of which only some rows have a gradient.
    rows: &'a RowsRead,
    no_decay_on_bias_and_norm: bool,
    /// The parameters that are out of the module.
    taken: Vec<Taken>,
    /// What is to be done to each.
    updates: Vec<AdamWUpdate>,
}

/// [`Moments`] of a parameter that is out of its module, but for the tensors.
struct Taken {
    path: String,
    shape: Vec<usize>,
    waiting: WaitingRows,
}

impl<U: Fn(&str) -> AdamWStep> ModuleMapper for TakeMapper<'_, U> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(parameter.id) else {
            return parameter;
        };
        let path = self.path.dotted();
        let moments = self
            .moments
            .remove(&path)
            .expect("the optimizer was built from this module, so every path has its moments");
        let mut step = (self.update)(&path);
        if self.no_decay_on_bias_and_norm && self.path.is_bias_or_norm() {
            step.decay = 1.0;
        }

        let length = gradient.dims().iter().product::<usize>();
        let gradient = gradient.reshape([length]);
        let count = moments.shape[0];
        let rows = self
            .rows
            .get(&path)
            .filter(|rows| rows.len() * LEAST_ROWS_TO_ONE_READ <= count && updates_rows(&gradient));
        let Moments { shape, exp_avg, exp_avg_sq, mut waiting } = moments;
        if let Some(rows) = rows {
            return rewrite(parameter, |value| {
                let table = [value, exp_avg, exp_avg_sq];
                let [value, exp_avg, exp_avg_sq] = waiting.step(step, rows, count, gradient, table);
                self.moments.insert(path, Moments { shape, exp_avg, exp_avg_sq, waiting });
                value
            });
        }
        let (parameter, value) = hollow(parameter);
        let table = [value.reshape([length]), exp_avg, exp_avg_sq];
        let [value, exp_avg, exp_avg_sq] = waiting.catch_up(table, None);
        self.taken.push(Taken { path, shape, waiting });
        self.updates.push(AdamWUpdate { step, value, gradient, exp_avg, exp_avg_sq });
        parameter
    }
}

/// Puts values back, each with the shape of its moments.
struct PutMapper<'a> {
    path: Path,
    moments: &'a BTreeMap<String, Moments>,
    values: BTreeMap<String, Tensor<1>>,
}

impl ModuleMapper for PutMapper<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.dotted();
        let Some(value) = self.values.remove(&path) else {
            return parameter;
        };
        let shape = self.moments[&path].shape.as_slice();
        let shape: [usize; D] =
            shape.try_into().expect("moments have the shape of their parameter");
        exchange(parameter, value.reshape(shape)).0
    }
}

struct CatchUpMapper<'a> {
    path: Path,
    moments: &'a mut BTreeMap<String, Moments>,
    rows: Option<&'a RowsRead>,
}

impl ModuleMapper for CatchUpMapper<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.dotted();
        if !self.moments.get(&path).is_some_and(|moments| moments.waiting.any()) {
            return parameter;
        }
        let Some(moments) = self.moments.remove(&path) else { return parameter };
        let rows = self.rows.and_then(|rows| rows.get(&path));
        rewrite(parameter, |value| {
            let Moments { shape, exp_avg, exp_avg_sq, mut waiting } = moments;
            let table = [value, exp_avg, exp_avg_sq];
            let [value, exp_avg, exp_avg_sq] = waiting.catch_up(table, rows.map(Vec::as_slice));
            self.moments.insert(path, Moments { shape, exp_avg, exp_avg_sq, waiting });
            value
        })
    }
}

/// Gives a parameter another value. `write` alone owns the value that it gets, so it can write over its memory.
fn rewrite<const D: usize>(
    parameter: Param<Tensor<D>>,
    write: impl FnOnce(Tensor<1>) -> Tensor<1>,
) -> Param<Tensor<D>> {
    let (parameter, value) = hollow(parameter);
    let dims = value.dims();
    let value = write(value.reshape([dims.iter().product::<usize>()]));
    exchange(parameter, value.reshape(dims)).0
}

/// A parameter without its value, and the value, which nobody else holds if nobody did before. The parameter holds one number until it gets a
/// value by [`exchange`].
fn hollow<const D: usize>(parameter: Param<Tensor<D>>) -> (Param<Tensor<D>>, Tensor<D>) {
    let device = parameter.val().device().inner();
    exchange(parameter, Tensor::empty([1; D], &device))
}

/// A parameter with another value in the place of its own, which comes back without autodiff.
fn exchange<const D: usize>(
    parameter: Param<Tensor<D>>,
    value: Tensor<D>,
) -> (Param<Tensor<D>>, Tensor<D>) {
    let (id, tensor, mapper) = parameter.consume();
    let requires_grad = tensor.is_require_grad();
    let checkpointing = tensor.gradient_checkpointing_strategy();
    // `from_inner` starts with the default strategy; a parameter must meet its inputs under the
    // same one.
    let mut updated = Tensor::from_inner(value);
    if let Some(strategy) = checkpointing {
        updated = updated.with_gradient_checkpointing_strategy(strategy);
    }
    (Param::from_mapped_value(id, updated.set_require_grad(requires_grad), mapper), tensor.inner())
}
