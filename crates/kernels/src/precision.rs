//! How exactly products with weights are computed.

use std::cell::Cell;

use burn::tensor::{Device, FloatDType};

use crate::kernel::is_flex;

/// How exactly products with weights are computed. Whatever it is, terms are summed up in `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// In single precision.
    #[default]
    F32,
    /// With factors rounded to `bf16`: 8 significant bits and the range of an `f32`.
    ///
    /// On the CPU halves are rounded away from zero, and a product with a factor that is not finite or reaches 2¹²⁷ is one in `f32`. A GPU
    /// rounds as its driver does (CUDA: halves to even), and what rounds to 2¹²⁸ becomes infinite.
    Bf16,
    /// With factors rounded to `f16`: 11 significant bits down to 2⁻¹⁴, fewer down to 2⁻²⁴, and 0 below; halves to even. What rounds to more
    /// than 65,504 becomes infinite.
    F16,
}

thread_local! {
    static PRECISION: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// Runs `body` with the products of [`linear`](crate::linear()) in this precision, if they are called on this thread,
    /// and later differentiates them in it. Inputs, outputs, weights and all other operations stay in `f32`.
    ///
    /// On the CPU ([`sequence_convolution`](crate::sequence_convolution()) too) any machine can compute all of them; other devices have to [support](Self::is_supported_by) it.
    pub fn scope<R>(self, body: impl FnOnce() -> R) -> R {
        struct Restore(Precision);
        impl Drop for Restore {
            fn drop(&mut self) {
                PRECISION.set(self.0);
            }
        }
        let _restore = Restore(PRECISION.replace(self));
        body()
    }

    /// Its name in configurations: `f32`, `bf16` or `f16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// That of the innermost [`scope`](Self::scope) on this thread.
    pub(crate) fn current() -> Self {
        PRECISION.get()
    }

    /// Whether `device` computes in it. The CPU (`flex`) does in each.
    pub fn is_supported_by(self, device: &Device) -> bool {
        self.half()
            .is_none_or(|half| is_flex(device) || device.clone().inner().supports_dtype(half))
    }

    /// What factors are rounded to; `None` if they stay as they are.
    pub(crate) fn half(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
            Self::F16 => Some(FloatDType::F16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_ends_where_its_body_does() {
        Precision::Bf16.scope(|| {
            assert_eq!(Precision::current(), Precision::Bf16);
            Precision::F32.scope(|| assert_eq!(Precision::current(), Precision::F32));
            assert_eq!(Precision::current(), Precision::Bf16);
        });
        assert_eq!(Precision::current(), Precision::F32);
    }

    #[test]
    fn the_cpu_computes_in_each() {
        for device in [Device::flex(), Device::flex().autodiff()] {
            for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
                assert!(precision.is_supported_by(&device));
            }
        }
    }
}
