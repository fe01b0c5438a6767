//! Types of numbers in a graph, and which of them a file is made of.

use half::f16;

use super::proto::DataType;

/// A type of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    F32,
    F16,
    I64,
    I32,
    I8,
    U8,
    Bool,
}

impl Element {
    /// ONNX's name of it.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::F32 => DataType::Float,
            Self::F16 => DataType::Float16,
            Self::I64 => DataType::Int64,
            Self::I32 => DataType::Int32,
            Self::I8 => DataType::Int8,
            Self::U8 => DataType::Uint8,
            Self::Bool => DataType::Bool,
        }
    }

    /// Floats as a file stores them: little-endian, of this type.
    ///
    /// # Panics
    /// If it is no type of floats.
    pub(super) fn bytes(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F16 => {
                values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
            }
            other => unreachable!("floats are not stored as {other:?}"),
        }
    }
}

/// What a file's weights are stored in and what it computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// 32-bit floats throughout.
    F32,
    /// 16-bit floats, but for the attention, which the authors' mixed precision computes in 32 bits too.
    F16,
    /// 32-bit floats, but for linear layers and the token table, whose weights are 8-bit integers.
    Int8,
}

impl Precision {
    /// The type of the hidden states.
    pub(super) fn float(self) -> Element {
        match self {
            Self::F32 | Self::Int8 => Element::F32,
            Self::F16 => Element::F16,
        }
    }
}
