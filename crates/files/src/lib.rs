//! Files: lines of text, tables, tensors, and writes that survive a crash. It knows nothing of data sets or models.
//!
//! Whatever is read is bounded in memory. Gzip and Zstandard are decompressed, byte order marks dropped; pointers of Git LFS,
//! UTF-16 and archives are told by their first bytes, with what helps.
//!
//! | module | idea |
//! |---|---|
//! | `input` | a file or stdin as bytes, decompressed |
//! | `signature`, [`git_lfs`] | what the first bytes of a file say that it is |
//! | `encoding` | how the bytes of a text stand for characters |
//! | `lines` | lines of text, in pieces of bounded length |
//! | `text` | a whole file as text |
//! | [`table`] | rows of TSV, CSV, JSON and Parquet files through one interface |
//! | [`tensors`] | tensors in safetensors, NumPy's and torch's files |
//! | [`durable`] | files that survive a crash whole or not at all |
//! | `caught` | panics of a library on damaged files, as errors |
//! | `not_a_number` | numbers in JSON, where `null` is NaN |
//! | `setting` | how messages write the value of a key |
//! | `notice` | what was guessed or left out, said once |
//! | `error` | what can be wrong with a file |

mod caught;
pub mod durable;
mod encoding;
mod error;
pub mod git_lfs;
mod input;
mod lines;
mod not_a_number;
mod notice;
mod setting;
mod signature;
pub mod table;
pub mod tensors;
mod text;

pub use encoding::TextEncoding;
pub use error::{FileError, Result};
pub use lines::{BoundedLines, Line, LineReader, Piece};
pub use not_a_number::{null_as_nan, nulls_as_nan};
pub use notice::say_once;
pub use text::read_text;
