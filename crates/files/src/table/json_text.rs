//! The text of a JSON file, taken object by object without parsing it: only braces, brackets and strings are followed.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::row::BY_ROWS;
use crate::error::{FileError, Result};
use crate::lines::LineReader;

/// Bytes of a line that are taken at once where objects are not one a line.
const PIECE_BYTES: usize = 64 << 10;

/// The key of the array that one object may hold all others in.
const WRAPPER: &str = "\"data\"";

/// What an object may be, and what is said of one that is not.
pub(super) struct Rules {
    pub(super) path: Arc<Path>,
    pub(super) max_bytes: usize,
    pub(super) cure: String,
}

impl Rules {
    /// The error for something else than an object.
    pub(super) fn no_object(&self, line: u64) -> FileError {
        FileError::line(&self.path, line, "not a JSON object").with_cure(&self.cure)
    }

    /// The error for a text that begins at a line and is no JSON.
    pub(super) fn not_json(&self, begin: u64, text: &str, error: &serde_json::Error) -> FileError {
        let told = error.to_string();
        let problem = told.split(" at line ").next().unwrap_or(&told);
        let line = begin + (error.line().max(1) - 1) as u64;
        let column = error.column();
        // Where the value is that the parser stopped at; `-Infinity` it leaves behind its sign.
        let at = text.lines().nth(error.line().max(1) - 1).and_then(|line| {
            let before = line.get(..column.saturating_sub(1))?;
            line.get(before.trim_end_matches('-').len()..)
        });
        let number = at.and_then(|at| {
            ["NaN", "Infinity", "-Infinity"].into_iter().find(|name| at.starts_with(*name))
        });
        if let Some(number) = number {
            let problem = format!("not JSON: `{number}` is no value (column {column})");
            return FileError::line(&self.path, line, problem)
                .with_cure("write `null`, as pandas does with `to_json`");
        }
        let problem = format!("not JSON: {problem} (column {column})");
        FileError::line(&self.path, line, problem).with_cure(&self.cure)
    }

    /// The error for an object that does not end in time: what is wrong within it, if anything is.
    fn too_long(&self, begin: u64, bytes: &[u8]) -> FileError {
        match serde_json::from_slice::<Value>(bytes) {
            Err(error) if !error.is_eof() => {
                self.not_json(begin, &String::from_utf8_lossy(bytes), &error)
            }
            _ => {
                let problem = format!("longer than `max_line_bytes = {}`", self.max_bytes);
                FileError::line(&self.path, begin, problem).with_cure(format!(
                    "if the data is your own, raise it; if the file holds whole columns, {BY_ROWS}"
                ))
            }
        }
    }
}

/// The bytes of a file's text, one by one, with the line that each stands in.
pub(super) struct JsonText {
    pub(super) reader: LineReader,
    piece: Vec<u8>,
    at: usize,
    /// The line of the byte that is next.
    pub(super) line: u64,
    ends_line: bool,
    ended: bool,
}

impl JsonText {
    pub(super) fn of(reader: LineReader) -> Self {
        Self { reader, piece: Vec::new(), at: 0, line: 1, ends_line: false, ended: false }
    }

    /// The next byte, which stays next; a line end is `\n`.
    fn peek(&mut self) -> Result<Option<u8>> {
        while self.at == self.piece.len() && !self.ended {
            match self.reader.next_piece(PIECE_BYTES)? {
                None => self.ended = true,
                Some(piece) => {
                    self.line = piece.line;
                    self.ends_line = piece.ends_line;
                    self.piece = piece.text.into_bytes();
                    if piece.ends_line {
                        self.piece.push(b'\n');
                    }
                    self.at = 0;
                }
            }
        }
        Ok(self.piece.get(self.at).copied())
    }

    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    pub(super) fn skip_blanks(&mut self) -> Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.skip();
        }
        Ok(None)
    }

    /// Whether nothing but blanks follows in the line.
    pub(super) fn rest_is_blank(&self) -> bool {
        self.ends_line && self.piece[self.at..].iter().all(u8::is_ascii_whitespace)
    }

    /// The object that begins here, and its line.
    pub(super) fn object(&mut self, rules: &Rules) -> Result<(u64, String)> {
        let begin = self.line;
        let mut capture = Capture::default();
        self.capture(&mut capture, false, rules)?;
        Ok((begin, capture.text))
    }

    /// Skips what follows the array in the object that wraps it, up to the brace that closes the object.
    pub(super) fn skip_wrapper(&mut self, rules: &Rules) -> Result<()> {
        let mut capture = Capture { depth: 1, ..Capture::default() };
        while let Some(byte) = self.peek()? {
            self.skip();
            if capture.take(byte) {
                return Ok(());
            }
        }
        let problem = "not JSON: the file ends within an object";
        Err(FileError::line(&rules.path, self.line, problem)
            .with_cure("get the file again, or close the object with `}`"))
    }

    /// Takes what begins here up to the brace that closes it, or, where an object may wrap all others, up to the first of
    /// those.
    pub(super) fn capture(
        &mut self,
        capture: &mut Capture,
        may_be_wrapped: bool,
        rules: &Rules,
    ) -> Result<Captured> {
        let begin = self.line;
        if self.peek()? != Some(b'{') {
            return Err(rules.no_object(begin));
        }
        let mut bytes = Vec::new();
        while let Some(byte) = self.peek()? {
            self.skip();
            bytes.push(byte);
            if bytes.len() > rules.max_bytes {
                return Err(rules.too_long(begin, &bytes));
            }
            let opens_wrapper = may_be_wrapped && byte == b'[' && capture.is_at_wrapper();
            if capture.take(byte) {
                capture.text = String::from_utf8(bytes)
                    .expect("the reader gives UTF-8, and braces are whole characters");
                return Ok(Captured::Object);
            }
            if opens_wrapper && self.skip_blanks()? == Some(b'{') {
                return Ok(Captured::Wrapper);
            }
        }
        match serde_json::from_slice::<Value>(bytes.trim_ascii_end()) {
            Err(error) => Err(rules.not_json(begin, &String::from_utf8_lossy(&bytes), &error)),
            Ok(_) => unreachable!("an object without its end is no JSON"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Captured {
    Object,
    Wrapper,
}

/// Follows the braces, brackets and strings of an object.
#[derive(Default)]
pub(super) struct Capture {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The last string of the outermost object, with its quotes, if nothing but a colon came since.
    key: String,
    after_colon: bool,
    pub(super) text: String,
}

impl Capture {
    /// Whether the value that begins with the next byte belongs to the key [`WRAPPER`] of the outermost object.
    fn is_at_wrapper(&self) -> bool {
        self.depth == 1 && !self.in_string && self.after_colon && self.key == WRAPPER
    }

    /// Takes the next byte; whether it is the last.
    fn take(&mut self, byte: u8) -> bool {
        if self.in_string {
            if self.depth == 1 && self.key.len() <= WRAPPER.len() {
                self.key.push(char::from(byte));
            }
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.in_string = false;
            }
            return false;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.after_colon = false;
                self.key.clear();
                self.key.push('"');
            }
            b':' => self.after_colon = true,
            b'{' | b'[' => {
                self.depth += 1;
                self.after_colon = false;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => self.after_colon = false,
        }
        false
    }
}
