//! Files that are there whole or not at all, and stay after a power cut.
//!
//! On a crash a file system may keep a rename and lose the bytes behind it, so every file is synced before the
//! directory entry that makes it visible, and the directory after it. The token cache rests on these few
//! operations, and so do the learner's checkpoints. Errors are the operating system's own: the caller knows
//! what it was writing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Stands between the name of a file and the id of the process that is still writing it.
const SCRATCH: &str = ".scratch-";

/// Writes a file that was not there, and syncs it. Its name is durable once its directory is synced too.
///
/// # Errors
/// If the file exists, or cannot be written.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Syncs a file that something else wrote.
///
/// # Errors
/// If it cannot be opened or synced.
pub fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes the names in a directory durable: files made, renamed or removed there.
///
/// # Errors
/// If it cannot be opened or synced.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    // Windows cannot open a directory as a file, and needs no such sync.
    if cfg!(unix) { sync_file(directory) } else { Ok(()) }
}

/// Renames a file or directory, durably; both names lie in one directory.
///
/// # Errors
/// If the rename or the sync fails.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    match to.parent() {
        Some(parent) if parent != Path::new("") => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}

/// Puts a file with these bytes in the place of `path`: readers see what was there before or the new file,
/// never a part.
///
/// # Errors
/// If any step fails; what was there before is untouched then.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let scratch = scratch_sibling(path);
    if scratch.exists() {
        fs::remove_file(&scratch)?;
    }
    write_new(&scratch, bytes)?;
    rename(&scratch, path)
}

/// The name of a scratch file or directory beside `path`; it carries this process's id.
pub fn scratch_sibling(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{name}{SCRATCH}{}", std::process::id()))
}

/// Whether a name is that of a scratch file or directory, of whatever process.
pub fn is_scratch(name: &str) -> bool {
    name.rsplit_once(SCRATCH).is_some_and(|(_, process)| process.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_no_scratch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        // What a killed process of the same id left behind.
        fs::write(scratch_sibling(&path), "half").unwrap();
        for content in ["first", "second, longer", "3"] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_new(&path, b"4").is_err());
        assert!(replace(&folder.path().join("gone/manifest.json"), b"").is_err());
    }

    #[test]
    fn scratch_names_are_known_again() {
        let scratch = scratch_sibling(Path::new("runs/a/config.toml"));
        assert_eq!(scratch.parent(), Some(Path::new("runs/a")));
        assert!(is_scratch(&scratch.file_name().unwrap().to_string_lossy()));
        for name in ["config.toml", "notes.scratch-mine", ".scratch-"] {
            assert!(!is_scratch(name), "{name}");
        }
    }
}
