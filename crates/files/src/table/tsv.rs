//! Tab-separated values without quoting: every tab character ends a field, and a quote is a character like any other.
//!
//! So the official files of GLUE are written: MRPC, STS-B, QNLI and others hold quotes that nothing closes.

use crate::error::FileError;

use super::TableOptions;
use super::lines::{BoundedLines, Line};
use super::reader::Source;
use super::row::Cell;

/// Reads a `.tsv` file.
pub(super) struct TsvSource {
    lines: BoundedLines,
    /// Fields that each row must have.
    width: usize,
    /// The first row of a file without a header, read to know the width.
    first: Option<Line>,
    wanted: Vec<usize>,
    short_rows_allowed: u64,
    passed_over: u64,
}

impl TsvSource {
    /// Opens a file; gives its column names too, if it is to have a header.
    pub(super) fn open(
        mut lines: BoundedLines,
        options: &TableOptions,
    ) -> Result<(Self, Option<Vec<String>>), FileError> {
        let Some(first) = lines.next_line()? else {
            return Err(FileError::file(lines.path(), "the file is empty"));
        };
        let fields: Vec<String> = first.text.split('\t').map(str::to_owned).collect();
        let mut source = Self {
            lines,
            width: fields.len(),
            first: None,
            wanted: Vec::new(),
            short_rows_allowed: options.short_rows_allowed,
            passed_over: 0,
        };
        if options.header {
            return Ok((source, Some(fields)));
        }
        source.first = Some(first);
        Ok((source, None))
    }

    fn next_filled_line(&mut self) -> Result<Option<Line>, FileError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        while let Some(line) = self.lines.next_line()? {
            if !line.text.is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

impl Source for TsvSource {
    fn select(&mut self, wanted: &[usize]) -> Result<(), FileError> {
        wanted.clone_into(&mut self.wanted);
        Ok(())
    }

    fn width(&self) -> Option<usize> {
        Some(self.width)
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>, FileError> {
        while let Some(line) = self.next_filled_line()? {
            let fields: Vec<&str> = line.text.split('\t').collect();
            if fields.len() < self.width && self.passed_over < self.short_rows_allowed {
                self.passed_over += 1;
                continue;
            }
            if fields.len() != self.width {
                return Err(FileError::line(
                    self.lines.path(),
                    line.number,
                    format!(
                        "`{}` columns where the first line has `{}`; fields are separated by one tab character, and \
                         hold no tab or line break",
                        fields.len(),
                        self.width
                    ),
                ));
            }
            let cells = self.wanted.iter().map(|at| Cell::Text(fields[*at].to_owned())).collect();
            return Ok(Some((line.number, cells)));
        }
        Ok(None)
    }

    fn passed_over(&self) -> u64 {
        self.passed_over
    }
}
