//! `resources.jsonl`: when sessions of a run began, and how much memory the process held after each step.
//!
//! It stands apart from `metrics.jsonl`, whose lines are a function of experiment and data (times aside): these are not.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::line_log::LineLog;

/// One line of `resources.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceRecord {
    /// Steps taken before it.
    pub step: usize,
    /// A session began to take steps at this time: seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_began: Option<u64>,
    /// The resident set of the process, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
}

/// Appends to `resources.jsonl`.
#[derive(Debug)]
pub struct ResourceLog {
    log: LineLog,
    /// The step that a session stands at which has not begun to take steps.
    begins: Option<usize>,
}

impl ResourceLog {
    /// Opens the log of a run that stands at `step`: later lines are removed.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io).
    pub fn open(path: PathBuf, step: usize) -> Result<Self> {
        let is_before = |line: &str| {
            serde_json::from_str(line).is_ok_and(|record: ResourceRecord| record.step <= step)
        };
        Ok(Self { log: LineLog::open(path, is_before)?, begins: Some(step) })
    }

    /// Notes what the process holds after `step`, if the system says so; of the first step also that a session began.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io).
    pub fn step(&mut self, step: usize, resident_bytes: Option<u64>) -> Result<()> {
        if let Some(step) = self.begins.take() {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let session_began = Some(now.map_or(0, |since| since.as_secs()));
            self.log.append(&ResourceRecord { step, session_began, resident_bytes: None })?;
        }
        if resident_bytes.is_some() {
            self.log.append(&ResourceRecord { step, session_began: None, resident_bytes })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_memory_by_step_and_nothing_beyond_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resources.jsonl");
        let read = || -> Vec<ResourceRecord> {
            let text = std::fs::read_to_string(&path).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let mut log = ResourceLog::open(path.clone(), 0).unwrap();
        for step in 1..=3 {
            log.step(step, Some(100 * step as u64)).unwrap();
        }
        assert_eq!(read().len(), 4);
        // A session that takes no step leaves no trace.
        drop(ResourceLog::open(path.clone(), 3).unwrap());
        assert_eq!(read().len(), 4);
        ResourceLog::open(path.clone(), 2).unwrap().step(3, None).unwrap();
        let lines = read();
        let steps: Vec<usize> = lines.iter().map(|line| line.step).collect();
        assert_eq!(steps, [0, 1, 2, 2]);
        assert_eq!(lines[2].resident_bytes, Some(200));
        assert!(lines[0].session_began.is_some() && lines[3].session_began.is_some());
    }
}
