//! What the readers of several tasks share: lines of bounded length, and the end after an error.

use std::path::{Path, PathBuf};

use nystromformer_tasks::{BoundedLines, DataError, Example, ExampleReader, Line, LineReader};

/// Lines of a file with their numbers, from 1; one longer than an example of the task can be is refused.
pub(super) struct NumberedLines(BoundedLines);

impl NumberedLines {
    pub(super) fn open(path: &Path, max_bytes: usize) -> Result<Self, DataError> {
        let too_long = format!(
            "the line is longer than {max_bytes} bytes; an example of this task is not; is this the right file?"
        );
        Ok(Self(BoundedLines::of(LineReader::open(path)?, max_bytes, too_long)))
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Iterator for NumberedLines {
    type Item = Result<(u64, String), DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.0.next()?;
        Some(line.map(|Line { number, text }| (number, text)).map_err(DataError::from))
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
        Example {
            row: None,
            id: None,
            input: Input::Ids { first: vec![1], second: None },
            label: None,
        }
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
