//! The optimizer's file: `optimizer.safetensors`, keyed by parameter path.
//!
//! It holds `exp_avg.<path>` and `exp_avg_sq.<path>` (PyTorch's names for the two moments) in
//! `F32`, with the shapes of their parameters. A file whose keys or shapes are not exactly the
//! module's is refused: a state that is loaded in part trains on, silently wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{AdamW, Moments, OptimizerConfig};
use crate::error::{LearnerError, Result};

const FIRST: &str = "exp_avg.";
const SECOND: &str = "exp_avg_sq.";

impl AdamW {
    /// The moments as the bytes of a safetensors file.
    ///
    /// # Errors
    /// [`LearnerError::Device`] if the moments cannot be read back from the device.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = Vec::with_capacity(2 * self.moments.len());
        for (path, moments) in &self.moments {
            for (prefix, tensor) in [(FIRST, &moments.exp_avg), (SECOND, &moments.exp_avg_sq)] {
                let values =
                    tensor.try_to_vec_as::<f32>().map_err(|error| LearnerError::Device {
                        device: format!("{:?}", tensor.device()),
                        message: format!("reading back the optimizer state failed: {error}"),
                    })?;
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                tensors.push((format!("{prefix}{path}"), moments.shape.clone(), bytes));
            }
        }
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes)
                .expect("the bytes were made from a tensor of this shape");
            (name, view)
        });
        Ok(safetensors::serialize(views, None).expect("a map of valid views serialises"))
    }

    /// Restores the state of a run at `completed_steps` from the bytes of a safetensors file;
    /// `file` is named in errors.
    ///
    /// # Errors
    /// [`LearnerError::Checkpoint`] if the file is not safetensors, or if its keys, shapes or data
    /// types are not exactly those of `module`.
    pub fn from_safetensors<M: Module>(
        config: OptimizerConfig,
        module: &M,
        device: &Device,
        completed_steps: usize,
        bytes: &[u8],
        file: &Path,
    ) -> Result<Self> {
        let wrong = |message: String| LearnerError::checkpoint(file, message);
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|error| wrong(format!("is not a safetensors file ({error})")))?;
        let mut optimizer = Self::new(config, module, device);
        optimizer.completed_steps = completed_steps;

        let expected: BTreeSet<String> = optimizer
            .moments
            .keys()
            .flat_map(|path| [format!("{FIRST}{path}"), format!("{SECOND}{path}")])
            .collect();
        let found: BTreeSet<String> = tensors.names().into_iter().map(str::to_owned).collect();
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

        let mut restored = BTreeMap::new();
        for (path, Moments { shape, .. }) in optimizer.moments {
            let read = |prefix: &str| {
                let name = format!("{prefix}{path}");
                let view = tensors.tensor(&name).expect("the key sets were just compared");
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
                Ok(Tensor::<1>::from_data(TensorData::new(values, [length]), device))
            };
            let moments =
                Moments { exp_avg: read(FIRST)?, exp_avg_sq: read(SECOND)?, shape: shape.clone() };
            restored.insert(path, moments);
        }
        optimizer.moments = restored;
        Ok(optimizer)
    }
}
