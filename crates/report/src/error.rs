//! Why there is no report.

use std::path::{Path, PathBuf};

use nystromformer_files::FileError;

/// The result of everything in this crate that can fail.
pub type Result<T, E = ReportError> = std::result::Result<T, E>;

/// An error of this crate. The message is complete: what happened, the value, what to do.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A folder holds no run. Exit code 2.
    #[error("`{}` {problem}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// Why it is no run, and what to name instead.
        problem: String,
    },
    /// A file of a run is not what it is to be. Exit code 3.
    #[error("`{}` is no {what} ({reason})", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it is to be.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read as text (exit code 3), or not read or written at all (exit code 7).
    #[error(transparent)]
    File(#[from] FileError),
}

impl ReportError {
    /// The process exit code for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoRun { .. } | Self::File(FileError::OutputExists { .. }) => 2,
            Self::Damaged { .. } | Self::File(FileError::Content { .. }) => 3,
            Self::File(FileError::Io { .. }) => 7,
        }
    }

    pub(crate) fn damaged(path: &Path, what: &'static str, reason: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), what, reason: reason.to_string() }
    }
}
