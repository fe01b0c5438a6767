//! Records of fields between separators, quoted as RFC 4180 says, read strictly.
//!
//! A field in double quotes may hold separators, line breaks and doubled quotes; a quote anywhere else is an error. A
//! lenient reader takes one stray quote for the start of a field and swallows the rows up to the next, which then
//! are missing from the data set without a word; that is why this one is ours. Its tests hold it against the crate `csv`.

use crate::error::{FileError, Result};
use crate::lines::BoundedLines;
use crate::setting::setting;

/// A record: the fields of a row.
pub(super) struct Record {
    /// Where it begins.
    pub(super) line: u64,
    pub(super) fields: Vec<String>,
    /// Whether any field is in quotes.
    pub(super) is_quoted: bool,
}

/// The records of a file, empty lines passed over.
pub(super) struct Records {
    lines: BoundedLines,
    separator: char,
    /// The key that says what quotes are, if there is one.
    key: Option<String>,
}

/// What the next character may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first of a field.
    Start,
    /// One of a field without quotes.
    Plain,
    /// One between quotes.
    Quoted,
    /// What follows a quote that may have closed the field, or be the first of two that stand for one.
    AfterQuote,
}

impl Records {
    /// Reads records; `key` is the key of the config that says what quotes are, for messages.
    pub(super) fn of(lines: BoundedLines, separator: char, key: Option<String>) -> Self {
        Self { lines, separator, key }
    }

    pub(super) fn next(&mut self) -> Result<Option<Record>> {
        let mut line = loop {
            match self.lines.next_line()? {
                None => return Ok(None),
                Some(line) if line.text.is_empty() => {}
                Some(line) => break line,
            }
        };
        let begin = line.number;
        let mut bytes = 0;
        let mut record = Record { line: begin, fields: Vec::new(), is_quoted: false };
        let mut field = String::new();
        let mut state = State::Start;
        loop {
            for character in line.text.chars() {
                state = match (state, character) {
                    (State::Start | State::Plain | State::AfterQuote, _)
                        if character == self.separator =>
                    {
                        record.fields.push(std::mem::take(&mut field));
                        State::Start
                    }
                    (State::Start, '"') => {
                        record.is_quoted = true;
                        State::Quoted
                    }
                    (State::Quoted, '"') => State::AfterQuote,
                    (State::AfterQuote, '"') | (State::Quoted, _) => {
                        field.push(character);
                        State::Quoted
                    }
                    (State::Plain, '"') if field.trim().is_empty() => {
                        let problem = "a blank before the `\"` that opens a field";
                        return Err(FileError::line(self.lines.path(), line.number, problem)
                            .with_cure("remove the blanks after the separators"));
                    }
                    (State::Plain, '"') => {
                        return Err(self.stray(
                            line.number,
                            "a `\"` within a field that does not begin with one",
                        ));
                    }
                    (State::AfterQuote, _) => {
                        return Err(self.stray(
                            line.number,
                            &format!("`{character}` after the `\"` that closes a field"),
                        ));
                    }
                    (State::Start | State::Plain, _) => {
                        field.push(character);
                        State::Plain
                    }
                };
            }
            if state != State::Quoted {
                record.fields.push(field);
                return Ok(Some(record));
            }
            field.push('\n');
            bytes += line.text.len() + 1;
            line = match self.lines.next_line_of_row(Some(begin), bytes)? {
                Some(line) => line,
                None => return Err(self.stray(begin, "a `\"` opens a field and nothing closes it")),
            };
        }
    }

    fn stray(&self, line: u64, what: &str) -> FileError {
        let text = self.key.as_ref().map_or_else(String::new, |key| {
            format!(", or, if quotes are text here, set {}", setting(key, "none"))
        });
        FileError::line(self.lines.path(), line, what).with_cure(format!(
            "put the whole field in quotes and write each of its own quotes twice{text}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::lines::LineReader;

    fn records(path: &Path, limit: usize) -> Result<Vec<(u64, Vec<String>)>> {
        let lines = BoundedLines::of(LineReader::open(path)?, limit, "the row is too long");
        let mut records = Records::of(lines, ',', Some("task.quotes".to_owned()));
        let mut all = Vec::new();
        while let Some(Record { line, fields, .. }) = records.next()? {
            all.push((line, fields));
        }
        Ok(all)
    }

    fn read(content: &str) -> Result<Vec<(u64, Vec<String>)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, content).unwrap();
        records(&path, 60).map_err(|error| error.to_string())
    }

    #[test]
    fn records_know_where_they_begin() {
        let rows = read("\u{feff}a,b\r\n\r\n\"x\r\ny\",\"say \"\"hi\"\"\"\r\nlast,\r\n").unwrap();
        let expected = [(1, ["a", "b"]), (3, ["x\ny", "say \"hi\""]), (5, ["last", ""])];
        let expected = expected.map(|(line, fields)| (line, fields.map(str::to_owned).to_vec()));
        assert_eq!(rows, expected);
    }

    #[test]
    fn stray_quotes_are_refused_where_they_stand() {
        for (content, line, part) in [
            ("a,b\nthe 5\" disk,1\n", 2, "does not begin"),
            ("a,b\nthe 5\" disk,1\n", 2, "`task.quotes = \"none\"`"),
            ("a,b\n\"x\", \"y\"\n", 2, "remove the blanks after the separators"),
            ("a,b\n\"x\"y,1\n", 2, "`y` after"),
            ("a,b\n1,\"open\n2,x\n3,y\n", 2, "nothing closes"),
        ] {
            let message = read(content).unwrap_err();
            assert!(message.contains(&format!("a.csv:{line}: ")), "{message}");
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_quote_left_open_does_not_fill_the_memory() {
        let message = read(&format!("a,b\n1,\"{}", "x\n".repeat(100))).unwrap_err();
        assert!(message.contains("a.csv:2: the row is too long"), "{message}");
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read(
            rows in prop::collection::vec(prop::collection::vec("[a,\"\n é\t]{0,8}", 2), 1..6)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.csv");
            let mut writer = ::csv::Writer::from_path(&path).unwrap();
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            writer.flush().unwrap();
            let read = records(&path, 1_000).unwrap();
            let fields: Vec<Vec<String>> = read.into_iter().map(|(_, fields)| fields).collect();
            prop_assert_eq!(fields, rows);
        }
    }
}
