//! A file of a corpus: what it is, and how it is read.

use std::path::{Path, PathBuf};

use nystromformer_files::table::{Format, TableOptions, extension_of_content};

use super::ReadOptions;

/// What a file is, told by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Plain text.
    Text,
    /// A table, of which a column holds the texts.
    Table(Format),
}

impl FileKind {
    pub(super) fn of(path: &Path) -> Option<Self> {
        if extension_of_content(path)? == "txt" {
            return Some(Self::Text);
        }
        Format::of(path).map(Self::Table)
    }

    /// Whether a file in a folder is one of texts beyond doubt. Others often hold something about the texts.
    pub(super) fn is_certain(self, path: &Path) -> bool {
        match self {
            Self::Text | Self::Table(Format::Parquet) => true,
            Self::Table(Format::Json) => {
                extension_of_content(path).is_some_and(|extension| extension != "json")
            }
            Self::Table(Format::Csv | Format::Tsv) => false,
        }
    }

    /// What stands for it in fingerprints. They are of files as they are on the disk, so compression needs no tag.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Text => "Text",
            Self::Table(Format::Json) => "JsonLines",
            Self::Table(Format::Parquet) => "Parquet",
            Self::Table(Format::Csv) => "Csv",
            Self::Table(Format::Tsv) => "Tsv",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct CorpusFile {
    pub(super) path: PathBuf,
    pub(super) form: FileKind,
    pub(super) bytes: u64,
}

/// How the tables of a corpus are read.
pub(super) fn table_options(options: &ReadOptions) -> TableOptions {
    TableOptions {
        max_line_bytes: options.max_line_bytes,
        separator: options.separator,
        quotes: options.quotes,
        key_prefix: Some("data."),
        may_be_empty: true,
        ..TableOptions::default()
    }
}
