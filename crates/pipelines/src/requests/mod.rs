//! Requests from a file or from stdin, one by one: lines of text, objects of JSON, rows of a table.

mod row;

use std::{collections::BTreeSet, marker::PhantomData, path::Path, sync::Arc};

use nystromformer_data::DataError;
use nystromformer_files::{
    BoundedLines, FileError, LineReader, TextEncoding, say_once,
    table::{BY_ROWS, Column, Format, JsonObject, JsonObjects, Rows, Table, TableOptions},
};
use serde_json::{Map, Value};

use self::row::{object, said, take_list_places, tell_no_text, tell_unread};
use crate::{
    columns::{FieldColumns, RequestOptions},
    error::PipelineError,
    placed::{Place, Placed},
    request::Request,
};

/// Bytes of the longest request that is read.
const LONGEST: usize = 64 << 20;

/// Keys of objects of which it is said that they are not read.
const MOST_TOLD: usize = 20;

/// What the lines of a file are that is no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineForm {
    /// Each line is a text, an empty one too.
    Text,
    /// Each line is a JSON object, as [`Request::FORM`] says; blank lines are skipped.
    Json,
}

/// The requests in a file, in their order; what is none is an error with its line.
pub struct Requests<T> {
    file: Arc<Path>,
    kind: Kind,
    options: RequestOptions,
    /// Keys of objects of which it was said that they are not read.
    unread: BTreeSet<String>,
    /// Whether a line of text was looked at: it may be something else.
    is_looked_at: bool,
    /// Texts that are null, and texts that are empty, in objects and tables.
    null_texts: u64,
    empty_texts: u64,
    form: PhantomData<fn() -> T>,
}

/// What they are read from.
enum Kind {
    Lines(BoundedLines),
    Objects(JsonObjects),
    Rows(Rows, Vec<FieldColumns>),
}

impl<T: Request> Requests<T> {
    /// The requests of the file at `path`. A table (`.csv`, `.tsv`, `.parquet`) and objects (`.json`, `.jsonl`) are told by the
    /// name, their columns and keys by `options` or by what they are usually called; other files have lines of the form given.
    ///
    /// # Errors
    /// If the file cannot be opened, has no such columns, or is of a kind that is not read.
    pub fn open(
        path: &Path,
        form: LineForm,
        options: &RequestOptions,
    ) -> Result<Self, PipelineError> {
        let file = || Arc::from(path);
        let kind = match Format::of(path) {
            Some(Format::Json) => {
                Kind::Objects(JsonObjects::open(path, LONGEST).map_err(DataError::from)?)
            }
            Some(Format::Csv | Format::Tsv | Format::Parquet) => {
                let (rows, fields) = Self::table(path, options)?;
                Kind::Rows(rows, fields)
            }
            None if Format::is_unread(path) => {
                let error = FileError::file(path, "it holds no lines of text")
                    .with_cure(Format::cure(path));
                return Err(DataError::from(error).into());
            }
            None if form == LineForm::Text && options.text.is_some() => {
                let problem = "its lines are texts, without columns for `--text-column` to name";
                let cure = "call it `.csv` or `.tsv` if it is a table, or add `--jsonl` if its lines are objects";
                return Err(DataError::from(FileError::file(path, problem).with_cure(cure)).into());
            }
            None => {
                let encoding = match form {
                    LineForm::Text => options.encoding,
                    LineForm::Json => TextEncoding::Utf8,
                };
                let reader = LineReader::open_as(path, encoding).map_err(DataError::from)?;
                let key = (form == LineForm::Text).then(|| "--encoding".to_owned());
                return Ok(Self::of(reader.with_encoding_key(key), form, options));
            }
        };
        Ok(Self::new(file(), kind, options))
    }

    /// The requests on stdin, each as soon as it is there.
    pub fn stdin(form: LineForm, options: &RequestOptions) -> Self {
        match form {
            LineForm::Text => Self::of(LineReader::stdin(), form, options),
            LineForm::Json => Self::new(
                Path::new("stdin").into(),
                Kind::Objects(JsonObjects::stdin(LONGEST)),
                options,
            ),
        }
    }

    fn of(reader: LineReader, form: LineForm, options: &RequestOptions) -> Self {
        let file = Arc::clone(reader.path());
        let kind = match form {
            LineForm::Text => Kind::Lines(BoundedLines::of(
                reader,
                LONGEST,
                format!("the line is longer than {LONGEST} bytes"),
            )),
            LineForm::Json => Kind::Objects(JsonObjects::of(reader, LONGEST)),
        };
        Self::new(file, kind, options)
    }

    fn new(file: Arc<Path>, kind: Kind, options: &RequestOptions) -> Self {
        let kind = match kind {
            Kind::Objects(objects) => {
                Kind::Objects(objects.with_cure(format!("write {}", T::FORM)))
            }
            kind => kind,
        };
        Self {
            file,
            kind,
            options: options.clone(),
            unread: BTreeSet::new(),
            is_looked_at: false,
            null_texts: 0,
            empty_texts: 0,
            form: PhantomData,
        }
    }

    /// The rows of a table, and what is in their cells.
    fn table(
        path: &Path,
        options: &RequestOptions,
    ) -> Result<(Rows, Vec<FieldColumns>), DataError> {
        let table_options = TableOptions {
            max_line_bytes: LONGEST,
            may_be_empty: true,
            separator: options.separator,
            quotes: options.quotes,
            encoding: options.encoding,
            key_prefix: Some("--"),
            ..TableOptions::default()
        };
        let table = Table::open(path, &table_options)?;
        let columns: Vec<&str> =
            table.columns().unwrap_or_default().iter().map(String::as_str).collect();
        let fields =
            options.find::<T>(&columns).map_err(|problem| FileError::line(path, 1, problem))?;
        let is_read = |name: &&str| {
            fields.iter().any(|field| field.columns.iter().any(|column| column == name))
        };
        let unread: Vec<&str> = columns.iter().copied().filter(|name| !is_read(name)).collect();
        said(path, &fields, &unread);
        let wanted = fields.iter().flat_map(|field| field.columns.iter());
        let wanted: Vec<Column> = wanted.map(|name| Column::Name(name.clone())).collect();
        Ok((table.select(&wanted)?, fields))
    }

    /// The next request as an object or a text, and its line; `None` after the last.
    fn next_value(&mut self) -> Result<Option<(u64, Value)>, DataError> {
        Ok(match &mut self.kind {
            Kind::Lines(lines) => {
                let line = lines.next_line()?;
                if let Some(line) = line.as_ref().filter(|line| !line.text.trim().is_empty())
                    && !std::mem::replace(&mut self.is_looked_at, true)
                {
                    tell_no_text(&self.file, &line.text);
                }
                line.map(|line| (line.number, Value::String(line.text)))
            }
            Kind::Objects(objects) => {
                let Some(JsonObject { line, mut fields }) = objects.next().transpose()? else {
                    return Ok(None);
                };
                let found = self.options.rename::<T>(&mut fields);
                let found = found.map_err(|problem| FileError::line(&self.file, line, problem))?;
                said(&self.file, &found, &[]);
                let ways = T::COLUMNS.iter().copied().flatten();
                let mut unread = Vec::new();
                for key in fields.keys() {
                    let is_known = ways.clone().any(|(field, _)| field == key);
                    if !is_known && self.unread.len() < MOST_TOLD && self.unread.insert(key.clone())
                    {
                        unread.push(key.as_str());
                    }
                }
                tell_unread(&self.file, line, &unread);
                self.settle_text(&mut fields);
                Some((line, Value::Object(fields)))
            }
            Kind::Rows(rows, fields) => {
                let Some(row) = rows.next().transpose()? else { return Ok(None) };
                let mut object = object(&row, fields)?;
                self.settle_text(&mut object);
                Some((row.line(), Value::Object(object)))
            }
        })
    }

    /// Reads a text that is null as an empty one, as a run does of the same file: each row gets an answer.
    fn settle_text(&mut self, fields: &mut Map<String, Value>) {
        let reads_text = T::COLUMNS.iter().copied().flatten().any(|(field, _)| *field == "text");
        let has_words = fields.get("tokens").is_some_and(|words| !words.is_null());
        match fields.get_mut("text").filter(|_| reads_text && !has_words) {
            Some(text @ Value::Null) => {
                *text = Value::String(String::new());
                self.null_texts += 1;
            }
            Some(Value::String(text)) if text.trim().is_empty() => self.empty_texts += 1,
            _ => {}
        }
    }

    fn parse(value: Value) -> Result<T, String> {
        let request = match value {
            Value::String(text) => T::from_text(text)
                .ok_or_else(|| format!("a text alone is no request; write {}", T::FORM)),
            object => {
                let holds_columns = holds_columns(&object);
                let request = serde_json::from_value(object);
                request.map_err(|error: serde_json::Error| {
                    if holds_columns {
                        format!("{error}: its values are lists or objects, not those of one row; {BY_ROWS}")
                    } else {
                        format!("{error}; write {}", T::FORM)
                    }
                })
            }
        };
        let request: T = request?;
        request.check()?;
        Ok(request)
    }
}

impl<T> Drop for Requests<T> {
    fn drop(&mut self) {
        for (count, what) in [
            (
                self.null_texts,
                "is null, which is read as an empty one: predictions are for all rows",
            ),
            (self.empty_texts, "is empty; drop them if they are none"),
        ] {
            if count > 0 {
                let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
                say_once(format!("`{}`: {rows} with a text that {what}", self.file.display()));
            }
        }
    }
}

/// Whether each value of an object is a list or another object: columns, or rows under a key.
fn holds_columns(object: &Value) -> bool {
    object.as_object().is_some_and(|fields| {
        !fields.is_empty() && fields.values().all(|value| value.is_array() || value.is_object())
    })
}

impl<T: Request> Iterator for Requests<T> {
    type Item = Result<Placed<T>, PipelineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, mut value) = match self.next_value() {
            Ok(next) => next?,
            Err(error) => return Some(Err(error.into())),
        };
        let list_places = take_list_places(&mut value);
        let request = Self::parse(value);
        Some(match request {
            Ok(request) => {
                let place = Some(Place { file: Arc::clone(&self.file), line });
                Ok(Placed { place, request, list_places })
            }
            Err(problem) => Err(DataError::line(&self.file, line, problem).into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use nystromformer_files::table::Quotes;

    use super::*;
    use crate::request::{Choices, Question, Sentence, Text, TextPair};

    fn read<T: Request>(content: &[u8], form: LineForm) -> Vec<Result<Placed<T>, String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests");
        std::fs::write(&path, content).unwrap();
        let lines = Requests::open(&path, form, &RequestOptions::default()).unwrap();
        lines.map(|request| request.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn lines_of_text_are_requests_even_if_empty() {
        let requests = read::<Text>("é\r\n\nlast".as_bytes(), LineForm::Text);
        let found: Vec<(u64, String)> = requests
            .into_iter()
            .map(|request| request.unwrap())
            .map(|Placed { place, request, .. }| (place.unwrap().line, request.text))
            .collect();
        let expected = [(1, "é"), (2, ""), (3, "last")];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn json_lines_may_be_apart_and_hold_more() {
        let content =
            "{\"text\": \"a\", \"stars\": 3}\n \n{\"text\": \"b\", \"text_pair\": \"c\"}\n";
        let requests = read::<TextPair>(content.as_bytes(), LineForm::Json);
        let pairs: Vec<Option<String>> =
            requests.into_iter().map(|request| request.unwrap().request.text_pair).collect();
        assert_eq!(pairs, [None, Some("c".to_owned())]);
    }

    #[test]
    fn what_is_no_request_is_told_with_its_line() {
        fn message<T: Request>(content: &[u8], form: LineForm) -> String {
            match read::<T>(content, form).pop() {
                Some(Err(message)) => message,
                _ => panic!("the last line is no request"),
            }
        }
        let json = |text: &str| format!("\n{text}\n").into_bytes();
        for (message, parts) in [
            (
                message::<Text>(b"fine\ncaf\xe9", LineForm::Text),
                vec!["requests:2: ", "`0xe9`", "UTF-8"],
            ),
            (
                message::<Text>(&json("{\"text\""), LineForm::Json),
                vec!["requests:2: ", "column 7", "write {"],
            ),
            (message::<Text>(&json("{\"txt\": 1}"), LineForm::Json), vec!["missing field `text`"]),
            (message::<Text>(b"\xff\xfea\0", LineForm::Text), vec!["requests`", "UTF-16"]),
            (message::<Question>(b"who?", LineForm::Text), vec!["requests:1: ", "\"context\""]),
            (
                message::<Question>(
                    &json(r#"{"question": "who?", "context": ""}"#),
                    LineForm::Json,
                ),
                vec!["`context` is empty"],
            ),
            (
                message::<Choices>(&json(r#"{"question": "who?", "choices": []}"#), LineForm::Json),
                vec!["requests:2: `choices` is empty"],
            ),
            (
                message::<Sentence>(&json(r#"{"text": "a", "tokens": ["a"]}"#), LineForm::Json),
                vec!["both `text` and `tokens`"],
            ),
        ] {
            for part in parts {
                assert!(message.contains(part), "{message}");
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Requests::<Text>::open(
            Path::new("nowhere.jsonl"),
            LineForm::Json,
            &RequestOptions::default(),
        )
        .err();
        assert!(error.unwrap().to_string().contains("nowhere.jsonl"));
    }

    /// The requests of a file of this name, as they are told by `Debug`.
    fn table<T: Request + fmt::Debug>(name: &str, content: &str) -> Vec<Result<String, String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        match Requests::<T>::open(&path, LineForm::Text, &RequestOptions::default()) {
            Err(error) => vec![Err(error.to_string())],
            Ok(requests) => requests
                .map(|request| match request {
                    Ok(placed) => {
                        Ok(format!("{} {:?}", placed.place.unwrap().line, placed.request))
                    }
                    Err(error) => Err(error.to_string()),
                })
                .collect(),
        }
    }

    #[test]
    fn tables_and_objects_are_requests_by_their_columns() {
        let text = |line: u64, text: &str| Ok(format!("{line} Text {{ text: {text:?} }}"));
        for (name, content, lines) in [
            ("a.csv", "\u{feff}Label,Review\r\n1,\"a, b\"\r\n0,c\r\n", [2, 3]),
            ("a.tsv", "sentence\tlabel\na, b\t1\nc\t0\n", [2, 3]),
            ("a.json", "[\n{\"text\": \"a, b\"},\n{\"text\": \"c\"}]", [2, 3]),
            ("a.json", "{\"data\": [{\"content\": \"a, b\"},\n{\"content\": \"c\"}]}", [1, 2]),
            ("a.jsonl", "\u{feff}{\"text\": \"a, b\"}\r\n{\"text\": \"c\"}\r\n", [1, 2]),
        ] {
            let expected = [text(lines[0], "a, b"), text(lines[1], "c")];
            assert_eq!(table::<Text>(name, content), expected, "{name} {content}");
        }
        let squad = r#"{"version": "1.1", "data": [{"title": "t", "paragraphs":
            [{"context": "c", "qas": [{"id": "7", "question": "q", "answers": []}]}]}]}"#;
        let question = table::<Question>("a.json", squad).pop().unwrap().unwrap();
        assert!(question.contains("\"q\"") && question.contains("\"7\""), "{question}");
        let csv = "id,question,context\n1,who?,Anna.\n";
        assert!(table::<Question>("a.csv", csv)[0].as_ref().unwrap().contains("\"Anna.\""));
        let choices = table::<Choices>("a.csv", "prompt,choice1,choice2,choice3\np,a,b,\n");
        assert!(choices[0].as_ref().unwrap().contains(r#"["a", "b"]"#), "{choices:?}");
        // The places of labels and answers are those of the columns.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let rows = "prompt,choice0,choice1,choice2,choice3\np,a,,c,\np,a,b,,\n";
        std::fs::write(&path, rows).unwrap();
        let gapped = Requests::<Choices>::open(&path, LineForm::Text, &RequestOptions::default());
        let gapped: Vec<_> = gapped.unwrap().map(Result::unwrap).collect();
        assert_eq!(gapped[0].request.choices, ["a", "c"]);
        assert_eq!(gapped[0].list_places, Some(vec![0, 2]));
        assert_eq!(gapped[1].request.choices, ["a", "b"]);
        assert_eq!(gapped[1].list_places, None);
        let none = table::<Choices>("a.csv", "prompt,choice0,choice1\np,, \n");
        assert!(none[0].as_ref().unwrap_err().contains("`choices` is empty"), "{none:?}");
        let tokens = table::<Sentence>("a.tsv", "tokens\n[\"a\", \"b\"]\n");
        assert!(tokens[0].as_ref().unwrap().contains(r#"Words(["a", "b"])"#), "{tokens:?}");
    }

    #[test]
    fn a_text_that_is_null_is_an_empty_one() {
        for (name, content, line) in [
            ("a.jsonl", "{\"text\": null}", 1),
            ("a.json", "[{\"review\": null}]", 1),
            ("a.csv", "text,label\n,1\n", 2),
        ] {
            let expected = format!("{line} Text {{ text: \"\" }}");
            assert_eq!(table::<Text>(name, content), [Ok(expected)], "{name}");
        }
        let words = "{\"text\": null, \"tokens\": [\"a\"]}";
        assert!(table::<Sentence>("a.jsonl", words)[0].as_ref().unwrap().contains("Words"));
        let choices = table::<Choices>("a.jsonl", "{\"prompt\": null, \"choices\": [\"a\"]}");
        assert!(choices[0].as_ref().unwrap_err().contains("null"), "{choices:?}");
    }

    #[test]
    fn lines_have_no_column_to_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "a\n").unwrap();
        let options = RequestOptions { text: Some("body".to_owned()), ..RequestOptions::default() };
        let error = Requests::<Text>::open(&path, LineForm::Text, &options).err().unwrap();
        assert!(error.to_string().contains("`--text-column`"), "{error}");
        assert!(Requests::<Text>::open(&path, LineForm::Json, &options).is_ok());
    }

    #[test]
    fn separators_and_quotes_of_tables_are_those_that_are_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "id~text\n1~\"a\"\n").unwrap();
        let texts = |options: &RequestOptions| {
            let requests = Requests::<Text>::open(&path, LineForm::Text, options);
            requests.map(|all| all.map(|one| one.unwrap().request.text).collect::<Vec<_>>())
        };
        let error = texts(&RequestOptions::default()).err().unwrap();
        assert!(error.to_string().contains("no column `text`"), "{error}");
        let mut options = RequestOptions { separator: Some('~'), ..RequestOptions::default() };
        assert_eq!(texts(&options).unwrap(), ["a"]);
        options.quotes = Some(Quotes::None);
        assert_eq!(texts(&options).unwrap(), ["\"a\""]);
    }

    #[test]
    fn keys_that_are_not_read_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let lines = r#"{"text": "a", "text_par": "b"} {"text": "a", "text_pair": "b"}"#;
        std::fs::write(&path, lines).unwrap();
        let mut requests =
            Requests::<TextPair>::open(&path, LineForm::Text, &RequestOptions::default()).unwrap();
        assert!(requests.by_ref().all(|request| request.is_ok()));
        assert_eq!(requests.unread.iter().collect::<Vec<_>>(), ["text_par"]);
    }

    #[test]
    fn a_table_that_is_no_request_is_told() {
        for (name, content, parts) in [
            ("a.csv", "id,label\n1,2\n", ["a.csv:1: no column `text`", "--text-column"]),
            ("a.xlsx", "x", ["a.xlsx`", "save the sheet as CSV"]),
            ("a.json", "[1]", ["a.json:1: not a JSON object", "write {\"text\""]),
            ("a.json", "{\"text\": {\"0\": \"a\"}}", ["a.json:1: ", "orient=\"records\""]),
            ("a.json", "{\"train\": [{\"text\": \"a\"}]}", ["a.json:1: ", "orient=\"records\""]),
            ("a.csv", "version https://git-lfs.github.com/spec/v1\n", ["a.csv`", "git lfs pull"]),
        ] {
            let message = table::<Text>(name, content).pop().unwrap().unwrap_err();
            for part in parts {
                assert!(message.contains(part), "{message}");
            }
        }
    }
}
