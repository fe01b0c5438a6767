//! JSON: the objects of a file as rows.

use std::path::Path;

use serde_json::Value;

use super::objects::{BY_ROWS, JsonObject, JsonObjects};
use super::reader::RowReader;
use super::row::Cell;
use crate::error::{FileError, Result};

/// Reads a `.json` or `.jsonl` file.
pub(super) struct JsonReader {
    objects: JsonObjects,
    /// The first object, read to know the keys.
    first: Option<JsonObject>,
    keys: Vec<String>,
    wanted: Vec<String>,
}

impl JsonReader {
    /// Opens a file; gives the keys of its first object too.
    pub(super) fn open(path: &Path, max_bytes: usize) -> Result<(Self, Vec<String>)> {
        let mut objects = JsonObjects::open(path, max_bytes)?;
        let Some(first) = objects.next().transpose()? else {
            return Err(FileError::file(path, "the file is empty"));
        };
        let keys: Vec<String> = first.fields.keys().cloned().collect();
        let reader = Self { objects, first: Some(first), keys: keys.clone(), wanted: Vec::new() };
        Ok((reader, keys))
    }
}

impl RowReader for JsonReader {
    fn select(&mut self, wanted: &[usize]) -> Result<()> {
        self.wanted = wanted.iter().map(|at| self.keys[*at].clone()).collect();
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>> {
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => self.objects.next().transpose()?,
        };
        let Some(JsonObject { line, fields }) = next else {
            return Ok(None);
        };
        let cells = self.wanted.iter().map(|key| {
            let value = fields.get(key).cloned().unwrap_or_default();
            cell(value).ok_or_else(|| {
                let problem = format!("`{key}` is neither a string nor a number");
                FileError::line(self.objects.path(), line, problem).with_cure(BY_ROWS)
            })
        });
        Ok(Some((line, cells.collect::<Result<_>>()?)))
    }
}

/// `None` for objects, and for lists with one in them.
fn cell(value: Value) -> Option<Cell> {
    Some(match value {
        Value::Null => Cell::Null,
        Value::Bool(flag) => Cell::Boolean(flag),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Cell::Integer(integer),
            None => Cell::Number(number.as_f64()?),
        },
        Value::String(text) => Cell::Text(text),
        Value::Array(values) => Cell::List(values.into_iter().map(cell).collect::<Option<_>>()?),
        Value::Object(_) => return None,
    })
}
