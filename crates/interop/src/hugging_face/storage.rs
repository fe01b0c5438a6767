//! How a file stores numbers.

use burn::tensor::DType;

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StorageType {
    /// 32 bits: every bit of the weights.
    #[default]
    F32,
    /// 16 bits, 11 of them significant: numbers beyond 65504 do not fit.
    F16,
    /// 16 bits, 8 of them significant.
    Bf16,
}

impl StorageType {
    /// The name in `torch_dtype` of a `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    pub(super) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}
