//! Durable file operations.
//!
//! On a crash a file system may keep a rename and lose the bytes behind it, so every file is synced
//! before the directory entry that makes it visible, and the directory after it.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::error::{LearnerError, Result};

/// Writes a file that was not there, and syncs it.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    fail_point("write", path)?;
    let mut file = File::create_new(path).map_err(LearnerError::io("create", path))?;
    file.write_all(bytes).map_err(LearnerError::io("write", path))?;
    file.sync_all().map_err(LearnerError::io("sync", path))
}

/// Syncs a file that something else wrote.
pub(crate) fn sync_file(path: &Path) -> Result<()> {
    fail_point("sync", path)?;
    File::open(path).and_then(|file| file.sync_all()).map_err(LearnerError::io("sync", path))
}

/// Makes a rename or removal in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    // Windows cannot open a directory as a file, and needs no such sync.
    if cfg!(unix) {
        sync_file(directory)?;
    }
    Ok(())
}

/// Renames within one directory, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fail_point("rename", to)?;
    fs::rename(from, to).map_err(LearnerError::io("rename to", to))?;
    sync_directory(to.parent().unwrap_or(Path::new(".")))
}

/// Replaces `path` by a file with these bytes: readers see the old file or the new one, never a
/// part.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let scratch = scratch_sibling(path);
    if scratch.exists() {
        fs::remove_file(&scratch).map_err(LearnerError::io("remove", &scratch))?;
    }
    write_synced(&scratch, bytes)?;
    rename(&scratch, path)
}

/// The name of a scratch file or directory beside `path`, which carries this process's id.
pub(crate) fn scratch_sibling(path: &Path) -> std::path::PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{name}.scratch-{}", std::process::id()))
}

/// Whether a name is that of a scratch file or directory.
fn is_scratch(name: &str) -> bool {
    name.rsplit_once(".scratch-").is_some_and(|(_, process)| process.parse::<u32>().is_ok())
}

/// Removes the scratch files and directories that killed processes left in `directory`.
///
/// Only the holder of the run's lock may call this: it takes everything with a scratch name for
/// litter.
pub(crate) fn sweep(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(LearnerError::io("read", directory))? {
        let entry = entry.map_err(LearnerError::io("read", directory))?;
        if !is_scratch(&entry.file_name().to_string_lossy()) {
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
