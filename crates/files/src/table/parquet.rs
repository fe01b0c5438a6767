//! Parquet: only the columns asked for are read.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::caught::caught;
use crate::error::{FileError, Result};
use crate::git_lfs;
use crate::signature::Compression as Compressed;
use parquet::basic::{Compression, ConvertedType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, RowGroupMetaData};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

use super::nested::{ColumnPath, splits};
use super::row::{BY_ROWS, Cell};
use super::row_reader::RowReader;

/// Reads a `.parquet` file.
pub(super) struct ParquetReader {
    path: PathBuf,
    schema: Type,
    /// Taken when columns are selected.
    reader: Option<SerializedFileReader<File>>,
    rows: Option<RowIter<'static>>,
    row: u64,
    /// For each wanted cell, its place among the columns read, and the path of the field within it.
    places: Vec<(usize, Option<String>)>,
    class_names: Vec<Option<Vec<String>>>,
    max_text_bytes: usize,
}

/// What the library gives, which panics on some damaged files.
fn call<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    caught(work).and_then(|result| result.map_err(|error| error.to_string()))
}

fn broken(path: &Path) -> impl Fn(String) -> FileError {
    |error| FileError::file(path, format!("not a readable Parquet file: {error}"))
}

impl ParquetReader {
    /// Opens a file; gives its column names too.
    pub(super) fn open(path: &Path, max_text_bytes: usize) -> Result<(Self, Vec<String>)> {
        git_lfs::check(path)?;
        let mut file = File::open(path).map_err(FileError::io("open", path))?;
        let mut first = [0; 4];
        match file.read(&mut first).map_err(FileError::io("read", path))? {
            0 => return Err(FileError::file(path, "the file is empty")),
            read => {
                if let Some(compression) = Compressed::of(&first[..read]) {
                    let name = compression.name();
                    let problem = format!("a Parquet file within {name} data is not read");
                    let cure = "decompress it; Parquet is compressed by itself";
                    return Err(FileError::file(path, problem).with_cure(cure));
                }
            }
        }
        let reader = call(|| SerializedFileReader::new(file)).map_err(broken(path))?;
        let schema = reader.metadata().file_metadata().schema().clone();
        let names: Vec<String> =
            schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
        let class_names = class_names(reader.metadata().file_metadata(), &names);
        let opened = Self {
            path: path.to_owned(),
            schema,
            rows: None,
            row: 0,
            places: Vec::new(),
            class_names,
            reader: Some(reader),
            max_text_bytes,
        };
        Ok((opened, names))
    }

    /// The error for a value of a row.
    fn wrong(&self, problem: String, cure: &str) -> FileError {
        FileError::line(&self.path, self.row, problem).with_cure(cure)
    }

    /// The cell of the field at `path` within a value; of a list, the list of those of its elements.
    fn cell_within(&self, name: &str, field: &Field, path: &str) -> Result<Cell> {
        match field {
            Field::Group(group) => {
                let inner = |name: &str| {
                    group
                        .get_column_iter()
                        .find(|(known, _)| *known == name)
                        .map(|(_, field)| field)
                };
                if let Some(field) = inner(path) {
                    return self.cell(name, field.clone());
                }
                splits(path)
                    .find_map(|(first, rest)| Some(self.cell_within(name, inner(first)?, rest)))
                    .unwrap_or(Ok(Cell::Null))
            }
            Field::ListInternal(list) => {
                let cells =
                    list.elements().iter().map(|element| self.cell_within(name, element, path));
                Ok(Cell::List(cells.collect::<Result<_>>()?))
            }
            _ => Ok(Cell::Null),
        }
    }

    fn cell(&self, name: &str, field: Field) -> Result<Cell> {
        let text = match field {
            Field::Null => return Ok(Cell::Null),
            Field::Str(text) => text,
            Field::Bytes(bytes) => String::from_utf8(bytes.data().to_vec())
                .map_err(|_| self.wrong(format!("`{name}` is not UTF-8"), "convert the text"))?,
            Field::Bool(flag) => return Ok(Cell::Boolean(flag)),
            Field::Byte(number) => return Ok(Cell::Integer(number.into())),
            Field::Short(number) => return Ok(Cell::Integer(number.into())),
            Field::Int(number) => return Ok(Cell::Integer(number.into())),
            Field::Long(number) => return Ok(Cell::Integer(number)),
            Field::UByte(number) => return Ok(Cell::Integer(number.into())),
            Field::UShort(number) => return Ok(Cell::Integer(number.into())),
            Field::UInt(number) => return Ok(Cell::Integer(number.into())),
            Field::ULong(number) => {
                // A float would lose the last digits of a larger one, and it may be an id.
                let large = || Cell::Text(number.to_string());
                return Ok(i64::try_from(number).map_or_else(|_| large(), Cell::Integer));
            }
            Field::Float16(number) => return Ok(Cell::Number(number.to_f64())),
            Field::Float(number) => return Ok(Cell::Number(number.into())),
            Field::Double(number) => return Ok(Cell::Number(number)),
            Field::Decimal(_) => {
                // Only its text is given; whole numbers are written without a point.
                let text = field.to_string();
                let number = text.parse();
                return number
                    .map(Cell::Number)
                    .map_err(|_| self.wrong(format!("`{name}`: `{text}` is no number"), BY_ROWS));
            }
            Field::ListInternal(list) => {
                let cells = list.elements().iter().map(|element| self.cell(name, element.clone()));
                return Ok(Cell::List(cells.collect::<Result<_>>()?));
            }
            _ => {
                return Err(
                    self.wrong(format!("`{name}` is neither a string nor a number"), BY_ROWS)
                );
            }
        };
        if text.len() > self.max_text_bytes {
            let problem =
                format!("`{name}` is longer than `max_line_bytes = {}`", self.max_text_bytes);
            return Err(self.wrong(problem, "cut the text, or, if the data is your own, raise it"));
        }
        Ok(Cell::Text(text))
    }

    /// Refuses columns that are compressed in a way that is not compiled in.
    fn check_codecs(&self, reader: &SerializedFileReader<File>, wanted: &[usize]) -> Result<()> {
        let columns = reader.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
        for column in columns {
            let name = column.column_path().parts().first().map_or("", String::as_str);
            let place = self.schema.get_fields().iter().position(|field| field.name() == name);
            if !place.is_some_and(|place| wanted.contains(&place)) {
                continue;
            }
            let codec = match column.compression() {
                Compression::BROTLI(_) => "Brotli",
                Compression::LZO => "LZO",
                _ => continue,
            };
            let problem = format!("column `{name}` is compressed with {codec}, which is not read");
            let cure = "write the file anew with zstd, snappy, gzip or lz4: \
                        `pandas.read_parquet(FILE).to_parquet(FILE, compression=\"zstd\")`";
            return Err(FileError::file(&self.path, problem).with_cure(cure));
        }
        Ok(())
    }
}

/// Whether a value of this type has a field of this path within it, as a group or as the elements of a list do.
fn has_field(value: &Type, path: &str) -> bool {
    if !value.is_group() {
        return false;
    }
    let fields = value.get_fields();
    if let Some(repeated) = fields.first()
        && value.get_basic_info().converted_type() == ConvertedType::LIST
    {
        // The elements are in a group of their own, but in files of old writers are that group.
        return has_field(repeated, path)
            || repeated.is_group()
                && repeated.get_fields().len() == 1
                && has_field(&repeated.get_fields()[0], path);
    }
    let named = |name: &str| fields.iter().find(|field| field.name() == name);
    named(path).is_some()
        || splits(path).any(|(name, rest)| named(name).is_some_and(|field| has_field(field, rest)))
}

/// The names of the classes of each column that has some: Hugging Face's datasets keep them beside the schema.
fn class_names(metadata: &FileMetaData, columns: &[String]) -> Vec<Option<Vec<String>>> {
    let about = metadata
        .key_value_metadata()
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == "huggingface")?.value.as_deref())
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .unwrap_or_default();
    let names = |column: &String| {
        let mut feature = about.pointer("/info/features")?.get(column)?;
        // A column of lists says what is in them: as its `feature`, or as the one part of a list.
        while let Some(part) = feature.get("feature").or_else(|| feature.get(0)) {
            feature = part;
        }
        let names = feature.get("names")?.as_array()?;
        names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    };
    columns.iter().map(names).collect()
}

impl RowReader for ParquetReader {
    fn select(&mut self, wanted: &[ColumnPath]) -> Result<()> {
        let mut read: Vec<usize> = wanted.iter().map(|path| path.column).collect();
        read.sort_unstable();
        read.dedup();
        let fields: Vec<TypePtr> =
            read.iter().map(|at| Arc::clone(&self.schema.get_fields()[*at])).collect();
        self.places = wanted
            .iter()
            .map(|ColumnPath { column, within }| {
                (read.binary_search(column).expect("`read` holds what is wanted"), within.clone())
            })
            .collect();
        let projection = Type::group_type_builder(self.schema.name())
            .with_fields(fields)
            .build()
            .map_err(|error| broken(&self.path)(error.to_string()))?;
        let reader = self.reader.take().expect("columns are selected once");
        self.check_codecs(&reader, &read)?;
        let rows = call(|| RowIter::from_file_into(Box::new(reader)).project(Some(projection)));
        self.rows = Some(rows.map_err(broken(&self.path))?);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>> {
        self.row += 1;
        let rows = self.rows.as_mut();
        let unreadable =
            |error| FileError::line(&self.path, self.row, format!("not a readable row: {error}"));
        let next = call(|| rows.and_then(Iterator::next).transpose());
        let Some(row) = next.map_err(unreadable)? else {
            return Ok(None);
        };
        let read = row.into_columns();
        let cells = self.places.iter().map(|(at, within)| {
            let (name, field) = &read[*at];
            match within {
                None => self.cell(name, field.clone()),
                Some(path) => self.cell_within(&format!("{name}.{path}"), field, path),
            }
        });
        Ok(Some((self.row, cells.collect::<Result<_>>()?)))
    }

    fn has_within(&self, column: usize, path: &str) -> bool {
        has_field(&self.schema.get_fields()[column], path)
    }

    fn class_names(&self, column: usize) -> Option<&[String]> {
        self.class_names.get(column)?.as_deref()
    }
}
