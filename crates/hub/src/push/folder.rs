//! The files of a folder that are pushed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::error::{HubError, Result};

/// What says which model it is.
const CONFIG: &str = "config.json";

/// Files of one push. A model has some tens.
const MAX_FILES: usize = 10_000;

/// Folders in folders. A model has one or two.
const MAX_DEPTH: usize = 16;

/// A folder with a model, as it is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    files: Vec<LocalFile>,
    hidden: usize,
}

/// A file of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Its path in the repository, with `/` between folders.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
}

impl Folder {
    /// Looks at all files of a folder and of those below it. Hidden ones (`.git`, `.cache`) are left out and counted; a link
    /// to a file is that file.
    ///
    /// # Errors
    /// [`HubError::Usage`] if it has no `config.json`, is too large for one commit, or a name in it is no text;
    /// [`HubError::Disk`] if it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        if path.is_dir() && !path.join(CONFIG).is_file() {
            return Err(HubError::Usage(format!(
                "`{}` has no `{CONFIG}`, and so is no model that the Hub shows: export one there first (`export --output DIR`)",
                path.display()
            )));
        }
        let mut folder = Self { files: Vec::new(), hidden: 0 };
        folder.collect(path, "", 0)?;
        folder.files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(folder)
    }

    /// The files, by name.
    pub fn files(&self) -> &[LocalFile] {
        &self.files
    }

    /// How many files and folders were left out, since they are hidden.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    fn collect(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<()> {
        let too_large = |what: &str| {
            HubError::Usage(format!(
                "`{}` has {what}: push the folder of one model",
                folder.display()
            ))
        };
        if depth > MAX_DEPTH {
            return Err(too_large(&format!("more than {MAX_DEPTH} folders in each other")));
        }
        for entry in fs::read_dir(folder).map_err(HubError::disk("read", folder))? {
            let entry = entry.map_err(HubError::disk("read", folder))?;
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                let problem = format!("`{}`: its name is no text; rename it", path.display());
                return Err(HubError::Usage(problem));
            };
            if name.starts_with('.') {
                self.hidden += 1;
                continue;
            }
            let name = format!("{prefix}{name}");
            // Links to folders are not followed: they could lead in a circle.
            if entry.file_type().map_err(HubError::disk("read", &path))?.is_dir() {
                self.collect(&path, &format!("{name}/"), depth + 1)?;
                continue;
            }
            let found = fs::metadata(&path).map_err(HubError::disk("read", &path))?;
            if !found.is_file() {
                let problem = format!("`{}` is no file: take it out of the folder", path.display());
                return Err(HubError::Usage(problem));
            }
            self.files.push(LocalFile { name, path, size: found.len() });
            if self.files.len() > MAX_FILES {
                return Err(too_large(&format!("more than {MAX_FILES} files")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_by_name_and_hidden_ones_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let error = Folder::read(path).unwrap_err().to_string();
        assert!(error.contains("has no `config.json`"), "{error}");
        fs::create_dir_all(path.join("onnx")).unwrap();
        fs::create_dir_all(path.join(".git")).unwrap();
        for (name, content) in
            [("config.json", "{}"), ("onnx/model.onnx", "abc"), (".git/config", ""), (".env", "")]
        {
            fs::write(path.join(name), content).unwrap();
        }
        let read = Folder::read(path).unwrap();
        let names: Vec<_> =
            read.files().iter().map(|file| (file.name.as_str(), file.size)).collect();
        assert_eq!(names, [("config.json", 2), ("onnx/model.onnx", 3)]);
        assert_eq!(read.hidden(), 2);

        // As in the cache of the Hub, whose files are links; but not a folder in itself.
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path.join("onnx/model.onnx"), path.join("linked")).unwrap();
            assert_eq!(Folder::read(path).unwrap().files()[1].size, 3);
            std::os::unix::fs::symlink(path, path.join("circle")).unwrap();
            let error = Folder::read(path).unwrap_err().to_string();
            assert!(error.contains("circle` is no file"), "{error}");
        }
        assert!(matches!(Folder::read(&path.join("nowhere")), Err(HubError::Disk { .. })));
    }
}
