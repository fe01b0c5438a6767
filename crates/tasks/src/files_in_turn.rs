//! [`FilesInTurn`]: what some files hold, one file after the other.

use std::path::{Path, PathBuf};
use std::vec;

use nystromformer_data::DataError;

/// How files are read, of which one is open at a time.
pub(crate) trait ReadFiles {
    /// A file that is open. It says what was passed over when it is dropped.
    type Open;
    /// What is read.
    type Item;

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`DataError`] if it is missing, or cannot be read at all.
    fn open(&mut self, file: &Path) -> Result<Self::Open, DataError>;

    /// The next item of a file; `None` at its end.
    ///
    /// # Errors
    ///
    /// [`DataError`] for what cannot be used.
    fn read(&mut self, file: &mut Self::Open) -> Result<Option<Self::Item>, DataError>;
}

/// The items of some files. They are opened one by one, when their turn comes; after an error nothing follows.
pub(crate) struct FilesInTurn<R: ReadFiles> {
    files: vec::IntoIter<PathBuf>,
    reader: R,
    current: Option<R::Open>,
}

impl<R: ReadFiles> FilesInTurn<R> {
    pub(crate) fn new(files: Vec<PathBuf>, reader: R) -> Self {
        Self { files: files.into_iter(), reader, current: None }
    }

    /// How they are read, and the file that is open.
    pub(crate) fn state(&self) -> (&R, Option<&R::Open>) {
        (&self.reader, self.current.as_ref())
    }

    fn advance(&mut self) -> Result<Option<R::Item>, DataError> {
        loop {
            let Some(current) = &mut self.current else {
                let Some(file) = self.files.next() else { return Ok(None) };
                self.current = Some(self.reader.open(&file)?);
                continue;
            };
            if let Some(item) = self.reader.read(current)? {
                return Ok(Some(item));
            }
            self.current = None;
        }
    }
}

impl<R: ReadFiles> Iterator for FilesInTurn<R> {
    type Item = Result<R::Item, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if matches!(item, Some(Err(_))) {
            self.files = Vec::new().into_iter();
            self.current = None;
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts down from the number that a file is called.
    struct Countdown {
        opened: usize,
    }

    impl ReadFiles for Countdown {
        type Open = usize;
        type Item = usize;

        fn open(&mut self, file: &Path) -> Result<usize, DataError> {
            self.opened += 1;
            let number = file.to_string_lossy().parse();
            number.map_err(|_| DataError::dataset(file, "it is called by no number"))
        }

        fn read(&mut self, left: &mut usize) -> Result<Option<usize>, DataError> {
            let item = *left;
            *left = left.saturating_sub(1);
            if item == 7 {
                return Err(DataError::dataset(Path::new("7"), "seven"));
            }
            Ok((item > 0).then_some(item))
        }
    }

    #[test]
    fn files_are_opened_in_their_turn_and_nothing_follows_an_error() {
        let read = |names: &[&str]| {
            let files = names.iter().map(PathBuf::from).collect();
            FilesInTurn::new(files, Countdown { opened: 0 })
        };
        let all: Vec<usize> = read(&["2", "0", "1"]).map(Result::unwrap).collect();
        assert_eq!(all, [2, 1, 1]);
        let mut items = read(&["1", "2"]);
        assert_eq!(items.next().unwrap().unwrap(), 1);
        assert_eq!((items.state().0.opened, items.state().1), (1, Some(&0)));
        for (names, before) in [(&["1", "x", "2"], 1), (&["2", "7", "2"], 2)] {
            let mut items = read(names);
            assert!(items.by_ref().take(before).all(|item| item.is_ok()));
            assert!(items.next().unwrap().is_err() && items.next().is_none());
        }
    }
}
