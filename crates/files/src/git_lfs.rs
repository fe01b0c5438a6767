//! Files that Git LFS (large file storage) left as pointers: some 130 bytes of text in the place of the content.
//!
//! A clone without `git lfs` holds them under the names of weights, tables and vocabularies. Whoever reads a file says so
//! before anything else is said about it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{FileError, Result};

/// What every pointer begins with; the address is that of the format's first version too, which had another host.
const BEGINNINGS: [&[u8]; 2] =
    [b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"];

/// Pointers are smaller than this, so the specification.
const LARGEST: usize = 1024;

/// Whether the first bytes of a file are those of a pointer. Forty are enough.
pub fn is_pointer(first_bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| first_bytes.starts_with(beginning))
}

/// Refuses the file at `path` if it is a pointer. A file that is not there, or cannot be read, is for its reader to tell.
///
/// # Errors
/// [`FileError::Content`], with `git lfs pull` as the cure.
pub fn check(path: &Path) -> Result<()> {
    let Ok(file) = File::open(path) else { return Ok(()) };
    let mut bytes = Vec::with_capacity(LARGEST);
    match file.take(LARGEST as u64).read_to_end(&mut bytes) {
        Ok(_) if is_pointer(&bytes) => Err(refusal(path)),
        _ => Ok(()),
    }
}

/// The error for a file that is a pointer.
pub fn refusal(path: &Path) -> FileError {
    FileError::file(
        path,
        "it is a Git LFS pointer, a placeholder of a few bytes, and not the file itself",
    )
    .with_cure("run `git lfs pull` in the repository that it is from, or download the file itself")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_told_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 438\n";
        for (content, told) in [(pointer, true), ("version 2 of a text", false), ("", false)] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(check(&path).is_err(), told, "{content}");
        }
        std::fs::write(&path, pointer).unwrap();
        let message = check(&path).unwrap_err().to_string();
        assert!(message.contains("model.safetensors`") && message.contains("`git lfs pull`"));
        assert!(check(&folder.path().join("nowhere")).is_ok());
    }
}
