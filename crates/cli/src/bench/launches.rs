//! `bench launches`: the kernels that one step of a named workload launches on a GPU, by name and phase, and how often the program waits for the device.

use std::collections::BTreeMap;

use burn::{module::Module, optim::GradientsParams, tensor::Tensor};
use nystromformer_kernels::launches::{LaunchCounter, Launches};
use nystromformer_learner::{
    device::DeviceKind,
    gradients::{StepNumbers, clip_factor},
    optimizer::{AdamW, OptimizerConfig, StepSettings},
};
use serde::Serialize;

use super::{
    step::{StepUser, device_of, with_workload},
    workload::{Shape, Workload},
};

/// Norm to which the step's gradient is clipped.
const MAX_GRAD_NORM: f64 = 1.0;

/// One line of results.
#[derive(Debug, Serialize)]
pub struct LaunchReport {
    workload: String,
    device: String,
    layers: usize,
    batch: usize,
    seq_len: usize,
    /// Launches of all kernels.
    launches: usize,
    /// Buffers that the program read back, each of which it waited for. `null` on CUDA and ROCm, where they are not counted.
    read_backs: Option<usize>,
    /// Launches of each phase.
    phases: BTreeMap<&'static str, usize>,
    /// Launches of each kernel.
    kernels: BTreeMap<String, usize>,
}

/// Counts one step of `shape`, which is that of `workload`, after an uncounted one. A step of training is the trainer's of one micro-batch: forward, backward, the
/// gradient's norm and the loss read back together, AdamW. Gives the report, and a table of it.
///
/// # Errors
/// If the device is no GPU or cannot be opened, or if a model cannot be built.
pub fn bench_launches(
    workload: Workload,
    shape: &Shape,
    kind: DeviceKind,
) -> anyhow::Result<(LaunchReport, Vec<Vec<String>>)> {
    let phases = with_workload(shape, kind, Counter)?;
    let mut kernels: BTreeMap<String, usize> = BTreeMap::new();
    for (_, launches) in &phases {
        for (name, count) in &launches.kernels {
            *kernels.entry(name.clone()).or_default() += count;
        }
    }
    let is_of_wgpu = matches!(kind, DeviceKind::Wgpu | DeviceKind::Vulkan | DeviceKind::Metal);
    let read_backs: Option<usize> = phases.iter().map(|(_, launches)| launches.read_backs).sum();
    let report = LaunchReport {
        workload: workload.name(),
        device: kind.to_string(),
        layers: shape.model.encoder.num_hidden_layers,
        batch: shape.batch,
        seq_len: shape.seq_len,
        launches: kernels.values().sum(),
        read_backs: if is_of_wgpu { read_backs } else { None },
        phases: phases.iter().map(|(phase, launches)| (*phase, launches.total())).collect(),
        kernels,
    };
    let table = table(&report, &phases);
    Ok((report, table))
}

/// A row for each kernel, the most launched ones first, and their sum.
fn table(report: &LaunchReport, phases: &[Phase]) -> Vec<Vec<String>> {
    let titles = phases.iter().map(|(phase, _)| (*phase).to_owned());
    let header = std::iter::once("kernel".to_owned()).chain(titles).chain(["all".to_owned()]);
    let row = |name: &str, of: &dyn Fn(&Launches) -> usize, all: usize| -> Vec<String> {
        let counts = phases.iter().map(|(_, launches)| of(launches));
        let cells = counts.chain([all]).map(|count| match count {
            0 => String::new(),
            count => count.to_string(),
        });
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let mut kernels: Vec<_> = report.kernels.iter().collect();
    kernels.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut table: Vec<Vec<String>> = vec![header.collect()];
    for (name, count) in kernels {
        let of = |launches: &Launches| launches.kernels.get(name).copied().unwrap_or_default();
        table.push(row(name, &of, *count));
    }
    table.push(row("all", &Launches::total, report.launches));
    table
}

/// A part of a step, and what it launched.
type Phase = (&'static str, Launches);

/// Counts a step after another one.
struct Counter;

impl StepUser for Counter {
    /// With `fused`, a launch is counted where it is issued, which may be a phase later than where it was asked for.
    type Output = Vec<Phase>;

    fn train<M: Module>(
        self,
        model: M,
        mut forward: impl FnMut(&M) -> anyhow::Result<Tensor<1>>,
    ) -> anyhow::Result<Vec<Phase>> {
        let config = OptimizerConfig::default();
        let device = device_of(&model);
        let mut optimizer = AdamW::new(config, &model, &device);
        let mut step = |model: M, ended: &mut dyn FnMut(&'static str)| -> anyhow::Result<M> {
            let loss = forward(&model)?;
            ended("forward");
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            ended("backward");
            let numbers = StepNumbers::read(&model, &gradients, vec![loss.inner()])?;
            ended("loss_and_norm");
            let settings = StepSettings {
                learning_rate: config.learning_rate,
                beta_1: config.beta_1,
                gradient_scale: clip_factor(numbers.grad_norm, MAX_GRAD_NORM),
            };
            let model = optimizer.step(model, gradients, settings);
            device.sync()?;
            ended("optimizer");
            Ok(model)
        };
        let model = step(model, &mut |_| ())?;
        let counter = LaunchCounter::start();
        let mut phases = Vec::new();
        step(model, &mut |phase| phases.push((phase, counter.take())))?;
        Ok(phases)
    }

    fn infer(
        self,
        mut forward: impl FnMut() -> anyhow::Result<Tensor<1>>,
    ) -> anyhow::Result<Vec<Phase>> {
        forward()?.try_into_scalar::<f64>()?;
        let counter = LaunchCounter::start();
        let mean = forward()?;
        let of_forward = counter.take();
        mean.try_into_scalar::<f64>()?;
        Ok(vec![("forward", of_forward), ("mean", counter.take())])
    }
}
