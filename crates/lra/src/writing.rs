//! Files of generated examples, line by line: there whole or not at all, and never in the place of another.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use nystromformer_tasks::{DataError, durable};

/// Makes `folder` and the paths of files in it, of which none may be there already.
pub(super) fn new_files<const N: usize>(
    folder: &Path,
    names: [&str; N],
) -> Result<[PathBuf; N], DataError> {
    fs::create_dir_all(folder).map_err(DataError::io("make", folder))?;
    let paths = names.map(|name| folder.join(name));
    match paths.iter().find(|path| path.exists()) {
        Some(path) => Err(already_there(path)),
        None => Ok(paths),
    }
}

/// The error about a file or folder that would have to be replaced.
pub(super) fn already_there(path: &Path) -> DataError {
    DataError::dataset(path, "it is there already; delete it or name another folder")
}

/// Writes a file of lines. After an error, one of `lines` or of the disk, there is none.
pub(super) fn write_lines(
    path: &Path,
    lines: impl Iterator<Item = Result<String, DataError>>,
) -> Result<(), DataError> {
    let scratch = durable::scratch_sibling(path);
    if let Err(error) = write(&scratch, lines) {
        // What went wrong is worth more than a second error about the part that was written.
        let _ = fs::remove_file(&scratch);
        return Err(error);
    }
    Ok(durable::rename(&scratch, path)?)
}

fn write(
    path: &Path,
    lines: impl Iterator<Item = Result<String, DataError>>,
) -> Result<(), DataError> {
    let file = File::create(path).map_err(DataError::io("create", path))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    for line in lines {
        writeln!(file, "{}", line?).map_err(DataError::io("write", path))?;
    }
    let written = file.into_inner().map_err(io::IntoInnerError::into_error);
    written.and_then(|file| file.sync_all()).map_err(DataError::io("write", path))
}
