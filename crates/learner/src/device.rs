//! From a name in the configuration to a Burn device.
//!
//! Which devices a binary can use is settled when it is compiled, by cargo features of the same
//! names; `flex`, the CPU, is always there. A GPU device that exists only on paper makes Burn panic
//! at its first use, so [`DeviceKind::open`] looks for an adapter and computes one number before it
//! hands the device out.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Device, Tensor};
use nystromformer_kernels::hear_refusals;
use nystromformer_tasks::say_once;
use serde::{Deserialize, Serialize};

use crate::error::{LearnerError, Result};
use crate::out_of_memory::{self, Shortage};

/// `device`: what computes. Default: `flex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// The CPU, through burn-flex. Always available, and bit-exact from run to run.
    #[default]
    Flex,
    /// The CPU, through burn-ndarray, which Burn has deprecated in favour of `flex`.
    Ndarray,
    /// Any GPU that WebGPU reaches: Vulkan, Metal or DirectX 12.
    Wgpu,
    /// A GPU through Vulkan and SPIR-V.
    Vulkan,
    /// An NVIDIA GPU.
    Cuda,
    /// An Apple GPU.
    Metal,
    /// An AMD GPU.
    Rocm,
}

impl DeviceKind {
    /// All devices, whether compiled in or not.
    pub const ALL: [Self; 7] =
        [Self::Flex, Self::Ndarray, Self::Wgpu, Self::Vulkan, Self::Cuda, Self::Metal, Self::Rocm];

    /// The name in the configuration, which is also the cargo feature's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
            Self::Rocm => "rocm",
        }
    }

    /// Whether the device is something other than the CPU, and so is worth a self-check.
    pub fn is_accelerator(self) -> bool {
        !matches!(self, Self::Flex | Self::Ndarray)
    }

    /// Whether `trainer.gradient_checkpointing` works there: on the CPU's default backend, and on GPUs unless Burn fuses operations itself.
    pub fn recomputes(self) -> bool {
        self == Self::Flex || self.is_accelerator() && !cfg!(feature = "fused")
    }

    /// Whether this program was built for it.
    pub fn is_compiled_in(self) -> bool {
        match self {
            Self::Flex => true,
            Self::Ndarray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Rocm => cfg!(feature = "rocm"),
        }
    }

    /// Opens the device, without autodiff, and proves that it computes.
    ///
    /// # Errors
    /// [`LearnerError::Device`] if the device is not compiled into this binary, if no adapter is
    /// found, or if the driver fails at its first operation.
    pub fn open(self) -> Result<Device> {
        self.open_at(0)
    }

    /// The same for one of several devices of this kind, counted from 0. Of the CPU there is one.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(self, index: usize) -> Result<Device> {
        if !self.is_accelerator() {
            return self.construct(index);
        }
        hear_refusals(say_once);
        if cfg!(feature = "fused") {
            say_once(
                "built with `--features fused`: Burn fuses operations on the GPU itself, and this program's own kernels for it are left out"
                    .to_owned(),
            );
        }
        // Burn reports a missing adapter or driver by a panic deep in the runtime; here it becomes
        // an error. The hook is silenced meanwhile: its message would be a backtrace's, not the
        // user's.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let device = self.construct(index)?;
            let sum = Tensor::<1>::from_data([1.0, 2.0], &device).sum().try_into_scalar::<f32>();
            Ok((device, sum))
        }));
        std::panic::set_hook(hook);

        let number = if index > 0 { format!(":{index}") } else { String::new() };
        let failed = |message: String| LearnerError::Device {
            device: format!("{}{number}", self.name()),
            message: format!(
                "{message}; check that its driver is installed, or set `device = \"flex\"` to \
                 train on the CPU"
            ),
        };
        match opened {
            Ok(Ok((device, Ok(3.0)))) => Ok(device),
            Ok(Ok((_, Ok(sum)))) => Err(failed(format!("computed 1 + 2 = `{sum}`"))),
            Ok(Ok((_, Err(error)))) => Err(failed(format!("its first operation failed ({error})"))),
            Ok(Err(error)) => Err(error),
            Err(panic) => {
                let reason = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no reason given");
                let first_line = reason.lines().next().unwrap_or_default();
                Err(failed(format!("cannot be opened ({first_line})")))
            }
        }
    }

    fn construct(self, index: usize) -> Result<Device> {
        // There is one CPU.
        let _ = index;
        match self {
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            #[expect(deprecated, reason = "kept selectable; the default is `flex`")]
            Self::Ndarray => Ok(Device::ndarray()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(gpu(index))),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Ok(Device::vulkan(gpu(index))),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(index)),
            #[cfg(feature = "metal")]
            Self::Metal => Ok(Device::metal(gpu(index))),
            #[cfg(feature = "rocm")]
            Self::Rocm => Ok(Device::rocm(index)),
            #[allow(unreachable_patterns, reason = "with every device compiled in, none is left")]
            _ => Err(self.not_compiled_in()),
        }
    }

    fn not_compiled_in(self) -> LearnerError {
        let name = self.name();
        LearnerError::Device {
            device: name.to_owned(),
            message: format!(
                "is not compiled into this binary; build it with `--features {name}`, \
                 or set `device = \"flex\"` to train on the CPU"
            ),
        }
    }
}

/// Of several GPUs the one of this number; the first one is the one that the system thinks best.
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
fn gpu(index: usize) -> burn::tensor::DeviceKind {
    match index {
        0 => burn::tensor::DeviceKind::default(),
        index => burn::tensor::DeviceKind::DiscreteGpu(index),
    }
}

impl Display for DeviceKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Reads one number back from the device.
pub(crate) fn scalar(tensor: Tensor<1>, device: &Device) -> Result<f64> {
    let number = tensor.try_into_scalar::<f32>().map(f64::from);
    number.map_err(|error| unread(format!("{device:?}"), "a result", &error))
}

/// Reads numbers back from the device.
pub(crate) fn floats(tensor: Tensor<1>, device: &Device) -> Result<Vec<f32>> {
    let numbers = tensor.try_into_vec_as();
    numbers.map_err(|error| unread(format!("{device:?}"), "a result", &error))
}

/// The error of a device that did not give `what` it was asked for, in one line where it had no room for it. `error` is Burn's.
pub(crate) fn unread(device: impl Display, what: &str, error: &dyn Display) -> LearnerError {
    let error = error.to_string();
    let message = match Shortage::behind(&error) {
        Some(shortage) => format!("{shortage}; {}", out_of_memory::ADVICE),
        None => format!("reading {what} back failed: {error}"),
    };
    LearnerError::Device { device: device.to_string(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert!(DeviceKind::Flex.is_compiled_in() && DeviceKind::Flex.open().is_ok());
    }

    #[test]
    fn a_device_without_room_is_told_in_one_line_with_what_to_lower() {
        let reason = "The bytes were never written\nCaused by:\n  can't allocate buffer of size: 5000000000\n  0: backtrace";
        let error = unread("wgpu", "a result", &reason);
        assert_eq!(error.exit_code(), 6);
        let told = error.to_string();
        assert!(!told.contains('\n') && told.contains("`trainer.micro_batch_size`"), "{told}");
        assert!(told.starts_with("device `wgpu`: out of memory: a tensor of `5.0 GB`"), "{told}");
        let other = unread("wgpu", "a result", &"the device was lost").to_string();
        assert_eq!(other, "device `wgpu`: reading a result back failed: the device was lost");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_is_not_compiled_in_names_its_feature() {
        assert!(!DeviceKind::Cuda.is_compiled_in());
        let error = DeviceKind::Cuda.open().unwrap_err();
        assert_eq!(error.exit_code(), 6);
        assert!(error.to_string().contains("`--features cuda`"), "{error}");
    }
}
