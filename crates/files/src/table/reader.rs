//! From a path to rows.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::error::{FileError, Result};

use super::column::listed;
use super::delimited::DelimitedReader;
use super::json::JsonReader;
use super::nested::{ColumnPath, splits};
use super::parquet::ParquetReader;
use super::row_reader::RowReader;
use super::{Column, Format, Row, TableOptions};

/// An opened file, of which the columns are known.
pub struct Table {
    file: Arc<Path>,
    columns: Option<Vec<String>>,
    reader: Box<dyn RowReader>,
    may_be_empty: bool,
}

impl Table {
    /// Opens a file, its format told by its extension, and reads its header.
    ///
    /// # Errors
    ///
    /// [`FileError::Content`] if there is no such file, its extension is unknown, it is empty or not readable, its first line
    /// cannot be used, or a JSON or Parquet file is to have no header; [`FileError::Io`].
    pub fn open(path: &Path, options: &TableOptions) -> Result<Self> {
        if path.is_dir() {
            super::saved_by_datasets(path)?;
        }
        let Some(format) = Format::of(path) else {
            return Err(FileError::file(path, "unknown extension").with_cure(Format::cure(path)));
        };
        if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            return Err(FileError::file(path, "there is no such file"));
        }
        if !options.header && matches!(format, Format::Json | Format::Parquet) {
            let problem =
                "a JSON or Parquet file always names its columns; leave out `header = false`";
            return Err(FileError::file(path, problem));
        }
        let (columns, reader): (_, Box<dyn RowReader>) = match format {
            Format::Tsv | Format::Csv => {
                let (reader, header) = DelimitedReader::open(path, format, options)?;
                (header, Box::new(reader))
            }
            Format::Json => {
                let (reader, keys) = JsonReader::open(path, options.max_line_bytes)?;
                (Some(keys), Box::new(reader))
            }
            Format::Parquet => {
                let (reader, names) = ParquetReader::open(path, options.max_line_bytes)?;
                (Some(names), Box::new(reader))
            }
        };
        Ok(Self { file: path.into(), columns, reader, may_be_empty: options.may_be_empty })
    }

    /// The format of the file.
    pub fn format(&self) -> Option<Format> {
        Format::of(&self.file)
    }

    /// The names of the columns, in JSON the keys of the first object; `None` in a file without a header.
    pub fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    /// How many columns there are; `None` if the format cannot tell.
    pub fn width(&self) -> Option<usize> {
        self.columns().map(<[String]>::len).or_else(|| self.reader.width())
    }

    /// Whether there is such a column. A name with dots, as `answers.text`, is also that of a field within the objects of a
    /// column of JSON or Parquet (a key of JSON that holds nothing but empty lists at first may have any field); of a list of
    /// objects the cell is the list of their fields.
    pub fn has(&self, column: &Column) -> bool {
        match (column, self.columns()) {
            (Column::Name(name), Some(columns)) => {
                columns.contains(name) || self.path_within(name).is_some()
            }
            (Column::Name(_), None) => false,
            (Column::Index(index), None) => self.reader.width().is_some_and(|width| *index < width),
            (Column::Index(index), Some(columns)) => *index < columns.len(),
        }
    }

    /// The first of these columns that there is.
    ///
    /// # Errors
    ///
    /// [`Self::missing`].
    pub fn find<'a>(&self, wanted: &'a [Column]) -> Result<&'a Column> {
        wanted.iter().find(|column| self.has(column)).ok_or_else(|| self.missing(wanted))
    }

    /// The column that is called as one of these but for capitals, blanks, `-` and `_`.
    pub fn closest(&self, wanted: &[Column]) -> Option<&str> {
        let plain = |name: &str| -> String {
            let kept = name
                .chars()
                .filter(|character| !character.is_whitespace() && !matches!(character, '_' | '-'));
            kept.flat_map(char::to_lowercase).collect()
        };
        let wanted: Vec<String> = wanted
            .iter()
            .filter_map(|column| match column {
                Column::Name(name) => Some(plain(name)),
                Column::Index(_) => None,
            })
            .collect();
        let mut columns = self.columns()?.iter().map(String::as_str);
        columns.find(|column| wanted.contains(&plain(column)))
    }

    /// The error that none of some columns is there, with those that are.
    pub fn missing(&self, wanted: &[Column]) -> FileError {
        let names: Vec<String> = wanted.iter().map(Column::to_string).collect();
        let names = names.join(" or ");
        let Some(columns) = self.columns() else {
            let width = self.reader.width().unwrap_or_default();
            return FileError::line(
                &self.file,
                1,
                format!("no {names}: the first line has `{width}`"),
            )
            .with_cure("fields may have another separator");
        };
        let cure = match self.closest(wanted) {
            Some(close) => format!("is it `{close}`?"),
            None => "the first line must be a header with the names of the columns".to_owned(),
        };
        let there = listed(columns.iter().map(String::as_str));
        FileError::line(&self.file, 1, format!("no column {names}, only {there}")).with_cure(cure)
    }

    /// The names of the classes of a column of numbers from 0, where a Parquet file has them (`ClassLabel` of Hugging Face's
    /// datasets).
    pub fn class_names(&self, column: &Column) -> Option<&[String]> {
        self.reader.class_names(self.place_of(column)?)
    }

    fn place_of(&self, column: &Column) -> Option<usize> {
        match column {
            Column::Index(index) => Some(*index),
            Column::Name(name) => self.columns()?.iter().position(|column| column == name),
        }
    }

    /// The rows, each with these columns alone, in this order.
    ///
    /// # Errors
    ///
    /// [`FileError::Content`] if a column is missing, or there are two of its name.
    pub fn select(mut self, wanted: &[Column]) -> Result<Rows> {
        let mut places = Vec::with_capacity(wanted.len());
        for column in wanted {
            if !self.has(column) {
                return Err(self.missing(std::slice::from_ref(column)));
            }
            places.push(match column {
                Column::Index(index) => ColumnPath::whole(*index),
                Column::Name(name) => match self.place(name)? {
                    Some(place) => ColumnPath::whole(place),
                    None => self.path_within(name).expect("`has` saw the field"),
                },
            });
        }
        self.reader.select(&places)?;
        Ok(Rows {
            file: self.file,
            columns: wanted.into(),
            reader: self.reader,
            may_be_empty: self.may_be_empty,
            count: 0,
            ended: false,
        })
    }

    /// The field that a name with dots means.
    fn path_within(&self, name: &str) -> Option<ColumnPath> {
        let columns = self.columns()?;
        splits(name).find_map(|(column, within)| {
            let column = columns.iter().position(|known| known == column)?;
            let within = self.reader.has_within(column, within).then(|| within.to_owned())?;
            Some(ColumnPath { column, within: Some(within) })
        })
    }

    /// The place of the one column that has the name.
    fn place(&self, name: &str) -> Result<Option<usize>> {
        let columns = self.columns.iter().flatten().enumerate();
        let mut places = columns.filter(|(_, column)| *column == name).map(|(place, _)| place);
        let place = places.next();
        if places.next().is_some() {
            let problem = format!("two columns are called `{name}`; rename one");
            return Err(FileError::line(&self.file, 1, problem));
        }
        Ok(place)
    }
}

/// The rows of a table. After an error nothing follows; a table without a row is an error, unless it
/// [may be empty](TableOptions::may_be_empty).
pub struct Rows {
    file: Arc<Path>,
    columns: Arc<[Column]>,
    reader: Box<dyn RowReader>,
    may_be_empty: bool,
    count: u64,
    ended: bool,
}

impl Rows {
    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Rows passed over so far because they were too short (see [`TableOptions::short_rows_allowed`]).
    pub fn passed_over(&self) -> u64 {
        self.reader.passed_over()
    }

    fn advance(&mut self) -> Result<Option<Row>> {
        if let Some((line, cells)) = self.reader.next()? {
            self.count += 1;
            let (file, columns) = (Arc::clone(&self.file), Arc::clone(&self.columns));
            return Ok(Some(Row::new(file, line, columns, cells)));
        }
        if self.count == 0 && !self.may_be_empty {
            return Err(FileError::file(&self.file, "the file holds no row besides its header"));
        }
        Ok(None)
    }
}

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.advance().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}
