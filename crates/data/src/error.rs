//! What can go wrong with data, sorted by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use nystromformer_files::FileError;

/// An error of this crate. Each message names the place and the value and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A config value is out of range or two of them contradict each other.
    #[error("`{key}` is `{value}`: {problem}")]
    Config {
        /// The key with its table, for example `data.seq_len`.
        key: &'static str,
        /// The value as given.
        value: String,
        /// What is wrong and what to use instead.
        problem: String,
    },
    /// A line or row of an input file cannot be used.
    #[error("{}:{line}: {problem}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Line (text, JSONL) or row (Parquet), from 1.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A file as a whole cannot be used.
    #[error("`{}`: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The corpus as a whole cannot be used.
    #[error("corpus `{}`: {problem}", path.display())]
    Corpus {
        /// The file or folder named in the config.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A labelled data set as a whole cannot be used.
    #[error("data set `{}`: {problem}", path.display())]
    Dataset {
        /// The file or folder that was looked for or read.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A context takes more windows than are allowed.
    #[error(
        "the context takes `{windows}` windows, and `{most}` are allowed: shorten it, or the question"
    )]
    Windows {
        /// Windows that it takes.
        windows: usize,
        /// The most that are allowed.
        most: usize,
    },
    /// An example cannot be measured.
    #[error("example `{place}`, counted from 0: {problem}")]
    Example {
        /// Its place in its split or file, from 0.
        place: usize,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A tokenizer cannot be loaded, trained, applied or saved.
    #[error("tokenizer {origin}: {problem}")]
    Tokenizer {
        /// The path in backticks, or what was being done.
        origin: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The token cache is damaged. [`prepare`](crate::prepare) rebuilds it; seen only when a cache is
    /// damaged while in use.
    #[error("token cache `{}`: {problem}", path.display())]
    Cache {
        /// The file of the cache.
        path: PathBuf,
        /// What is wrong.
        problem: String,
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

/// The kinds of [`DataError`] that a program answers differently, for example by exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The config must be changed.
    Config,
    /// The input data or tokenizer must be changed.
    Data,
    /// The disk or its permissions must be looked at.
    Io,
}

impl DataError {
    /// Which kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } => ErrorKind::Config,
            Self::Io { source, .. } if source.kind() != io::ErrorKind::NotFound => ErrorKind::Io,
            _ => ErrorKind::Data,
        }
    }

    /// A value of the configuration that cannot be used.
    pub fn config(
        key: &'static str,
        value: impl std::fmt::Display,
        problem: impl Into<String>,
    ) -> Self {
        Self::Config { key, value: value.to_string(), problem: problem.into() }
    }

    /// A labelled data set that cannot be used as a whole.
    pub fn dataset(path: &Path, problem: impl Into<String>) -> Self {
        Self::Dataset { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn corpus(path: &Path, problem: impl Into<String>) -> Self {
        Self::Corpus { path: path.to_owned(), problem: problem.into() }
    }

    /// A line (text, JSONL) or row (Parquet) of a file, counted from 1, that cannot be used.
    pub fn line(file: &Path, line: u64, problem: impl Into<String>) -> Self {
        Self::Line { file: file.to_owned(), line, problem: problem.into() }
    }

    pub(crate) fn cache(path: &Path, problem: impl Into<String>) -> Self {
        Self::Cache { path: path.to_owned(), problem: problem.into() }
    }

    /// An error about the tokenizer at `path`.
    pub(crate) fn tokenizer_at(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::Tokenizer { origin: format!("`{}`", path.display()), problem: problem.to_string() }
    }

    /// For `map_err`: wraps an [`io::Error`] with what was tried on which path.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl From<FileError> for DataError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io { action, path, source } => Self::Io { action, path, source },
            FileError::OutputExists { path } => {
                Self::File { path, problem: "it is there already; nothing was written".to_owned() }
            }
            FileError::Content { path, line, problem, cure } => {
                let problem = match cure {
                    Some(cure) => format!("{problem}; {cure}"),
                    None => problem,
                };
                match line {
                    Some(line) => Self::Line { file: path, line, problem },
                    None => Self::File { path, problem },
                }
            }
        }
    }
}
