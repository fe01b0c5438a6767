//! [`TableKeys`]: the keys of `[task]` that say how tables are written.

use nystromformer_data::DataError;
use nystromformer_files::TextEncoding;
use nystromformer_files::table::{self, Column, Quotes, TableOptions};
use serde::{Deserialize, Serialize};

/// Keys of `[task]` of every task that reads tables of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TableKeys {
    /// Whether the first line of a TSV or CSV file names the columns. Without it they are told by their place, from 0:
    /// `label = 0`. Default: true.
    pub header: bool,
    /// What separates the fields of a TSV or CSV file: one character, e.g. `";"`, or `\t` for a tab. Default: a tab or a comma, unless
    /// the first rows show another, which is then said.
    #[serde(deserialize_with = "table::typed_separator")]
    pub separator: Option<char>,
    /// What a quote at the beginning of a field of a TSV or CSV file is: `"double"`, it holds the field together, or `"none"`, a
    /// character like any other. Default: told by a look at the file, and said.
    pub quotes: Option<Quotes>,
    /// How the bytes of TSV, CSV and files of text stand for characters: `"utf-8"` or `"latin-1"`. Default: `"utf-8"`.
    pub encoding: TextEncoding,
    /// Longest row, or file of text, that is accepted, in bytes; it bounds memory. Default: 16 MiB.
    pub max_line_bytes: usize,
}

impl Default for TableKeys {
    fn default() -> Self {
        Self {
            header: true,
            separator: None,
            quotes: None,
            encoding: TextEncoding::Utf8,
            max_line_bytes: 16 << 20,
        }
    }
}

impl TableKeys {
    /// The same as options of a table.
    pub fn options(&self) -> TableOptions {
        TableOptions {
            header: self.header,
            separator: self.separator,
            quotes: self.quotes,
            encoding: self.encoding,
            key_prefix: Some("task."),
            max_line_bytes: self.max_line_bytes,
            ..TableOptions::default()
        }
    }

    /// A [`DataError::Config`] for every column, given with its key, that is told by name although there is no header, or by
    /// place although there is one; and for a limit of none.
    pub fn problems<'a>(
        &self,
        columns: impl IntoIterator<Item = (&'static str, &'a Column)>,
    ) -> Vec<DataError> {
        let advice = if self.header {
            "with `task.header = true` a column is given by its name, in quotes"
        } else {
            "with `task.header = false` a column is given by its place, e.g. 0"
        };
        let columns = columns.into_iter();
        let misplaced =
            columns.filter(|(_, column)| self.header != matches!(column, Column::Name(_)));
        let misplaced = misplaced.map(|(key, column)| match column {
            Column::Name(name) => DataError::config(key, name, advice),
            Column::Index(index) => DataError::config(key, index, advice),
        });
        misplaced.chain(no_line(self.max_line_bytes)).collect()
    }
}

/// What is wrong with `task.max_line_bytes`.
pub(crate) fn no_line(max_line_bytes: usize) -> Option<DataError> {
    let is_none = max_line_bytes == 0;
    is_none.then(|| DataError::config("task.max_line_bytes", 0, "must be at least 1"))
}
