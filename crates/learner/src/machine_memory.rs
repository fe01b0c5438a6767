//! How much memory this machine has, and whether a training will fit into it.

use burn::tensor::Device;
use nystromformer::heads::Depth;
use nystromformer::{Architecture, NystromformerConfig};
use nystromformer_interop::hugging_face::names::parameters;
use nystromformer_kernels::DeviceMemory;
use serde::Serialize;

use crate::cgroup_memory::CgroupMemory;
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, TrainerConfig};
use crate::gpu_memory::GpuMemory;
use crate::memory_estimate::{LargestTensor, ParameterCount, estimate_bytes, gigabytes};

/// A training is refused if its estimate is so many times all the memory there is: the estimate
/// may be a little off, but not by half.
pub(crate) const HOPELESS: f64 = 1.5;

/// The memory of this machine, in bytes, as far as this process may have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MachineMemory {
    /// All of it, swap not counted, or the limit of this process's control group if that is less.
    pub total_bytes: u64,
    /// What this process can have of it without swapping and within its control group.
    pub available_bytes: u64,
    /// Whether `total_bytes` is the limit of a control group: a container's, or a batch job's.
    pub is_cgroup_limit: bool,
}

impl MachineMemory {
    /// The memory as it is now; `None` where the system does not say, which is anywhere but on
    /// Linux.
    pub fn now() -> Option<Self> {
        let machine = Self::parse(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
        Some(machine.within(CgroupMemory::now()))
    }

    /// The same within the limit of a control group.
    fn within(self, cgroup: Option<CgroupMemory>) -> Self {
        let Some(cgroup) = cgroup else { return self };
        Self {
            total_bytes: self.total_bytes.min(cgroup.limit_bytes),
            available_bytes: self.available_bytes.min(cgroup.available_bytes),
            is_cgroup_limit: cgroup.limit_bytes < self.total_bytes,
        }
    }

    /// Whose memory `total_bytes` is.
    fn owner(self) -> &'static str {
        if self.is_cgroup_limit { "the control group of this process" } else { "this machine" }
    }

    fn parse(meminfo: &str) -> Option<Self> {
        let bytes = |key: &str| -> Option<u64> {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
            let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kibibytes * 1024)
        };
        Some(Self {
            total_bytes: bytes("MemTotal:")?,
            available_bytes: bytes("MemAvailable:")?,
            is_cgroup_limit: false,
        })
    }

    /// What to say about a training of `experiment` that needs `bytes`: nothing if they are free,
    /// and otherwise a warning or, as an error, that it is hopeless.
    fn judge(self, experiment: &Experiment, bytes: u64) -> Result<Option<String>> {
        let advice = format!(
            "lower `trainer.micro_batch_size`, now `{}`, or the model's sizes",
            experiment.trainer.micro_batch_size
        );
        if bytes as f64 >= HOPELESS * self.total_bytes as f64 {
            return Err(LearnerError::Device {
                device: experiment.device.to_string(),
                message: format!(
                    "training needs about `{}` of memory, and {} has `{}`; {advice}",
                    gigabytes(bytes),
                    self.owner(),
                    gigabytes(self.total_bytes)
                ),
            });
        }
        Ok((bytes > self.available_bytes).then(|| {
            format!(
                "training needs about {} of memory, and {} of {} are free: it may swap or be killed; {advice}",
                gigabytes(bytes),
                gigabytes(self.available_bytes),
                self.owner()
            )
        }))
    }
}

/// Warns if a training on `device`, on examples of so many rows and in so many processes on this machine, needs more memory than is
/// free: of the CPU's or, as far as that is known, of the GPU's.
///
/// # Errors
/// [`LearnerError::Device`] if it needs far more than there is.
pub(crate) fn require_memory(
    experiment: &Experiment,
    device: &Device,
    rows_per_example: usize,
    processes: usize,
) -> Result<()> {
    let parameters =
        parameter_count(experiment.architecture(), &experiment.model, &experiment.trainer);
    let needed = estimate_bytes(experiment, parameters, rows_per_example);
    let warning = match (DeviceMemory::of(device), MachineMemory::now()) {
        // Each process has a GPU of its own.
        (Some(memory), _) => {
            let largest = LargestTensor::of(experiment, rows_per_example);
            GpuMemory::from(memory).judge(experiment, needed, largest)?
        }
        (None, Some(machine)) => {
            machine.judge(experiment, needed.saturating_mul(processes as u64))?
        }
        (None, None) => None,
    };
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Parameters of the model, which need not exist yet: layers are alike, so one is counted.
fn parameter_count(
    architecture: Architecture,
    model: &NystromformerConfig,
    trainer: &TrainerConfig,
) -> ParameterCount {
    let of_layers = |num_hidden_layers, only: Option<Depth>| {
        let model = model.clone().with(|config| {
            config.encoder.num_hidden_layers = num_hidden_layers;
            config.encoder.num_hidden_groups = 0;
        });
        let sizes = parameters(architecture, &model)
            .into_iter()
            .filter(|(name, _)| only.is_none_or(|depth| Depth::of(name) == depth))
            .map(|(_, shape)| shape.into_iter().fold(1, usize::saturating_mul));
        sizes.fold(0, usize::saturating_add)
    };
    let (around, own_layers) = (of_layers(0, None), model.encoder.num_own_layers());
    let layer = of_layers(1, None) - around;
    let all = layer.saturating_mul(own_layers).saturating_add(around);
    let embeddings =
        if trainer.freeze_embeddings { of_layers(0, Some(Depth::Embeddings)) } else { 0 };
    let layers = layer.saturating_mul(trainer.freeze_layers.min(own_layers));
    ParameterCount { all, trained: all.saturating_sub(embeddings.saturating_add(layers)) }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use nystromformer::Model;

    use super::*;
    use crate::parameter_groups::ParameterGroups;

    #[test]
    fn parameters_are_counted_as_the_model_has_them() {
        for (num_hidden_layers, num_hidden_groups, conv_kernel_size, architecture) in [
            (1, 0, 5, Architecture::MaskedLm),
            (3, 0, 0, Architecture::SequenceClassification),
            (4, 2, 3, Architecture::PreTraining),
        ] {
            let config = NystromformerConfig::default().with(|config| {
                config.embeddings.vocab_size = 11;
                config.shared.hidden_size = 6;
                config.encoder.num_hidden_layers = num_hidden_layers;
                config.encoder.num_hidden_groups = num_hidden_groups;
                config.shared.num_attention_heads = 3;
                config.feed_forward.intermediate_size = 7;
                config.embeddings.max_position_embeddings = 9;
                config.attention.convolution.conv_kernel_size = conv_kernel_size;
            });
            let model = Model::init(architecture, &config, &Device::flex()).unwrap();
            let count = |trainer: &TrainerConfig| parameter_count(architecture, &config, trainer);
            assert_eq!(count(&TrainerConfig::default()), model.num_params().into());
            let experiment = Experiment {
                model: config.clone(),
                trainer: TrainerConfig {
                    freeze_layers: 1,
                    freeze_embeddings: true,
                    ..TrainerConfig::default()
                },
                ..Experiment::default()
            };
            let groups = ParameterGroups::of(&experiment.parameter_groups(), &model).unwrap();
            let trained = groups.num_trained(&model);
            let expected = ParameterCount { all: model.num_params(), trained };
            assert_eq!(count(&experiment.trainer), expected);
        }
        let absurd = NystromformerConfig::default()
            .with(|config| config.encoder.num_hidden_layers = usize::MAX);
        let count = parameter_count(Architecture::MaskedLm, &absurd, &TrainerConfig::default());
        assert_eq!(count, usize::MAX.into());
    }

    #[test]
    fn meminfo_is_read_in_kibibytes() {
        let text = "MemTotal:       24684120 kB\nMemFree:  1 kB\nMemAvailable:   22573000 kB\n";
        let memory = MachineMemory::parse(text).unwrap();
        assert_eq!(
            (memory.total_bytes, memory.available_bytes),
            (24_684_120 << 10, 22_573_000 << 10)
        );
        assert_eq!(MachineMemory::parse("MemTotal: 5 kB\n"), None);
        assert_eq!(MachineMemory::parse("MemTotal: many\nMemAvailable: 1 kB\n"), None);
    }

    #[test]
    fn what_fits_is_silent_what_does_not_is_warned_of_and_what_never_will_is_refused() {
        let memory =
            MachineMemory { total_bytes: 100, available_bytes: 60, is_cgroup_limit: false };
        let experiment = Experiment::default();
        let judge = |bytes| memory.judge(&experiment, bytes);
        assert_eq!(judge(60).unwrap(), None);
        for bytes in [61, 101, 149] {
            let warning = judge(bytes).unwrap().unwrap();
            assert!(warning.contains("`trainer.micro_batch_size`, now `8`"), "{warning}");
        }
        let error = judge(150).unwrap_err();
        assert_eq!(error.exit_code(), 6);
        assert!(error.to_string().contains("`trainer.micro_batch_size`"), "{error}");
    }

    #[test]
    fn the_limit_of_a_control_group_counts_where_it_is_tighter() {
        let machine =
            MachineMemory { total_bytes: 1000, available_bytes: 600, is_cgroup_limit: false };
        let within = |limit_bytes, available_bytes| {
            machine.within(Some(CgroupMemory { limit_bytes, available_bytes }))
        };
        assert_eq!(machine.within(None), machine);
        assert_eq!(within(4000, 3000), machine);
        // The machine has less free than the group may still have.
        assert_eq!(within(900, 800).available_bytes, 600);
        let tight = within(100, 60);
        let error = tight.judge(&Experiment::default(), 150).unwrap_err().to_string();
        assert!(error.contains("the control group of this process has `0.0 GB`"), "{error}");
        assert_eq!(tight.judge(&Experiment::default(), 60).unwrap(), None);
    }
}
