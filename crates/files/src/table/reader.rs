//! From a path to rows.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::error::FileError;

use super::column::listed;
use super::csv::CsvSource;
use super::json_lines::JsonLinesSource;
use super::lines::BoundedLines;
use super::parquet::ParquetSource;
use super::tsv::TsvSource;
use super::{Cell, Column, Format, Row};

/// How a table is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableOptions {
    /// Whether the first line of a TSV or CSV file names the columns. Default: true.
    pub header: bool,
    /// Longest row of a TSV, CSV or JSONL file, and longest text of a Parquet file, that is accepted, in bytes; it bounds
    /// memory. Default: 1 MiB.
    pub max_line_bytes: usize,
    /// Rows of a TSV file with too few columns that are passed over, and counted by [`Rows::passed_over`], before one is
    /// an error. Default: 0.
    pub short_rows_allowed: u64,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self { header: true, max_line_bytes: 1 << 20, short_rows_allowed: 0 }
    }
}

/// What a format must give.
pub(super) trait Source: Send {
    /// Says which columns are wanted, by their places; once, before the first row.
    fn select(&mut self, wanted: &[usize]) -> Result<(), FileError>;

    /// The number of columns, where it is known without names.
    fn width(&self) -> Option<usize> {
        None
    }

    /// The next row, its line and its wanted cells, or `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>, FileError>;

    /// Rows passed over so far because they were too short.
    fn passed_over(&self) -> u64 {
        0
    }
}

/// An opened file, of which the columns are known.
pub struct Table {
    file: Arc<Path>,
    columns: Option<Vec<String>>,
    source: Box<dyn Source>,
}

impl Table {
    /// Opens a file, its format told by its extension, and reads its header.
    ///
    /// # Errors
    ///
    /// [`FileError::Content`] if there is no such file, its extension is unknown, it is empty or not readable, or if a JSONL or
    /// Parquet file is to have no header;
    /// [`FileError::Content`] for a first line that cannot be used; [`FileError::Io`].
    pub fn open(path: &Path, options: &TableOptions) -> Result<Self, FileError> {
        let Some(format) = Format::of(path) else {
            return Err(FileError::file(
                path,
                "unknown extension; use a .tsv, .csv, .jsonl or .parquet file",
            ));
        };
        if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            return Err(FileError::file(path, "there is no such file"));
        }
        if !options.header && matches!(format, Format::JsonLines | Format::Parquet) {
            let problem = "its columns have names, which `header = false` denies; leave that away";
            return Err(FileError::file(path, problem));
        }
        let lines = || BoundedLines::open(path, options.max_line_bytes);
        let (columns, source): (_, Box<dyn Source>) = match format {
            Format::Tsv => {
                let (source, header) = TsvSource::open(lines()?, options)?;
                (header, Box::new(source))
            }
            Format::Csv => {
                let (source, header) = CsvSource::open(lines()?, options)?;
                (header, Box::new(source))
            }
            Format::JsonLines => {
                let (source, keys) = JsonLinesSource::open(lines()?)?;
                (Some(keys), Box::new(source))
            }
            Format::Parquet => {
                let (source, names) = ParquetSource::open(path, options.max_line_bytes)?;
                (Some(names), Box::new(source))
            }
        };
        Ok(Self { file: path.into(), columns, source })
    }

    /// The names of the columns, in JSONL the keys of the first object; `None` in a file without a header.
    pub fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    /// Whether there is such a column.
    pub fn has(&self, column: &Column) -> bool {
        match (column, self.columns()) {
            (Column::Name(name), Some(columns)) => columns.contains(name),
            (Column::Name(_), None) => false,
            (Column::Index(index), None) => self.source.width().is_some_and(|width| *index < width),
            (Column::Index(index), Some(columns)) => *index < columns.len(),
        }
    }

    /// The error that none of some columns is there, with those that are.
    pub fn missing(&self, wanted: &[Column]) -> FileError {
        let wanted: Vec<String> = wanted.iter().map(Column::to_string).collect();
        let wanted = wanted.join(" or ");
        let problem = match self.columns() {
            Some(columns) => format!(
                "no column {wanted}, only {}; if that is no header, the file lacks one",
                listed(columns.iter().map(String::as_str))
            ),
            None => format!(
                "no {wanted}: the first line has `{}`; is the separator another?",
                self.source.width().unwrap_or_default()
            ),
        };
        FileError::line(&self.file, 1, problem)
    }

    /// The rows, each with these columns alone, in this order.
    ///
    /// # Errors
    ///
    /// [`FileError::Content`] if a column is missing, or there are two of its name.
    pub fn select(mut self, wanted: &[Column]) -> Result<Rows, FileError> {
        let mut places = Vec::with_capacity(wanted.len());
        for column in wanted {
            if !self.has(column) {
                return Err(self.missing(std::slice::from_ref(column)));
            }
            places.push(match column {
                Column::Index(index) => *index,
                Column::Name(name) => self.place(name)?,
            });
        }
        self.source.select(&places)?;
        Ok(Rows {
            file: self.file,
            columns: wanted.into(),
            source: self.source,
            count: 0,
            ended: false,
        })
    }

    fn place(&self, name: &str) -> Result<usize, FileError> {
        let columns = self.columns.iter().flatten().enumerate();
        let mut places = columns.filter(|(_, column)| *column == name).map(|(place, _)| place);
        let place = places.next().expect("`has` saw the column");
        if places.next().is_some() {
            let problem = format!("two columns are called `{name}`; rename one");
            return Err(FileError::line(&self.file, 1, problem));
        }
        Ok(place)
    }
}

/// The rows of a table. After an error nothing follows; a table without a row is an error.
pub struct Rows {
    file: Arc<Path>,
    columns: Arc<[Column]>,
    source: Box<dyn Source>,
    count: u64,
    ended: bool,
}

impl Rows {
    /// Rows passed over so far because they were too short (see [`TableOptions::short_rows_allowed`]).
    pub fn passed_over(&self) -> u64 {
        self.source.passed_over()
    }

    fn advance(&mut self) -> Result<Option<Row>, FileError> {
        if let Some((line, cells)) = self.source.next()? {
            self.count += 1;
            let (file, columns) = (Arc::clone(&self.file), Arc::clone(&self.columns));
            return Ok(Some(Row::new(file, line, columns, cells)));
        }
        if self.count == 0 {
            return Err(FileError::file(&self.file, "the file holds no row besides its header"));
        }
        Ok(None)
    }
}

impl Iterator for Rows {
    type Item = Result<Row, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.advance().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}
