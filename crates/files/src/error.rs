//! What can be wrong with a file, in words for the person who has it.

use std::io;
use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = FileError> = std::result::Result<T, E>;

/// An error of this crate. Each message names the place, says what is wrong there and, where one is known, the cure.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// What a file holds cannot be used.
    #[error("{}", told(path, *line, problem, cure.as_deref()))]
    Content {
        /// The file, or the folder.
        path: PathBuf,
        /// Line (of text) or row (of Parquet), from 1; `None` if it is about the file as a whole.
        line: Option<u64>,
        /// What is wrong.
        problem: String,
        /// What to do.
        cure: Option<String>,
    },
    /// What is to be written would replace something.
    #[error(
        "`{}` exists and is not an empty folder: nothing was written; choose another output folder or remove this one",
        path.display()
    )]
    OutputExists {
        /// The folder asked for.
        path: PathBuf,
    },
    /// The operating system refused a read or write.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason the system gave.
        #[source]
        source: io::Error,
    },
}

/// `FILE:LINE: problem; cure`, or `` `FILE`: problem; cure ``.
fn told(path: &Path, line: Option<u64>, problem: &str, cure: Option<&str>) -> String {
    let place = match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => format!("`{}`", path.display()),
    };
    match cure {
        Some(cure) => format!("{place}: {problem}; {cure}"),
        None => format!("{place}: {problem}"),
    }
}

impl FileError {
    /// A file or folder that cannot be used as a whole.
    pub fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), line: None, problem: problem.into(), cure: None }
    }

    /// A line (of text) or row (of Parquet), from 1, that cannot be used.
    pub fn line(path: &Path, line: u64, problem: impl Into<String>) -> Self {
        Self::Content {
            path: path.to_owned(),
            line: Some(line),
            problem: problem.into(),
            cure: None,
        }
    }

    /// The same error with this cure in the place of the one it has: whoever asked knows which key or flag helps. Errors of
    /// the operating system stay as they are.
    #[must_use]
    pub fn with_cure(mut self, better: impl Into<String>) -> Self {
        if let Self::Content { cure, .. } = &mut self {
            *cure = Some(better.into());
        }
        self
    }

    /// For `map_err`: wraps an [`io::Error`] with what was tried on which path.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_place_its_problem_and_its_cure() {
        let error = FileError::line(Path::new("a.csv"), 3, "`2` columns");
        assert_eq!(error.to_string(), "a.csv:3: `2` columns");
        assert_eq!(error.with_cure("add one").to_string(), "a.csv:3: `2` columns; add one");
        let whole = FileError::file(Path::new("a.csv"), "it is empty").with_cure("fill it");
        assert_eq!(whole.to_string(), "`a.csv`: it is empty; fill it");
        let system = FileError::io("read", Path::new("a.csv"))(io::ErrorKind::NotFound.into());
        assert_eq!(system.with_cure("x").to_string(), "cannot read `a.csv`");
    }
}
