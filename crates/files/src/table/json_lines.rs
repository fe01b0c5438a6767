//! JSON lines: each line is an object.

use crate::error::FileError;
use serde_json::{Map, Value};

use super::lines::{BoundedLines, Line};
use super::reader::Source;
use super::row::Cell;

/// Reads a `.jsonl` file.
pub(super) struct JsonLinesSource {
    lines: BoundedLines,
    /// The first object, read to know the keys.
    first: Option<Object>,
    keys: Vec<String>,
    wanted: Vec<String>,
}

/// An object, and its line from 1.
struct Object {
    line: u64,
    fields: Map<String, Value>,
}

impl JsonLinesSource {
    /// Opens a file; gives the keys of its first object too.
    pub(super) fn open(lines: BoundedLines) -> Result<(Self, Vec<String>), FileError> {
        let mut source = Self { lines, first: None, keys: Vec::new(), wanted: Vec::new() };
        let Some(first) = source.next_object()? else {
            return Err(FileError::file(source.lines.path(), "the file is empty"));
        };
        source.keys = first.fields.keys().cloned().collect();
        source.first = Some(first);
        let keys = source.keys.clone();
        Ok((source, keys))
    }

    fn next_object(&mut self) -> Result<Option<Object>, FileError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let Line { number, text } = loop {
            match self.lines.next_line()? {
                None => return Ok(None),
                Some(line) if line.text.trim().is_empty() => {}
                Some(line) => break line,
            }
        };
        let failed = |problem: String| FileError::line(self.lines.path(), number, problem);
        match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => Ok(Some(Object { line: number, fields })),
            Ok(_) => Err(failed(
                "not a JSON object; each line must be one, such as `{\"sentence\": \"…\", \"label\": 1}`"
                    .to_owned(),
            )),
            Err(error) => Err(failed(format!("not JSON: {error}; each line must be an object"))),
        }
    }
}

impl Source for JsonLinesSource {
    fn select(&mut self, wanted: &[usize]) -> Result<(), FileError> {
        self.wanted = wanted.iter().map(|at| self.keys[*at].clone()).collect();
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>, FileError> {
        let Some(Object { line, fields }) = self.next_object()? else {
            return Ok(None);
        };
        let cells = self.wanted.iter().map(|key| {
            cell(fields.get(key)).ok_or_else(|| {
                let problem = format!("`{key}` is neither a string nor a number");
                FileError::line(self.lines.path(), line, problem)
            })
        });
        Ok(Some((line, cells.collect::<Result<_, _>>()?)))
    }
}

/// `None` for arrays and objects.
fn cell(value: Option<&Value>) -> Option<Cell> {
    Some(match value {
        None | Some(Value::Null) => Cell::Null,
        Some(Value::Bool(flag)) => Cell::Integer(i64::from(*flag)),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(integer) => Cell::Integer(integer),
            None => Cell::Number(number.as_f64()?),
        },
        Some(Value::String(text)) => Cell::Text(text.clone()),
        Some(Value::Array(_) | Value::Object(_)) => return None,
    })
}
