//! What can go wrong, by what helps.

use std::{io, path::PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = HubError> = std::result::Result<T, E>;

/// An error of this crate. The message says what happened and what to do, and has no secret in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Occurs when a name, a folder or a setting cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// Occurs when the Hub, or the cache without it, does not give what is asked for: it is not there, or not allowed.
    #[error("{0}")]
    Refused(String),
    /// Occurs when what came is not what was announced.
    #[error("{0}")]
    Damaged(String),
    /// Occurs when there is no answer, or one that says to come back later.
    #[error("{0}")]
    Unreachable(String),
    /// Occurs when the file system does not do what is asked.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Disk {
        /// What was attempted, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl HubError {
    /// Wraps an error of the operating system: `action` is a verb, as in "cannot `write` …".
    pub(crate) fn disk(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { action, path, source }
    }
}

/// Text of a server in a message: a line of bounded length that moves no cursor.
pub(crate) fn brief(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut brief: String = text.chars().filter(|one| !one.is_control()).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        brief.push('…');
    }
    brief
}
