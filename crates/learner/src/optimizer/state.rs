//! The optimizer's file: `optimizer.safetensors`, keyed by parameter path.
//!
//! It holds `exp_avg.<path>` and `exp_avg_sq.<path>` (PyTorch's names for the two moments) in
//! `F32`, with the shapes of their parameters.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use super::{AdamW, Moments, OptimizerConfig};
use crate::error::Result;
use crate::parameter_file;
use crate::parameter_groups::ParameterGroups;

const FIRST: &str = "exp_avg.";
const SECOND: &str = "exp_avg_sq.";

impl AdamW {
    /// The moments as the bytes of a safetensors file.
    ///
    /// # Errors
    /// [`LearnerError::Device`](crate::LearnerError::Device) if the moments cannot be read back from the device.
    ///
    /// # Panics
    /// If rows wait for `catch_up`.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        assert!(self.is_settled(), "rows have yet to take steps");
        parameter_file::to_safetensors(self.moments.iter().flat_map(|(path, moments)| {
            [(FIRST, &moments.exp_avg), (SECOND, &moments.exp_avg_sq)]
                .map(|(prefix, tensor)| (format!("{prefix}{path}"), &*moments.shape, tensor))
        }))
    }

    /// Restores the state of a run at `completed_steps` from the bytes of a safetensors file;
    /// `file` is named in errors.
    ///
    /// # Errors
    /// [`LearnerError::Checkpoint`](crate::LearnerError::Checkpoint) if the file is not safetensors, or if its keys, shapes or data
    /// types are not exactly those of `module`.
    pub fn from_safetensors<M: Module>(
        config: OptimizerConfig,
        module: &M,
        device: &Device,
        completed_steps: usize,
        bytes: &[u8],
        file: &Path,
    ) -> Result<Self> {
        let groups = ParameterGroups::default();
        Self::restore(config, module, device, groups, completed_steps, (bytes, file))
    }

    /// The same for a module whose parameters are trained in groups.
    pub(crate) fn restore<M: Module>(
        config: OptimizerConfig,
        module: &M,
        device: &Device,
        groups: ParameterGroups,
        completed_steps: usize,
        (bytes, file): (&[u8], &Path),
    ) -> Result<Self> {
        let trained = groups.trained(module);
        let wanted = trained.iter().flat_map(|parameter| {
            [FIRST, SECOND]
                .map(|prefix| (format!("{prefix}{}", parameter.path), parameter.shape.clone()))
        });
        let mut read = parameter_file::from_safetensors(bytes, &wanted.collect(), device, file)?;
        let mut take = |prefix: &str, path: &str| {
            read.remove(&format!("{prefix}{path}")).expect("every entry that is wanted was read")
        };
        let moments: BTreeMap<String, Moments> = trained
            .into_iter()
            .map(|parameter| {
                let [exp_avg, exp_avg_sq] =
                    [FIRST, SECOND].map(|prefix| take(prefix, &parameter.path));
                (parameter.path, Moments::new(parameter.shape, exp_avg, exp_avg_sq))
            })
            .collect();
        Ok(Self { config, groups, completed_steps, moments })
    }
}
