//! Where files lie: the layout of Hugging Face's own cache, so that both share what is downloaded.
//!
//! ```text
//! models--OWNER--NAME/refs/REVISION          the commit that a branch or tag was when it was last asked for
//! models--OWNER--NAME/blobs/TAG              a file's content; `TAG.incomplete` while it comes
//! models--OWNER--NAME/snapshots/COMMIT/FILE  a link to it
//! .locks/models--OWNER--NAME/TAG.lock        held by the process that writes it
//! ```

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use crate::{
    checksum::EntityTag,
    error::{HubError, Result},
    name::{ModelName, is_commit},
};

/// The cache of all repositories.
#[derive(Debug)]
pub(crate) struct Cache(PathBuf);

/// What the cache has of one repository.
#[derive(Debug)]
pub(crate) struct Repository {
    folder: PathBuf,
    locks: PathBuf,
}

impl Cache {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// The place of a model.
    pub(crate) fn repository(&self, name: &ModelName) -> Repository {
        let called = format!("models--{}", name.id().replace('/', "--"));
        Repository { folder: self.0.join(&called), locks: self.0.join(".locks").join(&called) }
    }
}

impl Repository {
    /// The commit that a revision is, or was when it was last asked for.
    pub(crate) fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let commit = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        let commit = commit.trim();
        is_commit(commit).then(|| commit.to_owned())
    }

    /// Keeps the commit that a revision is.
    pub(crate) fn keep_commit(&self, revision: &str, commit: &str) -> Result<()> {
        if self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        let folder = path.parent().unwrap_or(&self.folder);
        make_folder(folder)?;
        // What another process reads half of is no commit.
        fs::write(&path, commit).map_err(HubError::disk("write", &path))
    }

    /// The folder of the files of a commit.
    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The place of a file's content.
    pub(crate) fn blob(&self, tag: &EntityTag) -> PathBuf {
        self.folder.join("blobs").join(tag.as_str())
    }

    /// Waits until no other process writes this content. The lock is held until the file is dropped, or its process ends.
    pub(crate) fn lock(&self, tag: &EntityTag, file: &str) -> Result<File> {
        make_folder(&self.locks)?;
        make_folder(&self.folder.join("blobs"))?;
        let path = self.locks.join(format!("{}.lock", tag.as_str()));
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(HubError::disk("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                tracing::info!("waiting for another process that downloads `{file}`");
                lock.lock().map_err(HubError::disk("lock", &path))?;
            }
            Err(TryLockError::Error(source)) => {
                return Err(HubError::disk("lock", &path)(source));
            }
        }
        Ok(lock)
    }

    /// Gives a file of a commit its content, which is there.
    pub(crate) fn link(&self, tag: &EntityTag, commit: &str, file: &str) -> Result<()> {
        let link = self.snapshot(commit).join(file);
        if let Some(folder) = link.parent() {
            make_folder(folder)?;
        }
        if link.exists() {
            return Ok(());
        }
        let blob = self.blob(tag);
        // A link to what is gone.
        match fs::remove_file(&link) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(HubError::disk("replace", &link)(error));
            }
            _ => {}
        }
        let up = "../".repeat(2 + file.matches('/').count());
        let linked = symbolic(&Path::new(&up).join("blobs").join(tag.as_str()), &link);
        // Or another process was quicker.
        if linked.is_ok() || link.exists() {
            return Ok(());
        }
        // Not every file system has links.
        fs::hard_link(&blob, &link)
            .or_else(|_| fs::copy(&blob, &link).map(drop))
            .map_err(HubError::disk("write", &link))
    }
}

#[cfg(unix)]
fn symbolic(original: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(original, link)
}

#[cfg(not(unix))]
fn symbolic(_: &Path, _: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(HubError::disk("make the folder", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn files_lie_where_hugging_faces_tools_look_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let repository = cache.repository(&ModelName::parse("owner/name").unwrap());
        let tag = EntityTag::of("abc").unwrap();
        let lock = repository.lock(&tag, "config.json").unwrap();
        fs::write(repository.blob(&tag), "{}").unwrap();
        for _ in 0..2 {
            repository.link(&tag, COMMIT, "config.json").unwrap();
            repository.keep_commit("refs/pr/1", COMMIT).unwrap();
        }
        repository.link(&tag, COMMIT, "1_Pooling/config.json").unwrap();
        drop(lock);
        let model = folder.path().join("models--owner--name");
        let file = model.join("snapshots").join(COMMIT).join("config.json");
        assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
        let nested = file.with_file_name("1_Pooling").join("config.json");
        assert_eq!(fs::read_to_string(&nested).unwrap(), "{}");
        #[cfg(unix)]
        assert_eq!(fs::read_link(&file).unwrap(), Path::new("../../blobs/abc"));
        assert_eq!(fs::read_to_string(model.join("refs/refs/pr/1")).unwrap(), COMMIT);
        assert!(folder.path().join(".locks/models--owner--name/abc.lock").is_file());
        assert_eq!(repository.commit_of("refs/pr/1").as_deref(), Some(COMMIT));
        assert_eq!(repository.commit_of(COMMIT).as_deref(), Some(COMMIT));
        assert_eq!(repository.commit_of("main"), None);

        // A ref that is no commit leads nowhere, and a link to nothing is replaced.
        fs::write(model.join("refs/main"), "../../elsewhere").unwrap();
        assert_eq!(repository.commit_of("main"), None);
        fs::remove_file(repository.blob(&tag)).unwrap();
        assert!(!file.exists());
        fs::write(repository.blob(&tag), "{}").unwrap();
        repository.link(&tag, COMMIT, "config.json").unwrap();
        assert!(file.exists());
    }
}
