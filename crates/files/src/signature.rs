//! What the first bytes of a file say that it is, where it is no text in UTF-8.
//!
//! A reader of text that fails at its first odd byte can only name the byte. Its beginning tells more: a pointer of Git LFS,
//! UTF-16 as Windows writes it, an archive, a picture of another program's memory.

use std::path::Path;

use crate::error::FileError;
use crate::git_lfs;

/// Bytes that are looked at.
pub(crate) const LOOKED_AT: usize = 512;

/// A compression that is read as if it were not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// The compression of a file with these first bytes, whatever it is called.
    pub(crate) fn of(first: &[u8]) -> Option<Self> {
        match first {
            [0x1f, 0x8b, 0x08, ..] => Some(Self::Gzip),
            // The second is a frame to skip, which parallel compressors put first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Formats of which no text begins so: the beginning, what it is, what helps.
const FORMATS: [(&[u8], &str, &str); 13] = [
    (b"\x1f\x8b", "gzip data", "decompress it first, with `gzip -d`"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "decompress it first, with `zstd -d`"),
    (
        b"\xfd7zXZ\0",
        "xz data",
        "decompress it first, with `xz -d`, or compress it with gzip or zstd",
    ),
    (
        b"BZh91AY&SY",
        "bzip2 data",
        "decompress it first, with `bzip2 -d`, or compress it with gzip or zstd",
    ),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (
        b"PK\x03\x04",
        "a zip archive (so are .xlsx, .docx and .npz)",
        "unpack it, or save the table as CSV in UTF-8",
    ),
    (
        b"ARROW1\0\0",
        "an Arrow file",
        "write it as Parquet, with `datasets.Dataset.to_parquet` or `pandas.DataFrame.to_parquet`",
    ),
    (
        b"\xff\xff\xff\xff",
        "an Arrow stream",
        "write it as Parquet, with `datasets.Dataset.to_parquet`",
    ),
    (b"PAR1\x15", "a Parquet file", "call it `.parquet`"),
    (b"\x89HDF\r\n", "an HDF5 file", "write it as Parquet or CSV, with `pandas`"),
    (b"SQLite format 3\0", "an SQLite data base", "export the table as CSV"),
    (b"%PDF-", "a PDF", "extract its text, with `pdftotext`"),
    (b"\x80\x04\x95", "a pickle of Python", "write it as Parquet or JSON lines"),
];

/// The error for a file with these first bytes, if they say that it is no text in UTF-8.
pub(crate) fn refusal(path: &Path, first: &[u8]) -> Option<FileError> {
    if git_lfs::is_pointer(first) {
        return Some(git_lfs::refusal(path));
    }
    let told = |what: &str, cure: &str| {
        Some(FileError::file(path, format!("it is {what}, not text in UTF-8")).with_cure(cure))
    };
    if let Some((name, code)) = wide_encoding(first) {
        return told(name, &format!("convert it, with `iconv -f {code} -t utf-8`"));
    }
    let found = FORMATS.iter().find(|(beginning, ..)| first.starts_with(beginning));
    found.and_then(|(_, what, cure)| told(what, cure))
}

/// UTF-16 or UTF-32, told by a byte order mark, or by the zeros beside each ASCII character: its name, and what `iconv` calls it.
fn wide_encoding(first: &[u8]) -> Option<(&'static str, &'static str)> {
    match first {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Some(("UTF-32", "utf-32")),
        [0xff, 0xfe, rest @ ..] | [0xfe, 0xff, rest @ ..] if rest.len() != 1 => {
            return Some(("UTF-16", "utf-16"));
        }
        _ => {}
    }
    let first = &first[..first.len().min(LOOKED_AT)];
    let units = first.len() / 2;
    let zeros =
        |offset: usize| first.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    // Text without a single space, digit or letter of ASCII in its first 256 characters would pass; it has no zeros either.
    let is_wide = |high: usize, low: usize| units >= 2 && low == 0 && high * 3 > units;
    if is_wide(odd, even) {
        Some(("UTF-16 without a byte order mark", "utf-16le"))
    } else if is_wide(even, odd) {
        Some(("UTF-16 without a byte order mark", "utf-16be"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(first: &[u8]) -> String {
        refusal(Path::new("a.csv"), first).map_or_else(String::new, |error| error.to_string())
    }

    fn wide(text: &str, encode: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(encode).collect()
    }

    #[test]
    fn utf_16_is_named_with_a_mark_and_without() {
        let text = "text,label\nça va,1\n";
        let little = wide(text, u16::to_le_bytes);
        let big = wide(text, u16::to_be_bytes);
        assert!(told(&[b"\xff\xfe".as_slice(), &little].concat()).contains("iconv -f utf-16 "));
        assert!(told(&[b"\xfe\xff".as_slice(), &big].concat()).contains("iconv -f utf-16 "));
        assert!(told(&little).contains("iconv -f utf-16le "));
        assert!(told(&big).contains("iconv -f utf-16be "));
    }

    #[test]
    fn text_is_left_alone() {
        for text in
            ["text,label\n", "", "a", "\u{feff}a", "日本語", "a\0b", "PK is a name", "version 2"]
        {
            assert_eq!(told(text.as_bytes()), "", "{text}");
        }
    }

    #[test]
    fn other_files_are_called_by_their_name() {
        for (first, part) in [
            (b"PK\x03\x04\x14\0".as_slice(), "zip"),
            (b"ARROW1\0\0", "to_parquet"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ] {
            assert!(told(first).contains(part), "{}", told(first));
        }
    }
}
