//! The container since PyTorch 1.6: a ZIP archive.
//!
//! ```text
//! NAME/data.pkl     the pickle
//! NAME/byteorder    "little" or "big"; absent before 1.13, when all were little
//! NAME/data/KEY     one storage
//! ```
//!
//! Every entry that matters is stored as it is, so what an archive says of its entries can be held against the
//! file: each lies in a place of its own before the directory, and is as long as it says. A compressed entry,
//! whose length would be anybody's guess, is not read.

use std::collections::HashMap;

use super::{Extents, MAX_PICKLE_BYTES};
use crate::tensors::source_file::{Flaw, SourceFile, damaged, quoted, unsupported};
use crate::tensors::view::Extent;

/// Entries in an archive: twice the tensors of a file.
const MAX_ENTRIES: usize = 1 << 17;

/// Bytes of the directory.
const MAX_DIRECTORY_BYTES: u64 = 16 << 20;

/// Bytes of the record that ends an archive, without a comment, and of a comment at most.
const END_BYTES: u64 = 22;
const MAX_COMMENT_BYTES: u64 = u16::MAX as u64;

/// Bytes of what may stand before it: where the record with wide numbers is.
const LOCATOR_BYTES: u64 = 20;

/// Bytes of an entry's record in the directory, and before its data; names and extra fields follow.
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: u64 = 30;

const END_SIGNATURE: &[u8] = b"PK\x05\x06";
const LOCATOR_SIGNATURE: &[u8] = b"PK\x06\x07";
const WIDE_END_SIGNATURE: &[u8] = b"PK\x06\x06";
const ENTRY_SIGNATURE: &[u8] = b"PK\x01\x02";
const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";

/// Identifier of the extra field with wide numbers, which stand in for those that are all ones.
const WIDE_FIELD: u16 = 1;

/// An archive of `torch.save`.
pub(super) struct Archive {
    /// Where the entries lie, by name; `None` for those that are compressed or encrypted.
    entries: HashMap<String, Option<Extent>>,
    /// Start of every name.
    root: String,
}

impl Archive {
    /// Reads the directory and checks it against the file.
    pub(super) fn open(file: &SourceFile) -> Result<Self, Flaw> {
        let directory = Directory::find(file)?;
        let entries = directory.entries(file)?;
        let mut roots = entries.keys().filter_map(|name| {
            let root = name.strip_suffix("data.pkl")?;
            (root.is_empty() || root.find('/') == Some(root.len() - 1)).then_some(root)
        });
        let root = match (roots.next(), roots.next()) {
            (Some(root), None) => root.to_owned(),
            (None, _) => return damaged("it is a ZIP archive without a data.pkl"),
            (Some(_), Some(_)) => return damaged("it is a ZIP archive with two data.pkl"),
        };
        if entries.contains_key(&format!("{root}constants.pkl")) {
            return unsupported(
                "it is a TorchScript program; save `model.state_dict()` with torch.save",
            );
        }
        let archive = Self { entries, root };
        archive.check_byte_order(file)?;
        Ok(archive)
    }

    /// The pickle's bytes.
    pub(super) fn program(&self, file: &SourceFile) -> Result<Vec<u8>, Flaw> {
        let name = format!("{}data.pkl", self.root);
        let extent = plain(&name, self.entries[&name])?;
        if extent.bytes > MAX_PICKLE_BYTES {
            return damaged(format!(
                "its pickle has `{}` bytes, where at most {MAX_PICKLE_BYTES} are read",
                extent.bytes
            ));
        }
        extent.read(file)
    }

    /// Where each storage lies, by its key.
    pub(super) fn storages(self) -> Result<Extents, Flaw> {
        let start = format!("{}data/", self.root);
        let mut storages = HashMap::new();
        for (name, entry) in self.entries {
            if let Some(key) = name.strip_prefix(&start) {
                storages.insert(key.to_owned(), plain(&name, entry)?);
            }
        }
        Ok(storages)
    }

    fn check_byte_order(&self, file: &SourceFile) -> Result<(), Flaw> {
        let name = format!("{}byteorder", self.root);
        let Some(entry) = self.entries.get(&name) else { return Ok(()) };
        let extent = plain(&name, *entry)?;
        let order = if extent.bytes > 8 { Vec::new() } else { extent.read(file)? };
        match order.trim_ascii() {
            b"little" => Ok(()),
            b"big" => unsupported(
                "its numbers are big-endian; load it with PyTorch on this machine and save it again",
            ),
            _ => damaged("its byteorder is neither `little` nor `big`"),
        }
    }
}

/// An entry that is stored as it is.
fn plain(name: &str, entry: Option<Extent>) -> Result<Extent, Flaw> {
    match entry {
        Some(extent) => Ok(extent),
        None => unsupported(format!(
            "its entry {} is compressed or encrypted, as torch.save writes none; load it with PyTorch and save \
             it again",
            quoted(name)
        )),
    }
}

/// Place of the list of entries.
struct Directory {
    start: u64,
    bytes: u64,
    entries: u64,
}

impl Directory {
    /// Reads the record at the end of the file, and the one with wide numbers if there is one.
    fn find(file: &SourceFile) -> Result<Self, Flaw> {
        let tail_bytes = file.len().min(END_BYTES + MAX_COMMENT_BYTES);
        let tail = file.read(file.len() - tail_bytes, tail_bytes)?;
        // The record's comment, which torch leaves empty, must reach to the end of the file.
        let end = (0..tail.len().saturating_sub(END_BYTES as usize - 1)).rev().find(|start| {
            let record = &tail[*start..];
            record.starts_with(END_SIGNATURE)
                && usize::from(u16_at(record, 20)) == record.len() - END_BYTES as usize
        });
        let Some(end) = end else {
            return damaged("it is a ZIP archive without an end: it has been cut short");
        };
        let record = &tail[end..];
        let end = file.len() - tail_bytes + end as u64;
        let narrow = Self {
            entries: u16_at(record, 10).into(),
            bytes: u32_at(record, 12).into(),
            start: u32_at(record, 16).into(),
        };
        let (directory, limit) = match Self::find_wide(file, end)? {
            Some(wide) => wide,
            None => (narrow, end),
        };
        let fits = directory.start.checked_add(directory.bytes).is_some_and(|last| last <= limit);
        if !fits || directory.bytes > MAX_DIRECTORY_BYTES || directory.entries > MAX_ENTRIES as u64
        {
            return damaged(format!(
                "its ZIP directory claims `{}` entries in `{}` bytes at byte `{}`",
                directory.entries, directory.bytes, directory.start
            ));
        }
        Ok(directory)
    }

    /// The directory with wide numbers and where the record of it begins, if the record that begins at `end`
    /// has one before it.
    fn find_wide(file: &SourceFile, end: u64) -> Result<Option<(Self, u64)>, Flaw> {
        let Some(start) = end.checked_sub(LOCATOR_BYTES) else { return Ok(None) };
        let locator = file.read(start, LOCATOR_BYTES)?;
        if !locator.starts_with(LOCATOR_SIGNATURE) {
            return Ok(None);
        }
        let start = u64_at(&locator, 8);
        let record = file.read_array::<56>(start)?;
        if !record.starts_with(WIDE_END_SIGNATURE) {
            return damaged("its ZIP directory is not where it says");
        }
        let directory = Self {
            entries: u64_at(&record, 32),
            bytes: u64_at(&record, 40),
            start: u64_at(&record, 48),
        };
        Ok(Some((directory, start)))
    }

    /// Where each entry's data lies.
    fn entries(&self, file: &SourceFile) -> Result<HashMap<String, Option<Extent>>, Flaw> {
        let bytes = file.read(self.start, self.bytes)?;
        let mut rest = &bytes[..];
        let mut entries = HashMap::new();
        let mut places = Vec::new();
        for _ in 0..self.entries {
            let Entry { name, extent, place } = self.entry(&mut rest, file)?;
            places.push(place);
            if entries.insert(name.to_owned(), extent).is_some() {
                return damaged(format!("its ZIP directory has {} twice", quoted(name)));
            }
        }
        places.sort_unstable();
        if places.is_sorted_by(|left, right| left.1 <= right.0) {
            Ok(entries)
        } else {
            damaged("entries of its ZIP directory overlap")
        }
    }

    /// The next entry of `rest`, which is left behind it.
    fn entry<'a>(&self, rest: &mut &'a [u8], file: &SourceFile) -> Result<Entry<'a>, Flaw> {
        let short = || Flaw::Damaged("its ZIP directory is shorter than it says".to_owned());
        let (record, after) = rest.split_at_checked(ENTRY_BYTES).ok_or_else(short)?;
        if !record.starts_with(ENTRY_SIGNATURE) {
            return damaged("its ZIP directory has something other than an entry");
        }
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(record, at)));
        let (name, after) = after.split_at_checked(name).ok_or_else(short)?;
        let (extra, after) = after.split_at_checked(extra).ok_or_else(short)?;
        let (_, after) = after.split_at_checked(comment).ok_or_else(short)?;
        *rest = after;

        let Ok(name) = str::from_utf8(name) else {
            return damaged("its ZIP directory has a name that is not UTF-8");
        };
        let is_encrypted = u16_at(record, 8) & 1 != 0;
        let is_plain = !is_encrypted && u16_at(record, 10) == 0;
        let [bytes, stored, header] = wide_numbers(record, extra);
        if is_plain && bytes != stored {
            return damaged(format!("its entry {} has two lengths", quoted(name)));
        }
        let local = file.read_array::<{ LOCAL_BYTES as usize }>(header)?;
        if !local.starts_with(LOCAL_SIGNATURE) {
            return damaged(format!("its entry {} is not where its directory says", quoted(name)));
        }
        // The read has shown that these lie in the file, so they add up.
        let start =
            header + LOCAL_BYTES + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        match start.checked_add(stored).filter(|end| *end <= self.start) {
            Some(end) => {
                let checksum = Some(u32_at(record, 16)).filter(|checksum| *checksum != 0);
                let extent = is_plain.then_some(Extent { start, bytes, checksum });
                Ok(Entry { name, extent, place: (header, end) })
            }
            None => damaged(format!("its entry {} reaches into the directory", quoted(name))),
        }
    }
}

/// What the directory says of an entry.
struct Entry<'a> {
    name: &'a str,
    extent: Option<Extent>,
    /// From where to where it reaches with its header.
    place: (u64, u64),
}

/// An entry's length, its length as stored, and the place of its header.
fn wide_numbers(record: &[u8], extra: &[u8]) -> [u64; 3] {
    let mut numbers = [24, 20, 42].map(|at| u64::from(u32_at(record, at)));
    let mut rest = extra;
    while let Some((head, after)) = rest.split_at_checked(4) {
        let Some((field, after)) = after.split_at_checked(usize::from(u16_at(head, 2))) else {
            break;
        };
        rest = after;
        if u16_at(head, 0) == WIDE_FIELD {
            let (wide, _) = field.as_chunks();
            let narrow = numbers.iter_mut().filter(|number| **number == u64::from(u32::MAX));
            for (number, wide) in narrow.zip(wide) {
                *number = u64::from_le_bytes(*wide);
            }
        }
    }
    numbers
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
