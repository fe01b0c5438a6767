//! Why there is no table.

use std::path::PathBuf;

use nystromformer::ModelError;
use nystromformer_files::FileError;

/// The result of everything in this crate that can fail.
pub type Result<T, E = TableError> = std::result::Result<T, E>;

/// An error of this crate. The message is complete: what happened, the value, what to do.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A row, a length or a folder cannot be what was asked for. Exit code 2.
    #[error("{0}")]
    Asked(String),
    /// A folder holds measurements of other settings. Exit code 2.
    #[error(
        "`{}` holds measurements with `{before}`, and `{now}` is asked for: choose another --output, or ask for the same",
        path.display()
    )]
    OtherSettings {
        /// The file of measurements.
        path: PathBuf,
        /// A setting and its value there.
        before: String,
        /// The same setting now.
        now: String,
    },
    /// A file of measurements is not what it is to be. Exit code 3.
    #[error("`{}` is no file of measurements that this version reads ({reason}): choose another --output", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or written. Exit code 7, or 3 if it is no text.
    #[error(transparent)]
    File(#[from] FileError),
    /// The model refuses the sizes. Exit code 2.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The device failed. Exit code 6.
    #[error("the device failed ({0}); try smaller sizes, or another --device")]
    Device(String),
}

impl TableError {
    /// The process exit code for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Asked(_)
            | Self::OtherSettings { .. }
            | Self::Model(_)
            | Self::File(FileError::OutputExists { .. }) => 2,
            Self::Damaged { .. } | Self::File(FileError::Content { .. }) => 3,
            Self::Device(_) => 6,
            Self::File(FileError::Io { .. }) => 7,
        }
    }
}
