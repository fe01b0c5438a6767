//! Lines of UTF-8 text, read in pieces of bounded length.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::error::FileError;

/// A line or, if the line is longer than the limit, the next part of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text without its line end.
    pub text: String,
    /// Number of the line, from 1.
    pub line: u64,
    /// Whether the line ends here.
    pub ends_line: bool,
}

/// Reads the pieces of a file; drops a byte order mark and the `\r` of `\r\n`.
#[derive(Debug)]
pub struct LineReader {
    path: PathBuf,
    reader: BufReader<File>,
    line: u64,
    /// Bytes read but not yet handed out: the start of a character or a `\r` at the end of a piece.
    carried: Vec<u8>,
    at_start: bool,
    within_line: bool,
}

impl LineReader {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::io("open", path))?;
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(1 << 18, file),
            line: 1,
            carried: Vec::new(),
            at_start: true,
            within_line: false,
        })
    }

    /// The next piece of at most about `limit` bytes, or `None` at the end of the file.
    ///
    /// # Errors
    ///
    /// [`FileError::Content`] where the text is not UTF-8, [`FileError::Io`].
    pub fn next_piece(&mut self, limit: usize) -> Result<Option<Piece>, FileError> {
        let mut bytes = std::mem::take(&mut self.carried);
        let (mut ends_line, mut at_end) = (false, false);
        while bytes.len() < limit.max(8) && !ends_line && !at_end {
            let available = self.reader.fill_buf().map_err(FileError::io("read", &self.path))?;
            let room = available.len().min(limit.max(8) - bytes.len());
            let line_end = available[..room].iter().position(|byte| *byte == b'\n');
            at_end = available.is_empty();
            ends_line = line_end.is_some();
            let taken = line_end.unwrap_or(room);
            bytes.extend_from_slice(&available[..taken]);
            self.reader.consume(taken + usize::from(ends_line));
        }
        if at_end && bytes.is_empty() && !self.within_line {
            return Ok(None);
        }
        ends_line |= at_end;
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
            if !ends_line {
                self.carried.push(b'\r');
            }
        }
        let text = self.decode(bytes, ends_line)?;
        let piece = Piece { text, line: self.line, ends_line };
        self.within_line = !ends_line;
        self.line += u64::from(ends_line);
        Ok(Some(piece))
    }

    /// The next line, whole, or `None` at the end of the file. If it does not end in the piece that comes, it is longer
    /// than `max_bytes`; no more of it was read than that, and it is for the caller to refuse.
    ///
    /// # Errors
    ///
    /// As [`Self::next_piece`].
    pub fn next_line(&mut self, max_bytes: usize) -> Result<Option<Piece>, FileError> {
        let mut piece = self.next_piece(max_bytes.saturating_add(1))?;
        if let Some(piece) = &mut piece {
            piece.ends_line &= piece.text.len() <= max_bytes;
        }
        Ok(piece)
    }

    /// Decodes `bytes`, carrying over a character that the end of the piece cut in two.
    fn decode(&mut self, mut bytes: Vec<u8>, ends_line: bool) -> Result<String, FileError> {
        if let Err(error) = std::str::from_utf8(&bytes) {
            let valid = error.valid_up_to();
            if error.error_len().is_some() || ends_line {
                return Err(FileError::line(
                    &self.path,
                    self.line,
                    format!(
                        "byte `0x{:02x}` is not UTF-8; convert the file, for example with `iconv -f latin1 -t utf-8`",
                        bytes[valid]
                    ),
                ));
            }
            let tail = bytes.split_off(valid);
            self.carried.splice(0..0, tail);
        }
        let text = String::from_utf8(bytes).expect("the bytes were checked above");
        if std::mem::take(&mut self.at_start)
            && let Some(rest) = text.strip_prefix('\u{feff}')
        {
            return Ok(rest.to_owned());
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lines of `content`, read in pieces of `limit` bytes.
    fn lines(content: &str, limit: usize) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        let mut reader = LineReader::open(&path).unwrap();
        let mut lines = Vec::new();
        let mut current = String::new();
        while let Some(piece) = reader.next_piece(limit).unwrap() {
            current.push_str(&piece.text);
            assert_eq!(piece.line as usize, lines.len() + 1);
            if piece.ends_line {
                lines.push(std::mem::take(&mut current));
            }
        }
        lines
    }

    #[test]
    fn carriage_returns_within_a_line_stay() {
        assert_eq!(lines("a\rb\r\nc", 8), ["a\rb", "c"]);
        assert_eq!(lines("12345678\r\nx\r", 8), ["12345678", "x"]);
    }

    proptest! {
        #[test]
        fn any_limit_gives_the_same_lines(content in "[aé€😀\n]{0,60}", limit in 1usize..40) {
            let expected: Vec<&str> = content.lines().collect();
            prop_assert_eq!(lines(&content, limit), expected);
        }
    }
}
