//! Writes a table as Parquet.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::Value;

/// A table as a Parquet file. Each column has a name and a value for each row, null where it has none. A column is of Booleans, of
/// whole numbers, of numbers, or else of texts, in which lists and objects stand as JSON.
///
/// # Errors
/// What the library says.
pub fn write_parquet(columns: &[(String, Vec<Value>)]) -> Result<Vec<u8>, ParquetError> {
    let kinds: Vec<PhysicalType> = columns.iter().map(|(_, values)| kind(values)).collect();
    let fields = columns.iter().zip(&kinds).map(|((name, _), kind)| {
        let text = (*kind == PhysicalType::BYTE_ARRAY).then_some(LogicalType::String);
        let field = Type::primitive_type_builder(name, *kind)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(text);
        Ok(Arc::new(field.build()?))
    });
    let fields = fields.collect::<Result<_, ParquetError>>()?;
    let schema = Arc::new(Type::group_type_builder("rows").with_fields(fields).build()?);
    let mut writer = SerializedFileWriter::new(
        Vec::new(),
        schema,
        Arc::new(WriterProperties::builder().build()),
    )?;
    let mut group = writer.next_row_group()?;
    for ((_, values), kind) in columns.iter().zip(kinds) {
        let Some(mut column) = group.next_column()? else { break };
        let levels: Vec<i16> = values.iter().map(|value| i16::from(!value.is_null())).collect();
        match kind {
            PhysicalType::BOOLEAN => {
                column.typed::<BoolType>().write_batch(
                    &present::<BoolType>(values, Value::as_bool),
                    Some(&levels),
                    None,
                )?;
            }
            PhysicalType::INT64 => {
                column.typed::<Int64Type>().write_batch(
                    &present::<Int64Type>(values, Value::as_i64),
                    Some(&levels),
                    None,
                )?;
            }
            PhysicalType::DOUBLE => {
                column.typed::<DoubleType>().write_batch(
                    &present::<DoubleType>(values, Value::as_f64),
                    Some(&levels),
                    None,
                )?;
            }
            _ => {
                column.typed::<ByteArrayType>().write_batch(
                    &present::<ByteArrayType>(values, text),
                    Some(&levels),
                    None,
                )?;
            }
        }
        column.close()?;
    }
    group.close()?;
    writer.into_inner()
}

/// What a column holds: of nothing but nulls, texts.
fn kind(values: &[Value]) -> PhysicalType {
    let all = |is: &dyn Fn(&Value) -> bool| {
        let mut present = values.iter().filter(|value| !value.is_null()).peekable();
        present.peek().is_some() && present.all(is)
    };
    if all(&Value::is_boolean) {
        PhysicalType::BOOLEAN
    } else if all(&Value::is_i64) {
        PhysicalType::INT64
    } else if all(&Value::is_number) {
        PhysicalType::DOUBLE
    } else {
        PhysicalType::BYTE_ARRAY
    }
}

/// The values that are not null.
fn present<T: DataType>(values: &[Value], read: fn(&Value) -> Option<T::T>) -> Vec<T::T> {
    values.iter().filter_map(read).collect()
}

fn text(value: &Value) -> Option<ByteArray> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    Some(ByteArray::from(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::table::{Cell, Column, Table, TableOptions};

    #[test]
    fn what_is_written_is_read() {
        let column =
            |name: &str, values: Value| (name.to_owned(), values.as_array().unwrap().clone());
        let columns = [
            column("a name.with a dot", json!(["x", null, "y,\n\"z\""])),
            column("count", json!([1, -2, null])),
            column("score", json!([0.25, 1, null])),
            column("is", json!([true, null, false])),
            column("list", json!([["a", 1], null, "b"])),
            column("nothing", json!([null, null, null])),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        std::fs::write(&path, write_parquet(&columns).unwrap()).unwrap();
        let names: Vec<Column> = columns.iter().map(|(name, _)| name.as_str().into()).collect();
        let table = Table::open(&path, &TableOptions::default()).unwrap();
        let rows: Vec<_> = table.select(&names).unwrap().map(Result::unwrap).collect();
        let cells = |place: usize| -> Vec<Cell> {
            rows.iter().map(|row| row.cell(place).clone()).collect()
        };
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!(cells(0), [text("x"), Cell::Null, text("y,\n\"z\"")]);
        assert_eq!(cells(1), [Cell::Integer(1), Cell::Integer(-2), Cell::Null]);
        assert_eq!(cells(2), [Cell::Number(0.25), Cell::Number(1.0), Cell::Null]);
        assert_eq!(cells(3), [Cell::Boolean(true), Cell::Null, Cell::Boolean(false)]);
        assert_eq!(cells(4), [text("[\"a\",1]"), Cell::Null, text("b")]);
        assert_eq!(cells(5), [Cell::Null, Cell::Null, Cell::Null]);
    }
}
