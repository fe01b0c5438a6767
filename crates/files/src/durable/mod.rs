//! Files that are there whole or not at all, and stay after a power cut.
//!
//! On a crash a file system may keep a rename and lose the bytes behind it, so every file is synced before the
//! directory entry that makes it visible, and the directory after it. Caches, checkpoints, exported folders and
//! submissions rest on these few operations; each is one that a test can make fail ([`fault`]).

pub mod fault;
mod folder;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

pub use folder::ScratchFolder;

use crate::error::{FileError, Result};

/// Stands between the name of a file and the id of the process that is still writing it.
const SCRATCH: &str = ".scratch-";

/// Writes a file that was not there, and syncs it. Its name is durable once its directory is synced too.
///
/// # Errors
/// If the file exists, or cannot be written.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        fault::point()?;
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(FileError::io("write", path))
}

/// Syncs a file that something else wrote.
///
/// # Errors
/// If it cannot be opened or synced.
pub fn sync_file(path: &Path) -> Result<()> {
    let sync = || {
        fault::point()?;
        File::open(path)?.sync_all()
    };
    sync().map_err(FileError::io("sync", path))
}

/// Makes the names in a directory durable: files made, renamed or removed there.
///
/// # Errors
/// If it cannot be opened or synced.
pub fn sync_directory(directory: &Path) -> Result<()> {
    // Windows cannot open a directory as a file, and needs no such sync.
    if cfg!(unix) { sync_file(directory) } else { Ok(()) }
}

/// Renames a file or directory, durably; both names lie in one directory.
///
/// # Errors
/// If the rename or the sync fails.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fault::point().and_then(|()| fs::rename(from, to)).map_err(FileError::io("rename to", to))?;
    sync_directory(parent(to))
}

/// Puts a file with these bytes in the place of `path`: readers see what was there before or the new file,
/// never a part. Behind a link the file that it leads to is replaced, and what is no file, as `/dev/null` or a pipe, stays and is
/// written to.
///
/// # Errors
/// If any step fails; a file that was there before is untouched then.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let behind;
    let path = match fs::metadata(path) {
        Ok(found) if found.is_file() && path.is_symlink() => {
            behind = fs::canonicalize(path).map_err(FileError::io("read", path))?;
            &behind
        }
        Ok(found) if !found.is_file() && !found.is_dir() => {
            let written =
                File::options().write(true).open(path).and_then(|mut file| file.write_all(bytes));
            return written.map_err(FileError::io("write", path));
        }
        _ => path,
    };
    let scratch = scratch_sibling(path);
    if scratch.exists() {
        fs::remove_file(&scratch).map_err(FileError::io("remove", &scratch))?;
    }
    write_new(&scratch, bytes)?;
    rename(&scratch, path)
}

/// Makes the folder that `path` is to lie in, and looks whether [`replace`] could write there: to be asked before hours are spent
/// on what is to be written. What is there already stays as it is.
///
/// # Errors
/// [`FileError::Content`] if `path` is a folder; [`FileError::Io`], of the folder that cannot be made or written to.
pub fn make_room(path: &Path) -> Result<()> {
    let behind;
    let path = match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            let error = FileError::file(path, "it is a folder, and a file is to be written");
            return Err(error.with_cure("name a file in it"));
        }
        Ok(found) if !found.is_file() => return Ok(()),
        Ok(_) if path.is_symlink() => {
            behind = fs::canonicalize(path).map_err(FileError::io("read", path))?;
            &behind
        }
        _ => path,
    };
    let folder = parent(path);
    fs::create_dir_all(folder).map_err(FileError::io("make the folder", folder))?;
    let scratch = scratch_sibling(path);
    let probe = File::create(&scratch).and_then(|_| fs::remove_file(&scratch));
    probe.map_err(FileError::io("write", path))
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

/// Removes the scratch files and directories that killed processes left in `directory`.
///
/// Only the holder of a lock on the directory may call this: it takes everything with a scratch name for litter.
///
/// # Errors
/// If the directory cannot be read, or the litter not removed.
pub fn sweep(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(FileError::io("read", directory))? {
        let entry = entry.map_err(FileError::io("read", directory))?;
        if !is_scratch(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let litter = entry.path();
        tracing::info!(path = %litter.display(), "removing what a killed process left unfinished");
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed =
            if is_directory { fs::remove_dir_all(&litter) } else { fs::remove_file(&litter) };
        removed.map_err(FileError::io("remove", &litter))?;
    }
    Ok(())
}

/// The directory that holds `path`.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
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
    fn room_is_made_for_a_file_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/such/out.csv");
        make_room(&path).unwrap();
        assert!(path.parent().unwrap().is_dir() && !path.exists());
        fs::write(&path, "old").unwrap();
        make_room(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        make_room(Path::new("/dev/null")).unwrap();
        let of_folder = make_room(path.parent().unwrap()).unwrap_err().to_string();
        assert!(of_folder.contains("it is a folder"), "{of_folder}");
        // A file stands where the folder is to be.
        let below = make_room(&path.join("out.csv")).unwrap_err();
        assert!(matches!(below, FileError::Io { .. }), "{below}");
    }

    /// The program may be run by one who can remove devices.
    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_written_to_and_stays() {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::{FileTypeExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(replace(&socket, b"x").is_err());
        assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
        let (mut reader, writer) = std::io::pipe().unwrap();
        let pipe = folder.path().join("pipe");
        symlink(format!("/dev/fd/{}", writer.as_raw_fd()), &pipe).unwrap();
        replace(&pipe, b"lines").unwrap();
        drop(writer);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert!(read == "lines" && pipe.is_symlink(), "{read}");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert!(link.is_symlink() && fs::read(&file).unwrap() == b"new");
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

    #[test]
    fn litter_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::write(place("kept"), "").unwrap();
        fs::write(place("a.scratch-7"), "").unwrap();
        fs::create_dir(place("b.scratch-7")).unwrap();
        fs::write(place("b.scratch-7/file"), "").unwrap();
        sweep(folder.path()).unwrap();
        assert!(place("kept").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_at_any_operation_leaves_what_was_there_or_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        for operations in 0.. {
            replace(&path, b"old").unwrap();
            fault::allow(Some(operations));
            let replaced = replace(&path, b"new");
            fault::allow(None);
            let found = fs::read(&path).unwrap();
            let Err(error) = replaced else {
                assert_eq!((found.as_slice(), operations), (b"new".as_slice(), 3));
                break;
            };
            assert!(error.to_string().contains("manifest.json") || operations == 2, "{error}");
            assert_eq!(found == b"new", operations == 2, "only the last sync follows the rename");
        }
    }
}
