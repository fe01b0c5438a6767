//! What is compared: losses, logits, gradients, and an optimizer's update, as lists of numbers.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorReadError};
use nystromformer::Model;
use nystromformer::heads::{Head, Losses};

use crate::batch::TokenBatch;
use crate::device::{DeviceKind, unread};
use crate::error::Result;
use crate::optimizer::{AdamW, OptimizerConfig, StepSettings};
use crate::parameters::Path;

/// Numbers of one name, and what they are one of: those of a group are measured by the group's largest where they are small.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quantity {
    pub(super) name: String,
    pub(super) group: Group,
    pub(super) values: Vec<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Measured by itself.
    Alone,
    /// A gradient of the batch of this number.
    Gradient(usize),
    /// A difference that an update made.
    Update,
}

/// Losses, logits and all gradients of each of `batches`, which have names, and the update that an optimizer makes of the last
/// one's gradients. `epsilon` is the optimizer's; by default so large that rounding is not divided by rounding.
pub(super) fn quantities(
    model: &Model,
    batches: &[(&'static str, TokenBatch)],
    optimizer: OptimizerConfig,
    epsilon: Option<f64>,
    device: &Device,
    kind: DeviceKind,
) -> Result<(Vec<Quantity>, f64)> {
    let mut found = Vec::new();
    let mut last = None;
    for (number, (of_batch, batch)) in batches.iter().enumerate() {
        let (input, targets) = batch.clone().into_tensors(&device.clone().autodiff())?;
        let Losses { mut terms, mut logits } = model.losses(input, targets)?;
        let (losses, logits) = (terms.remove(0).losses, logits.remove(0));
        let gradients = GradientsParams::from_grads(losses.clone().mean().backward(), model);
        for (name, values) in [
            ("losses", losses.inner().try_into_vec_as::<f32>()),
            ("logits", logits.inner().try_into_vec_as::<f32>()),
        ] {
            let name = format!("{name} of {of_batch}");
            found.push(read(name, Group::Alone, values, kind)?);
        }
        for (path, values) in Collector::read(model, Some(&gradients)) {
            let name = format!("gradient of {path} ({of_batch})");
            found.push(read(name, Group::Gradient(number), values, kind)?);
        }
        last = Some((gradients, Group::Gradient(number)));
    }
    let (gradients, group) = last.expect("there is a batch");
    let epsilon = epsilon.unwrap_or_else(|| 10.0 * largest_of(&found, group));
    let before = Collector::read(model, None);
    let config = OptimizerConfig { epsilon, ..optimizer };
    let settings =
        StepSettings { learning_rate: 1.0, beta_1: optimizer.beta_1, gradient_scale: 1.0 };
    let updated = AdamW::new(config, model, device).step(model.clone(), gradients, settings);
    let after = Collector::read(&updated, None);
    for ((path, before), (_, after)) in before.into_iter().zip(after) {
        let change = before.and_then(|before| {
            let after = after?;
            Ok(before.iter().zip(after).map(|(before, after)| after - before).collect())
        });
        found.push(read(format!("update of {path}"), Group::Update, change, kind)?);
    }
    Ok((found, epsilon))
}

/// The largest magnitude of a group.
pub(super) fn largest_of(quantities: &[Quantity], group: Group) -> f64 {
    let of_group = quantities.iter().filter(|quantity| quantity.group == group);
    f64::from(of_group.map(|quantity| largest(&quantity.values)).fold(f32::MIN_POSITIVE, f32::max))
}

/// The largest magnitude in a list.
pub(super) fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// Numbers as a device gave them, or its error.
pub(super) type Values = std::result::Result<Vec<f32>, TensorReadError>;

/// A quantity of these values.
///
/// # Errors
/// If the device did not give them.
pub(super) fn read(
    name: String,
    group: Group,
    values: Values,
    kind: DeviceKind,
) -> Result<Quantity> {
    match values {
        Ok(values) => Ok(Quantity { name, group, values }),
        Err(error) => Err(unread(kind, &format!("{name} in the self-check"), &error)),
    }
}

/// Reads every parameter, or every gradient, by its path.
struct Collector<'a> {
    path: Path,
    /// `None` if it is the parameters themselves that are read.
    gradients: Option<&'a GradientsParams>,
    found: Vec<(String, Values)>,
}

impl<'a> Collector<'a> {
    fn read(model: &Model, gradients: Option<&'a GradientsParams>) -> Vec<(String, Values)> {
        let mut collector = Self { path: Path::default(), gradients, found: Vec::new() };
        model.visit(&mut collector);
        collector.found
    }
}

impl ModuleVisitor for Collector<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let values = match self.gradients {
            Some(gradients) => gradients.get::<D>(parameter.id),
            None => Some(parameter.val().inner()),
        };
        if let Some(values) = values {
            self.found.push((self.path.dotted(), values.try_into_vec_as::<f32>()));
        }
    }
}
