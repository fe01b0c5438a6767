//! Reads one file of a tokenizer.

use std::fs;
use std::path::Path;

use crate::error::DataError;

/// What editors of Windows put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The content of a file of text, without a byte order mark.
///
/// # Errors
///
/// [`DataError::Io`] if it cannot be read; [`DataError::Tokenizer`] if it only points to a file that Git LFS
/// keeps.
pub(super) fn read_text(path: &Path) -> Result<Vec<u8>, DataError> {
    nystromformer_files::git_lfs::check(path)?;
    let mut content = fs::read(path).map_err(DataError::io("read", path))?;
    if content.starts_with(BYTE_ORDER_MARK) {
        content.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(content)
}
