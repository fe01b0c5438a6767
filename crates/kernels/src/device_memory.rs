//! The memory of a GPU: what it has, and what of it this program holds.
//!
//! CubeCL takes pages from the driver and cuts tensors out of them. A page is as large as the largest tensor so far, and stays with the program when its
//! tensors are gone. So `held_bytes` is what another program misses, and `used_bytes` what tensors need.

use burn::tensor::Device;

/// What is known of a device's memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// All of it, where the driver says: CUDA, `ROCm`, Metal, and Vulkan's largest heap of the device's own. Vulkan is asked by the cargo feature `vulkan` alone, and
    /// says nothing of what other programs hold.
    pub total_bytes: Option<u64>,
    /// The largest single tensor.
    pub largest_tensor_bytes: u64,
    /// What this program has taken from the driver.
    pub held_bytes: u64,
    /// What of that is tensors.
    pub used_bytes: u64,
}

impl DeviceMemory {
    /// The memory of `device` as it is now, once it has done what it was asked for so far; `None` of a device whose tensors lie in this machine's memory as
    /// others do: the CPU.
    pub fn of(device: &Device) -> Option<Self> {
        found(device)
    }

    /// Gives the driver back the pages of `device` that no tensor is on. Of the CPU there are none.
    pub fn release_unused(device: &Device) {
        release(device);
    }
}

/// Says it to CubeCL. What it refuses while it records a graph stays held, and nothing of ours does that.
#[cfg(feature = "cube")]
fn release(device: &Device) {
    if let Some(client) = client_of(device) {
        let _ = client.memory_cleanup();
    }
}

#[cfg(not(feature = "cube"))]
fn release(_: &Device) {}

#[cfg(feature = "cube")]
fn client_of(device: &Device) -> Option<burn_cubecl::cubecl::client::Client> {
    use burn::backend::DispatchDevice;

    match device.clone().inner().as_dispatch() {
        DispatchDevice::Cube(device) => Some(device.client()),
        _ => None,
    }
}

#[cfg(feature = "cube")]
fn found(device: &Device) -> Option<DeviceMemory> {
    use burn_cubecl::cubecl::MemoryScope;

    let client = client_of(device)?;
    let memory = &client.properties().memory;
    let usage = client.memory_report(MemoryScope::Device).usage();
    Some(DeviceMemory {
        total_bytes: memory.max_memory(),
        largest_tensor_bytes: memory.max_page_size,
        held_bytes: usage.bytes_reserved,
        used_bytes: usage.bytes_in_use,
    })
}

#[cfg(not(feature = "cube"))]
fn found(_: &Device) -> Option<DeviceMemory> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_has_no_memory_of_its_own() {
        assert_eq!(DeviceMemory::of(&Device::flex()), None);
        assert_eq!(DeviceMemory::of(&Device::flex().autodiff()), None);
    }

    /// In a module of the name by which the tests on GPUs are run.
    #[cfg(feature = "wgpu")]
    mod cube {
        use burn::tensor::Tensor;

        use super::*;
        use crate::testing::cube;

        #[test]
        fn a_tensor_is_used_until_it_is_dropped_and_its_page_is_held() {
            let Some(device) = cube::device() else { return };
            let of = |device| DeviceMemory::of(device).unwrap();
            let x = Tensor::<1>::zeros([1 << 22], &device);
            let with = of(&device);
            assert!(with.used_bytes >= 4 << 22 && with.held_bytes >= with.used_bytes, "{with:?}");
            assert!(with.largest_tensor_bytes > 1 << 22, "{with:?}");
            drop(x);
            assert!(of(&device).held_bytes >= 4 << 22);
            DeviceMemory::release_unused(&device);
            let without = of(&device);
            assert!(without.held_bytes + (4 << 22) <= with.held_bytes, "{without:?} {with:?}");
        }
    }
}
