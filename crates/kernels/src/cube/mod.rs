//! What the kernels in CubeCL share. They run on every runtime that CubeCL has: wgpu, Vulkan, Metal, CUDA, ROCm.
//!
//! | module | holds |
//! |---|---|
//! | `place` | where the rows of a tensor of heads lie |
//! | `rows` | the largest value of a row, and the sum of its exponentials |
//! | `sums` | sums over the units of a cube, and over parts that several cubes wrote |
//!
//! Every kernel adds in an order that sizes alone fix, and no two units write the same value: two runs give the same bits. It uses
//! shared memory and barriers, but neither atomics nor operations of planes (subgroups, warps), which WebGPU may lack, and no more than 7
//! buffers, which with that of its sizes is WebGPU's least. Those of the optimizer go over all parameters, as many a launch as
//! [`most_buffers`] has room for.

pub(crate) mod place;
pub(crate) mod rows;
pub(crate) mod sums;

use burn::{
    backend::{Cube, TensorMetadata},
    tensor::{DType, Shape},
};
use burn_cubecl::{
    cubecl::{calculate_cube_count_elemwise, prelude::*},
    kernel::into_contiguous,
    ops::numeric::empty_device_contiguous_dtype,
    tensor::CubeTensor,
};

use crate::kernel::Kernel;

/// A kernel for this backend, be it one that is [lacking](crate::kernel::lacking).
pub(crate) trait OnCube<const N: usize>: Kernel<Cube, N> {}

impl<K: Kernel<Cube, N>, const N: usize> OnCube<N> for K {}

/// The most units of a cube: what WebGPU grants.
pub(crate) const MOST_UNITS: usize = 256;

/// Pointers to so many buffers, and to one of their sizes, fill 4,096 bytes: what a launch may be given where it may be given least. (CUDA takes
/// 32,764 bytes since 12.1 and compute capability 7.0, where CubeCL also passes lengths and numbers by value.)
const MOST_BUFFERS: usize = 508;

/// The most buffers of a kernel that goes over as many tensors as there is room for: what this device binds at once, within reason.
pub(crate) fn most_buffers(client: &Client) -> usize {
    (client.properties().hardware.max_bindings as usize).min(MOST_BUFFERS)
}

/// The tensor, with its values one after the other.
pub(crate) fn contiguous(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(tensor)
}

/// A tensor that holds nothing yet, on the device of another.
pub(crate) fn room(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, shape.into(), DType::F32)
}

/// As many units as there are values.
pub(crate) fn unit_for_each(tensor: &CubeTensor) -> (CubeCount, CubeDim) {
    let count = tensor.shape().num_elements();
    let dim = CubeDim::new_1d(MOST_UNITS as u32);
    (calculate_cube_count_elemwise(&tensor.client, count, dim), dim)
}

/// So many cubes, counted by `CUBE_POS`; there may be a few more.
pub(crate) fn cubes(client: &Client, count: usize) -> CubeCount {
    calculate_cube_count_elemwise(client, count, CubeDim::new_single())
}

/// Units that together go through `count` values of a row: a power of two.
pub(crate) fn units_for(count: usize) -> usize {
    count.next_power_of_two().min(MOST_UNITS)
}
