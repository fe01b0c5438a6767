//! JSON files, bounded.

use std::{fs, path::Path};

use nystromformer_files::{git_lfs, read_text};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, error::Category};

use crate::error::InteropError;

/// Largest JSON file read. The largest index in use has under a megabyte; in memory it takes some twenty times
/// its size.
const MAX_JSON_BYTES: u64 = 2 << 20;

/// Reads a JSON file with a table at its top. `expected` says what should be there if it is missing.
pub(crate) fn read_json(path: &Path, expected: &str) -> Result<Map<String, Value>, InteropError> {
    if !path.exists() {
        return Err(InteropError::Missing { path: path.to_owned(), expected: expected.into() });
    }
    let Value::Object(table) = read_json_file(path, MAX_JSON_BYTES)? else {
        let reason = "it is JSON, but not a table of keys".into();
        return Err(InteropError::Damaged { path: path.to_owned(), reason });
    };
    Ok(table)
}

/// Reads a JSON file of at most `limit` bytes.
pub(super) fn read_json_file<T: DeserializeOwned>(
    path: &Path,
    limit: u64,
) -> Result<T, InteropError> {
    let damaged = |reason: String| InteropError::Damaged { path: path.to_owned(), reason };
    let bytes = regular_file_size(path)?;
    if bytes > limit {
        return Err(damaged(format!("`{bytes}` bytes of JSON, where at most {limit} are read")));
    }
    let text = read_text(path, usize::try_from(limit).unwrap_or(usize::MAX))?;
    serde_json::from_str(&text).map_err(|error| {
        damaged(match error.classify() {
            Category::Data => format!("it does not hold what it should: {error}"),
            _ => format!("it is not JSON: {error}"),
        })
    })
}

/// Size of a regular file; anything else (a pipe, say) would block or never end. A Git LFS pointer is refused.
pub(super) fn regular_file_size(path: &Path) -> Result<u64, InteropError> {
    let found = fs::metadata(path)
        .map_err(|source| InteropError::Read { path: path.to_owned(), source })?;
    if !found.is_file() {
        let source = std::io::Error::other("not a regular file");
        return Err(InteropError::Read { path: path.to_owned(), source });
    }
    git_lfs::check(path)?;
    Ok(found.len())
}
