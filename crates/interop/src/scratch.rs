//! A folder that appears complete or not at all.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::error::InteropError;

/// A hidden folder beside its destination; [`publish`](Self::publish) gives it its name, and dropping it
/// unpublished removes it.
pub(crate) struct ScratchFolder {
    path: PathBuf,
    output: PathBuf,
}

impl ScratchFolder {
    /// Makes the folder. `output` must be absent or an empty folder.
    pub(crate) fn beside(output: &Path) -> Result<Self, InteropError> {
        let in_use = || InteropError::OutputExists { path: output.to_owned() };
        if fs::symlink_metadata(output).is_ok() {
            let mut entries = fs::read_dir(output).map_err(|_| in_use())?;
            if entries.next().is_some() {
                return Err(in_use());
            }
        }
        let name = output.file_name().ok_or_else(in_use)?.to_string_lossy().into_owned();
        let parent = parent(output);
        fs::create_dir_all(&parent)
            .map_err(|source| InteropError::Write { path: parent.clone(), source })?;

        // The number passes over what a killed process of the same id left behind.
        let mut number = 0;
        loop {
            let path = parent.join(format!(".{name}.{}-{number}.tmp", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, output: output.to_owned() }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(InteropError::Write { path, source }),
            }
        }
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the finished folder to its destination. Files reach the disk before the name does.
    pub(crate) fn publish(self) -> Result<(), InteropError> {
        self.sync_and_rename()
            .map_err(|source| InteropError::Write { path: self.output.clone(), source })
    }

    fn sync_and_rename(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            fs::File::open(entry?.path())?.sync_all()?;
        }
        sync_folder(&self.path)?;
        if self.output.exists() {
            fs::remove_dir(&self.output)?; // fails if it is no longer empty
        }
        fs::rename(&self.path, &self.output)?;
        sync_folder(&parent(&self.output))
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // After publishing there is nothing under this name; otherwise nothing more can be done about a
        // failure here.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes names in a folder durable. Windows cannot open folders as files, and needs not.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(path)?.sync_all() } else { Ok(()) }
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
            assert!(matches!(error, InteropError::OutputExists { .. }), "{error}");
        }
        assert_eq!(fs::read_to_string(full.join("kept")).unwrap(), "text");
    }
}
