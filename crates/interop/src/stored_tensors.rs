//! Tensors in files as Burn's store has them: named, and drawn when they are needed.

use std::{collections::BTreeMap, path::Path};

use burn::{
    store::{
        bridge,
        burn_pack::{self, Tensor},
    },
    tensor::{BoolStore, DType, Shape, TensorData},
};
use nystromformer_files::tensors::{Element, Flaw, StoredTensor, safetensors, torch};

use crate::error::InteropError;

#[cfg(test)]
mod tests;

/// Opens a file of safetensors. Only its header is read; a tensor's numbers are when they are drawn.
///
/// # Errors
/// If the file cannot be read, is damaged, or has a type of number that is not read.
pub(crate) fn open_safetensors(path: &Path) -> Result<BTreeMap<String, Tensor>, InteropError> {
    named(safetensors::open(path), path)
}

/// Opens a file of `torch.save` that holds a state dict, likewise.
///
/// # Errors
/// If the file cannot be read, is damaged, or holds something else.
pub(crate) fn open_torch(path: &Path) -> Result<BTreeMap<String, Tensor>, InteropError> {
    named(torch::open_state_dict(path), path)
}

fn named(
    opened: Result<BTreeMap<String, StoredTensor>, Flaw>,
    path: &Path,
) -> Result<BTreeMap<String, Tensor>, InteropError> {
    let tensors = opened.map_err(|flaw| InteropError::of_flaw(flaw, path))?;
    Ok(tensors.into_iter().map(|(name, tensor)| (name.clone(), deferred(name, tensor))).collect())
}

/// A tensor whose numbers are read when they are drawn.
fn deferred(name: String, tensor: StoredTensor) -> Tensor {
    let dtype = dtype(tensor.element());
    let shape = Shape::from(tensor.shape().to_vec());
    bridge::deferred(name, dtype, shape.clone(), None, move || {
        let bytes = tensor.read().map_err(store_error)?;
        TensorData::try_from_bytes_vec(bytes, shape.clone(), dtype)
            .map_err(|error| burn_pack::Error::ValidationError(error.to_string()))
    })
}

fn store_error(flaw: Flaw) -> burn_pack::Error {
    match flaw {
        Flaw::System(error) => burn_pack::Error::IoError(error.to_string()),
        Flaw::Damaged(reason) | Flaw::Unsupported(reason) => {
            burn_pack::Error::ValidationError(reason)
        }
    }
}

/// Burn's name of a type of number.
fn dtype(element: Element) -> DType {
    match element {
        Element::F64 => DType::F64,
        Element::F32 => DType::F32,
        Element::F16 => DType::F16,
        Element::BF16 => DType::BF16,
        Element::I64 => DType::I64,
        Element::I32 => DType::I32,
        Element::I16 => DType::I16,
        Element::I8 => DType::I8,
        Element::U64 => DType::U64,
        Element::U32 => DType::U32,
        Element::U16 => DType::U16,
        Element::U8 => DType::U8,
        Element::Bool => DType::Bool(BoolStore::U8),
    }
}
