//! What the readers of several tasks share: lines of bounded length, and the end after an error.

use std::path::{Path, PathBuf};

use nystromformer_tasks::{DataError, Example, ExampleReader, LineReader};

/// Lines of a file with their numbers, from 1; a line longer than a limit is refused before it is in memory.
pub(super) struct BoundedLines {
    path: PathBuf,
    reader: LineReader,
    max_bytes: usize,
}

impl BoundedLines {
    pub(super) fn open(path: &Path, max_bytes: usize) -> Result<Self, DataError> {
        Ok(Self { path: path.to_owned(), reader: LineReader::open(path)?, max_bytes })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Iterator for BoundedLines {
    type Item = Result<(u64, String), DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = match self.reader.next_line(self.max_bytes).transpose()? {
            Ok(piece) => piece,
            Err(error) => return Some(Err(error.into())),
        };
        Some(if piece.ends_line {
            Ok((piece.line, piece.text))
        } else {
            let problem = format!(
                "the line is longer than {} bytes; an example of this task is not; is this the right file?",
                self.max_bytes
            );
            Err(DataError::line(&self.path, piece.line, problem))
        })
    }
}

/// Makes a reader of `examples`: nothing follows an error, and a data set without any example is one.
pub(super) fn reader(
    path: &Path,
    examples: impl Iterator<Item = Result<Example, DataError>> + Send + 'static,
) -> ExampleReader {
    Box::new(StoppingReader { path: path.to_owned(), examples, state: State::Empty })
}

struct StoppingReader<I> {
    path: PathBuf,
    examples: I,
    state: State,
}

enum State {
    /// Nothing was given yet.
    Empty,
    /// At least one example was given.
    Reading,
    /// An error was given, or all examples were.
    Ended,
}

impl<I: Iterator<Item = Result<Example, DataError>>> Iterator for StoppingReader<I> {
    type Item = Result<Example, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.state, State::Ended) {
            return None;
        }
        let next = match (self.examples.next(), &self.state) {
            (None, State::Empty) => Some(Err(DataError::dataset(
                &self.path,
                "it holds no examples; is the file cut off, or a placeholder?",
            ))),
            (next, _) => next,
        };
        self.state = if matches!(next, Some(Ok(_))) { State::Reading } else { State::Ended };
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nystromformer_tasks::Input;

    fn example() -> Example {
        Example { input: Input::Ids { first: vec![1], second: None }, label: None }
    }

    #[test]
    fn a_line_above_the_limit_is_refused_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.tsv");
        std::fs::write(&path, format!("0123456789\n{}\n", "x".repeat(11))).unwrap();
        let lines: Vec<_> = BoundedLines::open(&path, 10).unwrap().take(2).collect();
        assert_eq!(lines[0].as_ref().unwrap(), &(1, "0123456789".to_owned()));
        let message = lines[1].as_ref().unwrap_err().to_string();
        assert!(message.contains("lines.tsv:2: "), "{message}");
    }

    #[test]
    fn nothing_follows_an_error() {
        let error = || Err(DataError::dataset(Path::new("a"), "broken"));
        let items = vec![Ok(example()), error(), Ok(example())];
        let read: Vec<_> = reader(Path::new("a"), items.into_iter()).collect();
        assert_eq!(read.len(), 2);
        assert!(read[0].is_ok() && read[1].is_err());
    }

    #[test]
    fn a_set_without_examples_is_an_error() {
        let read: Vec<_> = reader(Path::new("empty.tsv"), std::iter::empty()).collect();
        assert_eq!(read.len(), 1);
        assert!(read[0].as_ref().unwrap_err().to_string().contains("`empty.tsv`: it holds no"));
    }
}
