//! Rows of TSV, CSV, JSON and Parquet files through one interface.
//!
//! A [`Table`] is opened, tells its columns, and turns into [`Rows`] of those that are wanted. Files are read row by row,
//! and a row longer than [`TableOptions::max_line_bytes`] is refused before it is in memory (a Parquet value: once its
//! page is decoded), so memory does not grow with the size of a file or with what is wrong in it.
//!
//! | module | idea |
//! |---|---|
//! | `format` | which format a file is in, told by its extension |
//! | `column` | which column is meant: by name or by place |
//! | `row` | a row: its cells, and where it stands |
//! | `options` | how a table is read: what those who read it say |
//! | `dialect` | by what the fields of a line are told apart, as options say or the file shows |
//! | `bare_returns` | files whose lines end with `\r` alone |
//! | `records` | fields quoted as RFC 4180 says |
//! | `delimited` | rows of TSV and CSV |
//! | `json_text` | the text of a JSON file, taken object by object |
//! | `large_numbers` | whole numbers that 64 bits do not hold |
//! | `json_object`, `objects`, `squad` | those objects, whatever holds them together |
//! | `json` | objects as rows |
//! | `nested` | fields within the values of a column |
//! | `written_list` | lists that are written as text |
//! | `parquet`, `parquet_writer` | Parquet's rows; a table as Parquet |
//! | `row_reader` | what a format must give |
//! | `reader` | from a path to rows |
//! | `files`, `names` | the files of a split in a folder; all that a folder holds |

mod bare_returns;
mod column;
mod delimited;
mod dialect;
mod files;
mod format;
mod json;
mod json_object;
mod json_text;
mod large_numbers;
mod names;
mod nested;
mod objects;
mod options;
mod parquet;
mod parquet_writer;
mod reader;
mod records;
mod row;
mod row_reader;
mod squad;
mod written_list;

pub use column::{Column, listed};
pub use files::{find_files, is_called_after, saved_by_datasets};
pub use format::{Format, extension_of_content};
pub use json_object::JsonObject;
pub use names::names_in;
pub use objects::JsonObjects;
pub use options::{Quotes, TableOptions, typed_separator, typed_text};
pub use parquet_writer::write_parquet;
pub use reader::{Rows, Table};
pub use row::{BY_ROWS, Cell, Row};
