//! A folder that appears complete or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{parent, rename, sync_directory, sync_file};
use crate::error::{FileError, Result};

/// A hidden folder beside its destination; [`publish`](Self::publish) gives it its name, and dropping it
/// unpublished removes it.
#[derive(Debug)]
pub struct ScratchFolder {
    path: PathBuf,
    output: PathBuf,
}

impl ScratchFolder {
    /// Makes the folder. `output` must be absent or an empty folder.
    ///
    /// # Errors
    /// [`FileError::OutputExists`] if it is neither, [`FileError::Io`].
    pub fn beside(output: &Path) -> Result<Self> {
        let in_use = || FileError::OutputExists { path: output.to_owned() };
        if fs::symlink_metadata(output).is_ok() {
            let mut entries = fs::read_dir(output).map_err(|_| in_use())?;
            if entries.next().is_some() {
                return Err(in_use());
            }
        }
        let name = output.file_name().ok_or_else(in_use)?.to_string_lossy().into_owned();
        let parent = parent(output);
        fs::create_dir_all(parent).map_err(FileError::io("make", parent))?;

        // The number passes over what a killed process of the same id left behind.
        let mut number = 0;
        loop {
            let path = parent.join(format!(".{name}.{}-{number}.tmp", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, output: output.to_owned() }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(FileError::io("make", &path)(error)),
            }
        }
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the finished folder to its destination. Files reach the disk before the name does.
    ///
    /// # Errors
    /// If the disk refuses, or the destination is no longer empty.
    pub fn publish(self) -> Result<()> {
        let list = |error| FileError::io("list", &self.path)(error);
        for entry in fs::read_dir(&self.path).map_err(list)? {
            sync_file(&entry.map_err(list)?.path())?;
        }
        sync_directory(&self.path)?;
        if self.output.exists() {
            fs::remove_dir(&self.output).map_err(FileError::io("replace", &self.output))?;
        }
        rename(&self.path, &self.output)
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // After publishing there is nothing under this name; otherwise nothing more can be done about a
        // failure here.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_folder_has_its_files_and_leaves_no_scratch() {
        let parent = tempfile::tempdir().unwrap();
        let output = parent.path().join("deep/model");
        let scratch = ScratchFolder::beside(&output).unwrap();
        fs::write(scratch.path().join("config.json"), "{}").unwrap();
        assert!(!output.exists());
        scratch.publish().unwrap();
        assert_eq!(fs::read_to_string(output.join("config.json")).unwrap(), "{}");
        assert_eq!(fs::read_dir(output.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn an_abandoned_folder_disappears() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = ScratchFolder::beside(&parent.path().join("model")).unwrap();
        fs::write(scratch.path().join("config.json"), "{}").unwrap();
        drop(scratch);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_an_empty_folder_is_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let (empty, full) = (parent.path().join("empty"), parent.path().join("full"));
        fs::create_dir(&empty).unwrap();
        ScratchFolder::beside(&empty).unwrap().publish().unwrap();
        fs::create_dir(&full).unwrap();
        fs::write(full.join("kept"), "text").unwrap();
        for taken in [full.clone(), full.join("kept")] {
            let error = ScratchFolder::beside(&taken).err().unwrap();
            assert!(matches!(error, FileError::OutputExists { .. }), "{error}");
        }
        assert_eq!(fs::read_to_string(full.join("kept")).unwrap(), "text");
    }
}
