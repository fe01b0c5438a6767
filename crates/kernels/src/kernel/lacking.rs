//! Kernels that one of two backends has.

/// `lacking!(Add: 2);`: this kernel, of two inputs, has none in CubeCL yet. On that backend its composed twin runs.
#[cfg(all(feature = "cube", not(feature = "fused")))]
macro_rules! lacking {
    ($($kernel:ident: $inputs:literal),+) => {$(
        impl $crate::kernel::Kernel<burn::backend::Cube, $inputs> for $kernel {
            type Saved = ();

            fn supports(_: burn::tensor::DType) -> bool {
                false
            }

            fn forward(
                &self,
                _: [burn_cubecl::tensor::CubeTensor; $inputs],
            ) -> (burn_cubecl::tensor::CubeTensor, ()) {
                unreachable!("where no kernel is supported, the composed twin runs")
            }

            fn backward(
                &self,
                (): (),
                _: burn_cubecl::tensor::CubeTensor,
                _: [bool; $inputs],
            ) -> [Option<burn_cubecl::tensor::CubeTensor>; $inputs] {
                unreachable!("where no kernel is supported, the composed twin runs")
            }
        }
    )+};
}

/// Without that backend there is nothing to lack.
#[cfg(not(all(feature = "cube", not(feature = "fused"))))]
macro_rules! lacking {
    ($($kernel:ident: $inputs:literal),+) => {};
}

pub(crate) use lacking;
