//! Opening weight files: safetensors or torch's, whole or in shards.
//!
//! Files of a wrapped model (`DataParallel`, `torch.compile`, Lightning …) give the names of the model itself.
//! Opening reads headers only; the numbers stay on disk until they are drawn.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use burn::store::burn_pack::Tensor;
use nystromformer_files::tensors::MAX_TENSORS;
use serde_json::Value;

use super::{
    json_file::{read_json, regular_file_size},
    model_path::missing,
    names::full_name,
    wrappers::unwrapped,
};
use crate::{
    error::InteropError,
    stored_tensors::{open_safetensors, open_torch},
};

/// Name of the weight file that this library writes.
pub(super) const WEIGHTS_NAME: &str = "model.safetensors";

/// Names to look for in a folder, in transformers' order of preference.
pub(super) const CANDIDATES: [&str; 4] = [
    WEIGHTS_NAME,
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Files that one model may be in. The largest models are in some hundreds.
const MAX_SHARDS: usize = 1 << 10;

/// Longest name of a file that file systems have.
const MAX_FILE_NAME_BYTES: usize = 255;

/// The tensors of one model, unread.
pub(crate) struct WeightFiles {
    /// What messages name: the weight file, or the index of several.
    pub path: PathBuf,
    /// By full name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Size of all files together.
    pub bytes: u64,
}

impl WeightFiles {
    /// Opens the weights in folder `path`, or the weight file or index `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, InteropError> {
        let path = find(path)?;
        let files = if path.extension().is_some_and(|extension| extension == "json") {
            shards(&path)?
        } else {
            vec![path.clone()]
        };

        let mut bytes: u64 = 0;
        let mut stored = BTreeMap::new();
        for file in files {
            bytes = bytes.saturating_add(regular_file_size(&file)?);
            for (name, tensor) in open_file(&file)? {
                if stored.insert(name.clone(), tensor).is_some() {
                    let reason = format!("it brings a second `{name}`");
                    return Err(InteropError::Damaged { path: file, reason });
                }
                if stored.len() > MAX_TENSORS {
                    let reason = format!("its files hold more than {MAX_TENSORS} tensors");
                    return Err(InteropError::Damaged { path, reason });
                }
            }
        }
        let second = |name: String| InteropError::Damaged {
            path: path.clone(),
            reason: format!("it holds `{name}` under two names"),
        };
        let mut tensors = BTreeMap::new();
        for (name, tensor) in unwrapped(stored).map_err(second)? {
            let name = full_name(&name);
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(second(name));
            }
        }
        Ok(Self { path, tensors, bytes })
    }
}

/// The file to open for `path`.
fn find(path: &Path) -> Result<PathBuf, InteropError> {
    if !path.exists() {
        return Err(missing(path, "weights are a file, or a folder that holds them"));
    }
    if !path.is_dir() {
        regular_file_size(path)?;
        return Ok(path.to_owned());
    }
    let candidates = CANDIDATES.iter().map(|name| path.join(name));
    candidates
        .into_iter()
        .find(|candidate| candidate.exists())
        .or_else(|| newest_epoch(path))
        .ok_or_else(|| InteropError::Missing {
            path: path.join(WEIGHTS_NAME),
            expected: format!("a model folder holds one of {}", CANDIDATES.join(", ")),
        })
}

/// The last epoch of a folder of the authors' scripts: `cp-0099.model`, or else `.cp` with the optimizer's state.
fn newest_epoch(folder: &Path) -> Option<PathBuf> {
    let mut epochs: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_weights = path.extension().is_some_and(|end| end == "model" || end == "cp");
            name.starts_with("cp-") && is_weights
        })
        .collect();
    // `.model` is after `.cp`: of one epoch it is the smaller file.
    epochs.sort();
    epochs.pop()
}

/// Tensors of one file by stored name.
fn open_file(path: &Path) -> Result<BTreeMap<String, Tensor>, InteropError> {
    if path.extension().is_some_and(|extension| extension == "safetensors") {
        open_safetensors(path)
    } else {
        open_torch(path)
    }
}

/// The distinct files that an index names.
fn shards(index: &Path) -> Result<Vec<PathBuf>, InteropError> {
    let damaged = |reason: String| InteropError::Damaged { path: index.to_owned(), reason };
    let content = read_json(index, "a model folder holds the index of its shards")?;
    let Some(Value::Object(weight_map)) = content.get("weight_map") else {
        return Err(damaged("it has no table `weight_map`".into()));
    };
    let mut names = BTreeSet::new();
    for (parameter, shard) in weight_map {
        // A name with a folder in it could point anywhere on the machine.
        let name = shard.as_str().filter(|name| {
            let mut components = Path::new(name).components();
            name.len() <= MAX_FILE_NAME_BYTES
                && !name.chars().any(char::is_control)
                && matches!(
                    (components.next(), components.next()),
                    (Some(Component::Normal(_)), None)
                )
        });
        names.insert(name.ok_or_else(|| {
            damaged(format!("the shard of `{parameter}` is `{shard}`, not a file name"))
        })?);
    }
    if names.len() > MAX_SHARDS {
        return Err(damaged(format!("it names `{}` files", names.len())));
    }
    let folder = index.parent().unwrap_or(Path::new(""));
    let absent: Vec<&str> =
        names.iter().copied().filter(|name| !folder.join(name).exists()).collect();
    if let Some(first) = absent.first() {
        return Err(damaged(format!(
            "`{}` of the `{}` files that it names are not there, the first is `{first}`: a download was not complete; fetch them",
            absent.len(),
            names.len()
        )));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
