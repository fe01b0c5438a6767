//! Predictions as tables.

use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_files::table::write_parquet;
use serde_json::{Map, Value};

/// [`json_lines`](crate::json_lines) as a table whose first line names the columns. What has names of its own within, as `scores`
/// has, has a column for each (`scores.NAME`); lists are written as JSON.
///
/// # Errors
///
/// [`DataError::Dataset`] if the lines are no objects.
pub fn delimited(lines: &[u8], separator: char) -> Result<Vec<u8>, DataError> {
    let columns = columns(lines)?;
    let mark = separator.to_string();
    let line = |fields: Vec<String>| fields.join(&mark) + "\n";
    let mut table = line(columns.iter().map(|(name, _)| field(name, separator)).collect());
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    for row in 0..rows {
        let cells = columns.iter().map(|(_, values)| match &values[row] {
            Value::String(text) => field(text, separator),
            Value::Null => String::new(),
            value => field(&value.to_string(), separator),
        });
        table += &line(cells.collect());
    }
    Ok(table.into_bytes())
}

/// The same as a Parquet file: texts, numbers, and lists as JSON.
///
/// # Errors
///
/// As [`delimited`].
pub fn parquet(lines: &[u8]) -> Result<Vec<u8>, DataError> {
    write_parquet(&columns(lines)?).map_err(|error| problem(&error))
}

fn problem(error: &dyn std::fmt::Display) -> DataError {
    DataError::dataset(Path::new("predictions"), error.to_string())
}

/// The columns of all lines, each with a value for every line.
fn columns(lines: &[u8]) -> Result<Vec<(String, Vec<Value>)>, DataError> {
    let mut columns: Vec<(String, Vec<Value>)> = Vec::new();
    let rows = serde_json::Deserializer::from_slice(lines).into_iter::<Map<String, Value>>();
    let mut count = 0;
    for row in rows {
        for (name, value) in flat(row.map_err(|error| problem(&error))?) {
            let place = columns.iter().position(|(known, _)| *known == name);
            let place = place.unwrap_or_else(|| {
                columns.push((name, vec![Value::Null; count]));
                columns.len() - 1
            });
            let values = &mut columns[place].1;
            values.resize(count, Value::Null);
            values.push(value);
        }
        count += 1;
    }
    for (_, values) in &mut columns {
        values.resize(count, Value::Null);
    }
    Ok(columns)
}

/// The entries of a line, those within its objects by `KEY.NAME`.
fn flat(line: Map<String, Value>) -> Vec<(String, Value)> {
    let entries = line.into_iter().flat_map(|(key, value)| match value {
        Value::Object(inner) => {
            inner.into_iter().map(|(name, value)| (format!("{key}.{name}"), value)).collect()
        }
        value => vec![(key, value)],
    });
    entries.collect()
}

/// A field of a table, in quotes where it must be.
fn field(text: &str, separator: char) -> String {
    if text.contains([separator, '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_a_table() {
        let lines = b"{\"id\":\"a,b\",\"label\":\"no\",\"scores\":{\"no\":0.75,\"yes\":0.25}}\n\
            {\"id\":\"c\",\"label\":\"say \\\"hi\\\"\",\"labels\":[1,2]}\n";
        let table = String::from_utf8(delimited(lines, ',').unwrap()).unwrap();
        assert_eq!(
            table,
            "id,label,scores.no,scores.yes,labels\n\"a,b\",no,0.75,0.25,\nc,\"say \"\"hi\"\"\",,,\"[1,2]\"\n"
        );
        assert!(delimited(b"[1]\n", ',').is_err());
    }

    #[test]
    fn each_line_has_a_cell_in_every_column() {
        let columns =
            columns(b"{\"a\":1}\n{\"b\":{\"c\":[2]}}\n{\"a\":null,\"b\":{\"d\":\"x\"}}\n").unwrap();
        let shown: Vec<String> = columns
            .iter()
            .map(|(name, values)| format!("{name}{}", Value::from(values.clone())))
            .collect();
        assert_eq!(shown, ["a[1,null,null]", "b.c[null,[2],null]", "b.d[null,null,\"x\"]"]);
        assert!(!parquet(b"{\"a\":1}\n").unwrap().is_empty() && parquet(b"[1]\n").is_err());
    }
}
