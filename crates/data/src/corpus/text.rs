//! Plain text: a file, a paragraph or a line is a document.

use std::path::Path;

use nystromformer_files::LineReader;

use super::chunk::ChunkQueue;
use crate::config::DocumentUnit;
use crate::error::DataError;

/// Longest part of a line that is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Reads a `.txt` file.
pub(super) struct TextReader {
    lines: LineReader,
    document: DocumentUnit,
    /// Whether the current line so far is blank.
    blank_line: bool,
    /// Line ends since the last text; written out only if more text follows in the document.
    line_ends: usize,
}

impl TextReader {
    pub(super) fn open(path: &Path, document: DocumentUnit) -> Result<Self, DataError> {
        Ok(Self { lines: LineReader::open(path)?, document, blank_line: true, line_ends: 0 })
    }

    /// Reads a piece of a line into the queue; whether there was one.
    pub(super) fn read(&mut self, queue: &mut ChunkQueue) -> Result<bool, DataError> {
        let Some(piece) = self.lines.next_piece(PIECE_BYTES)? else {
            queue.end_document();
            return Ok(false);
        };
        self.blank_line &= piece.text.trim().is_empty();
        let separates = self.document != DocumentUnit::File && self.blank_line;
        if !separates && !piece.text.is_empty() {
            for _ in 0..std::mem::take(&mut self.line_ends) {
                queue.push("\n");
            }
            queue.push(&piece.text);
        }
        if piece.ends_line {
            self.line_ends += 1;
            if separates || self.document == DocumentUnit::Line {
                queue.end_document();
                self.line_ends = 0;
            }
            self.blank_line = true;
        }
        Ok(true)
    }
}
