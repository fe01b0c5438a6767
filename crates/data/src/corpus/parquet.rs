//! Parquet: one string column is read, each row is a document.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use super::Source;
use super::chunk::ChunkQueue;
use crate::error::DataError;

/// Reads a `.parquet` file.
pub(super) struct ParquetSource {
    path: PathBuf,
    rows: RowIter<'static>,
    row: u64,
    text_field: String,
    max_text_bytes: usize,
}

impl ParquetSource {
    pub(super) fn open(
        path: &Path,
        text_field: &str,
        max_text_bytes: usize,
    ) -> Result<Self, DataError> {
        let broken = |error: ParquetError| {
            DataError::corpus(path, format!("not a readable Parquet file: {error}"))
        };
        let file = File::open(path).map_err(DataError::io("open", path))?;
        let reader = SerializedFileReader::new(file).map_err(broken)?;
        let schema = reader.metadata().file_metadata().schema().clone();
        let projection = project(path, &schema, text_field)?;
        let rows =
            RowIter::from_file_into(Box::new(reader)).project(Some(projection)).map_err(broken)?;
        Ok(Self {
            path: path.to_owned(),
            rows,
            row: 0,
            text_field: text_field.to_owned(),
            max_text_bytes,
        })
    }

    fn text(&self, field: Field) -> Result<String, String> {
        let text = match field {
            Field::Str(text) => text,
            Field::Bytes(bytes) => String::from_utf8(bytes.data().to_vec())
                .map_err(|_| format!("`{}` is not UTF-8", self.text_field))?,
            Field::Null => return Err(format!("`{}` is null; drop such rows", self.text_field)),
            _ => return Err(format!("`{}` is not a string", self.text_field)),
        };
        if text.len() > self.max_text_bytes {
            return Err(format!("longer than `data.max_line_bytes = {}`", self.max_text_bytes));
        }
        Ok(text)
    }
}

/// The schema of the text column alone, so that no other column is read.
fn project(path: &Path, schema: &Type, text_field: &str) -> Result<Type, DataError> {
    let fields = schema.get_fields();
    let Some(field) = fields.iter().find(|field| field.name() == text_field) else {
        let names: Vec<String> =
            fields.iter().take(8).map(|field| format!("`{}`", field.name())).collect();
        return Err(DataError::corpus(
            path,
            format!("no column `{text_field}`, only {}; set `data.text_field`", names.join(", ")),
        ));
    };
    if !field.is_primitive() || field.get_physical_type() != PhysicalType::BYTE_ARRAY {
        return Err(DataError::corpus(
            path,
            format!("column `{text_field}` is not a string column"),
        ));
    }
    Type::group_type_builder(schema.name())
        .with_fields(vec![Arc::clone(field)])
        .build()
        .map_err(|error| DataError::corpus(path, error.to_string()))
}

impl Source for ParquetSource {
    fn read(&mut self, queue: &mut ChunkQueue) -> Result<bool, DataError> {
        let Some(row) = self.rows.next() else {
            return Ok(false);
        };
        self.row += 1;
        let failed = |problem: String| DataError::line(&self.path, self.row, problem);
        let columns = row.map_err(|error| failed(error.to_string()))?.into_columns();
        let field = columns.into_iter().next().map_or(Field::Null, |(_, field)| field);
        let text = self.text(field).map_err(failed)?;
        queue.push(&text);
        queue.end_document();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::data_type::{ByteArray, ByteArrayType, Int32Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    /// Writes `id` and `text` columns in two row groups.
    fn write(path: &Path, texts: [&[&str]; 2]) {
        let schema = "message rows { required int32 id; required binary text (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer =
            SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        for group in texts {
            let mut row_group = writer.next_row_group().unwrap();
            let ids: Vec<i32> = (0..group.len() as i32).collect();
            let mut column = row_group.next_column().unwrap().unwrap();
            column.typed::<Int32Type>().write_batch(&ids, None, None).unwrap();
            column.close().unwrap();
            let values: Vec<ByteArray> = group.iter().map(|text| ByteArray::from(*text)).collect();
            let mut column = row_group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
            column.close().unwrap();
            row_group.close().unwrap();
        }
        writer.close().unwrap();
    }

    fn read(path: &Path, column: &str) -> Result<Vec<String>, DataError> {
        let mut source = ParquetSource::open(path, column, 1_000)?;
        let mut queue = ChunkQueue::default();
        while source.read(&mut queue)? {}
        Ok(std::iter::from_fn(|| queue.pop()).map(|chunk| chunk.text).collect())
    }

    #[test]
    fn rows_of_all_groups_are_documents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        write(&path, [&["one", "zwei"], &["trois"]]);
        assert_eq!(read(&path, "text").unwrap(), ["one", "zwei", "trois"]);
        let missing = read(&path, "body").unwrap_err().to_string();
        assert!(missing.contains("`body`") && missing.contains("`text`"), "{missing}");
        let wrong = read(&path, "id").unwrap_err().to_string();
        assert!(wrong.contains("not a string column"), "{wrong}");
    }

    #[test]
    fn a_text_over_the_limit_names_its_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        write(&path, [&["one"], &[&"x".repeat(2_000)]]);
        let message = read(&path, "text").unwrap_err().to_string();
        assert!(message.contains("rows.parquet:2: "), "{message}");
    }
}
