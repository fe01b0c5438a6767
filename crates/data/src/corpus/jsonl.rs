//! JSON lines: each line is an object, one of its strings the document.

use std::path::{Path, PathBuf};

use nystromformer_files::LineReader;
use serde_json::Value;

use super::Source;
use super::chunk::ChunkQueue;
use crate::error::DataError;

/// Reads a `.jsonl` file.
pub(super) struct JsonLinesSource {
    path: PathBuf,
    lines: LineReader,
    text_field: String,
    max_line_bytes: usize,
}

impl JsonLinesSource {
    pub(super) fn open(
        path: &Path,
        text_field: &str,
        max_line_bytes: usize,
    ) -> Result<Self, DataError> {
        Ok(Self {
            path: path.to_owned(),
            lines: LineReader::open(path)?,
            text_field: text_field.to_owned(),
            max_line_bytes,
        })
    }

    fn text(&self, line: &str) -> Result<String, String> {
        let value: Value =
            serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"))?;
        let Value::Object(mut object) = value else {
            return Err("not a JSON object; each line must be `{\"text\": \"…\"}`".to_owned());
        };
        match object.remove(&self.text_field) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(format!("`{}` is not a string", self.text_field)),
            None => {
                let keys: Vec<String> =
                    object.keys().take(8).map(|key| format!("`{key}`")).collect();
                Err(format!(
                    "no key `{}`, only {}; set `data.text_field`",
                    self.text_field,
                    keys.join(", ")
                ))
            }
        }
    }
}

impl Source for JsonLinesSource {
    fn read(&mut self, queue: &mut ChunkQueue) -> Result<bool, DataError> {
        let Some(piece) = self.lines.next_line(self.max_line_bytes)? else {
            return Ok(false);
        };
        if !piece.ends_line {
            return Err(DataError::line(
                &self.path,
                piece.line,
                format!("longer than `data.max_line_bytes = {}`", self.max_line_bytes),
            ));
        }
        if !piece.text.trim().is_empty() {
            let text = self
                .text(&piece.text)
                .map_err(|problem| DataError::line(&self.path, piece.line, problem))?;
            queue.push(&text);
            queue.end_document();
        }
        Ok(true)
    }
}
