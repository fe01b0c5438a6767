//! Files of JSON in a run's directory, which need not be there.

use std::io;
use std::path::Path;

use nystromformer_files::{FileError, LineReader, read_text};
use serde::de::DeserializeOwned;

use crate::error::{ReportError, Result};

/// Bytes of the largest file that is read whole, and of the longest line.
const MOST_BYTES: usize = 256 << 20;
const LONGEST_LINE: usize = 1 << 20;

/// The text of a file; `None` if it is not there.
pub(super) fn text(path: &Path) -> Result<Option<String>> {
    match read_text(path, MOST_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The value in a file; `None` if it is not there.
pub(super) fn value<T: DeserializeOwned>(path: &Path, what: &'static str) -> Result<Option<T>> {
    let Some(text) = text(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| ReportError::damaged(path, what, error))
}

/// Gives each line's value to `take`; returns how many lines were none. The last may be cut off, as of a run that goes on.
pub(super) fn lines<T: DeserializeOwned>(path: &Path, mut take: impl FnMut(T)) -> Result<usize> {
    let mut reader = match LineReader::open(path) {
        Ok(reader) => reader,
        Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(0);
        }
        Err(error) => return Err(error.into()),
    };
    let (mut damaged, mut last_is_damaged, mut is_long) = (0, false, false);
    while let Some(piece) = reader.next_piece(LONGEST_LINE)? {
        if !piece.ends_line {
            is_long = true;
            continue;
        }
        damaged += usize::from(std::mem::take(&mut last_is_damaged));
        let was_long = std::mem::take(&mut is_long);
        match serde_json::from_str(&piece.text) {
            Ok(value) if !was_long => take(value),
            _ => last_is_damaged = was_long || !piece.text.trim().is_empty(),
        }
    }
    // A line that is being written is no damage.
    Ok(damaged)
}
