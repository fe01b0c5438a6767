//! Indices that a kernel reads beside its inputs.

use burn::tensor::{Int, Tensor};

/// Rows of a table, or classes.
#[derive(Debug)]
pub(crate) enum Indices {
    /// For the CPU's kernels, each known to be there.
    InMemory(Vec<usize>),
    /// For kernels in CubeCL, of 32 bits. Nobody waits for them to be read, and so nobody has looked at them.
    #[cfg(all(feature = "cube", not(feature = "fused")))]
    OnDevice(burn_cubecl::tensor::CubeTensor),
}

impl Indices {
    /// Those of the CPU's kernels.
    pub(crate) fn in_memory(&self) -> &[usize] {
        match self {
            Self::InMemory(indices) => indices,
            #[cfg(all(feature = "cube", not(feature = "fused")))]
            Self::OnDevice(_) => unreachable!("indices are where the other inputs are"),
        }
    }

    /// Those of kernels elsewhere.
    #[cfg(all(feature = "cube", not(feature = "fused")))]
    pub(crate) fn on_device(&self) -> &burn_cubecl::tensor::CubeTensor {
        match self {
            Self::InMemory(_) => unreachable!("indices are where the other inputs are"),
            Self::OnDevice(indices) => indices,
        }
    }

    /// Leaves them where they are, elsewhere than on the CPU.
    #[cfg(all(feature = "cube", not(feature = "fused")))]
    pub(crate) fn unread<const D: usize>(indices: Tensor<D, Int>) -> Self {
        let indices = indices.cast(burn::tensor::IntDType::I32).without_autodiff();
        let indices = indices.try_into_primitive::<burn::backend::Cube>();
        let indices = indices.expect("only that backend has kernels elsewhere");
        Self::OnDevice(crate::cube::contiguous(indices))
    }

    #[cfg(not(all(feature = "cube", not(feature = "fused"))))]
    pub(crate) fn unread<const D: usize>(_: Tensor<D, Int>) -> Self {
        unreachable!("without that backend no kernel runs elsewhere than on the CPU")
    }
}
