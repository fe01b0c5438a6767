//! Whether a training will fit into a GPU's memory.

use nystromformer_data::Objective;
use nystromformer_kernels::DeviceMemory;
use serde::Serialize;

use crate::error::{LearnerError, Result};
use crate::experiment::Experiment;
use crate::machine_memory::HOPELESS;
use crate::memory_estimate::{LargestTensor, gigabytes};

/// The memory of a GPU, in bytes, as a dry run reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GpuMemory {
    /// All of it; `None` where the driver does not say, as by WebGPU (`device = "wgpu"`).
    pub total_bytes: Option<u64>,
    /// The largest single tensor that it takes.
    pub largest_tensor_bytes: u64,
    /// What this process has taken of it.
    pub held_bytes: u64,
}

impl From<DeviceMemory> for GpuMemory {
    fn from(memory: DeviceMemory) -> Self {
        let DeviceMemory { total_bytes, largest_tensor_bytes, held_bytes, used_bytes: _ } = memory;
        Self { total_bytes, largest_tensor_bytes, held_bytes }
    }
}

impl GpuMemory {
    /// What to say about a training of `experiment` that needs `bytes` and has this largest tensor: nothing if they fit as far as is known, and otherwise a
    /// warning or, as an error, that it is hopeless.
    ///
    /// # Errors
    /// [`LearnerError::Device`] if it needs far more than there is, or a tensor larger than any can be.
    pub(crate) fn judge(
        self,
        experiment: &Experiment,
        bytes: u64,
        largest: LargestTensor,
    ) -> Result<Option<String>> {
        let refused = |message: String| LearnerError::Device {
            device: experiment.device.to_string(),
            message: format!(
                "{message}; lower `trainer.micro_batch_size` or `data.seq_len`, now `{}` and `{}`, or the model's sizes{}",
                experiment.trainer.micro_batch_size,
                experiment.data.seq_len,
                recomputation(experiment)
            ),
        };
        if largest.bytes > self.largest_tensor_bytes {
            return Err(refused(format!(
                "{}: a tensor of `{}`, and it takes none beyond `{}`",
                largest.what,
                gigabytes(largest.bytes),
                gigabytes(self.largest_tensor_bytes)
            )));
        }
        let Some(total) = self.total_bytes.filter(|total| bytes > *total) else { return Ok(None) };
        let told = format!(
            "training needs about `{}` of its memory, and it has `{}`",
            gigabytes(bytes),
            gigabytes(total)
        );
        if bytes as f64 >= HOPELESS * total as f64 {
            return Err(refused(told));
        }
        Ok(Some(refused(told).to_string()))
    }
}

/// Advises to compute layers once more, where that is possible and not done yet.
fn recomputation(experiment: &Experiment) -> &'static str {
    let distills = experiment.task.is_none() && experiment.data.objective == Objective::Distill;
    let is_possible =
        !experiment.trainer.gradient_checkpointing && experiment.device.recomputes() && !distills;
    if is_possible { ", or set `trainer.gradient_checkpointing = true`" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: GpuMemory =
        GpuMemory { total_bytes: Some(1000), largest_tensor_bytes: 100, held_bytes: 0 };

    fn judge(memory: GpuMemory, bytes: u64, largest: u64) -> Result<Option<String>> {
        let largest = LargestTensor { what: "the logits of a micro-batch", bytes: largest };
        memory.judge(&Experiment::default(), bytes, largest)
    }

    #[test]
    fn what_fits_is_silent_what_does_not_is_warned_of_and_what_never_will_is_refused() {
        assert_eq!(judge(MEMORY, 1000, 100).unwrap(), None);
        let warning = judge(MEMORY, 1001, 100).unwrap().unwrap();
        assert!(warning.contains("`trainer.micro_batch_size`"), "{warning}");
        for (bytes, largest, told) in
            [(1500, 100, "needs about"), (10, 101, "the logits of a micro-batch: a tensor")]
        {
            let error = judge(MEMORY, bytes, largest).unwrap_err();
            assert_eq!(error.exit_code(), 6);
            let message = error.to_string();
            assert!(message.contains(told) && message.contains("`data.seq_len`"), "{message}");
        }
    }

    #[test]
    fn where_nothing_is_known_of_all_of_it_only_single_tensors_are_judged() {
        let memory = GpuMemory { total_bytes: None, ..MEMORY };
        assert_eq!(judge(memory, u64::MAX, 100).unwrap(), None);
        assert!(judge(memory, 10, 101).is_err());
    }
}
