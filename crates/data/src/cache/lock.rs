//! One builder at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::DataError;

/// Holds the lock of a cache folder; let go when dropped or when the process ends.
#[derive(Debug)]
pub(crate) struct CacheLock {
    _file: File,
}

impl CacheLock {
    /// Waits for the lock file at `path`.
    pub(crate) fn acquire(path: &Path) -> Result<Self, DataError> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(DataError::io("create the lock", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                tracing::info!(lock = %path.display(), "waiting for another process that prepares the same data");
                file.lock().map_err(DataError::io("lock", path))?;
            }
            Err(TryLockError::Error(error)) => return Err(DataError::io("lock", path)(error)),
        }
        Ok(Self { _file: file })
    }
}
