//! What can go wrong in a run, grouped by what the caller can do about it.
//!
//! Every variant belongs to one process exit code ([`LearnerError::exit_code`]), so that a script
//! can tell a misspelt key from a full disk without reading the message.

use std::path::{Path, PathBuf};

use nystromformer::ModelError;
use nystromformer_data::{DataError, ErrorKind};
use nystromformer_files::FileError;
use nystromformer_interop::InteropError;

use crate::stop::StopReason;

/// The result of everything in this crate that can fail.
pub type Result<T, E = LearnerError> = std::result::Result<T, E>;

/// An error of the learner. The message is complete: what happened, the value, what to do.
#[derive(Debug, thiserror::Error)]
pub enum LearnerError {
    /// The configuration, an override or the way a run was started is wrong. Exit code 2.
    #[error("{0}")]
    Config(String),

    /// The corpus, the tokenizer or a batch cannot be read or used. Exit code 3.
    #[error("{0}")]
    Data(String),

    /// A checkpoint, a weights file or an optimizer state cannot be used. Exit code 4.
    #[error("checkpoint `{}`: {message}", path.display())]
    Checkpoint {
        /// The file or directory that was read.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        message: String,
    },

    /// A folder of weights cannot be used. Exit code 4, or that of [`HubFailure`](nystromformer_interop::HubFailure).
    #[error(transparent)]
    Weights(InteropError),

    /// Loss or gradient stayed non-finite for too many steps in a row. Exit code 5.
    #[error(
        "loss or gradient was not finite for `{consecutive}` steps in a row, the last at step \
         `{step}`; {advice}"
    )]
    NonFinite {
        /// The last optimizer step that was attempted.
        step: usize,
        /// How many steps in a row were skipped.
        consecutive: usize,
        /// Where the last good state is and what to change.
        advice: String,
    },

    /// The device is not compiled in, is missing, or has too little memory. Exit code 6.
    #[error("device `{device}`: {message}")]
    Device {
        /// The device as named in the configuration.
        device: String,
        /// What is wrong, and what to do.
        message: String,
    },

    /// A measurement was given up because the run was asked to stop. The exit code is the reason's.
    #[error("stopped on request in the middle of a measurement; nothing of it is kept")]
    Stopped(StopReason),

    /// A file could not be read or written. Exit code 7.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was attempted, as a verb: `create`, `write`, `rename`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },

    /// A process that trains with this one does not answer. Exit code 7.
    #[error("rank `{rank}` waits for rank `{peer}` in vain at step `{step}` ({what}): {message}")]
    Rank {
        /// The rank that says so.
        rank: usize,
        /// The rank that does not answer.
        peer: usize,
        /// Optimizer steps completed.
        step: usize,
        /// What was to be exchanged.
        what: &'static str,
        /// What is known of it, and what to do.
        message: String,
    },

    /// The device computes something else than the CPU. Exit code 8.
    #[error(
        "device `{device}` failed its self-check: `{quantity}` differs from the CPU by \
         `{difference:e}`, \
         more than the tolerance `{tolerance:e}`; update the driver, try another device, or set \
         `trainer.self_check = false` to train in spite of it"
    )]
    SelfCheck {
        /// The device as named in the configuration.
        device: String,
        /// The quantity that differs most.
        quantity: String,
        /// The largest difference, relative to the largest magnitude of the quantity.
        difference: f64,
        /// The largest difference that would have passed.
        tolerance: f64,
    },
}

impl LearnerError {
    /// The process exit code for this error, as the command line promises it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            Self::Weights(InteropError::Hub { failure, .. }) => failure.exit_code(),
            Self::Data(_) => 3,
            Self::Checkpoint { .. } | Self::Weights(_) => 4,
            Self::NonFinite { .. } => 5,
            Self::Device { .. } => 6,
            Self::Io { .. } | Self::Rank { .. } => 7,
            Self::SelfCheck { .. } => 8,
            Self::Stopped(reason) => reason.exit_code(),
        }
    }

    /// Wraps an error of the operating system: `action` is a verb, as in "cannot `write` …".
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// A message of a rank that was not understood.
    pub(crate) fn unreadable_rank(rank: usize) -> Self {
        Self::Config(format!(
            "what rank `{rank}` says is not understood: all ranks must run the same program"
        ))
    }

    /// A checkpoint error about `path`.
    pub(crate) fn checkpoint(path: &Path, message: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.to_path_buf(), message: message.into() }
    }
}

/// A model that cannot be built or cannot read a batch was configured for something else.
impl From<ModelError> for LearnerError {
    fn from(error: ModelError) -> Self {
        Self::Config(error.to_string())
    }
}

/// Files of weights: the operating system's refusals apart, they are what checkpoint errors are
/// about.
impl From<InteropError> for LearnerError {
    fn from(error: InteropError) -> Self {
        match error {
            InteropError::Write { path, source } => Self::Io { action: "write", path, source },
            other => Self::Weights(other),
        }
    }
}

/// The operating system's refusals exit with 7; what a file holds is data.
impl From<FileError> for LearnerError {
    fn from(error: FileError) -> Self {
        DataError::from(error).into()
    }
}

impl From<DataError> for LearnerError {
    fn from(error: DataError) -> Self {
        match (error.kind(), error) {
            (ErrorKind::Io, DataError::Io { action, path, source }) => {
                Self::Io { action, path, source }
            }
            (ErrorKind::Config, error) => Self::Config(error.to_string()),
            (_, DataError::Io { action, path, source }) => {
                Self::Data(format!("cannot {action} `{}`: {source}", path.display()))
            }
            (_, error) => Self::Data(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_names_the_path_and_exits_with_seven() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = LearnerError::io("write", Path::new("runs/a/model.safetensors"))(full);
        assert_eq!(error.exit_code(), 7);
        let message = error.to_string();
        assert!(message.starts_with("cannot write `runs/a/model.safetensors`: "), "{message}");
    }
}
