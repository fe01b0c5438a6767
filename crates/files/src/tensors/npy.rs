//! Files of NumPy's `save`.
//!
//! ```text
//! 6 bytes      "\x93NUMPY"
//! 2 bytes      version: 1.0, 2.0 or 3.0
//! 2 or 4 bytes length of the header, little-endian (2 in version 1.0)
//! header       Python: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
//! the rest     the numbers
//! ```
//!
//! Arrays of objects are pickles, and are not read.

use std::{path::Path, sync::Arc};

use super::{
    Element, StoredTensor,
    source_file::{Flaw, SourceFile, damaged, quoted, unsupported},
    view::{Extent, MAX_RANK, View},
};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Longest header. One of an array without fields has 128 bytes.
const MAX_HEADER_BYTES: u64 = 1 << 16;

/// Opens a file. Only its header is read; the numbers are when they are asked for.
///
/// # Errors
/// If the file cannot be read, is damaged, or holds an array of something other than numbers.
pub fn open(path: &Path) -> Result<StoredTensor, Flaw> {
    let file = Arc::new(SourceFile::open(path)?);
    let start = file.read(0, file.len().min(12))?;
    let (start_of_header, length) = match start.strip_prefix(MAGIC) {
        Some([1, _, low, high, ..]) => (10, u64::from(u16::from_le_bytes([*low, *high]))),
        Some([2 | 3, _, a, b, c, d]) => (12, u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
        Some([version, ..]) => {
            return unsupported(format!(
                "it is of version `{version}` of NumPy's format, of which 1 to 3 are read"
            ));
        }
        _ => return damaged("it is not a file of NumPy's `save`"),
    };
    if length > MAX_HEADER_BYTES {
        return damaged(format!(
            "its header claims `{length}` bytes, where at most {MAX_HEADER_BYTES} are read"
        ));
    }
    let header = file.read(start_of_header, length)?;
    let Ok(header) = str::from_utf8(&header) else {
        return damaged("its header is not text");
    };
    let Header { element, is_fortran, shape } = Header::parse(header)?;
    let start = start_of_header + length;
    let bytes = file.len() - start; // the read has shown that the header lies in the file
    let needed = shape.iter().try_fold(element.bytes(), |product, size| product.checked_mul(*size));
    if needed != Some(bytes) {
        return damaged(format!(
            "it has `{bytes}` bytes of numbers, and {} of shape `{shape:?}` needs {}",
            element.name(),
            needed.map_or_else(|| "more than there are".to_owned(), |needed| format!("`{needed}`"))
        ));
    }
    let strides = strides(&shape, is_fortran);
    let view = View::new(element, shape, strides, 0, bytes)?;
    Ok(StoredTensor::viewed(view, Extent { start, bytes, checksum: None }, file))
}

/// Elements from one index of each axis to the next.
fn strides(shape: &[u64], is_fortran: bool) -> Vec<u64> {
    let mut axes: Vec<usize> = (0..shape.len()).collect();
    if !is_fortran {
        axes.reverse();
    }
    let mut strides = vec![1; shape.len()];
    let mut step: u64 = 1;
    for axis in axes {
        strides[axis] = step;
        step = step.saturating_mul(shape[axis].max(1)); // an axis of none beside huge ones
    }
    strides
}

/// What the header says.
struct Header {
    element: Element,
    is_fortran: bool,
    shape: Vec<u64>,
}

impl Header {
    /// Reads the Python dict that NumPy writes: its three keys, in any order.
    fn parse(text: &str) -> Result<Self, Flaw> {
        let not_understood =
            || Flaw::Damaged(format!("its header {} is not understood", quoted(text.trim())));
        let value = |key: &str| {
            let (_, rest) = [format!("'{key}':"), format!("\"{key}\":")]
                .iter()
                .find_map(|key| text.split_once(key.as_str()))?;
            Some(rest.trim_start())
        };
        let descr = value("descr").ok_or_else(not_understood)?;
        let Some(quote) = descr.chars().next().filter(|first| matches!(first, '\'' | '"')) else {
            return unsupported(
                "it is an array of records, not of numbers; save each field by itself",
            );
        };
        let (descr, _) = descr[1..].split_once(quote).ok_or_else(not_understood)?;
        let is_fortran = match value("fortran_order") {
            Some(flag) if flag.starts_with("True") => true,
            Some(flag) if flag.starts_with("False") => false,
            _ => return Err(not_understood()),
        };
        let shape = value("shape")
            .and_then(|rest| rest.strip_prefix('('))
            .and_then(|rest| rest.split_once(')'));
        let (shape, _) = shape.ok_or_else(not_understood)?;
        let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape: Option<Vec<u64>> = sizes.map(|size| size.parse().ok()).collect();
        let shape = shape.filter(|shape| shape.len() <= MAX_RANK).ok_or_else(not_understood)?;
        Ok(Self { element: element(descr)?, is_fortran, shape })
    }
}

/// The type that NumPy calls so: byte order, kind, bytes.
fn element(descr: &str) -> Result<Element, Flaw> {
    if descr.starts_with('>') {
        return unsupported(format!(
            "its numbers are big-endian ({}); save it with `.astype(\"<f4\")`",
            quoted(descr)
        ));
    }
    Ok(match descr.trim_start_matches(['<', '|', '=']) {
        "f8" => Element::F64,
        "f4" => Element::F32,
        "f2" => Element::F16,
        "i8" => Element::I64,
        "i4" => Element::I32,
        "i2" => Element::I16,
        "i1" => Element::I8,
        "u8" => Element::U64,
        "u4" => Element::U32,
        "u2" => Element::U16,
        "u1" => Element::U8,
        "b1" => Element::Bool,
        _ => {
            return unsupported(format!(
                "its numbers are of the type {}, which is not read; save it with `.astype(\"float32\")`",
                quoted(descr)
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as NumPy writes it.
    fn npy(descr: &str, fortran: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(numbers);
        bytes
    }

    fn opened(bytes: &[u8]) -> Result<StoredTensor, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, bytes).unwrap();
        open(&path).map_err(|flaw| flaw.of(&path).to_string())
    }

    fn words(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
        values.into_iter().flat_map(f32::to_le_bytes).collect()
    }

    #[test]
    fn rows_come_in_order_whichever_axis_is_contiguous() {
        let by_rows = npy("'<f4'", "False", "(2, 3)", &words([1., 2., 3., 4., 5., 6.]));
        let by_columns = npy("'<f4'", "True", "(2, 3)", &words([1., 4., 2., 5., 3., 6.]));
        for file in [by_rows, by_columns] {
            let tensor = opened(&file).unwrap();
            assert_eq!((tensor.shape(), tensor.element()), (&[2, 3][..], Element::F32));
            assert_eq!(tensor.read_floats(9).unwrap(), [1., 2., 3., 4., 5., 6.]);
            assert_eq!(tensor.read_floats(1).unwrap(), [1., 2., 3.]);
            assert!(tensor.read_floats(0).unwrap().is_empty());
        }
    }

    #[test]
    fn every_type_becomes_a_float() {
        for (descr, numbers) in
            [("'<f8'", 1.5f64.to_le_bytes().to_vec()), ("'<f2'", 0x3e00u16.to_le_bytes().to_vec())]
        {
            assert_eq!(
                opened(&npy(descr, "False", "(1,)", &numbers)).unwrap().read_floats(1).unwrap(),
                [1.5]
            );
        }
        for (descr, numbers) in [
            ("'<i8'", (-3i64).to_le_bytes().to_vec()),
            ("'<i4'", (-3i32).to_le_bytes().to_vec()),
            ("'<i2'", (-3i16).to_le_bytes().to_vec()),
            ("'|i1'", (-3i8).to_le_bytes().to_vec()),
        ] {
            assert_eq!(
                opened(&npy(descr, "False", "(1,)", &numbers)).unwrap().read_floats(1).unwrap(),
                [-3.0]
            );
        }
        assert_eq!(
            opened(&npy("'|b1'", "False", "()", &[1])).unwrap().read_floats(1).unwrap(),
            [1.0]
        );
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused_in_words() {
        let numbers = words([1., 2.]);
        let object = npy("'|O'", "False", "(2,)", &numbers);
        let big = npy("'>f4'", "False", "(2,)", &numbers);
        let records = npy("[('a', '<f4')]", "False", "(2,)", &numbers);
        let huge = npy("'<f4'", "False", "(18446744073709551615, 9)", &numbers);
        let short = npy("'<f4'", "False", "(3,)", &numbers);
        let mut long = npy("'<f4'", "False", "(2,)", &numbers);
        long[8..10].copy_from_slice(&u16::MAX.to_le_bytes());
        for (file, part) in [
            (object.as_slice(), "`|O`"),
            (big.as_slice(), "big-endian"),
            (records.as_slice(), "records"),
            (huge.as_slice(), "more than there are"),
            (short.as_slice(), "needs `12`"),
            (long.as_slice(), "lie at byte `10`"),
            (b"\x93NUM".as_slice(), "not a file of NumPy"),
            (b"\x93NUMPY\x09\x00aaaaaaaa".as_slice(), "version `9`"),
            (b"".as_slice(), "not a file of NumPy"),
        ] {
            let message = opened(file).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
