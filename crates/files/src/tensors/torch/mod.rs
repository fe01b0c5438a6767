//! Files of `torch.save`: `pytorch_model.bin`, `.pt`, `.pth`, and the original repository's `.model` and `.cp`.
//!
//! Such a file is a container with a pickle, a program for a stack machine that builds Python objects, and the
//! numbers of the tensors beside it. Here the program is read as data. A few functions are known by name and
//! understood, those that torch itself uses to rebuild a tensor; everything else that the program would import,
//! call or construct becomes a placeholder with a name and no behaviour. So a
//! checkpoint's optimizer and scheduler are passed over, and a program that would start a shell gives an error.
//!
//! | file | holds |
//! |---|---|
//! | `archive` | the container since PyTorch 1.6: a ZIP archive of uncompressed entries |
//! | `legacy` | the container before it: pickles and numbers in one stream |
//! | `pickle` | a pickle's result |
//! | `machine` | the stack machine that makes it: one step for each opcode |
//! | `program`, `stack`, `value` | what it reads, where it works, and what it works on |
//! | `rebuild` | the functions that are understood |
//! | `state_dict` | finding the parameters among everything else |
//!
//! # Limits
//! Nothing is allocated, looped over or recursed into on a file's word alone: the pickle may have
//! `MAX_PICKLE_BYTES` bytes and `machine::MAX_STEPS` steps, objects are indices into one list and strings are
//! places in the pickle (no copies, no nesting to unwind), and every length and offset is checked against the
//! file. Opening reads no numbers; drawing a tensor reads its own.

mod archive;
mod legacy;
mod machine;
mod pickle;
mod program;
mod rebuild;
mod stack;
mod state_dict;
mod value;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use self::{
    archive::Archive,
    pickle::Pickle,
    state_dict::StateDict,
    value::{PyValue, TensorRecord},
};
use super::{
    StoredTensor,
    source_file::{Flaw, SourceFile, TensorMap, damaged, quoted, unsupported},
    view::{Extent, MAX_RANK, View},
};

/// Longest pickle. A checkpoint of a model with ten thousand parameters and its optimizer has 3 MB.
const MAX_PICKLE_BYTES: u64 = 16 << 20;

/// First bytes of a ZIP archive's first entry.
const ARCHIVE_SIGNATURE: &[u8] = b"PK\x03\x04";

/// Where each storage lies, by its key.
type Extents = HashMap<String, Extent>;

/// Opens a file of `torch.save` that holds a state dict, alone or inside a checkpoint. Tensors have their stored names.
///
/// # Errors
/// If the file cannot be read, is damaged, or holds something else.
pub fn open_state_dict(path: &Path) -> Result<BTreeMap<String, StoredTensor>, Flaw> {
    read(path, state_dict_tensors)
}

/// Opens a file of `torch.save` that holds a tensor alone, which has the name `""` here, or a dict of tensors; what else is
/// in the dict is passed over.
///
/// # Errors
/// If the file cannot be read, is damaged, or holds something else.
pub fn open(path: &Path) -> Result<BTreeMap<String, StoredTensor>, Flaw> {
    read(path, plain_tensors)
}

/// From a pickle, the places of its storages and the file to what is wanted.
type Wanted =
    fn(&Pickle, &Extents, &Arc<SourceFile>) -> Result<BTreeMap<String, StoredTensor>, Flaw>;

fn read(path: &Path, wanted: Wanted) -> Result<BTreeMap<String, StoredTensor>, Flaw> {
    let file = Arc::new(SourceFile::open(path)?);
    let start = file.read(0, file.len().min(legacy::MAGIC_WITHIN))?;
    if start.starts_with(ARCHIVE_SIGNATURE) {
        let archive = Archive::open(&file)?;
        let program = archive.program(&file)?;
        let (pickle, _) = Pickle::read(&program, 0)?;
        wanted(&pickle, &archive.storages()?, &file)
    } else if legacy::is_legacy(&start) {
        let program = file.read(0, file.len().min(MAX_PICKLE_BYTES))?;
        let (pickle, storages) = legacy::read(&program, &file)?;
        wanted(&pickle, &storages, &file)
    } else {
        damaged("it is not a file of torch.save: neither a ZIP archive nor the older format")
    }
}

/// A tensor at the top level, or those of the dict that is the top level.
fn plain_tensors(
    pickle: &Pickle,
    storages: &Extents,
    file: &Arc<SourceFile>,
) -> Result<BTreeMap<String, StoredTensor>, Flaw> {
    let mut tensors = TensorMap::default();
    let mut add = |name: &str, record| -> Result<(), Flaw> {
        let (view, extent) = locate(pickle, record, storages)?;
        tensors.insert(name, StoredTensor::viewed(view, extent, Arc::clone(file)))
    };
    if let Some(record) = pickle.tensor(pickle.root) {
        add("", record)?;
    } else if let Some(items) = pickle.objects.dict(pickle.root) {
        for (name, value) in items {
            if let (PyValue::Text(name), Some(record)) = (name, pickle.tensor(*value)) {
                add(pickle.text(*name)?, record)?;
            }
        }
    } else {
        return unsupported(format!(
            "its top level is {}, neither a tensor nor a dict of tensors; save the tensor alone with torch.save",
            pickle.describe(pickle.root)
        ));
    }
    Ok(tensors.into_inner())
}

/// The tensors of the state dict in `pickle`.
fn state_dict_tensors(
    pickle: &Pickle,
    storages: &Extents,
    file: &Arc<SourceFile>,
) -> Result<BTreeMap<String, StoredTensor>, Flaw> {
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
        tensors.insert(name, StoredTensor::viewed(view, extent, Arc::clone(file)))?;
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
    Ok((view(pickle, record, extent.bytes)?, *extent))
}

/// The view that `record` describes, checked against a storage of `bytes`.
fn view(pickle: &Pickle, record: &TensorRecord, bytes: u64) -> Result<View, Flaw> {
    let shape = dimensions(pickle, record.shape)?;
    let strides = dimensions(pickle, record.strides)?;
    View::new(record.element, shape, strides, natural(record.offset)?, bytes)
}

/// A tuple of sizes or strides.
fn dimensions(pickle: &Pickle, value: PyValue) -> Result<Vec<u64>, Flaw> {
    match pickle.objects.tuple(value) {
        Some(items) if items.len() <= MAX_RANK => items.iter().map(|item| natural(*item)).collect(),
        Some(items) => unsupported(format!("it has `{}` dimensions", items.len())),
        None => damaged("its shape or its strides are no tuple"),
    }
}

fn natural(value: PyValue) -> Result<u64, Flaw> {
    match value {
        PyValue::Integer(number) if number >= 0 => Ok(number as u64),
        PyValue::Integer(number) => {
            damaged(format!("its shape or place has the number `{number}`"))
        }
        _ => damaged("its shape or place is not all numbers"),
    }
}
