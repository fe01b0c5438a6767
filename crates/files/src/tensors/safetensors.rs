//! Files in Hugging Face's safetensors format.
//!
//! ```text
//! 8 bytes      length of the header, little-endian
//! header       JSON: {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}
//! the rest     the numbers, little-endian, row-major; the offsets count from here
//! ```
//!
//! The numbers of the tensors must fill the rest exactly: no gap, no overlap, nothing left over.

use std::{borrow::Cow, collections::BTreeMap, fmt, path::Path, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};

use super::{
    Element, StoredTensor,
    source_file::{Flaw, SourceFile, TensorMap, damaged, quoted, unsupported},
    view::MAX_RANK,
};

/// Longest header. One of a model with ten thousand parameters has 2 MB.
const MAX_HEADER_BYTES: u64 = 8 << 20;

/// Bytes of the header's length.
const LENGTH_BYTES: u64 = 8;

/// Key of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// Opens a file. Only its header is read; a tensor's numbers are when they are asked for.
///
/// # Errors
/// If the file cannot be read, is damaged, or has a type of number that is not read here.
pub fn open(path: &Path) -> Result<BTreeMap<String, StoredTensor>, Flaw> {
    let file = Arc::new(SourceFile::open(path)?);
    let header_bytes = u64::from_le_bytes(file.read_array(0)?);
    if header_bytes > MAX_HEADER_BYTES {
        return damaged(format!(
            "its header claims `{header_bytes}` bytes, where at most {MAX_HEADER_BYTES} are read"
        ));
    }
    let header = file.read(LENGTH_BYTES, header_bytes)?;
    let Header(entries) = serde_json::from_slice(&header).map_err(|error| {
        Flaw::Damaged(format!("its header is not that of safetensors: {error}"))
    })?;
    let data_start = LENGTH_BYTES + header_bytes;
    check_layout(&entries, file.len() - data_start)?;

    let mut tensors = TensorMap::default();
    for (name, entry) in entries {
        let element = entry.element(&name)?;
        let (start, end) = entry.data_offsets;
        let (start, bytes) = (data_start + start, end - start);
        tensors.insert(
            &name,
            StoredTensor::plain(element, entry.shape, Arc::clone(&file), start, bytes),
        )?;
    }
    Ok(tensors.into_inner())
}

/// The tensors must lie one after the other in all of `available` bytes, each as long as its shape and type say.
fn check_layout(entries: &[(Cow<str>, Entry)], available: u64) -> Result<(), Flaw> {
    let mut places: Vec<_> =
        entries.iter().map(|(name, entry)| (entry.data_offsets, name)).collect();
    places.sort_unstable();
    let mut position = 0;
    for ((start, end), name) in places {
        if start != position || end < start || end > available {
            return damaged(format!(
                "{} claims the bytes `{start}` to `{end}`, where byte `{position}` of `{available}` is next",
                quoted(name)
            ));
        }
        position = end;
    }
    if position != available {
        return damaged(format!("its tensors end at byte `{position}` of `{available}`"));
    }
    for (name, entry) in entries {
        let bytes = entry.element(name)?.bytes();
        let expected =
            entry.shape.iter().try_fold(bytes, |product, size| product.checked_mul(*size as u64));
        let (start, end) = entry.data_offsets;
        if entry.shape.len() > MAX_RANK || expected != Some(end - start) {
            return damaged(format!(
                "{} has `{}` bytes, and {} with `{}` dimensions needs `{}`",
                quoted(name),
                end - start,
                entry.dtype,
                entry.shape.len(),
                expected
                    .map_or_else(|| "more than there are".to_owned(), |bytes| bytes.to_string())
            ));
        }
    }
    Ok(())
}

/// What the header says of a tensor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<'a> {
    #[serde(borrow)]
    dtype: Cow<'a, str>,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl Entry<'_> {
    fn element(&self, name: &str) -> Result<Element, Flaw> {
        Ok(match &*self.dtype {
            "F64" => Element::F64,
            "F32" => Element::F32,
            "F16" => Element::F16,
            "BF16" => Element::BF16,
            "I64" => Element::I64,
            "I32" => Element::I32,
            "I16" => Element::I16,
            "I8" => Element::I8,
            "U64" => Element::U64,
            "U32" => Element::U32,
            "U16" => Element::U16,
            "U8" => Element::U8,
            "BOOL" => Element::Bool,
            other => {
                return unsupported(format!(
                    "{} has the type {}, which is not read here; save it as F32, F16 or BF16",
                    quoted(name),
                    quoted(other)
                ));
            }
        })
    }
}

/// The tensors in the order of the header, before any check.
struct Header<'a>(Vec<(Cow<'a, str>, Entry<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Header<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = table.next_key::<Name<'de>>()? {
            if name.0 == METADATA {
                table.next_value::<IgnoredAny>()?;
            } else {
                let entry: Entry<'de> = table.next_value().map_err(|error| {
                    A::Error::custom(format_args!("{}: {error}", quoted(&name.0)))
                })?;
                entries.push((name.0, entry));
            }
        }
        Ok(Header(entries))
    }
}

/// A name, borrowed from the header where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
