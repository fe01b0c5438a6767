//! Writing a model's folder.

use std::{fs, path::Path};

use burn::store::{
    BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, SafetensorsStore,
};
use nystromformer::PreTrainedModel;

use super::{
    config::write_config, names::TO_PUBLISHED, storage::StorageType, weights::WEIGHTS_NAME,
};
use crate::error::InteropError;

/// Writes `config.json` and `model.safetensors` to a folder, which is made if absent; either file is
/// replaced if present.
///
/// Weights are stored in 32-bit floats under transformers' names, the tied decoder only once, as the token
/// embedding, and layers that share their weights once each, since transformers knows no such layers. The
/// same model gives the same bytes, and [`load_model`](super::load_model) gives back the same bits. Each file
/// is complete or absent; that both are is for the caller to ensure, by writing to a scratch folder and
/// renaming it.
///
/// # Errors
/// If a file cannot be written.
pub fn save<M: PreTrainedModel>(model: &M, dir: &Path) -> Result<(), InteropError> {
    fs::create_dir_all(dir)
        .map_err(|source| InteropError::Write { path: dir.to_owned(), source })?;
    let storage = StorageType::F32;
    write_config(model.config(), model.class(), storage, dir)?;
    save_weights(model, storage, dir)
}

/// Writes `dir/model.safetensors`; the folder must exist.
pub(crate) fn save_weights<M: PreTrainedModel>(
    model: &M,
    storage: StorageType,
    dir: &Path,
) -> Result<(), InteropError> {
    let path = dir.join(WEIGHTS_NAME);
    let mut store = SafetensorsStore::from_file(&path)
        .overwrite(true)
        .skip_enum_variants(true)
        .with_to_adapter(BurnToPyTorchAdapter.chain(FloatCastAdapter::to(storage.dtype())))
        .clear_metadata()
        // transformers refuses a file that does not say which library's tensors it holds.
        .metadata("format", "pt");
    for (module_path, published) in TO_PUBLISHED {
        store = store.with_key_remapping(module_path, published);
    }
    let unwritable = |source| InteropError::Write { path: path.clone(), source };
    let saved = if model.config().encoder.num_hidden_groups == 0 {
        model.save_into(&mut store)
    } else {
        // A clone of a module is a clone of handles.
        let mut unshared = model.clone();
        let encoder = &mut unshared.nystromformer_mut().encoder;
        *encoder = encoder.unshared();
        unshared.save_into(&mut store)
    };
    saved.map_err(|error| unwritable(std::io::Error::other(error.to_string())))?;
    open_to_readers_of_folder(&path, dir).map_err(unwritable)
}

/// The weights come from a temporary file, which its owner alone may read: whoever may read the folder may read
/// them too.
fn open_to_readers_of_folder(path: &Path, dir: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir)?.permissions().mode() & 0o666;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = (path, dir);
    Ok(())
}
