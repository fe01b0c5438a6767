//! Lines of text, read in pieces of bounded length.

use std::path::Path;
use std::sync::Arc;

use crate::encoding::{TextEncoding, latin1};
use crate::error::{FileError, Result};
use crate::input::Input;
use crate::notice::say_once;
use crate::setting::setting;
use crate::signature;

/// The byte order mark, as UTF-8 has it.
pub(crate) const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

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

/// A line, and its number from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// The number.
    pub number: u64,
    /// The text without its line end.
    pub text: String,
}

/// Reads the lines of a file, decompressed; drops a byte order mark and the `\r` of `\r\n`. After an error nothing follows.
pub struct LineReader {
    input: Input,
    encoding: TextEncoding,
    /// The key of a config that sets the encoding, for messages to name.
    key: Option<String>,
    line: u64,
    /// Bytes read but not yet handed out: the start of a character or a `\r` at the end of a piece.
    carried: Vec<u8>,
    at_start: bool,
    within_line: bool,
    has_failed: bool,
}

impl LineReader {
    /// Opens a file in UTF-8.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_as(path, TextEncoding::Utf8)
    }

    /// Opens a file in this encoding.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`].
    pub fn open_as(path: &Path, encoding: TextEncoding) -> Result<Self> {
        Ok(Self { encoding, ..Self::of(Input::open(path)?) })
    }

    /// With the key of a config that sets the encoding, for messages to name.
    pub fn with_encoding_key(self, key: Option<String>) -> Self {
        Self { key, ..self }
    }

    /// The lines of stdin, each as soon as it is there.
    pub fn stdin() -> Self {
        Self::of(Input::stdin())
    }

    fn of(input: Input) -> Self {
        Self {
            input,
            encoding: TextEncoding::Utf8,
            key: None,
            line: 1,
            carried: Vec::new(),
            at_start: true,
            within_line: false,
            has_failed: false,
        }
    }

    /// The file, or `stdin`.
    pub fn path(&self) -> &Arc<Path> {
        self.input.path()
    }

    /// The next piece of at most about `limit` bytes, or `None` at the end of the file.
    ///
    /// # Errors
    ///
    /// [`FileError::Content`] where the text is not UTF-8 and is to be, and for a file that is no text; [`FileError::Io`].
    pub fn next_piece(&mut self, limit: usize) -> Result<Option<Piece>> {
        if self.has_failed {
            return Ok(None);
        }
        let piece = self.read_piece(limit);
        self.has_failed = piece.is_err();
        piece
    }

    fn read_piece(&mut self, limit: usize) -> Result<Option<Piece>> {
        if self.at_start {
            let path = Arc::clone(self.path());
            let first = self.input.fill()?;
            if let Some(refusal) =
                signature::refusal(&path, &first[..first.len().min(signature::LOOKED_AT)])
            {
                return Err(refusal);
            }
        }
        let mut bytes = std::mem::take(&mut self.carried);
        let (mut ends_line, mut at_end) = (false, false);
        while bytes.len() < limit.max(8) && !ends_line && !at_end {
            let available = self.input.fill()?;
            let room = available.len().min(limit.max(8) - bytes.len());
            let line_end = available[..room].iter().position(|byte| *byte == b'\n');
            at_end = available.is_empty();
            ends_line = line_end.is_some();
            let taken = line_end.unwrap_or(room);
            bytes.extend_from_slice(&available[..taken]);
            self.input.consume(taken + usize::from(ends_line));
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

    /// Decodes `bytes`, carrying over a character that the end of the piece cut in two.
    fn decode(&mut self, mut bytes: Vec<u8>, ends_line: bool) -> Result<String> {
        if self.encoding == TextEncoding::Latin1 {
            let at_start = std::mem::take(&mut self.at_start);
            let Some(rest) = bytes.strip_prefix(UTF8_MARK).filter(|_| at_start) else {
                return Ok(latin1(&bytes));
            };
            let key = self.key.as_deref().unwrap_or("encoding");
            say_once(format!(
                "`{}` begins with the mark of UTF-8, which is dropped, and the rest is read as `latin-1` (`{key}`); if its accents \
                 are wrong, read it as `utf-8`",
                self.path().display()
            ));
            return Ok(latin1(rest));
        }
        if let Err(error) = std::str::from_utf8(&bytes) {
            let valid = error.valid_up_to();
            if error.error_len().is_some() || ends_line {
                let error = not_utf8(self.path(), self.line, bytes[valid]);
                return Err(match &self.key {
                    Some(key) => error.with_cure(format!(
                        "set {}, or convert the file, for example with `iconv -f latin1 -t utf-8`",
                        setting(key, "latin-1")
                    )),
                    None => error,
                });
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

/// The error for a byte that is no part of UTF-8.
pub(crate) fn not_utf8(path: &Path, line: u64, byte: u8) -> FileError {
    FileError::line(path, line, format!("byte `0x{byte:02x}` is not UTF-8"))
        .with_cure("convert the file, for example with `iconv -f latin1 -t utf-8`")
}

/// The lines of a file, whole; one longer than a limit is refused before it is in memory.
pub struct BoundedLines {
    reader: LineReader,
    max_bytes: usize,
    too_long: String,
}

impl BoundedLines {
    /// Reads lines of at most `max_bytes`; `too_long` is what is said of a longer one.
    pub fn of(reader: LineReader, max_bytes: usize, too_long: impl Into<String>) -> Self {
        Self { reader, max_bytes, too_long: too_long.into() }
    }

    /// The file, or `stdin`.
    pub fn path(&self) -> &Arc<Path> {
        self.reader.path()
    }

    /// The next line, or `None` at the end of the file.
    ///
    /// # Errors
    ///
    /// [`FileError::Content`] for a line that is too long or not UTF-8, [`FileError::Io`].
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        self.next_line_of_row(None, 0)
    }

    /// The next line; it goes on with a row, if that began at another, which took up `used` bytes of what it may. A row
    /// that is too long is told by where it began.
    ///
    /// # Errors
    ///
    /// As [`Self::next_line`].
    pub fn next_line_of_row(&mut self, begin: Option<u64>, used: usize) -> Result<Option<Line>> {
        let room = self.max_bytes.saturating_sub(used);
        let Some(piece) = self.reader.next_piece(room.saturating_add(1))? else {
            return Ok(None);
        };
        if !piece.ends_line || piece.text.len() > room {
            let line = begin.unwrap_or(piece.line);
            return Err(FileError::line(self.path(), line, &self.too_long));
        }
        Ok(Some(Line { number: piece.line, text: piece.text }))
    }
}

impl Iterator for BoundedLines {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
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

    #[test]
    fn a_byte_order_mark_is_no_text_in_any_encoding() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.conll");
        let content = [UTF8_MARK, b"john caf\xe9\n", UTF8_MARK].concat();
        std::fs::write(&path, content).unwrap();
        let mut reader = LineReader::open_as(&path, TextEncoding::Latin1).unwrap();
        assert_eq!(reader.next_piece(100).unwrap().unwrap().text, "john café");
        // Elsewhere these bytes are characters.
        assert_eq!(reader.next_piece(100).unwrap().unwrap().text, "ï»¿");
    }

    #[test]
    fn nothing_follows_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        for content in [b"\xff\xfea\0b\0".as_slice(), b"caf\xe9\nfine\n"] {
            std::fs::write(&path, content).unwrap();
            let mut reader = LineReader::open(&path).unwrap();
            assert!(reader.next_piece(100).is_err());
            assert_eq!(reader.next_piece(100).unwrap(), None);
        }
    }

    #[test]
    fn a_line_above_the_limit_is_refused_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.tsv");
        std::fs::write(&path, format!("0123456789\n{}\n", "x".repeat(11))).unwrap();
        let mut lines = BoundedLines::of(LineReader::open(&path).unwrap(), 10, "longer than ten");
        assert_eq!(lines.next_line().unwrap().unwrap().text, "0123456789");
        let message = lines.next_line().unwrap_err().to_string();
        assert!(message.ends_with("lines.tsv:2: longer than ten"), "{message}");
    }

    proptest! {
        #[test]
        fn any_limit_gives_the_same_lines(content in "[aé€😀\n]{0,60}", limit in 1usize..40) {
            let expected: Vec<&str> = content.lines().collect();
            prop_assert_eq!(lines(&content, limit), expected);
        }
    }
}
