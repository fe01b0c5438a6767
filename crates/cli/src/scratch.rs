//! A folder for what a command needs for a moment.

use std::{env, io};

use anyhow::Context;
use tempfile::TempDir;

/// A folder that is removed when it is dropped, where the system keeps such.
///
/// # Errors
/// If there is no such place: the message names it, and `TMPDIR` that chose it.
pub fn scratch_folder() -> anyhow::Result<TempDir> {
    let place = env::temp_dir();
    let chosen = if env::var_os("TMPDIR").is_some() {
        "`TMPDIR` names it: set it to a folder that is there and can be written"
    } else {
        "set `TMPDIR` to another folder"
    };
    tempfile::tempdir_in(&place).map_err(plain).with_context(|| {
        format!("cannot make a folder for scratch files in `{}` ({chosen})", place.display())
    })
}

/// The system's reason, without the random name that was tried.
fn plain(error: io::Error) -> io::Error {
    io::Error::from(error.kind())
}
