//! Numbers of parameters in a safetensors file, by path: the optimizer's moments, and weights beside their average.
//!
//! A file whose keys or shapes are not exactly those wanted is refused: a state that is loaded in part trains on, silently
//! wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::device::unread;
use crate::error::{LearnerError, Result};

/// A name, the shape that it has in the file, and the numbers, in a row.
pub(crate) type Entry<'a> = (String, &'a [usize], &'a Tensor<1>);

/// The bytes of a file of `F32` with these entries.
///
/// # Errors
/// [`LearnerError::Device`] if the numbers cannot be read back from the device.
pub(crate) fn to_safetensors<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Result<Vec<u8>> {
    let mut tensors = Vec::new();
    for (name, shape, tensor) in entries {
        let values = tensor.try_to_vec_as::<f32>().map_err(|error| {
            unread(format!("{:?}", tensor.device()), &format!("`{name}`"), &error)
        })?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((name, shape.to_vec(), bytes));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes)
            .expect("the bytes were made from a tensor of this shape");
        (name, view)
    });
    Ok(safetensors::serialize(views, None).expect("a map of valid views serialises"))
}

/// The entries of a file, which must be those `wanted`, by name and shape; `file` is named in errors.
///
/// # Errors
/// [`LearnerError::Checkpoint`] if the bytes are not safetensors, or if keys, shapes or data types are others.
pub(crate) fn from_safetensors(
    bytes: &[u8],
    wanted: &BTreeMap<String, Vec<usize>>,
    device: &Device,
    file: &Path,
) -> Result<BTreeMap<String, Tensor<1>>> {
    let wrong = |message: String| LearnerError::checkpoint(file, message);
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|error| wrong(format!("is not a safetensors file ({error})")))?;
    let expected: BTreeSet<&str> = wanted.keys().map(String::as_str).collect();
    let found: BTreeSet<&str> = tensors.names().into_iter().collect();
    if let Some(missing) = expected.difference(&found).next() {
        return Err(wrong(format!(
            "holds no `{missing}`: it belongs to another model; resume from another checkpoint"
        )));
    }
    if let Some(unexpected) = found.difference(&expected).next() {
        return Err(wrong(format!(
            "holds `{unexpected}`, which this model does not have; resume from another checkpoint"
        )));
    }
    let read = |(name, shape): (&String, &Vec<usize>)| {
        let view = tensors.tensor(name).expect("the key sets were just compared");
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            return Err(wrong(format!(
                "`{name}` is `{:?}` `{:?}`, but the model needs `F32` `{shape:?}`",
                view.dtype(),
                view.shape()
            )));
        }
        let values: Vec<f32> = view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        let length = values.len();
        Ok((name.clone(), Tensor::<1>::from_data(TensorData::new(values, [length]), device)))
    };
    wanted.iter().map(read).collect()
}
