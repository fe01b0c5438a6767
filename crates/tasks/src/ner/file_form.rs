//! How a file is read, judged by its name.

use std::path::Path;

use nystromformer_files::table::{Format, extension_of_content};

use crate::split_files::is_split_name;

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileForm {
    /// A word a line.
    Columns,
    /// A sentence a row, of JSON or Parquet.
    Rows,
    /// A word a row, of CSV.
    Words,
}

/// Extensions of files with a word a line. Files without an extension count too, and files whose extension is a split's name, such
/// as `eng.testa`.
const COLUMNS: [&str; 22] = [
    "conll",
    "conll02",
    "conll03",
    "conll2002",
    "conll2003",
    "conllu",
    "conllup",
    "iob",
    "iob1",
    "iob2",
    "bio",
    "bio2",
    "bioes",
    "iobes",
    "bmes",
    "txt",
    "text",
    "tsv",
    "tab",
    "col",
    "ner",
    "annotated",
];

impl FileForm {
    /// By its extension. Every file that is no table of rows is read as columns.
    pub(super) fn of(path: &Path) -> Self {
        match Format::of(path) {
            Some(Format::Json | Format::Parquet) => Self::Rows,
            Some(Format::Csv) => Self::Words,
            _ => Self::Columns,
        }
    }

    /// Whether the extension alone says that a file has a word a line. `txt` and `tsv` do not: such a file may be plain text, or a
    /// table with a header.
    pub(super) fn says_columns(path: &Path) -> bool {
        let extension = extension_of_content(path);
        let is_usual = |extension: &str| !["txt", "text", "tsv", "tab"].contains(&extension);
        extension.is_some_and(|extension| is_usual(&extension))
            && Self::of(path) == Self::Columns
            && Self::is_readable(path)
    }

    /// Whether a file of a folder may be one of the data set, judged by its name.
    pub(super) fn is_readable(path: &Path) -> bool {
        match extension_of_content(path) {
            None => true,
            Some(extension) => {
                Self::of(path) != Self::Columns
                    || COLUMNS.contains(&extension.as_str())
                    || is_split_name(&extension)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whether_a_word_is_a_line() {
        for name in ["a.conll", "b.IOB", "eng.testb", "a.bio.gz"] {
            assert!(FileForm::says_columns(Path::new(name)), "{name}");
        }
        for name in ["a.txt", "a.tsv", "a.csv", "a.jsonl", "a.parquet", "a", "a.pdf"] {
            assert!(!FileForm::says_columns(Path::new(name)), "{name}");
        }
    }
}
