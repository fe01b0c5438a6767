//! The objects of a JSON file, one by one: whatever it is that holds them together.
//!
//! | a file of | is |
//! |---|---|
//! | `{…}`, newline, `{…}` | JSON lines; so are objects that are printed over several lines |
//! | `[{…}, {…}]` | an array |
//! | `{"version": …, "data": [{…}, {…}]}` | an array within one object; not in a `.jsonl` file, where such an object is a row |
//!
//! In each of them an object with `paragraphs` that have `qas` is an article of `SQuAD`, and gives an object for each question.
//! Only one of the file's objects is in memory at a time.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::json_object::JsonObject;
use super::json_text::{Capture, Captured, JsonText, Rules};
use super::large_numbers::as_strings;
use super::row::BY_ROWS;
use super::squad::Article;
use crate::error::{FileError, Result};
use crate::lines::{BoundedLines, LineReader};

/// Reads the objects of a file.
pub struct JsonObjects {
    rules: Rules,
    form: Form,
    /// The article whose questions are read.
    article: Option<Box<Article>>,
}

/// How the objects that follow are held together.
enum Form {
    /// Not known before the first.
    Unknown {
        text: JsonText,
        may_be_wrapped: bool,
    },
    Lines(BoundedLines),
    /// One after the other.
    Sequence(JsonText),
    Array {
        text: JsonText,
        is_first: bool,
        is_wrapped: bool,
    },
    Ended,
}

impl JsonObjects {
    /// Opens a file. An object of more than `max_bytes` is refused.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`].
    pub fn open(path: &Path, max_bytes: usize) -> Result<Self> {
        let may_be_wrapped = super::format::extension_of_content(path)
            .is_none_or(|name| !name.ends_with('l') && name != "ndjson");
        Ok(Self::wrapped(LineReader::open(path)?, max_bytes, may_be_wrapped))
    }

    /// The objects on stdin, each as soon as it is there.
    pub fn stdin(max_bytes: usize) -> Self {
        Self::of(LineReader::stdin(), max_bytes)
    }

    /// The objects in the lines of a file.
    pub fn of(reader: LineReader, max_bytes: usize) -> Self {
        Self::wrapped(reader, max_bytes, false)
    }

    fn wrapped(reader: LineReader, max_bytes: usize, may_be_wrapped: bool) -> Self {
        let path = Arc::clone(reader.path());
        let form = Form::Unknown { text: JsonText::of(reader), may_be_wrapped };
        let rules = Rules { path, max_bytes, cure: BY_ROWS.to_owned() };
        Self { rules, form, article: None }
    }

    /// With another cure for what is no object.
    pub fn with_cure(mut self, cure: impl Into<String>) -> Self {
        self.rules.cure = cure.into();
        self
    }

    /// The file, or `stdin`.
    pub fn path(&self) -> &Arc<Path> {
        &self.rules.path
    }

    fn advance(&mut self) -> Result<Option<JsonObject>> {
        loop {
            if let Some(article) = &mut self.article {
                match article.next() {
                    Some(Ok(question)) => return Ok(Some(question)),
                    Some(Err(problem)) => {
                        return Err(FileError::line(&self.rules.path, article.line(), problem)
                            .with_cure(
                                "correct the file: each paragraph has a `context` and its `qas`",
                            ));
                    }
                    None => self.article = None,
                }
            }
            let Some((line, text)) = self.next_text()? else {
                self.form = Form::Ended;
                return Ok(None);
            };
            let object = JsonObject { line, fields: self.parse(line, &text)? };
            match Article::of(object) {
                Err(object) => return Ok(Some(object)),
                Ok(article) => self.article = Some(Box::new(article)),
            }
        }
    }

    /// The text of the next object, and its line.
    fn next_text(&mut self) -> Result<Option<(u64, String)>> {
        loop {
            match &mut self.form {
                Form::Ended => return Ok(None),
                Form::Lines(lines) => {
                    let Some(line) = lines.next_line()? else { return Ok(None) };
                    if !line.text.trim().is_empty() {
                        return Ok(Some((line.number, line.text)));
                    }
                }
                Form::Sequence(text) => {
                    return match text.skip_blanks()? {
                        None => Ok(None),
                        Some(_) => text.object(&self.rules).map(Some),
                    };
                }
                Form::Array { text, is_first, is_wrapped } => {
                    let first = std::mem::take(is_first);
                    let mut next = text.skip_blanks()?;
                    if next == Some(b',') && !first {
                        text.skip();
                        next = text.skip_blanks()?;
                    } else if !first && !matches!(next, Some(b']') | None) {
                        return Err(FileError::line(
                            &self.rules.path,
                            text.line,
                            "not JSON: no comma between two objects",
                        ));
                    }
                    return match next {
                        Some(b']') => {
                            text.skip();
                            let closing = if *is_wrapped {
                                text.skip_wrapper(&self.rules)?;
                                '}'
                            } else {
                                ']'
                            };
                            if text.skip_blanks()?.is_some() {
                                let problem =
                                    format!("not JSON: text after the `{closing}` that closes all");
                                return Err(FileError::line(&self.rules.path, text.line, problem)
                                    .with_cure(&self.rules.cure));
                            }
                            Ok(None)
                        }
                        None => Err(FileError::line(
                            &self.rules.path,
                            text.line,
                            "not JSON: the file ends within an array",
                        )
                        .with_cure("get the file again, or close the array with `]`")),
                        Some(_) => text.object(&self.rules).map(Some),
                    };
                }
                Form::Unknown { .. } => {
                    if let Some(first) = self.begin()? {
                        return Ok(Some(first));
                    }
                }
            }
        }
    }

    /// Finds out the form; gives the first object if that is read on the way.
    fn begin(&mut self) -> Result<Option<(u64, String)>> {
        let Form::Unknown { mut text, may_be_wrapped } =
            std::mem::replace(&mut self.form, Form::Ended)
        else {
            return Ok(None);
        };
        match text.skip_blanks()? {
            None => return Ok(None),
            Some(b'[') => {
                text.skip();
                self.form = Form::Array { text, is_first: true, is_wrapped: false };
                return Ok(None);
            }
            Some(_) => {}
        }
        let begin = text.line;
        let mut capture = Capture::default();
        if text.capture(&mut capture, may_be_wrapped, &self.rules)? == Captured::Wrapper {
            self.form = Form::Array { text, is_first: true, is_wrapped: true };
            return Ok(None);
        }
        self.form = if text.line == begin && text.rest_is_blank() {
            let too_long = format!("longer than `max_line_bytes = {}`", self.rules.max_bytes);
            let lines = BoundedLines::of(text.reader, self.rules.max_bytes, too_long);
            Form::Lines(lines)
        } else {
            Form::Sequence(text)
        };
        Ok(Some((begin, capture.text)))
    }

    fn parse(&self, line: u64, text: &str) -> Result<Map<String, Value>> {
        let parsed = match as_strings(text) {
            Cow::Borrowed(text) => serde_json::from_str(text),
            // What is wrong is told by its place in the text itself.
            Cow::Owned(quoted) => {
                serde_json::from_str(&quoted).or_else(|_| serde_json::from_str(text))
            }
        };
        match parsed {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(self.rules.no_object(line)),
            Err(error) => Err(self.rules.not_json(line, text, &error)),
        }
    }
}

impl Iterator for JsonObjects {
    type Item = Result<JsonObject>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, Some(Err(_))) {
            self.form = Form::Ended;
            self.article = None;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(name: &str, content: &str, max_bytes: usize) -> Result<Vec<(u64, Value)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let objects = JsonObjects::open(&path, max_bytes).unwrap();
        objects
            .map(|object| object.map(|object| (object.line, Value::Object(object.fields))))
            .collect::<Result<_>>()
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_gives_the_same_objects() {
        let rows =
            [json!({"text": "a \"}]\\ b", "label": 1}), json!({"text": "é", "x": {"y": [1, {}]}})];
        let [first, second] = rows.each_ref().map(Value::to_string);
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
        let wrapped = json!({"version": {"data": [0]}, "about": "data", "data": rows, "end": [{}]});
        for (name, content) in [
            ("a.jsonl", format!("\u{feff}{first}\r\n\r\n{second}\r\n")),
            ("a.json", format!("{first}\n{second}")),
            ("a.json", format!("{first} {second}\n")),
            ("a.jsonl", format!("{}\n{}\n", pretty(&rows[0]), pretty(&rows[1]))),
            ("a.json", format!("[{first},{second}]")),
            ("a.jsonl", format!(" [\n{first}\n,\n{second}\n]\n")),
            ("a.json", pretty(&json!(rows))),
            ("a.json", wrapped.to_string()),
            ("a.json", pretty(&wrapped)),
        ] {
            let found = read(name, &content, 1_000).unwrap();
            let values: Vec<Value> = found.into_iter().map(|(_, value)| value).collect();
            assert_eq!(values, rows, "{content}");
        }
    }

    #[test]
    fn lines_are_where_objects_begin() {
        let lines = |content: &str| -> Vec<u64> {
            read("a.json", content, 100).unwrap().into_iter().map(|(line, _)| line).collect()
        };
        assert_eq!(lines("{}\n\n{}\n"), [1, 3]);
        assert_eq!(lines("[\n{},\n {\n}]"), [2, 3]);
        assert_eq!(lines("{\n}\n{\n}\n"), [1, 3]);
        assert!(lines("").is_empty() && lines("[]").is_empty());
    }

    #[test]
    fn a_row_of_json_lines_may_have_data_of_its_own() {
        let row = r#"{"data": [{"x": 1}]}"#;
        assert_eq!(read("a.jsonl", &format!("{row}\n{row}\n"), 100).unwrap().len(), 2);
        let texts = r#"{"data": ["a"], "text": "b"}"#;
        assert_eq!(read("a.json", &format!("{texts}\n{texts}\n"), 100).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_object_is_told_with_its_line() {
        for (content, parts) in [
            ("[1]", ["a.json:1: not a JSON object", "row by row"]),
            ("\"text\"", ["a.json:1: not a JSON object", "row by row"]),
            ("{\"a\": 1}\n[1]\n", ["a.json:2: not a JSON object", "row by row"]),
            ("{\"a\": 1}\n{\"te", ["a.json:2: not JSON", "column 4"]),
            ("[{\"a\": 1}\n{\"a\": 2}]", ["a.json:2: not JSON", "no comma"]),
            ("[{\"a\": 1},\n", ["not JSON", "ends within an array"]),
            ("[{\"a\": 1}]\n{\"a\": 2}", ["a.json:2: not JSON", "after the `]`"]),
            ("{\"data\": [{\"a\": 1}]}\n{\"a\": 2}", ["a.json:2: not JSON", "after the `}`"]),
            ("{\"data\": [{\"a\": 1}], \"b\": \"}\"", ["not JSON", "ends within an object"]),
            ("{\"a\": 1\n{\"a\": 2}\n", ["a.json:2: not JSON", "column 1"]),
            ("{\"a\": NaN}", ["a.json:1: not JSON: `NaN`", "write `null`"]),
            ("[{\n\"a\": -Infinity}]", ["a.json:2: not JSON: `-Infinity`", "write `null`"]),
            ("{\n\"a\": tru\n}", ["a.json:", "not JSON: expected"]),
            (
                "[{\"a\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}]",
                ["a.json:1: longer", "= 40`"],
            ),
        ] {
            let message = read("a.json", content, 40).unwrap_err();
            for part in parts {
                assert!(message.contains(part), "{content}: {message}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_for_an_error(content in "[\\[\\]{}\":,a1\\\\ \n]{0,60}") {
            let _ = read("a.json", &content, 30);
        }

        #[test]
        fn an_array_of_any_strings_is_read(texts in prop::collection::vec(".{0,20}", 0..6)) {
            let rows: Vec<Value> = texts.iter().map(|text| json!({"text": text})).collect();
            let found = read("a.json", &serde_json::to_string_pretty(&rows).unwrap(), 500).unwrap();
            prop_assert_eq!(found.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), rows);
        }
    }
}
