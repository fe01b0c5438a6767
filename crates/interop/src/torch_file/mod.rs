//! Files of `torch.save`: `pytorch_model.bin`, `.pt`, `.pth`, and the original repository's `.model` and `.cp`.
//!
//! Such a file is a container with a pickle, a program for a stack machine that builds Python objects, and the
//! numbers of the tensors beside it. Here the program is read as data. A few functions are known by name and
//! understood, those that torch itself uses to rebuild a tensor; everything else that the program would import,
//! call or construct becomes a [placeholder](value::Object::Foreign) with a name and no behaviour. So a
//! checkpoint's optimizer and scheduler are passed over, and a program that would start a shell gives an error.
//!
//! | file | holds |
//! |---|---|
//! | [`archive`] | the container since PyTorch 1.6: a ZIP archive of uncompressed entries |
//! | [`legacy`] | the container before it: pickles and numbers in one stream |
//! | [`pickle`] | a pickle's result |
//! | [`machine`] | the stack machine that makes it: one step for each opcode |
//! | [`program`], [`stack`], [`value`] | what it reads, where it works, and what it works on |
//! | [`rebuild`] | the functions that are understood |
//! | [`element`] | torch's names of number types |
//! | [`state_dict`] | finding the parameters among everything else |
//! | [`view`] | a tensor as a view of its storage |
//! | [`write`](self::write) | the other way |
//!
//! # Limits
//! Nothing is allocated, looped over or recursed into on a file's word alone: the pickle may have
//! [`MAX_PICKLE_BYTES`] bytes and [`machine::MAX_STEPS`] steps, objects are indices into one list and strings are
//! places in the pickle (no copies, no nesting to unwind), and every length and offset is checked against the
//! file. Opening reads no numbers; drawing a tensor reads its own.

mod archive;
mod element;
mod legacy;
mod machine;
mod pickle;
mod program;
mod rebuild;
mod stack;
mod state_dict;
#[cfg(test)]
mod tests;
mod value;
mod view;
mod write;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use burn::{
    store::{bridge, burn_pack::Tensor},
    tensor::{Shape, TensorData},
};

use self::{
    archive::Archive, pickle::Pickle, state_dict::StateDict, value::TensorRecord, view::View,
};
use crate::{
    error::InteropError,
    source_file::{Flaw, SourceFile, TensorMap, damaged, quoted, unsupported},
};

pub(crate) use self::write::{Entry, write};

/// Longest pickle. A checkpoint of a model with ten thousand parameters and its optimizer has 3 MB.
const MAX_PICKLE_BYTES: u64 = 16 << 20;

/// First bytes of a ZIP archive's first entry.
const ARCHIVE_SIGNATURE: &[u8] = b"PK\x03\x04";

/// Where a storage's numbers lie in the file.
#[derive(Debug, Clone, Copy)]
struct Extent {
    start: u64,
    bytes: u64,
    /// CRC-32 of the bytes, where the container has one.
    checksum: Option<u32>,
}

/// Where each storage lies, by its key.
type Extents = HashMap<String, Extent>;

/// Opens a file of `torch.save` that holds a state dict, alone or inside a checkpoint. Tensors have their stored names.
///
/// # Errors
/// If the file cannot be read, is damaged, or holds something else.
pub(crate) fn open(path: &Path) -> Result<BTreeMap<String, Tensor>, InteropError> {
    read(path).map_err(|flaw| flaw.of(path))
}

fn read(path: &Path) -> Result<BTreeMap<String, Tensor>, Flaw> {
    let file = Arc::new(SourceFile::open(path)?);
    let start = file.read(0, file.len().min(legacy::MAGIC_WITHIN))?;
    if start.starts_with(ARCHIVE_SIGNATURE) {
        let archive = Archive::open(&file)?;
        let program = archive.program(&file)?;
        let (pickle, _) = Pickle::read(&program, 0)?;
        tensors(&pickle, &archive.storages()?, &file)
    } else if legacy::is_legacy(&start) {
        let program = file.read(0, file.len().min(MAX_PICKLE_BYTES))?;
        let (pickle, storages) = legacy::read(&program, &file)?;
        tensors(&pickle, &storages, &file)
    } else {
        damaged("it is not a file of torch.save: neither a ZIP archive nor the older format")
    }
}

/// The tensors of the state dict in `pickle`.
fn tensors(
    pickle: &Pickle,
    storages: &Extents,
    file: &Arc<SourceFile>,
) -> Result<BTreeMap<String, Tensor>, Flaw> {
    let state_dict = StateDict::find(pickle)?;
    let mut tensors = TensorMap::default();
    for (name, value) in state_dict.entries()? {
        let Some(record) = pickle.tensor(value) else {
            if state_dict::is_extra(name, value, pickle) {
                continue;
            }
            let place = state_dict.place(name);
            return unsupported(format!(
                "{place} is {}, not a tensor of a known type; save `model.state_dict()` alone",
                pickle.describe(value)
            ));
        };
        let (view, extent) = locate(pickle, record, storages).map_err(|flaw| {
            let place = state_dict.place(name);
            match flaw {
                Flaw::Damaged(reason) => Flaw::Damaged(format!("{place}: {reason}")),
                Flaw::Unsupported(reason) => Flaw::Unsupported(format!("{place}: {reason}")),
                system @ Flaw::System(_) => system,
            }
        })?;
        tensors.insert(name, |name| deferred(name, view, extent, Arc::clone(file)))?;
    }
    Ok(tensors.into_inner())
}

/// The view that `record` describes, and where its storage lies.
fn locate(
    pickle: &Pickle,
    record: &TensorRecord,
    storages: &Extents,
) -> Result<(View, Extent), Flaw> {
    let storage = pickle.storage(record);
    let key = pickle.text(storage.key)?;
    let Some(extent) = storages.get(key) else {
        return damaged(format!("its storage {} is not in the file", quoted(key)));
    };
    if storage.bytes() != Some(extent.bytes) {
        return damaged(format!(
            "its storage {} claims `{}` elements and has `{}` bytes",
            quoted(key),
            storage.length,
            extent.bytes
        ));
    }
    Ok((View::new(pickle, record, extent.bytes)?, *extent))
}

/// A tensor whose numbers are read when they are drawn.
fn deferred(name: String, view: View, extent: Extent, file: Arc<SourceFile>) -> Tensor {
    let dtype = view.element.dtype();
    let shape = Shape::from(view.shape.clone());
    bridge::deferred(name, dtype, shape.clone(), None, move || {
        let bytes = view.read(&file, extent)?;
        TensorData::try_from_bytes_vec(bytes, shape.clone(), dtype)
            .map_err(|error| Flaw::Damaged(error.to_string()).into())
    })
}
