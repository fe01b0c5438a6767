//! Files: lines of text, tables, and writes that survive a crash. It knows nothing of data sets or models.
//!
//! | module | idea |
//! |---|---|
//! | `lines` | lines of UTF-8, in pieces of bounded length |
//! | [`table`] | rows of TSV, CSV, JSON lines and Parquet files through one interface |
//! | [`durable`] | files that survive a crash whole or not at all |
//! | [`git_lfs`] | pointers in the place of files |
//! | `error` | what can be wrong with a file |

pub mod durable;
mod error;
pub mod git_lfs;
mod lines;
pub mod table;

pub use error::{FileError, Result};
pub use lines::{LineReader, Piece};
