//! Lines of bounded length.

use std::path::{Path, PathBuf};

use crate::error::FileError;
use crate::lines::LineReader;

/// The lines of a file, without line ends, byte order mark and carriage returns. Empty ones are handed out too.
#[derive(Debug)]
pub(super) struct BoundedLines {
    path: PathBuf,
    reader: LineReader,
    max_line_bytes: usize,
}

/// A line, and its number from 1.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) text: String,
}

impl BoundedLines {
    pub(super) fn open(path: &Path, max_line_bytes: usize) -> Result<Self, FileError> {
        Ok(Self { path: path.to_owned(), reader: LineReader::open(path)?, max_line_bytes })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The next line, or `None` at the end of the file.
    pub(super) fn next_line(&mut self) -> Result<Option<Line>, FileError> {
        self.next_line_of_row(None, 0)
    }

    /// The next line; it goes on with a row, if that began at another, which took up `used` bytes of what it may. A row
    /// that is too long is told by where it began.
    pub(super) fn next_line_of_row(
        &mut self,
        begin: Option<u64>,
        used: usize,
    ) -> Result<Option<Line>, FileError> {
        let room = self.max_line_bytes.saturating_sub(used);
        let Some(piece) = self.reader.next_line(room)? else {
            return Ok(None);
        };
        if !piece.ends_line {
            return Err(FileError::line(
                &self.path,
                begin.unwrap_or(piece.line),
                format!(
                    "longer than `max_line_bytes = {}`; look for a missing line break or an open quote, or, if the data is your own, raise it",
                    self.max_line_bytes
                ),
            ));
        }
        Ok(Some(Line { number: piece.line, text: piece.text }))
    }
}
