//! The durable file operations of a run, each of which a test can make fail.
//!
//! What they do and why is `nystromformer_data`'s [`durable`]; here they get this crate's errors.

use std::fs;
use std::path::Path;

use nystromformer_data::durable;
pub(crate) use nystromformer_data::durable::scratch_sibling;

use crate::error::{LearnerError, Result};

/// Writes a file that was not there, and syncs it.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    fail_point("write", path)?;
    durable::write_new(path, bytes).map_err(LearnerError::io("write", path))
}

/// Syncs a file that something else wrote.
pub(crate) fn sync_file(path: &Path) -> Result<()> {
    fail_point("sync", path)?;
    durable::sync_file(path).map_err(LearnerError::io("sync", path))
}

/// Makes a removal in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    fail_point("sync", directory)?;
    durable::sync_directory(directory).map_err(LearnerError::io("sync", directory))
}

/// Renames within one directory, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fail_point("rename", to)?;
    durable::rename(from, to).map_err(LearnerError::io("rename to", to))
}

/// Replaces `path` by a file with these bytes.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    fail_point("write", path)?;
    durable::replace(path, bytes).map_err(LearnerError::io("write", path))
}

/// Removes the scratch files and directories that killed processes left in `directory`.
///
/// Only the holder of the run's lock may call this: it takes everything with a scratch name for
/// litter.
pub(crate) fn sweep(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(LearnerError::io("read", directory))? {
        let entry = entry.map_err(LearnerError::io("read", directory))?;
        if !durable::is_scratch(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let litter = entry.path();
        tracing::info!(path = %litter.display(), "removing what a killed process left unfinished");
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed =
            if is_directory { fs::remove_dir_all(&litter) } else { fs::remove_file(&litter) };
        removed.map_err(LearnerError::io("remove", &litter))?;
    }
    Ok(())
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "fails in tests, which replace it")]
#[inline]
fn fail_point(_action: &'static str, _path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use fault::fail_point;

/// Injected failures: the operation number `n` of this thread, counted from 0, and all after it
/// fail.
#[cfg(test)]
pub(crate) mod fault {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static REMAINING: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Lets `operations` of this thread's file operations pass and fails the rest; `None` fails
    /// none.
    pub(crate) fn allow(operations: Option<usize>) {
        REMAINING.set(operations);
    }

    pub(crate) fn fail_point(action: &'static str, path: &Path) -> Result<()> {
        match REMAINING.get() {
            None => Ok(()),
            Some(0) => {
                let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                Err(LearnerError::io(action, path)(full))
            }
            Some(remaining) => {
                REMAINING.set(Some(remaining - 1));
                Ok(())
            }
        }
    }
}
