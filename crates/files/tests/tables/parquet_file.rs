//! Small Parquet files to read.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// A column and its values; texts may be null.
pub(crate) enum Values<'a> {
    Texts(&'a [Option<&'a [u8]>]),
    Integers(&'a [i64]),
    Numbers(&'a [f64]),
}

pub(crate) fn write(path: &Path, columns: &[(&str, Values<'_>)]) {
    let fields = columns.iter().map(|(name, values)| match values {
        Values::Texts(_) => format!("optional binary {name} (UTF8);"),
        Values::Integers(_) => format!("required int64 {name};"),
        Values::Numbers(_) => format!("required double {name};"),
    });
    let message = format!("message rows {{{}}}", fields.collect::<String>());
    let schema = Arc::new(parse_message_type(&message).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (_, values) in columns {
        let mut column = group.next_column().unwrap().unwrap();
        match values {
            Values::Texts(texts) => {
                let levels: Vec<i16> = texts.iter().map(|text| i16::from(text.is_some())).collect();
                let present: Vec<ByteArray> =
                    texts.iter().flatten().map(|text| ByteArray::from(text.to_vec())).collect();
                column.typed::<ByteArrayType>().write_batch(&present, Some(&levels), None).unwrap();
            }
            Values::Integers(numbers) => {
                column.typed::<Int64Type>().write_batch(numbers, None, None).unwrap();
            }
            Values::Numbers(numbers) => {
                column.typed::<DoubleType>().write_batch(numbers, None, None).unwrap();
            }
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}
