//! A file of tensors that is read in pieces, and what can be wrong with it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::{Mutex, PoisonError},
};

use super::StoredTensor;
use crate::error::FileError;

/// Tensors of one file. The largest models in use have some thousands.
pub const MAX_TENSORS: usize = 1 << 16;

/// Bytes of a tensor's name.
pub(crate) const MAX_NAME_BYTES: usize = 512;

/// Characters of a file's own text that a message quotes.
const QUOTED: usize = 80;

/// Why a file of tensors cannot be read.
#[derive(Debug)]
pub enum Flaw {
    /// The operating system could not read it.
    System(io::Error),
    /// Its bytes contradict each other or the format.
    Damaged(String),
    /// It may be sound, but holds what is not read here; says what to do.
    Unsupported(String),
}

impl Flaw {
    /// The error for the file at `path`.
    pub fn of(self, path: &Path) -> FileError {
        match self {
            Self::System(source) => FileError::io("read", path)(source),
            Self::Damaged(reason) => FileError::file(path, format!("it is damaged: {reason}"))
                .with_cure("get the file again from where it came"),
            Self::Unsupported(reason) => FileError::file(path, reason),
        }
    }
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// Shorthand for [`Flaw::Damaged`].
pub(crate) fn damaged<T>(reason: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw::Damaged(reason.into()))
}

/// Shorthand for [`Flaw::Unsupported`].
pub(crate) fn unsupported<T>(reason: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw::Unsupported(reason.into()))
}

/// A file's own text in backticks, shortened.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", brief(text, QUOTED))
}

/// Text that may come from a file, for a message: cut to `characters`, control characters escaped. A terminal
/// that shows the message would obey them.
pub fn brief(text: &str, characters: usize) -> String {
    let mut brief = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == characters {
            brief.push('…');
            break;
        }
        if character.is_control() {
            brief.extend(character.escape_default());
        } else {
            brief.push(character);
        }
    }
    brief
}

/// An open file of known length. Tensors share it and read their bytes when they are drawn.
///
/// Bytes are read into memory rather than mapped: a mapped file that another process cuts short ends this one
/// with a signal.
#[derive(Debug)]
pub(crate) struct SourceFile {
    file: Mutex<File>,
    len: u64,
}

impl SourceFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Flaw> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file: Mutex::new(file), len })
    }

    /// Bytes in the file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The `len` bytes from `start` on. Memory is asked for only if the file has them.
    pub(crate) fn read(&self, start: u64, len: u64) -> Result<Vec<u8>, Flaw> {
        let end = start.checked_add(len).filter(|end| *end <= self.len);
        let (Some(_), Ok(bytes)) = (end, usize::try_from(len)) else {
            return damaged(format!(
                "it has `{}` bytes and says that `{len}` lie at byte `{start}`",
                self.len
            ));
        };
        let mut buffer = vec![0; bytes];
        // A panic while the lock was held cannot have broken a file handle.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut buffer)?;
        Ok(buffer)
    }

    /// As [`read`](Self::read), of a length known when compiling.
    pub(crate) fn read_array<const LEN: usize>(&self, start: u64) -> Result<[u8; LEN], Flaw> {
        let bytes = self.read(start, LEN as u64)?;
        Ok(bytes.try_into().expect("`read` gives as many bytes as were asked for"))
    }
}

/// The tensors of one file by stored name, none twice and not too many.
#[derive(Default)]
pub(crate) struct TensorMap(BTreeMap<String, StoredTensor>);

impl TensorMap {
    /// Adds a tensor.
    pub(crate) fn insert(&mut self, name: &str, tensor: StoredTensor) -> Result<(), Flaw> {
        if name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return damaged(format!("{} is no name of a parameter", quoted(name)));
        }
        if self.0.len() == MAX_TENSORS {
            return damaged(format!("it holds more than {MAX_TENSORS} tensors"));
        }
        match self.0.insert(name.to_owned(), tensor) {
            None => Ok(()),
            Some(_) => damaged(format!("it holds {} twice", quoted(name))),
        }
    }

    pub(crate) fn into_inner(self) -> BTreeMap<String, StoredTensor> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_there_are_not_allocated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        std::fs::write(&path, b"0123456789").unwrap();
        let file = SourceFile::open(&path).unwrap();
        assert_eq!(file.read(7, 3).unwrap(), b"789");
        assert_eq!(file.read_array::<2>(0).unwrap(), *b"01");
        for (start, len) in [(8, 3), (11, 0), (0, u64::MAX), (u64::MAX, 2), (1, 1 << 62)] {
            assert!(matches!(file.read(start, len), Err(Flaw::Damaged(_))), "{start} {len}");
        }
    }
}
