//! Parquet: only the columns asked for are read.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::FileError;
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::{Type, TypePtr};

use super::reader::Source;
use super::row::Cell;

/// Reads a `.parquet` file.
pub(super) struct ParquetSource {
    path: PathBuf,
    schema: Type,
    /// Taken when columns are selected.
    reader: Option<SerializedFileReader<File>>,
    rows: Option<RowIter<'static>>,
    row: u64,
    /// For each wanted cell, its place among the columns read.
    places: Vec<usize>,
    max_text_bytes: usize,
}

fn broken(path: &Path) -> impl Fn(ParquetError) -> FileError {
    |error| FileError::file(path, format!("not a readable Parquet file: {error}"))
}

impl ParquetSource {
    /// Opens a file; gives its column names too.
    pub(super) fn open(
        path: &Path,
        max_text_bytes: usize,
    ) -> Result<(Self, Vec<String>), FileError> {
        let file = File::open(path).map_err(FileError::io("open", path))?;
        let reader = SerializedFileReader::new(file).map_err(broken(path))?;
        let schema = reader.metadata().file_metadata().schema().clone();
        let names = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
        let source = Self {
            path: path.to_owned(),
            schema,
            reader: Some(reader),
            rows: None,
            row: 0,
            places: Vec::new(),
            max_text_bytes,
        };
        Ok((source, names))
    }

    fn cell(&self, name: &str, field: Field) -> Result<Cell, String> {
        let text = match field {
            Field::Null => return Ok(Cell::Null),
            Field::Str(text) => text,
            Field::Bytes(bytes) => String::from_utf8(bytes.data().to_vec())
                .map_err(|_| format!("`{name}` is not UTF-8; convert the text"))?,
            Field::Bool(flag) => return Ok(Cell::Integer(i64::from(flag))),
            Field::Byte(number) => return Ok(Cell::Integer(number.into())),
            Field::Short(number) => return Ok(Cell::Integer(number.into())),
            Field::Int(number) => return Ok(Cell::Integer(number.into())),
            Field::Long(number) => return Ok(Cell::Integer(number)),
            Field::UByte(number) => return Ok(Cell::Integer(number.into())),
            Field::UShort(number) => return Ok(Cell::Integer(number.into())),
            Field::UInt(number) => return Ok(Cell::Integer(number.into())),
            Field::ULong(number) => {
                return Ok(i64::try_from(number).map_or(Cell::Number(number as f64), Cell::Integer));
            }
            Field::Float16(number) => return Ok(Cell::Number(number.to_f64())),
            Field::Float(number) => return Ok(Cell::Number(number.into())),
            Field::Double(number) => return Ok(Cell::Number(number)),
            _ => return Err(format!("`{name}` is neither a string nor a number")),
        };
        if text.len() > self.max_text_bytes {
            return Err(format!(
                "`{name}` is longer than `max_line_bytes = {}`; cut the text, or, if the data is your own, raise it",
                self.max_text_bytes
            ));
        }
        Ok(Cell::Text(text))
    }
}

impl Source for ParquetSource {
    fn select(&mut self, wanted: &[usize]) -> Result<(), FileError> {
        let mut read = wanted.to_vec();
        read.sort_unstable();
        read.dedup();
        let fields: Vec<TypePtr> =
            read.iter().map(|at| Arc::clone(&self.schema.get_fields()[*at])).collect();
        self.places = wanted
            .iter()
            .map(|at| read.binary_search(at).expect("`read` holds what is wanted"))
            .collect();
        let projection = Type::group_type_builder(self.schema.name())
            .with_fields(fields)
            .build()
            .map_err(broken(&self.path))?;
        let reader = self.reader.take().expect("columns are selected once");
        let rows = RowIter::from_file_into(Box::new(reader)).project(Some(projection));
        self.rows = Some(rows.map_err(broken(&self.path))?);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>, FileError> {
        let Some(row) = self.rows.as_mut().and_then(Iterator::next) else {
            return Ok(None);
        };
        self.row += 1;
        let failed = |problem: String| FileError::line(&self.path, self.row, problem);
        let read: Vec<Cell> = row
            .map_err(|error| failed(format!("not a readable row: {error}")))?
            .into_columns()
            .into_iter()
            .map(|(name, field)| self.cell(&name, field))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let cells = self.places.iter().map(|at| read[*at].clone()).collect();
        Ok(Some((self.row, cells)))
    }
}
