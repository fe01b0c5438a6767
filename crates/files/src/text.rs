//! A whole file as text: configurations, vocabularies.

use std::path::Path;

use crate::error::{FileError, Result};
use crate::input::Input;
use crate::lines::not_utf8;
use crate::signature;

/// The text of a file of at most `max_bytes`, decompressed, without a byte order mark. Line ends stay as they are.
///
/// # Errors
/// [`FileError::Content`] if it is longer or no text in UTF-8, with the line; [`FileError::Io`].
pub fn read_text(path: &Path, max_bytes: usize) -> Result<String> {
    let mut input = Input::open(path)?;
    let mut bytes = Vec::new();
    loop {
        let available = input.fill()?;
        if available.is_empty() {
            break;
        }
        let length = available.len();
        bytes.extend_from_slice(available);
        input.consume(length);
        if bytes.len() > max_bytes {
            let problem = format!("it is longer than `{max_bytes}` bytes");
            return Err(FileError::file(path, problem).with_cure("is it the right file?"));
        }
    }
    if let Some(refusal) = signature::refusal(path, &bytes[..bytes.len().min(signature::LOOKED_AT)])
    {
        return Err(refusal);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = bytes[..at].split(|byte| *byte == b'\n').count();
        not_utf8(path, line as u64, bytes[at])
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_dropped_and_what_is_no_text_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vocab.txt");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_text(&path, 40).map_err(|error| error.to_string())
        };
        assert_eq!(read("\u{feff}[PAD]\r\né".as_bytes()), Ok("[PAD]\r\né".to_owned()));
        assert!(read(b"fine\ncaf\xe9").unwrap_err().contains("vocab.txt:2: byte `0xe9`"));
        assert!(read(b"\xff\xfea\0b\0").unwrap_err().contains("UTF-16"));
        assert!(read(b"version https://git-lfs.github.com/spec/v1").is_err());
        assert!(read(&[b'x'; 41]).unwrap_err().contains("longer than `40` bytes"));
    }
}
