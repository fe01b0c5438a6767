//! Requests from the lines of a file or of stdin, one by one.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
};

use nystromformer_data::DataError;

use crate::{error::PipelineError, request::Request};

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineForm {
    /// Each line is a text, an empty one too.
    Text,
    /// Each line is a JSON object, as [`Request::FORM`] says; blank lines are skipped.
    Json,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, or `stdin`.
    pub file: Arc<Path>,
    /// The line, from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file.display(), self.line)
    }
}

/// A request and where it was read, for messages about it.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    /// The line; `None` for a request that was not read from a file.
    pub place: Option<Place>,
    /// The request.
    pub request: T,
}

impl<T> From<T> for Placed<T> {
    fn from(request: T) -> Self {
        Self { place: None, request }
    }
}

/// The requests in a file, in their order; a line that is none is an error with its number.
pub struct RequestLines<T> {
    reader: Box<dyn BufRead>,
    form: LineForm,
    place: Place,
    requests: PhantomData<fn() -> T>,
}

impl<T: Request> RequestLines<T> {
    /// The lines of the file at `path`.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path, form: LineForm) -> Result<Self, PipelineError> {
        let cannot_open = |source| DataError::Io { action: "open", path: path.to_owned(), source };
        let reader = Box::new(BufReader::new(File::open(path).map_err(cannot_open)?));
        Ok(Self::new(reader, path, form))
    }

    /// The lines of stdin.
    pub fn stdin(form: LineForm) -> Self {
        Self::new(Box::new(BufReader::new(io::stdin())), Path::new("stdin"), form)
    }

    fn new(reader: Box<dyn BufRead>, name: &Path, form: LineForm) -> Self {
        let place = Place { file: Arc::from(name), line: 0 };
        Self { reader, form, place, requests: PhantomData }
    }

    /// The next line without its end; `None` after the last.
    fn next_line(&mut self) -> Result<Option<String>, DataError> {
        let mut bytes = Vec::new();
        let read = self.reader.read_until(b'\n', &mut bytes);
        let file = || PathBuf::from(&*self.place.file);
        if read.map_err(|source| DataError::Io { action: "read", path: file(), source })? == 0 {
            return Ok(None);
        }
        self.place.line += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        let not_text = |error: std::string::FromUtf8Error| {
            let byte = error.as_bytes()[error.utf8_error().valid_up_to()];
            self.error(format!(
                "byte `0x{byte:02x}` is not UTF-8; convert it, for example with `iconv -f latin1 -t utf-8`"
            ))
        };
        String::from_utf8(bytes).map(Some).map_err(not_text)
    }

    fn parse(&self, line: String) -> Result<T, DataError> {
        let request = match self.form {
            LineForm::Text => T::from_text(line).ok_or_else(|| "a text alone is no request".into()),
            LineForm::Json => serde_json::from_str(&line).map_err(|error| {
                // Its line is the first of the one that it was given.
                let told = error.to_string();
                let problem = told.split(" at line 1 column").next().unwrap_or(&told);
                format!("{problem} (column {})", error.column())
            }),
        };
        let request: T = request
            .map_err(|problem: String| self.error(format!("{problem}; write {}", T::FORM)))?;
        request.check().map_err(|problem| self.error(problem))?;
        Ok(request)
    }

    fn error(&self, problem: String) -> DataError {
        let Place { file, line } = &self.place;
        DataError::Line { file: PathBuf::from(&**file), line: *line, problem }
    }
}

impl<T: Request> Iterator for RequestLines<T> {
    type Item = Result<Placed<T>, PipelineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.next_line() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error.into())),
            };
            if self.form == LineForm::Json && line.trim().is_empty() {
                continue;
            }
            let place = Some(self.place.clone());
            let request = self.parse(line).map(|request| Placed { place, request });
            return Some(request.map_err(PipelineError::from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Choices, Question, Sentence, Text, TextPair};

    fn read<T: Request>(content: &[u8], form: LineForm) -> Vec<Result<Placed<T>, String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests");
        std::fs::write(&path, content).unwrap();
        let lines = RequestLines::open(&path, form).unwrap();
        lines.map(|request| request.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn lines_of_text_are_requests_even_if_empty() {
        let requests = read::<Text>("é\r\n\nlast".as_bytes(), LineForm::Text);
        let found: Vec<(u64, String)> = requests
            .into_iter()
            .map(|request| request.unwrap())
            .map(|Placed { place, request }| (place.unwrap().line, request.text))
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
        let error = RequestLines::<Text>::open(Path::new("nowhere.jsonl"), LineForm::Json).err();
        assert!(error.unwrap().to_string().contains("nowhere.jsonl"));
    }
}
