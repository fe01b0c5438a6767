//! Which format a file is in, told by its extension.

use std::path::Path;

/// The formats of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Fields between tab characters; a quote is a character like any other.
    Tsv,
    /// Fields between commas, quoted where needed (RFC 4180).
    Csv,
    /// A JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// Extensions that are known, in the order in which a folder is searched for them.
    pub(crate) const EXTENSIONS: [(&str, Self); 5] = [
        ("tsv", Self::Tsv),
        ("parquet", Self::Parquet),
        ("jsonl", Self::JsonLines),
        ("json", Self::JsonLines),
        ("csv", Self::Csv),
    ];

    /// The format of a file by its extension, in any case: `.tsv`, `.csv`, `.jsonl` or `.json` (both an object a line),
    /// `.parquet`.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::EXTENSIONS.iter().find(|(known, _)| *known == extension).map(|(_, format)| *format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_tells_the_format() {
        assert_eq!(Format::of(Path::new("a/train.tsv")), Some(Format::Tsv));
        assert_eq!(Format::of(Path::new("TRAIN.CSV")), Some(Format::Csv));
        assert_eq!(Format::of(Path::new("train.json")), Some(Format::JsonLines));
        assert_eq!(Format::of(Path::new("x.y.parquet")), Some(Format::Parquet));
        assert_eq!(Format::of(Path::new("train.txt")), None);
        assert_eq!(Format::of(Path::new("tsv")), None);
    }
}
