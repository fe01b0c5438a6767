//! How a table is read: what those who read it say.

use std::path::Path;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

use crate::encoding::TextEncoding;
use crate::error::Result;
use crate::lines::{BoundedLines, LineReader};

/// What a double quote at the beginning of a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quotes {
    /// A character like any other.
    None,
    /// The beginning of a field that ends with another; quotes of its own are doubled (RFC 4180).
    Double,
}

/// Reads the separator of a table from a configuration: one character, or `\t` for a tab as it is typed, of which neither a shell nor
/// `--set` makes one.
///
/// # Errors
/// If it is no single character.
pub fn typed_separator<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<char>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    if text == "\\t" {
        return Ok(Some('\t'));
    }
    let wrong = |_| D::Error::invalid_value(Unexpected::Str(&text), &"a character");
    text.parse().map(Some).map_err(wrong)
}

/// Reads a text that separates others from a configuration: any, or `\t` for a tab as it is typed.
///
/// # Errors
/// If it is no text.
pub fn typed_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| if text == "\\t" { "\t".to_owned() } else { text }))
}

/// How a table is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableOptions {
    /// Whether the first line of a TSV or CSV file names the columns. Default: true.
    pub header: bool,
    /// Longest row of a TSV, CSV or JSON file, and longest text of a Parquet file, that is accepted, in bytes; it bounds
    /// memory. Default: 1 MiB.
    pub max_line_bytes: usize,
    /// What separates the fields of a TSV or CSV file. Default: a tab or a comma, unless the first rows show another.
    pub separator: Option<char>,
    /// What a quote at the beginning of a field of a TSV or CSV file is. Default: in a CSV file it holds the field together; in a
    /// TSV file it does if every quote of the file is written so.
    pub quotes: Option<Quotes>,
    /// How the bytes of a TSV or CSV file stand for characters; JSON and Parquet are always UTF-8. Default: UTF-8.
    pub encoding: TextEncoding,
    /// What stands before the names `separator`, `quotes` and `encoding` where they can be set, for messages to name: `"task."` of a
    /// config, `"--"` of a command. Default: they cannot be set.
    pub key_prefix: Option<&'static str>,
    /// Whether a file without any row is none to complain of. Default: false.
    pub may_be_empty: bool,
    /// Rows of a TSV or CSV file with too few columns that are passed over, and counted by [`Rows::passed_over`](super::Rows::passed_over), before one is
    /// an error. Default: 0.
    pub short_rows_allowed: u64,
}

impl TableOptions {
    /// A setting as messages name it, `task.quotes` for `quotes`; `None` if nobody can set it.
    pub(super) fn key(&self, name: &str) -> Option<String> {
        self.key_prefix.map(|prefix| format!("{prefix}{name}"))
    }
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            header: true,
            max_line_bytes: 1 << 20,
            separator: None,
            quotes: None,
            encoding: TextEncoding::Utf8,
            key_prefix: None,
            may_be_empty: false,
            short_rows_allowed: 0,
        }
    }
}

/// The lines of a table, of the length that it may have.
pub(super) fn lines(path: &Path, options: &TableOptions) -> Result<BoundedLines> {
    let too_long = format!(
        "longer than `max_line_bytes = {}`; look for a missing line break or an open quote, or, if the data is your own, \
         raise it",
        options.max_line_bytes
    );
    let reader =
        LineReader::open_as(path, options.encoding)?.with_encoding_key(options.key("encoding"));
    Ok(BoundedLines::of(reader, options.max_line_bytes, too_long))
}
