//! `resources.jsonl`: when sessions of a run began, and how much memory the process held.

use std::path::Path;

use serde::Deserialize;

use super::json;
use crate::error::Result;

const FILE: &str = "resources.jsonl";

/// The lines of a run.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    /// The step after which each session went on, and when: seconds since 1970.
    pub(crate) sessions: Vec<(usize, u64)>,
    /// The resident set of the process after a step, in bytes.
    pub(crate) memory: Vec<(f64, f64)>,
}

#[derive(Deserialize)]
struct Line {
    step: usize,
    #[serde(default)]
    session_began: Option<u64>,
    #[serde(default)]
    resident_bytes: Option<f64>,
}

impl Resources {
    /// Reads those of the run in `path`; none if there is no such file, as of earlier versions.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let mut resources = Self::default();
        json::lines(&path.join(FILE), |line: Line| {
            resources.sessions.extend(line.session_began.map(|began| (line.step, began)));
            resources.memory.extend(line.resident_bytes.map(|bytes| (line.step as f64, bytes)));
        })?;
        Ok(resources)
    }

    /// The steps after which a later session went on.
    pub(crate) fn resumes(&self) -> impl Iterator<Item = usize> {
        self.sessions.iter().skip(1).map(|(step, _)| *step)
    }
}
