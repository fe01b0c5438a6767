//! What a folder holds, by name.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::error::{FileError, Result};
use crate::notice::say_once;

use super::column::listed;

/// The names of a folder's entries, sorted. Those that are not UTF-8 are left out, counted and said.
///
/// # Errors
///
/// [`FileError::Io`].
pub fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(FileError::io("list", folder))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let names: Vec<OsString> =
        names.collect::<Result<_, _>>().map_err(FileError::io("list", folder))?;
    let (names, others) = sorted(names);
    if !others.is_empty() {
        say_once(format!(
            "`{}`: {} entries are passed over, for their names are not UTF-8: {}; rename them to have them read",
            folder.display(),
            others.len(),
            listed(others.iter().map(String::as_str))
        ));
    }
    Ok(names)
}

/// Names that are UTF-8, and as well as can be those that are not.
fn sorted(all: Vec<OsString>) -> (Vec<String>, Vec<String>) {
    let (mut names, mut others) = (Vec::new(), Vec::new());
    for name in all {
        match name.into_string() {
            Ok(name) => names.push(name),
            Err(name) => others.push(name.to_string_lossy().into_owned()),
        }
    }
    names.sort_unstable();
    others.sort_unstable();
    (names, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_none_is_lost_without_a_word() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(names_in(folder.path()).unwrap(), ["a", "b"]);
        assert!(names_in(&folder.path().join("nowhere")).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt;
            let latin = OsString::from_vec(b"caf\xe9".to_vec());
            let (names, others) = sorted(vec![latin, "a".into()]);
            assert_eq!((names.len(), &others[..]), (1, &["caf\u{fffd}".to_owned()][..]));
        }
    }
}
