//! A file of JSON lines that grows with a run, and is cut off where the run goes on from.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use nystromformer_files::durable;
use serde::Serialize;

use crate::error::{LearnerError, Result};

/// Appends lines to a file.
#[derive(Debug)]
pub(crate) struct LineLog {
    path: PathBuf,
    file: File,
}

impl LineLog {
    /// Opens a file, or begins it. Lines that `keeps` does not want, and a line that was cut short, are removed.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub(crate) fn open(path: PathBuf, keeps: impl Fn(&str) -> bool) -> Result<Self> {
        if path.exists() {
            let text = std::fs::read(&path).map_err(LearnerError::io("read", &path))?;
            let text = String::from_utf8_lossy(&text);
            let kept: String = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'))
                .filter(|line| keeps(line))
                .collect();
            if kept.len() != text.len() {
                durable::replace(&path, kept.as_bytes())?;
            }
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(LearnerError::io("open", &path))?;
        Ok(Self { path, file })
    }

    /// Appends one line, in one write.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    ///
    /// # Panics
    /// If the record is no JSON: it is to be numbers, flags and lists.
    pub(crate) fn append(&mut self, record: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(record)
            .expect("a record is numbers and flags, and JSON writes what is not finite as null");
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(LearnerError::io("write", &self.path))
    }

    /// Makes all lines durable.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(LearnerError::io("sync", &self.path))
    }
}
