//! Which format a file is in, told by its extension.

use std::path::Path;

/// The formats of tables. Those of text may be compressed: `.csv.gz`, `.jsonl.zst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Fields between tab characters.
    Tsv,
    /// Fields between commas, quoted where needed (RFC 4180).
    Csv,
    /// Objects: one a line, one after the other, in an array, or in the array `data` of one object.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// Extensions of compressed files, which stand behind another.
pub(super) const COMPRESSED: [&str; 4] = ["gz", "gzip", "zst", "zstd"];

/// Extensions of files that hold tables or texts in forms that are not read, and what to do with each.
const UNREAD: [(&[&str], &str); 10] = [
    (
        &["arrow", "feather", "ipc"],
        "write it as Parquet, with `datasets.Dataset.to_parquet` or `pandas.DataFrame.to_parquet`",
    ),
    (&["xlsx", "xls", "ods"], "save the sheet as CSV in UTF-8"),
    (&["pkl", "pickle", "pt", "npy", "npz", "h5", "hdf5"], "write it as Parquet or JSON lines"),
    (&["orc", "avro"], "write it as Parquet"),
    (&["db", "sqlite", "sqlite3"], "export the table as CSV"),
    (&["zip", "tar", "tgz", "7z", "rar"], "unpack it"),
    (&["bz2", "xz", "lz4", "br", "snappy"], "decompress it, or compress it with gzip or zstd"),
    (&["doc", "docx", "odt", "rtf", "pdf", "epub"], "extract its text"),
    (&["xml", "html", "htm", "yaml", "yml", "toml"], "write its texts as JSON lines"),
    (
        &["conll", "conllu", "iob", "bio"],
        "write each sentence as a line of JSON: `{\"tokens\": [\"…\", …]}`",
    ),
];

impl Format {
    /// Extensions that are known, in the order in which a folder is searched for them.
    pub(crate) const EXTENSIONS: [(&str, Self); 7] = [
        ("tsv", Self::Tsv),
        ("parquet", Self::Parquet),
        ("jsonl", Self::Json),
        ("ndjson", Self::Json),
        ("json", Self::Json),
        ("csv", Self::Csv),
        // As the archive of the University of California, Irvine, calls its tables.
        ("data", Self::Csv),
    ];

    /// What is read, for messages.
    pub const KNOWN: &str = ".csv, .tsv, .json, .jsonl or .parquet file (text also as .gz or .zst)";

    /// The format of a file by its extension, in any case: `.tsv`, `.csv` or `.data`, `.json`, `.jsonl` or `.ndjson`, `.parquet`; all but
    /// the last also with `.gz` or `.zst` behind it.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = extension_of_content(path)?;
        Self::EXTENSIONS.iter().find(|(known, _)| *known == extension).map(|(_, format)| *format)
    }

    /// What to do with a file that is not read, by its extension.
    pub fn cure(path: &Path) -> String {
        let extension = |path: &Path| Some(path.extension()?.to_str()?.to_ascii_lowercase());
        let known = extension(path).and_then(|extension| {
            UNREAD.iter().find(|(names, _)| names.contains(&extension.as_str()))
        });
        match known {
            Some((_, cure)) => format!("{cure}; what is read is a {}", Self::KNOWN),
            None => format!("use a {}", Self::KNOWN),
        }
    }

    /// Whether a file is one that is known not to be read, as [`Self::cure`] tells.
    pub fn is_unread(path: &Path) -> bool {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let extension = extension.map(str::to_ascii_lowercase);
        extension.is_some_and(|name| UNREAD.iter().any(|(names, _)| names.contains(&name.as_str())))
    }
}

/// The extension of a file in lower case, without that of its compression.
pub fn extension_of_content(path: &Path) -> Option<String> {
    let extension = |path: &Path| Some(path.extension()?.to_str()?.to_ascii_lowercase());
    let last = extension(path)?;
    if COMPRESSED.contains(&last.as_str()) {
        return extension(Path::new(path.file_stem()?));
    }
    Some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_tells_the_format() {
        for (name, format) in [
            ("a/train.tsv", Some(Format::Tsv)),
            ("TRAIN.CSV", Some(Format::Csv)),
            ("musk1.data", Some(Format::Csv)),
            ("train.json", Some(Format::Json)),
            ("train.csv.gz", Some(Format::Csv)),
            ("train.JSONL.ZST", Some(Format::Json)),
            ("x.y.parquet", Some(Format::Parquet)),
            ("train.txt", None),
            ("train.gz", None),
            ("tsv", None),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn what_is_not_read_has_a_cure() {
        assert!(Format::cure(Path::new("a.XLSX")).contains("save the sheet as CSV"));
        assert!(Format::cure(Path::new("a.arrow")).contains("to_parquet"));
        assert!(Format::cure(Path::new("a")).starts_with("use a .csv"));
        assert!(Format::is_unread(Path::new("a.pdf")) && !Format::is_unread(Path::new("a.txt")));
    }
}
