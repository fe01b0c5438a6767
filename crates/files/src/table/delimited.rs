//! Rows of TSV and CSV files: fields between separators.
//!
//! Without quotes every separator ends a field, and a quote is a character like any other. So the official files of GLUE
//! are written: MRPC, STS-B, QNLI and others hold quotes that nothing closes.

use std::path::{Path, PathBuf};

use super::bare_returns::refuse_bare_returns;
use super::dialect::Dialect;
use super::nested::ColumnPath;
use super::options::{Quotes, lines};
use super::records::{Record, Records};
use super::row::Cell;
use super::row_reader::RowReader;
use super::{Format, TableOptions};
use crate::error::{FileError, Result};
use crate::lines::BoundedLines;
use crate::notice::say_once;

/// Reads a `.tsv` or `.csv` file.
pub(super) struct DelimitedReader {
    path: PathBuf,
    records: AnyRecords,
    dialect: Dialect,
    /// Fields that each row must have.
    width: usize,
    /// The names of the columns, to know them where they stand a second time; empty without a header.
    names: Vec<String>,
    /// The first row of a file without a header, read to know the width.
    first: Option<Record>,
    wanted: Vec<usize>,
    short_rows_allowed: u64,
    passed_over: u64,
}

enum AnyRecords {
    Plain { lines: BoundedLines, separator: char },
    Quoted(Records),
}

impl AnyRecords {
    fn next(&mut self) -> Result<Option<Record>> {
        let (lines, separator) = match self {
            Self::Quoted(records) => return records.next(),
            Self::Plain { lines, separator } => (lines, *separator),
        };
        while let Some(line) = lines.next_line()? {
            if !line.text.is_empty() {
                let fields = line.text.split(separator).map(str::to_owned).collect();
                return Ok(Some(Record { line: line.number, fields, is_quoted: false }));
            }
        }
        Ok(None)
    }
}

/// Refuses a file whose first line tells a spreadsheet the separator, as `sep=;` does.
fn refuse_separator_line(path: &Path, first: &Record, separator: char) -> Result<()> {
    let line = first.fields.join(&separator.to_string());
    let said = line.trim().to_ascii_lowercase();
    if said.strip_prefix("sep=").is_some_and(|mark| mark.chars().count() == 1) {
        let problem = format!("`{line}` is no row: it tells a spreadsheet the separator");
        return Err(FileError::line(path, first.line, problem)
            .with_cure("drop the line; the separator is found without it"));
    }
    Ok(())
}

impl DelimitedReader {
    /// Opens a file; gives its column names too, without the blanks around them, if it is to have a header.
    pub(super) fn open(
        path: &Path,
        format: Format,
        options: &TableOptions,
    ) -> Result<(Self, Option<Vec<String>>)> {
        refuse_bare_returns(path, format, options)?;
        let dialect = Dialect::of(path, format, options)?;
        let lines = lines(path, options)?;
        let mut records = match dialect {
            Dialect { separator, quotes: Quotes::Double } => {
                AnyRecords::Quoted(Records::of(lines, separator, options.key("quotes")))
            }
            Dialect { separator, quotes: Quotes::None } => AnyRecords::Plain { lines, separator },
        };
        let Some(first) = records.next()? else {
            return Err(FileError::file(path, "the file is empty"));
        };
        refuse_separator_line(path, &first, dialect.separator)?;
        let width = first.fields.len();
        let (header, first) = if options.header {
            let names: Vec<String> =
                first.fields.iter().map(|name| name.trim().to_owned()).collect();
            (Some(names), None)
        } else {
            (None, Some(first))
        };
        let reader = Self {
            path: path.to_owned(),
            records,
            dialect,
            width,
            names: header.clone().unwrap_or_default(),
            first,
            wanted: Vec::new(),
            short_rows_allowed: options.short_rows_allowed,
            passed_over: 0,
        };
        Ok((reader, header))
    }

    /// Refuses a row that is the header once more. Of one column it may be a text, and is told.
    fn refuse_header(&self, line: u64, fields: &[String]) -> Result<()> {
        let is_header = !self.names.is_empty()
            && fields.iter().map(|field| field.trim()).eq(self.names.iter().map(String::as_str));
        if !is_header {
            return Ok(());
        }
        if let [name] = &self.names[..] {
            say_once(format!(
                "`{}`:{line}: the header `{name}` stands here once more, and is read as a row; if two files were put together, drop the line",
                self.path.display()
            ));
            return Ok(());
        }
        let problem = "the header stands here once more, as where two files were put together";
        Err(FileError::line(&self.path, line, problem).with_cure("drop the line"))
    }

    fn another_width(&self, line: u64, width: usize) -> FileError {
        let problem = format!("`{width}` columns where the first line has `{}`", self.width);
        let cure = match self.dialect {
            Dialect { quotes: Quotes::Double, separator: '\t' } => {
                "put a field that holds a tab in double quotes".to_owned()
            }
            Dialect { quotes: Quotes::Double, separator: ',' } => {
                "put a field that holds a comma in double quotes".to_owned()
            }
            Dialect { quotes: Quotes::Double, separator } => {
                format!("put a field that holds a `{separator}` in double quotes")
            }
            Dialect { quotes: Quotes::None, separator: '\t' } => {
                "fields are separated by one tab character, and hold no tab or line break"
                    .to_owned()
            }
            Dialect { quotes: Quotes::None, separator } => {
                format!("fields are separated by one `{separator}`, and hold none themselves")
            }
        };
        FileError::line(&self.path, line, problem).with_cure(cure)
    }
}

impl RowReader for DelimitedReader {
    fn select(&mut self, wanted: &[ColumnPath]) -> Result<()> {
        self.wanted = wanted.iter().map(|path| path.column).collect();
        Ok(())
    }

    fn width(&self) -> Option<usize> {
        Some(self.width)
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>> {
        loop {
            let record = match self.first.take() {
                Some(first) => Some(first),
                None => self.records.next()?,
            };
            let Some(Record { line, fields, .. }) = record else {
                return Ok(None);
            };
            if fields.len() < self.width && self.passed_over < self.short_rows_allowed {
                self.passed_over += 1;
                continue;
            }
            if fields.len() != self.width {
                return Err(self.another_width(line, fields.len()));
            }
            self.refuse_header(line, &fields)?;
            let cells = self.wanted.iter().map(|at| Cell::Text(fields[*at].clone())).collect();
            return Ok(Some((line, cells)));
        }
    }

    fn passed_over(&self) -> u64 {
        self.passed_over
    }
}
