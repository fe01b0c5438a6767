//! Which files of a folder are texts, and a whole file as a text.

use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::table::{Format, extension_of_content};
use nystromformer_files::{LineReader, TextEncoding, say_once};

/// Endings of files beside texts that are none themselves: pictures, sounds, programs.
const NO_TEXTS: [&str; 14] = [
    "png",
    "jpg",
    "jpeg",
    "gif",
    "bmp",
    "tif",
    "tiff",
    "wav",
    "mp3",
    "mp4",
    "bin",
    "exe",
    "safetensors",
    "py",
];

/// What the files of texts are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endings {
    /// `.txt`, compressed ones too.
    Txt,
    /// Anything, or no ending, but what names another kind of file.
    Any,
}

/// What texts are called in these folders: [`Endings::Txt`] if any is called so.
pub(super) fn endings_of(folders: &[PathBuf]) -> Result<Endings, DataError> {
    for folder in folders {
        if entries(folder)?.iter().any(|path| is_text(path, Endings::Txt)) {
            return Ok(Endings::Txt);
        }
    }
    Ok(Endings::Any)
}

/// Whether a folder holds a text, whatever it is called.
pub(super) fn holds_text(folder: &Path) -> Result<bool, DataError> {
    Ok(entries(folder)?
        .iter()
        .any(|path| is_text(path, Endings::Txt) || is_text(path, Endings::Any)))
}

/// The texts of a folder, by the number that a name begins with, then by name; none if there is no such folder. What else it holds
/// is said, hidden entries apart.
pub(super) fn text_files(folder: &Path, endings: Endings) -> Result<Vec<PathBuf>, DataError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let (files, mut others): (Vec<PathBuf>, Vec<PathBuf>) =
        entries(folder)?.into_iter().partition(|path| is_text(path, endings));
    others.sort_unstable();
    if let Some(first) = others.first() {
        let texts = match endings {
            Endings::Txt => ".txt file",
            Endings::Any => "text",
        };
        say_once(format!(
            "`{}`: left out of it: {} entries that are no {texts}, such as `{}`",
            folder.display(),
            others.len(),
            first.display()
        ));
    }
    let mut numbered: Vec<(u64, PathBuf)> =
        files.into_iter().map(|path| (leading_number(&path), path)).collect();
    numbered.sort_unstable();
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

/// What a folder holds, hidden entries apart.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(DataError::io("list", folder))? {
        let entry = entry.map_err(DataError::io("list", folder))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

fn is_text(path: &Path, endings: Endings) -> bool {
    let extension = extension_of_content(path);
    let is_called_so = match endings {
        Endings::Txt => extension.is_some_and(|extension| extension == "txt"),
        Endings::Any => {
            Format::of(path).is_none()
                && !Format::is_unread(path)
                && extension.is_none_or(|extension| !NO_TEXTS.contains(&extension.as_str()))
        }
    };
    is_called_so && path.is_file()
}

/// The number that a file's name begins with; names without one come last.
fn leading_number(path: &Path) -> u64 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digits = name.len() - name.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    name[..digits].parse().unwrap_or(u64::MAX)
}

/// A whole file as text, its lines joined by `\n`, without the last line end.
pub(super) fn read_text(
    file: &Path,
    max_bytes: usize,
    encoding: TextEncoding,
    encoding_key: Option<&str>,
) -> Result<String, DataError> {
    let reader = LineReader::open_as(file, encoding)?;
    let mut reader = reader.with_encoding_key(encoding_key.map(str::to_owned));
    let mut text = String::new();
    let mut line_open = true;
    while let Some(piece) =
        reader.next_piece(max_bytes.saturating_add(1).saturating_sub(text.len()))?
    {
        if !line_open {
            text.push('\n');
        }
        text.push_str(&piece.text);
        line_open = !piece.ends_line;
        if text.len() > max_bytes {
            let problem = format!(
                "the text is longer than `max_line_bytes = {max_bytes}`; cut the file, or, if the data is your own, raise it"
            );
            return Err(DataError::line(file, piece.line, problem));
        }
    }
    if text.trim().is_empty() {
        return Err(DataError::line(file, 1, "the file has no text; give it some, or remove it"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, "text").unwrap();
        path
    }

    #[test]
    fn texts_are_txt_files_where_there_are_any_and_else_whatever_names_no_other_kind() {
        let folder = tempfile::tempdir().unwrap();
        let [plain, mixed] = ["plain", "mixed"].map(|name| folder.path().join(name));
        for name in ["49960", "10.article", "9", "table.csv", "scan.PDF", "face.jpg", ".hidden"] {
            write(&plain, name);
        }
        for name in ["a.txt", "b.txt.gz", "c.md"] {
            write(&mixed, name);
        }
        let names = |folder: &Path, endings| -> Vec<String> {
            let files = text_files(folder, endings).unwrap();
            files
                .iter()
                .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(endings_of(std::slice::from_ref(&plain)).unwrap(), Endings::Any);
        assert_eq!(endings_of(&[plain.clone(), mixed.clone()]).unwrap(), Endings::Txt);
        assert_eq!(names(&plain, Endings::Any), ["9", "10.article", "49960"]);
        assert_eq!(names(&mixed, Endings::Txt), ["a.txt", "b.txt.gz"]);
        assert!(holds_text(&plain).unwrap());
        fs::create_dir(folder.path().join("none")).unwrap();
        write(&folder.path().join("none"), "a.parquet");
        assert!(!holds_text(&folder.path().join("none")).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf8_is_one_too() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt"));
        // Some file systems take no such names.
        if fs::write(&path, "text").is_ok() {
            assert_eq!(text_files(folder.path(), Endings::Txt).unwrap(), [path]);
        }
    }
}
