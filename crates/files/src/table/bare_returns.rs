//! Files whose lines end with `\r` alone, as on old Macs: each would be read as one line.

use std::path::Path;
use std::sync::Arc;

use super::options::Quotes;
use super::{Format, TableOptions};
use crate::error::{FileError, Result};
use crate::input::Input;
use crate::lines::UTF8_MARK;
use crate::signature;

/// What separates fields, beside the separator that is set and that which the format has.
const SEPARATORS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// Refuses a file that has no line but by `\r`. It is read to its first `\n`, to its end, or as far as a line may be long.
///
/// A `\r` in quotes is text; so is one whose two sides have not as many fields: a row without a line end that holds it.
///
/// # Errors
///
/// [`FileError::Content`] for such a file, and for one that is no text; [`FileError::Io`].
pub(super) fn refuse_bare_returns(
    path: &Path,
    format: Format,
    options: &TableOptions,
) -> Result<()> {
    let mut input = Input::open(path)?;
    let place = Arc::clone(input.path());
    let first = input.fill()?;
    if let Some(refusal) =
        signature::refusal(&place, &first[..first.len().min(signature::LOOKED_AT)])
    {
        return Err(refusal);
    }
    if first.starts_with(UTF8_MARK) {
        input.consume(UTF8_MARK.len());
    }
    let usual = match (options.separator, format) {
        (Some(separator), _) => u8::try_from(separator).unwrap_or_default(),
        (None, Format::Tsv) => b'\t',
        (None, _) => b',',
    };
    let mut beginning = Beginning::new(usual, options);
    let mut left = options.max_line_bytes;
    while left > 0 {
        let bytes = input.fill()?;
        let length = bytes.len().min(left);
        if length == 0 {
            beginning.end_line();
            break;
        }
        if beginning.ends_in(&bytes[..length]) {
            return Ok(());
        }
        input.consume(length);
        left -= length;
    }
    if !beginning.has_lines() {
        return Ok(());
    }
    let problem = "its lines end with `\\r` alone, as on old Macs, and would be read as one";
    Err(FileError::line(path, 1, problem).with_cure(
        "end them with `\\n`, for example with `tr '\\r' '\\n'`; if `\\r` is text in a single row, end the row with `\\n`",
    ))
}

/// Where in a field it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    AfterQuote,
}

/// What stands before the first `\n` of a file.
struct Beginning {
    /// The separators that are counted, that which is usual first.
    separators: Vec<u8>,
    has_quotes: bool,
    state: State,
    /// Whether the byte before is a `\r` outside quotes.
    after_return: bool,
    /// How often each separator occurs in the line that is read.
    counts: Vec<usize>,
    /// Bytes of that line so far.
    length: u64,
    /// The same counts of the first two lines that `\r` alone ends.
    lines: Vec<Vec<usize>>,
    has_bare: bool,
}

impl Beginning {
    fn new(usual: u8, options: &TableOptions) -> Self {
        let mut separators = vec![usual];
        if options.separator.is_none() {
            separators.extend(SEPARATORS.into_iter().filter(|separator| *separator != usual));
        }
        Self {
            counts: vec![0; separators.len()],
            separators,
            has_quotes: options.quotes != Some(Quotes::None),
            state: State::Start,
            after_return: false,
            length: 0,
            lines: Vec::new(),
            has_bare: false,
        }
    }

    /// Reads on; whether `\n` ends a line in these bytes.
    fn ends_in(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            if self.reads_end(*byte) {
                return true;
            }
        }
        false
    }

    fn reads_end(&mut self, byte: u8) -> bool {
        if self.state == State::Quoted {
            if byte == b'"' {
                self.state = State::AfterQuote;
            }
            return false;
        }
        if byte == b'\n' {
            return true;
        }
        if std::mem::replace(&mut self.after_return, byte == b'\r') {
            self.has_bare = true;
            self.end_line();
        }
        if self.after_return {
            return false;
        }
        self.length += 1;
        let separator = self.separators.iter().position(|separator| *separator == byte);
        self.state = match (separator, self.state) {
            (Some(place), _) => {
                self.counts[place] += 1;
                State::Start
            }
            // Behind a quote another is one of the text, and the quoted text goes on.
            (None, State::Start | State::AfterQuote) if byte == b'"' && self.has_quotes => {
                State::Quoted
            }
            (None, _) => State::Plain,
        };
        false
    }

    /// Ends the line that is read: at a `\r`, and at the end of the file.
    fn end_line(&mut self) {
        self.state = if self.state == State::Quoted { State::Quoted } else { State::Start };
        let counts = std::mem::replace(&mut self.counts, vec![0; self.separators.len()]);
        if std::mem::take(&mut self.length) > 0 && self.lines.len() < 2 {
            self.lines.push(counts);
        }
    }

    /// Whether `\r` alone ends lines of the same form, of a file that has no `\n` so far.
    fn has_lines(&self) -> bool {
        let [first, second] = self.lines.as_slice() else { return false };
        let separates = |place: usize| first[place] + second[place] > 0;
        let is_alike = |place: usize| separates(place) && first[place] == second[place];
        // A comma may be one of a text. A tab is hardly, nor what somebody set.
        let is_sure = first[0] > 0 || self.separators[0] == b'\t' || first.len() == 1;
        let alike =
            if separates(0) && is_sure { is_alike(0) } else { (1..first.len()).any(is_alike) };
        let is_one_column = !(0..first.len()).any(separates);
        self.has_bare && self.state != State::Quoted && (alike || is_one_column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, content: &str, options: &TableOptions) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let format = Format::of(&path).unwrap();
        refuse_bare_returns(&path, format, options).map_err(|error| error.to_string())
    }

    #[test]
    fn lines_by_returns_alone_are_found_however_far_into_the_file() {
        let long = "word ".repeat(400);
        let features: Vec<String> = (0..500).map(|number| format!("feature_{number}")).collect();
        let header = features.join(",");
        for (name, content) in [
            ("a.csv", "text,label\rgood,1\rbad,0\r".to_owned()),
            ("a.tsv", "text\tlabel\rgood, or not\t1".to_owned()),
            ("a.csv", "text;label\rgood, or not;1\r".to_owned()),
            ("a.csv", "text\rgood\rbad".to_owned()),
            ("a.csv", "size,label\r5\"\" disk,1\r6,1\r".to_owned()),
            // Beyond the first bytes, and beyond those that are read at once.
            ("a.csv", format!("{long},1\r{long},0\r")),
            ("a.csv", format!("{header}\r{header}\r")),
            ("a.csv", format!("\"{}\",1\rb,0\r", "x\ry\n".repeat(100_000))),
            ("a.csv", "text,label\r\"a\nb\",1\r".to_owned()),
        ] {
            let message = told(name, &content, &TableOptions::default()).unwrap_err();
            assert!(message.contains(":1: its lines end with `\\r` alone"), "{message}");
        }
    }

    #[test]
    fn returns_within_a_text_are_text() {
        let long = "word ".repeat(400);
        for (name, content) in [
            // Ended rows, the first of them longer than what a file is told by.
            ("a.csv", format!("{long}\rmore,1\nbad,0\n")),
            ("a.csv", format!("{long}\rmore,1\n")),
            ("a.csv", format!("\"{long}\rmore\",1\nbad,0\n")),
            ("a.csv", "text,label\r\ngood,1\r\n".to_owned()),
            ("a.csv", "text,label\r\r\ngood,1\r\r\n".to_owned()),
            // A single row, which nothing ends.
            ("a.csv", "\"good\rfilm\",1".to_owned()),
            ("a.csv", "\"say \"\"good\rfilm\"\"\",1".to_owned()),
            ("a.csv", "\u{feff}\"good\rfilm\",1".to_owned()),
            ("a.csv", "good\rfilm,1".to_owned()),
            ("a.tsv", "good, long\rfilm, seen\t1".to_owned()),
            ("a.csv", format!("{long}\rmore,1")),
            ("a.csv", "text,label\r".to_owned()),
            ("a.csv", String::new()),
            // A quote that nothing closes.
            ("a.tsv", "text\tlabel\r\"good\t1".to_owned()),
        ] {
            assert_eq!(told(name, &content, &TableOptions::default()), Ok(()), "{content:.40}");
        }
    }

    #[test]
    fn what_is_set_and_how_long_a_line_may_be_are_heeded() {
        let options = TableOptions { separator: Some(';'), ..TableOptions::default() };
        assert!(told("a.csv", "a, b;1\rc;2", &options).is_err());
        assert_eq!(told("a.csv", "a, b\rc, d;2", &options), Ok(()));
        let options = TableOptions { quotes: Some(Quotes::None), ..TableOptions::default() };
        assert!(told("a.tsv", "text\tlabel\r\"good\t1", &options).is_err());
        let options = TableOptions { max_line_bytes: 20, ..TableOptions::default() };
        assert!(told("a.csv", &"a,1\r".repeat(100), &options).is_err());
        assert_eq!(told("a.csv", &"x".repeat(100), &options), Ok(()));
    }
}
