//! Matching what a file holds with what a model needs.
//!
//! Everything that can be refused is refused before memory is asked for or a module is touched: first names
//! and shapes against the configuration, then sizes against the file, then the numbers themselves.

use std::{
    collections::{BTreeSet, btree_map::Entry},
    path::{Path, PathBuf},
};

use burn::{
    store::{ModuleSnapshot, PyTorchToBurnAdapter, bridge, burn_pack::Tensor},
    tensor::{DType, Device, TensorData},
};
use nystromformer::{
    Architecture, Model, ModelClass, ModelError, Nystromformer, NystromformerConfig,
    PreTrainedModel,
};

use super::{
    config::{CONFIG_NAME, read_config},
    names::{
        ENCODER, Inventory, STALE, architecture_of, head_part, is_landmark_score, module_path,
        parameters, parameters_of, parameters_of_class, second_names, start_of,
    },
    weights::WeightFiles,
};
use crate::error::{InteropError, KeyMismatch, ShapeMismatch};

/// More layers than any model has. Names are listed for each, and shared ones are written once each.
const MAX_LAYERS: usize = 1024;

/// What [`load_weights`] did, in Hugging Face's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters that now have the file's values.
    pub loaded: Vec<String>,
    /// Parameters of the head that kept their values, because the file does not have them or has them for
    /// another number of classes.
    pub fresh: Vec<String>,
    /// Tensors of the file that no parameter here wants: other heads and stale buffers.
    pub ignored: Vec<String>,
}

/// Reads a model of whichever class a folder holds: `config.json` with `model.safetensors`,
/// `pytorch_model.bin`, or shards of either with their index.
///
/// The names of its weights say which class it is. They may lack the start `nystromformer.`; the tied decoder
/// may be stored or not. Half-precision weights become the device's float type.
///
/// # Errors
/// If a file is absent or damaged, or if weights are missing, unexpected, of another shape, not finite, or
/// (the decoder, shared layers) not equal to what they are shared with.
pub fn load_model(dir: &Path, device: &Device) -> Result<Model, InteropError> {
    load_files(WeightFiles::open(dir)?, &read_config(dir)?, dir, device)
}

/// A model of `config` with the weights of `files`. `dir` is the folder of `config`.
pub(crate) fn load_files(
    files: WeightFiles,
    config: &NystromformerConfig,
    dir: &Path,
    device: &Device,
) -> Result<Model, InteropError> {
    let architecture = architecture_of(files.tensors.keys().map(String::as_str));
    // Drawing weights that will be overwritten would take longer than reading them.
    let build = |device: &Device| Ok(Model::build(architecture, config, device));
    Matched::new(files, || parameters(architecture, config), config)?.into_model(dir, device, build)
}

/// Reads a model of class `M` from a folder in any of the forms that [`load_model`] reads. The encoder
/// alone ([`Nystromformer`]) can be read from any class's folder, and a class
/// from one that holds more than it.
///
/// # Errors
/// As for [`load_model`]; [`InteropError::NoHead`] if the folder holds a bare encoder or another class.
pub fn load<M: ModelClass>(dir: &Path, device: &Device) -> Result<M, InteropError> {
    let config = read_config(dir)?;
    let wanted = || parameters_of_class::<M>(&config);
    let mut matched = Matched::new(WeightFiles::open(dir)?, wanted, &config)?;
    matched.leave_out_other_heads();
    if matched.lacks_whole_head() {
        return Err(InteropError::NoHead { path: matched.path, class: M::CLASS.name });
    }
    matched.into_model(dir, device, |device| Ok(M::build(&config, device)))
}

/// Reads the encoder in a folder as a model of `config`, whatever its `config.json` says.
pub(super) fn load_encoder_as(
    config: &NystromformerConfig,
    dir: &Path,
    device: &Device,
) -> Result<Nystromformer, InteropError> {
    let wanted = || parameters_of_class::<Nystromformer>(config);
    let mut matched = Matched::new(WeightFiles::open(dir)?, wanted, config)?;
    matched.leave_out_other_heads();
    matched.into_model(dir, device, |device| Ok(Nystromformer::build(config, device)))
}

/// The class of the model in a folder, by the names of its weights.
///
/// # Errors
/// If the weights' names cannot be read.
pub fn read_architecture(dir: &Path) -> Result<Architecture, InteropError> {
    Ok(architecture_of(WeightFiles::open(dir)?.tensors.keys().map(String::as_str)))
}

/// Reads weights into a model that exists, from a folder, a weight file, or an index of shards.
///
/// The encoder must be complete, but for scores of landmarks, which then start at zero. Each part of the head may be absent, as in a bare encoder or a model with
/// another head, or be made for another number of classes; then the model's own stays, and the report says so.
/// On an error the model is unchanged.
///
/// # Errors
/// As for [`load_model`], of the encoder's weights.
pub fn load_weights<M: PreTrainedModel>(
    model: &mut M,
    path: &Path,
) -> Result<LoadReport, InteropError> {
    let files = WeightFiles::open(path)?;
    let mut matched = Matched::new(files, || parameters_of(model), model.config())?;
    matched.keep_own_head_parts();
    matched.keep_own(is_landmark_score);
    matched.leave_out_other_heads();
    matched.require_complete()?;
    matched.check_values()?;

    let report = LoadReport {
        loaded: matched.parameters.iter().map(|tensor| tensor.name.clone()).collect(),
        fresh: matched.fresh.clone(),
        ignored: matched.ignored.clone(),
    };
    let device = model.devices().first().cloned().unwrap_or_default();
    matched.apply(model, &device)?;
    Ok(report)
}

/// Reads weights into a model that exists, from a folder that holds exactly those of its class; scores of landmarks may be left over,
/// of a model that is read with another attention than its own. On an error the model is unchanged.
///
/// # Errors
/// As for [`load_model`].
pub fn load_all_weights<M: PreTrainedModel>(model: &mut M, dir: &Path) -> Result<(), InteropError> {
    let mut matched =
        Matched::new(WeightFiles::open(dir)?, || parameters_of(model), model.config())?;
    matched.keys.unexpected.retain(|name| !is_landmark_score(name));
    matched.require_complete()?;
    matched.check_values()?;
    let device = model.devices().first().cloned().unwrap_or_default();
    matched.apply(model, &device)
}

/// A file's tensors, sorted by what becomes of them.
pub(crate) struct Matched {
    path: PathBuf,
    bytes: u64,
    /// To be loaded, by full name.
    parameters: Vec<Tensor>,
    /// Second copies of shared parameters, and the first copy's name.
    copies: Vec<(Tensor, String)>,
    layers_per_group: usize,
    keys: KeyMismatch,
    fresh: Vec<String>,
    ignored: Vec<String>,
}

impl Matched {
    /// Compares names and shapes with the `wanted` ones, those of a model of `config`.
    pub(crate) fn new(
        files: WeightFiles,
        wanted: impl FnOnce() -> Inventory,
        config: &NystromformerConfig,
    ) -> Result<Self, InteropError> {
        let WeightFiles { path, mut tensors, bytes } = files;
        if config.encoder.num_own_layers() > tensors.len()
            || config.encoder.num_hidden_layers > MAX_LAYERS
        {
            // Also keeps an absurd number from listing as many names.
            let reason = format!(
                "it holds `{}` tensors, which does not fit num_hidden_layers = {} (at most {MAX_LAYERS} are read)",
                tensors.len(),
                config.encoder.num_hidden_layers
            );
            return Err(InteropError::Damaged { path, reason });
        }

        let ignored: Vec<String> = STALE
            .iter()
            .filter(|name| tensors.remove(**name).is_some())
            .map(ToString::to_string)
            .collect();
        let mut copies = Vec::new();
        for (second, first) in second_names(config) {
            if let Some(tensor) = tensors.remove(&second) {
                match tensors.entry(first) {
                    Entry::Occupied(entry) => copies.push((tensor, entry.key().clone())),
                    Entry::Vacant(entry) => {
                        entry.insert(tensor);
                    }
                }
            }
        }

        let mut keys = KeyMismatch::default();
        let mut fitting = Vec::new();
        for (name, expected) in wanted() {
            match tensors.remove(&name) {
                None => keys.missing.push(name),
                Some(mut tensor) if tensor.shape[..] == expected[..] && tensor.dtype.is_float() => {
                    tensor.name = name;
                    fitting.push(tensor);
                }
                Some(tensor) => {
                    let found = format!("{:?} {:?}", &tensor.shape[..], tensor.dtype);
                    keys.mismatched.push(ShapeMismatch { name, found, expected });
                }
            }
        }
        keys.unexpected = tensors.into_keys().collect();
        Ok(Self {
            path,
            bytes,
            parameters: fitting,
            copies,
            layers_per_group: config.encoder.layers_per_group(),
            keys,
            fresh: Vec::new(),
            ignored,
        })
    }

    /// Whether nothing of the head is there, while all of the encoder is.
    fn lacks_whole_head(&self) -> bool {
        !self.keys.missing.is_empty()
            && self.keys.missing.iter().all(|name| !name.starts_with(ENCODER))
            && self.parameters.iter().all(|tensor| tensor.name.starts_with(ENCODER))
    }

    /// Leaves the model its own parameters of these names where the file's are absent or do not fit; those that
    /// the model has no place for are ignored.
    pub(crate) fn keep_own(&mut self, is_own: impl Fn(&str) -> bool) {
        let take = |names: &mut Vec<String>| -> Vec<String> {
            names.extract_if(.., |name| is_own(name)).collect()
        };
        self.fresh.extend(take(&mut self.keys.missing));
        self.ignored.extend(take(&mut self.keys.unexpected));
        let mismatched = self.keys.mismatched.extract_if(.., |mismatch| is_own(&mismatch.name));
        self.fresh.extend(mismatched.map(|mismatch| mismatch.name));
    }

    /// Leaves the model its own head where the file has none like it, part by part.
    fn keep_own_head_parts(&mut self) {
        let missing = self.keys.missing.iter();
        let mismatched = self.keys.mismatched.iter().map(|mismatch| &mismatch.name);
        let own: BTreeSet<String> = missing
            .chain(mismatched)
            .filter(|name| !name.starts_with(ENCODER))
            .map(|name| start_of(name).to_owned())
            .collect();
        let is_own = |name: &str| own.contains(start_of(name));
        self.keep_own(is_own);
        let fitting = self.parameters.extract_if(.., |tensor| is_own(&tensor.name));
        self.fresh.extend(fitting.map(|tensor| tensor.name));
    }

    /// Ignores the parameters of heads that the model does not have.
    fn leave_out_other_heads(&mut self) {
        let foreign = self.keys.unexpected.extract_if(.., |name| head_part(name).is_some());
        self.ignored.extend(foreign);
        let parameters = &self.parameters;
        self.copies.retain(|(_, first)| {
            head_part(first).is_none() || parameters.iter().any(|tensor| tensor.name == *first)
        });
    }

    /// A model of `init` with these weights, once they are known to be all there and in order.
    pub(crate) fn into_model<M: PreTrainedModel>(
        self,
        dir: &Path,
        device: &Device,
        init: impl FnOnce(&Device) -> Result<M, ModelError>,
    ) -> Result<M, InteropError> {
        self.require_complete()?;
        self.check_values()?;
        let path = dir.join(CONFIG_NAME);
        let mut model = init(device).map_err(|source| InteropError::Model { path, source })?;
        self.apply(&mut model, device)?;
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
                    tied_to: name.clone(),
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

    /// Puts the numbers into `model`.
    fn apply<M: PreTrainedModel>(self, model: &mut M, device: &Device) -> Result<(), InteropError> {
        // The bare encoder's own names lack the start.
        let root = if *model.class() == Nystromformer::CLASS { ENCODER } else { "" };
        let layers_per_group = self.layers_per_group;
        let dtype: DType = device.settings().float_dtype.into();
        let tensors = self
            .parameters
            .into_iter()
            .map(|tensor| {
                let name = tensor.name.strip_prefix(root).unwrap_or(&tensor.name);
                let (path, shape) = (module_path(name, layers_per_group), tensor.shape.clone());
                bridge::map_data(tensor, path, dtype, shape, move |data| data.convert_dtype(dtype))
            })
            .collect();
        let adapter = Some(Box::new(PyTorchToBurnAdapter) as _);
        let result = model.apply(tensors, None, adapter, true);
        if result.errors.is_empty() && result.missing.len() == self.fresh.len() {
            return Ok(());
        }
        Err(InteropError::Damaged { path: self.path, reason: result.to_string() })
    }
}
