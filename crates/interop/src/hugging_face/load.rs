//! Matching what a file holds with what a model needs.
//!
//! Everything that can be refused is refused before memory is asked for or a module is touched: first names
//! and shapes against the configuration, then sizes against the file, then the numbers themselves.

use std::path::{Path, PathBuf};

use burn::{
    module::Module,
    store::{ModuleSnapshot, PyTorchToBurnAdapter, bridge, burn_pack::Tensor},
    tensor::{DType, Device, TensorData},
};
use nystromformer::{ModelError, Nystromformer, NystromformerConfig, NystromformerForMaskedLm};

use super::{
    config::{CONFIG_NAME, read_config},
    names::{
        ENCODER, Inventory, MASKED_LM_HEAD, STALE, TIED, belongs_to_a_head,
        belongs_to_another_head, encoder_parameters, masked_lm_parameters, module_path,
    },
    weights::{WeightFiles, read_json},
};
use crate::error::{InteropError, KeyMismatch, ShapeMismatch};

/// What [`load_masked_lm_weights`] did, in Hugging Face's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters that now have the file's values.
    pub loaded: Vec<String>,
    /// Parameters that the file does not have and that kept their values: those of the head, when the file
    /// holds a bare encoder or a model with another head.
    pub fresh: Vec<String>,
    /// Tensors of the file that no parameter here wants: other heads and stale buffers.
    pub ignored: Vec<String>,
}

/// Reads a masked language model from a folder: `config.json` with `model.safetensors`,
/// `pytorch_model.bin`, or shards of either with their index.
///
/// Names may lack the start `nystromformer.`; the tied decoder may be stored or not. Half-precision weights
/// become the device's float type.
///
/// # Errors
/// If a file is absent or damaged, or if weights are missing, unexpected, of another shape, not finite, or
/// (the decoder) not tied; [`InteropError::NoMaskedLmHead`] if the folder holds a bare encoder or a model with
/// another head.
pub fn load_masked_lm(
    dir: &Path,
    device: &Device,
) -> Result<NystromformerForMaskedLm, InteropError> {
    let config = read_config(dir)?;
    let matched = Matched::new(WeightFiles::open(dir)?, &config, masked_lm_parameters)?;
    if matched.lacks_masked_lm_head() {
        return Err(InteropError::NoMaskedLmHead { path: matched.path });
    }
    matched.into_model(dir, "", device, |device| config.init_masked_lm(device))
}

/// Reads an encoder from a folder in any of the forms that [`load_masked_lm`] reads, with or without a head:
/// the head is left out.
///
/// # Errors
/// As for [`load_masked_lm`], of the encoder's weights.
pub fn load_nystromformer(dir: &Path, device: &Device) -> Result<Nystromformer, InteropError> {
    let config = read_config(dir)?;
    let mut matched = Matched::new(WeightFiles::open(dir)?, &config, encoder_parameters)?;
    matched.leave_out(belongs_to_a_head);
    matched.into_model(dir, ENCODER, device, |device| config.init(device))
}

/// Whether a folder holds an encoder without a head: its `config.json` says `NystromformerModel`, or no head's
/// parameter is among its weights.
///
/// # Errors
/// If `config.json` or the names of the weights cannot be read.
pub fn is_bare_encoder(dir: &Path) -> Result<bool, InteropError> {
    let config =
        read_json(&dir.join(CONFIG_NAME), "a model folder holds config.json and the weights")?;
    let says_so = config
        .get("architectures")
        .and_then(|architectures| architectures.as_array())
        .is_some_and(|architectures| architectures.iter().any(|name| name == "NystromformerModel"));
    Ok(says_so || !WeightFiles::open(dir)?.tensors.keys().any(|name| belongs_to_a_head(name)))
}

/// Reads weights into a model that exists, from a folder, a weight file, or an index of shards.
///
/// The encoder must be complete. The head may be absent, as in a bare encoder or a model with another head;
/// then the model's own stays, and the report says so. On an error the model is unchanged.
///
/// # Errors
/// As for [`load_masked_lm`].
pub fn load_masked_lm_weights(
    model: &mut NystromformerForMaskedLm,
    path: &Path,
) -> Result<LoadReport, InteropError> {
    let files = WeightFiles::open(path)?;
    let mut matched = Matched::new(files, model.config(), masked_lm_parameters)?;
    if matched.lacks_masked_lm_head() {
        matched.fresh = std::mem::take(&mut matched.keys.missing);
        matched.leave_out(belongs_to_another_head);
    }
    matched.require_complete()?;
    matched.check_values()?;

    let report = LoadReport {
        loaded: matched.parameters.iter().map(|tensor| tensor.name.clone()).collect(),
        fresh: matched.fresh.clone(),
        ignored: matched.ignored.clone(),
    };
    let device = model.devices().first().cloned().unwrap_or_default();
    matched.apply(model, "", &device)?;
    Ok(report)
}

/// A file's tensors, sorted by what becomes of them.
struct Matched {
    path: PathBuf,
    bytes: u64,
    /// To be loaded, by full name.
    parameters: Vec<Tensor>,
    /// Second copies of shared parameters, and the first copy's name.
    copies: Vec<(Tensor, &'static str)>,
    keys: KeyMismatch,
    fresh: Vec<String>,
    ignored: Vec<String>,
}

impl Matched {
    /// Compares names and shapes with the `inventory` of `config`'s model.
    fn new(
        files: WeightFiles,
        config: &NystromformerConfig,
        inventory: fn(&NystromformerConfig) -> Inventory,
    ) -> Result<Self, InteropError> {
        let WeightFiles { path, mut tensors, bytes } = files;
        if config.num_hidden_layers > tensors.len() {
            // Also keeps an absurd number from listing as many names.
            let reason = format!(
                "it holds `{}` tensors, too few for num_hidden_layers = {}",
                tensors.len(),
                config.num_hidden_layers
            );
            return Err(InteropError::Damaged { path, reason });
        }

        let ignored: Vec<String> = STALE
            .iter()
            .filter(|name| tensors.remove(**name).is_some())
            .map(ToString::to_string)
            .collect();
        let mut copies = Vec::new();
        for (second, first) in TIED {
            if let Some(tensor) = tensors.remove(second) {
                if tensors.contains_key(first) {
                    copies.push((tensor, first));
                } else {
                    tensors.insert(first.into(), tensor);
                }
            }
        }

        let mut keys = KeyMismatch::default();
        let mut parameters = Vec::new();
        for (name, expected) in inventory(config) {
            match tensors.remove(&name) {
                None => keys.missing.push(name),
                Some(mut tensor) if tensor.shape[..] == expected[..] && tensor.dtype.is_float() => {
                    tensor.name = name;
                    parameters.push(tensor);
                }
                Some(tensor) => {
                    let found = format!("{:?} {:?}", &tensor.shape[..], tensor.dtype);
                    keys.mismatched.push(ShapeMismatch { name, found, expected });
                }
            }
        }
        keys.unexpected = tensors.into_keys().collect();
        Ok(Self { path, bytes, parameters, copies, keys, fresh: Vec::new(), ignored })
    }

    /// Whether all that is missing is the whole masked-language-modelling head.
    fn lacks_masked_lm_head(&self) -> bool {
        let of_head = |name: &str| name.starts_with(MASKED_LM_HEAD);
        !self.keys.missing.is_empty()
            && self.keys.missing.iter().all(|name| of_head(name))
            && !self.parameters.iter().any(|tensor| of_head(&tensor.name))
    }

    /// Ignores what the model has no place for, where its name says whose it is.
    fn leave_out(&mut self, is_foreign: fn(&str) -> bool) {
        let (foreign, unexpected) = std::mem::take(&mut self.keys.unexpected)
            .into_iter()
            .partition(|name: &String| is_foreign(name));
        self.keys.unexpected = unexpected;
        self.ignored.extend::<Vec<String>>(foreign);
        self.copies.retain(|(_, first)| !is_foreign(first));
    }

    /// A model of `init` with these weights, once they are known to be all there and in order.
    fn into_model<M: ModuleSnapshot>(
        self,
        dir: &Path,
        root: &str,
        device: &Device,
        init: impl FnOnce(&Device) -> Result<M, ModelError>,
    ) -> Result<M, InteropError> {
        self.require_complete()?;
        self.check_values()?;
        let path = dir.join(CONFIG_NAME);
        let mut model = init(device).map_err(|source| InteropError::Model { path, source })?;
        self.apply(&mut model, root, device)?;
        Ok(model)
    }

    /// Refuses what does not fit.
    fn require_complete(&self) -> Result<(), InteropError> {
        if self.keys.is_empty() {
            Ok(())
        } else {
            Err(InteropError::Keys { path: self.path.clone(), keys: self.keys.clone() })
        }
    }

    /// Draws every number once: all must be finite, and second copies equal to the first.
    fn check_values(&self) -> Result<(), InteropError> {
        // A pickle can describe a huge tensor as a view of a few bytes.
        let claimed = self.parameters.iter().map(|tensor| tensor.byte_len() as u64).sum::<u64>();
        if claimed > self.bytes {
            let reason =
                format!("its tensors claim `{claimed}` bytes, but it has `{}`", self.bytes);
            return Err(InteropError::Damaged { path: self.path.clone(), reason });
        }
        for tensor in &self.parameters {
            let data = self.draw(tensor)?;
            let values = data.as_slice::<f32>().expect("`draw` gives 32-bit floats");
            if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                return Err(InteropError::NonFinite {
                    path: self.path.clone(),
                    key: tensor.name.clone(),
                    index,
                    value: values[index],
                });
            }
        }
        for (copy, name) in &self.copies {
            let original = self.parameters.iter().find(|tensor| tensor.name == *name);
            let same = match original {
                Some(original) => {
                    original.shape == copy.shape
                        && copy.dtype.is_float()
                        && self.draw(original)?.bytes() == self.draw(copy)?.bytes()
                }
                None => false,
            };
            if !same {
                return Err(InteropError::Untied {
                    path: self.path.clone(),
                    key: copy.name.clone(),
                    tied_to: (*name).into(),
                });
            }
        }
        Ok(())
    }

    /// A tensor's numbers, as 32-bit floats.
    fn draw(&self, tensor: &Tensor) -> Result<TensorData, InteropError> {
        let damaged = |reason: String| InteropError::Damaged {
            path: self.path.clone(),
            reason: format!("`{}`: {reason}", tensor.name),
        };
        let data = bridge::to_data(tensor).map_err(|error| damaged(error.to_string()))?;
        data.try_cast_as::<f32>().map_err(|error| damaged(error.to_string()))
    }

    /// Puts the numbers into `model`, whose own names begin after `root`.
    fn apply<M: ModuleSnapshot>(
        self,
        model: &mut M,
        root: &str,
        device: &Device,
    ) -> Result<(), InteropError> {
        let dtype: DType = device.settings().float_dtype.into();
        let tensors = self
            .parameters
            .into_iter()
            .map(|tensor| {
                let name = tensor.name.strip_prefix(root).unwrap_or(&tensor.name);
                let (path, shape) = (module_path(name), tensor.shape.clone());
                bridge::map_data(tensor, path, dtype, shape, move |data| data.convert_dtype(dtype))
            })
            .collect();
        let adapter = Some(Box::new(PyTorchToBurnAdapter) as _);
        let result = model.apply(tensors, None, adapter, false);
        if result.errors.is_empty() && result.missing.len() == self.fresh.len() {
            return Ok(());
        }
        Err(InteropError::Damaged { path: self.path, reason: result.to_string() })
    }
}
