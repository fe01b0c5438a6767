//! Comma-separated values as RFC 4180 defines them, read strictly.
//!
//! A field in double quotes may hold commas, line breaks and doubled quotes; a quote anywhere else is an error. A
//! lenient reader takes one stray quote for the start of a field and swallows the rows up to the next, which then
//! are missing from the data set without a word; that is why this one is ours. Its tests hold it against the crate `csv`.

use crate::error::FileError;

use super::TableOptions;
use super::lines::BoundedLines;
use super::reader::Source;
use super::row::Cell;

/// Reads a `.csv` file.
pub(super) struct CsvSource {
    records: Records,
    width: usize,
    /// The first record of a file without a header, read to know the width.
    first: Option<Record>,
    wanted: Vec<usize>,
}

struct Record {
    /// Where it begins.
    line: u64,
    fields: Vec<String>,
}

/// The records of a file, empty lines passed over.
struct Records {
    lines: BoundedLines,
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
    fn next(&mut self) -> Result<Option<Record>, FileError> {
        let mut line = loop {
            match self.lines.next_line()? {
                None => return Ok(None),
                Some(line) if line.text.is_empty() => {}
                Some(line) => break line,
            }
        };
        let begin = line.number;
        let mut bytes = 0;
        let mut record = Record { line: begin, fields: Vec::new() };
        let mut field = String::new();
        let mut state = State::Start;
        loop {
            for character in line.text.chars() {
                state = match (state, character) {
                    (State::Start | State::Plain | State::AfterQuote, ',') => {
                        record.fields.push(std::mem::take(&mut field));
                        State::Start
                    }
                    (State::Start, '"') => State::Quoted,
                    (State::Quoted, '"') => State::AfterQuote,
                    (State::AfterQuote, '"') | (State::Quoted, _) => {
                        field.push(character);
                        State::Quoted
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
        FileError::line(
            self.lines.path(),
            line,
            format!("{what}; put the whole field in quotes and write each of its own quotes twice"),
        )
    }
}

impl CsvSource {
    /// Opens a file; gives its column names too, if it is to have a header.
    pub(super) fn open(
        lines: BoundedLines,
        options: &TableOptions,
    ) -> Result<(Self, Option<Vec<String>>), FileError> {
        let mut records = Records { lines };
        let Some(first) = records.next()? else {
            return Err(FileError::file(records.lines.path(), "the file is empty"));
        };
        let width = first.fields.len();
        let (header, first) =
            if options.header { (Some(first.fields), None) } else { (None, Some(first)) };
        Ok((Self { records, width, first, wanted: Vec::new() }, header))
    }
}

impl Source for CsvSource {
    fn select(&mut self, wanted: &[usize]) -> Result<(), FileError> {
        wanted.clone_into(&mut self.wanted);
        Ok(())
    }

    fn width(&self) -> Option<usize> {
        Some(self.width)
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>, FileError> {
        let record = match self.first.take() {
            Some(first) => Some(first),
            None => self.records.next()?,
        };
        let Some(Record { line, fields }) = record else {
            return Ok(None);
        };
        if fields.len() != self.width {
            return Err(FileError::line(
                self.records.lines.path(),
                line,
                format!(
                    "`{}` columns where the first line has `{}`; put a field that holds a comma in double quotes",
                    fields.len(),
                    self.width
                ),
            ));
        }
        Ok(Some((line, self.wanted.iter().map(|at| Cell::Text(fields[*at].clone())).collect())))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn records(path: &Path, limit: usize) -> Result<Vec<(u64, Vec<String>)>, FileError> {
        let mut records = Records { lines: BoundedLines::open(path, limit)? };
        let mut all = Vec::new();
        while let Some(Record { line, fields }) = records.next()? {
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
        assert!(message.contains("a.csv:2: longer than `max_line_bytes"), "{message}");
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
