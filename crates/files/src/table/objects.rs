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

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::squad;
use crate::error::{FileError, Result};
use crate::lines::{BoundedLines, LineReader};

/// Bytes of a line that are taken at once where objects are not one a line.
const PIECE_BYTES: usize = 64 << 10;

/// The key of the array that one object may hold all others in.
const WRAPPER: &str = "\"data\"";

/// What helps where a file does not hold objects row by row.
pub(super) const BY_ROWS: &str = "write it row by row, an object each: `{\"text\": \"…\", \"label\": 1}`; pandas does with \
                                  `to_json(…, orient=\"records\", lines=True)`";

/// An object, and its line from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonObject {
    /// The line that it begins at.
    pub line: u64,
    /// Its keys and values.
    pub fields: Map<String, Value>,
}

/// Reads the objects of a file.
pub struct JsonObjects {
    rules: Rules,
    form: Form,
    /// Objects that were made of one of the file's.
    ready: VecDeque<JsonObject>,
}

/// What an object may be, and what is said of one that is not.
struct Rules {
    path: Arc<Path>,
    max_bytes: usize,
    cure: String,
}

/// How the objects that follow are held together.
enum Form {
    /// Not known before the first.
    Unknown {
        text: Text,
        may_be_wrapped: bool,
    },
    Lines(BoundedLines),
    /// One after the other.
    Sequence(Text),
    Array {
        text: Text,
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
        let form = Form::Unknown { text: Text::of(reader), may_be_wrapped };
        let rules = Rules { path, max_bytes, cure: BY_ROWS.to_owned() };
        Self { rules, form, ready: VecDeque::new() }
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
            if let Some(object) = self.ready.pop_front() {
                return Ok(Some(object));
            }
            let Some((line, text)) = self.next_text()? else {
                self.form = Form::Ended;
                return Ok(None);
            };
            let object = JsonObject { line, fields: self.parse(line, &text)? };
            match squad::questions(&object) {
                None => return Ok(Some(object)),
                Some(questions) => self.ready = questions,
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
                            let rest = text.skip_blanks()?;
                            if rest.is_some() && !*is_wrapped {
                                let problem = "not JSON: text after the `]` that closes the array";
                                return Err(FileError::line(&self.rules.path, text.line, problem));
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
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(self.rules.no_object(line)),
            Err(error) => Err(self.rules.not_json(line, &error)),
        }
    }
}

impl Rules {
    /// The error for something else than an object.
    fn no_object(&self, line: u64) -> FileError {
        FileError::line(&self.path, line, "not a JSON object").with_cure(&self.cure)
    }

    /// The error for a text that begins at a line and is no JSON.
    fn not_json(&self, begin: u64, error: &serde_json::Error) -> FileError {
        let told = error.to_string();
        let problem = told.split(" at line ").next().unwrap_or(&told);
        let line = begin + (error.line().max(1) - 1) as u64;
        let problem = format!("not JSON: {problem} (column {})", error.column());
        FileError::line(&self.path, line, problem).with_cure(&self.cure)
    }

    /// The error for an object that does not end in time: what is wrong within it, if anything is.
    fn too_long(&self, begin: u64, bytes: &[u8]) -> FileError {
        match serde_json::from_slice::<Value>(bytes) {
            Err(error) if !error.is_eof() => self.not_json(begin, &error),
            _ => {
                let problem = format!("longer than `max_line_bytes = {}`", self.max_bytes);
                FileError::line(&self.path, begin, problem).with_cure(format!(
                    "if the data is your own, raise it; if the file holds whole columns, {BY_ROWS}"
                ))
            }
        }
    }
}

impl Iterator for JsonObjects {
    type Item = Result<JsonObject>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, Some(Err(_))) {
            self.form = Form::Ended;
            self.ready.clear();
        }
        next
    }
}

/// The bytes of a file's text, one by one, with the line that each stands in.
struct Text {
    reader: LineReader,
    piece: Vec<u8>,
    at: usize,
    /// The line of the byte that is next.
    line: u64,
    ends_line: bool,
    ended: bool,
}

impl Text {
    fn of(reader: LineReader) -> Self {
        Self { reader, piece: Vec::new(), at: 0, line: 1, ends_line: false, ended: false }
    }

    /// The next byte, which stays next; a line end is `\n`.
    fn peek(&mut self) -> Result<Option<u8>> {
        while self.at == self.piece.len() && !self.ended {
            match self.reader.next_piece(PIECE_BYTES)? {
                None => self.ended = true,
                Some(piece) => {
                    self.line = piece.line;
                    self.ends_line = piece.ends_line;
                    self.piece = piece.text.into_bytes();
                    if piece.ends_line {
                        self.piece.push(b'\n');
                    }
                    self.at = 0;
                }
            }
        }
        Ok(self.piece.get(self.at).copied())
    }

    fn skip(&mut self) {
        self.at += 1;
    }

    fn skip_blanks(&mut self) -> Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.skip();
        }
        Ok(None)
    }

    /// Whether nothing but blanks follows in the line.
    fn rest_is_blank(&self) -> bool {
        self.ends_line && self.piece[self.at..].iter().all(u8::is_ascii_whitespace)
    }

    /// The object that begins here, and its line.
    fn object(&mut self, rules: &Rules) -> Result<(u64, String)> {
        let begin = self.line;
        let mut capture = Capture::default();
        self.capture(&mut capture, false, rules)?;
        Ok((begin, capture.text))
    }

    /// Takes what begins here up to the brace that closes it, or, where an object may wrap all others, up to the first of
    /// those.
    fn capture(
        &mut self,
        capture: &mut Capture,
        may_be_wrapped: bool,
        rules: &Rules,
    ) -> Result<Captured> {
        let begin = self.line;
        if self.peek()? != Some(b'{') {
            return Err(rules.no_object(begin));
        }
        let mut bytes = Vec::new();
        while let Some(byte) = self.peek()? {
            self.skip();
            bytes.push(byte);
            if bytes.len() > rules.max_bytes {
                return Err(rules.too_long(begin, &bytes));
            }
            let opens_wrapper = may_be_wrapped && byte == b'[' && capture.is_at_wrapper();
            if capture.take(byte) {
                capture.text = String::from_utf8(bytes)
                    .expect("the reader gives UTF-8, and braces are whole characters");
                return Ok(Captured::Object);
            }
            if opens_wrapper && self.skip_blanks()? == Some(b'{') {
                return Ok(Captured::Wrapper);
            }
        }
        match serde_json::from_slice::<Value>(bytes.trim_ascii_end()) {
            Err(error) => Err(rules.not_json(begin, &error)),
            Ok(_) => unreachable!("an object without its end is no JSON"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Captured {
    Object,
    Wrapper,
}

/// Follows the braces, brackets and strings of an object.
#[derive(Default)]
struct Capture {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The last string of the outermost object, with its quotes, if nothing but a colon came since.
    key: String,
    after_colon: bool,
    text: String,
}

impl Capture {
    /// Whether the value that begins with the next byte belongs to the key [`WRAPPER`] of the outermost object.
    fn is_at_wrapper(&self) -> bool {
        self.depth == 1 && !self.in_string && self.after_colon && self.key == WRAPPER
    }

    /// Takes the next byte; whether it is the last.
    fn take(&mut self, byte: u8) -> bool {
        if self.in_string {
            if self.depth == 1 && self.key.len() <= WRAPPER.len() {
                self.key.push(char::from(byte));
            }
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.in_string = false;
            }
            return false;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.after_colon = false;
                self.key.clear();
                self.key.push('"');
            }
            b':' => self.after_colon = true,
            b'{' | b'[' => {
                self.depth += 1;
                self.after_colon = false;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => self.after_colon = false,
        }
        false
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
            ("{\"a\": 1\n{\"a\": 2}\n", ["a.json:2: not JSON", "column 1"]),
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
