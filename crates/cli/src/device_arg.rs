//! `--device`, for the commands that read no experiment.

use nystromformer_learner::device::DeviceKind;

/// The device to compute on.
#[derive(Debug, Clone, clap::Args)]
pub struct DeviceArg {
    /// flex (the CPU), or a device whose cargo feature is compiled in: wgpu, vulkan, cuda, metal, rocm, ndarray.
    #[arg(long, default_value = "flex")]
    device: String,
}

impl DeviceArg {
    /// The device named.
    ///
    /// # Errors
    /// If there is no such device.
    pub fn kind(&self) -> anyhow::Result<DeviceKind> {
        Ok(self.device.parse()?)
    }
}
