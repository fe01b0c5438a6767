//! JSON: the objects of a file as rows.

use std::collections::VecDeque;
use std::path::Path;

use serde_json::Value;

use super::json_object::JsonObject;
use super::nested::{ColumnPath, Nesting, value_within};
use super::objects::JsonObjects;
use super::row::{BY_ROWS, Cell};
use super::row_reader::RowReader;
use crate::error::{FileError, Result};

/// Objects that are looked at to know the keys.
const LOOKED_AT: usize = 20;

/// Reads a `.json` or `.jsonl` file.
pub(super) struct JsonReader {
    objects: JsonObjects,
    /// The first objects, read to know the keys.
    first: VecDeque<JsonObject>,
    /// What came after them instead of another.
    error: Option<FileError>,
    keys: Vec<String>,
    /// Of each key, whether its values in the first objects may have fields within them.
    nests: Vec<bool>,
    wanted: Vec<(String, Option<String>)>,
}

impl JsonReader {
    /// Opens a file; gives the keys of its first objects too. One alone may lack a key that others have.
    pub(super) fn open(path: &Path, max_bytes: usize) -> Result<(Self, Vec<String>)> {
        let mut objects = JsonObjects::open(path, max_bytes)?;
        let (mut first, mut keys, mut nests, mut error) =
            (VecDeque::new(), Vec::new(), Vec::<Nesting>::new(), None);
        let mut bytes = 0;
        while first.len() < LOOKED_AT && bytes <= max_bytes {
            match objects.next() {
                None => break,
                Some(Err(found)) if first.is_empty() => return Err(found),
                // It is told when its turn comes.
                Some(Err(found)) => {
                    error = Some(found);
                    break;
                }
                Some(Ok(object)) => {
                    let object: JsonObject = object;
                    for (key, value) in &object.fields {
                        bytes += value.as_str().map_or(0, str::len);
                        let known = keys.iter().position(|known| known == key);
                        let place = known.unwrap_or_else(|| {
                            keys.push(key.clone());
                            nests.push(Nesting::default());
                            keys.len() - 1
                        });
                        nests[place].see(value);
                    }
                    first.push_back(object);
                }
            }
        }
        if first.is_empty() {
            let is_blank = std::fs::metadata(path).is_ok_and(|file| file.len() == 0);
            let problem =
                if is_blank { "the file is empty" } else { "no row in it: its lists are empty" };
            return Err(FileError::file(path, problem));
        }
        let nests = nests.into_iter().map(Nesting::may_nest).collect();
        let reader = Self { objects, first, error, keys: keys.clone(), nests, wanted: Vec::new() };
        Ok((reader, keys))
    }
}

impl RowReader for JsonReader {
    fn select(&mut self, wanted: &[ColumnPath]) -> Result<()> {
        let named = |path: &ColumnPath| (self.keys[path.column].clone(), path.within.clone());
        self.wanted = wanted.iter().map(named).collect();
        Ok(())
    }

    fn has_within(&self, column: usize, _: &str) -> bool {
        self.nests[column]
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>> {
        let next = match (self.first.pop_front(), self.error.take()) {
            (Some(first), error) => {
                self.error = error;
                Some(first)
            }
            (None, Some(error)) => return Err(error),
            (None, None) => self.objects.next().transpose()?,
        };
        let Some(JsonObject { line, fields }) = next else {
            return Ok(None);
        };
        let cells = self.wanted.iter().map(|(key, within)| {
            let value = match (fields.get(key), within) {
                (None, _) => Value::Null,
                (Some(value), None) => value.clone(),
                (Some(value), Some(path)) => value_within(value, path),
            };
            cell(value).ok_or_else(|| {
                let dotted = within.as_ref().map_or_else(String::new, |path| format!(".{path}"));
                let problem = format!("`{key}{dotted}` is neither a string nor a number");
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
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Cell::Integer(integer),
            // A float would lose its last digits, and it may be an id.
            (None, Some(large)) => Cell::Text(large.to_string()),
            (None, None) => Cell::Number(number.as_f64()?),
        },
        Value::String(text) => Cell::Text(text),
        Value::Array(values) => Cell::List(values.into_iter().map(cell).collect::<Option<_>>()?),
        Value::Object(_) => return None,
    })
}
