//! Rows of four file formats through one interface: TSV, CSV, JSON lines and Parquet.
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
//! | `lines` | lines of bounded length |
//! | `tsv` | fields between tab characters, without quoting, as GLUE's official files are written |
//! | `csv` | fields between commas, quoted as RFC 4180 says |
//! | `json_lines` | an object a line |
//! | `parquet` | Parquet's rows |
//! | `reader` | from a path to rows |
//! | `files` | the files of a split in a folder |

mod column;
mod csv;
mod files;
mod format;
mod json_lines;
mod lines;
mod parquet;
mod reader;
mod row;
mod tsv;

pub use column::Column;
pub use column::listed;
pub use files::find_files;
pub use format::Format;
pub use reader::{Rows, Table, TableOptions};
pub use row::{Cell, Row};
