//! The container before PyTorch 1.6, and of `torch.save(…, _use_new_zipfile_serialization=False)` since.
//!
//! Five pickles one after the other: a magic number, the version 1001, facts about the machine that wrote it,
//! the object, and the list of storage keys. The storages follow in the order of that list, each with the number
//! of its elements in eight bytes before them.

use std::collections::HashMap;

use super::{
    Extents,
    pickle::Pickle,
    value::{Object, PyValue, Storage},
};
use crate::tensors::source_file::{Flaw, SourceFile, damaged, quoted, unsupported};
use crate::tensors::view::Extent;

/// Bytes at the start of a file that the magic number lies within, whatever the protocol of its pickle.
pub(super) const MAGIC_WITHIN: u64 = 32;

/// The magic number as a pickled integer of ten bytes.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

const VERSION: PyValue = PyValue::Integer(1001);

/// Whether a file that starts so is in this format.
pub(super) fn is_legacy(start: &[u8]) -> bool {
    start.windows(MAGIC.len()).any(|window| window == MAGIC)
}

/// Runs the pickles in `program`, the start of `file`, and finds the storages behind them.
pub(super) fn read<'a>(
    program: &'a [u8],
    file: &SourceFile,
) -> Result<(Pickle<'a>, Extents), Flaw> {
    let (_, end) = Pickle::read(program, 0)?;
    let (version, end) = Pickle::read(program, end)?;
    if version.root != VERSION {
        return damaged("its version is not 1001");
    }
    let (machine, end) = Pickle::read(program, end)?;
    check_byte_order(&machine)?;
    let (pickle, end) = Pickle::read(program, end)?;
    let (keys, end) = Pickle::read(program, end)?;
    let storages = storages(&pickle, &keys, file, end as u64)?;
    Ok((pickle, storages))
}

fn check_byte_order(machine: &Pickle) -> Result<(), Flaw> {
    for (key, value) in machine.objects.dict(machine.root).unwrap_or_default() {
        let PyValue::Text(key) = key else { continue };
        if machine.text(*key)? == "little_endian" && *value == PyValue::Bool(false) {
            return unsupported(
                "its numbers are big-endian; load it with PyTorch on this machine and save it again",
            );
        }
    }
    Ok(())
}

/// Follows the storages from byte `start` to the last.
fn storages(
    pickle: &Pickle,
    keys: &Pickle,
    file: &SourceFile,
    start: u64,
) -> Result<Extents, Flaw> {
    let known = known_storages(pickle)?;
    let mut extents = HashMap::new();
    let mut position = start;
    for key in keys.objects.list(keys.root).unwrap_or_default() {
        let PyValue::Text(key) = key else { return damaged("a storage's key is no string") };
        let key = keys.text(*key)?;
        let Some(storage) = known.get(key) else {
            return unsupported(format!(
                "its storage {} has no known type; save `model.state_dict()` alone",
                quoted(key)
            ));
        };
        let length = u64::from_le_bytes(file.read_array(position)?);
        // The read has shown that the position lies in the file.
        let start = position + 8;
        let bytes = storage.bytes().filter(|bytes| *bytes <= file.len() - start);
        let Some(bytes) = bytes.filter(|_| length == storage.length) else {
            return damaged(format!(
                "its storage {} claims `{}` elements, has `{length}`, and `{}` bytes are left in the file",
                quoted(key),
                storage.length,
                file.len() - start
            ));
        };
        position = start + bytes;
        if extents.insert(key.to_owned(), Extent { start, bytes, checksum: None }).is_some() {
            return damaged(format!("it lists the storage {} twice", quoted(key)));
        }
    }
    Ok(extents)
}

/// The storages that the pickle refers to.
fn known_storages<'a>(pickle: &Pickle<'a>) -> Result<HashMap<&'a str, Storage>, Flaw> {
    let mut known: HashMap<&str, Storage> = HashMap::new();
    for object in pickle.objects.iter() {
        if let Object::Storage(storage) = object {
            let key = pickle.text(storage.key)?;
            let first = known.entry(key).or_insert(*storage);
            if (first.element, first.length) != (storage.element, storage.length) {
                return damaged(format!("it describes the storage {} in two ways", quoted(key)));
            }
        }
    }
    Ok(known)
}
