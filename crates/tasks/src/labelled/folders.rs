//! Folders of text files, a folder for each class: `pos/0_9.txt`, `neg/0_2.txt`.

use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::table::extension_of_content;
use nystromformer_files::{LineReader, say_once};

use super::ClassNames;
use crate::example::{Example, Input, Label};

/// The texts of a folder with a folder for each class. After an error nothing follows.
///
/// The order is the same on every machine: within a class by the number that a file's name begins with, then by name; the
/// classes mixed evenly, so that two of one size take turns, the first class first. Nothing but the names is in memory.
pub struct FolderExamples {
    files: std::vec::IntoIter<(Label, PathBuf)>,
    max_text_bytes: usize,
}

impl FolderExamples {
    /// Finds the `.txt` files of each class in `folder`; hidden ones are passed over, others too, and said. Texts longer than
    /// `max_text_bytes` will be refused.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if there is no such folder, or no text in any; [`DataError::Io`]. A class may have no folder: a
    /// test set need not have all.
    pub fn open(
        folder: &Path,
        classes: &ClassNames,
        max_text_bytes: usize,
    ) -> Result<Self, DataError> {
        let mut placed = Vec::new();
        for (class, name) in (0..).zip(classes.names()) {
            let files = text_files(&folder.join(name))?;
            let count = files.len();
            let places = files.into_iter().enumerate().map(|(place, file)| {
                // How far into its class the file is, between 0 and 1.
                let progress = (place as f64 + 0.5) / count as f64;
                (progress, class, file)
            });
            placed.extend(places);
        }
        if placed.is_empty() {
            let expected: Vec<String> =
                classes.names().iter().map(|name| format!("`{name}/`")).collect();
            let problem = format!("no .txt file in {} of it", expected.join(" or "));
            return Err(DataError::dataset(folder, problem));
        }
        // A stable sort: at equal progress the first class comes first.
        placed.sort_by(|left, right| left.0.total_cmp(&right.0));
        let files: Vec<(Label, PathBuf)> =
            placed.into_iter().map(|(_, class, file)| (Label::Class(class), file)).collect();
        Ok(Self { files: files.into_iter(), max_text_bytes })
    }
}

impl Iterator for FolderExamples {
    type Item = Result<Example, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (label, file) = self.files.next()?;
        let text = read_text(&file, self.max_text_bytes);
        if text.is_err() {
            self.files = Vec::new().into_iter();
        }
        Some(text.map(|first| Example {
            id: None,
            input: Input::Text { first, second: None },
            label: Some(label),
        }))
    }
}

/// The names of the folders in `folder` in sorted order, hidden ones passed over: the classes, where nobody names them.
///
/// # Errors
///
/// [`DataError::Dataset`] if there are none, [`DataError::Io`].
pub fn class_folders(folder: &Path) -> Result<ClassNames, DataError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(DataError::io("list", folder))? {
        let entry = entry.map_err(DataError::io("list", folder))?;
        if let Some(name) = entry.file_name().to_str().filter(|name| !name.starts_with('.'))
            && entry.path().is_dir()
        {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        return Err(DataError::dataset(
            folder,
            "no folder in it; each class has one, with its .txt files",
        ));
    }
    names.sort_unstable();
    ClassNames::new(names)
}

/// The `.txt` files of a folder, compressed ones too; none if there is no such folder. What else it holds is said.
fn text_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(DataError::io("list", folder))? {
        let path = entry.map_err(DataError::io("list", folder))?.path();
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        if extension_of_content(&path).is_some_and(|extension| extension == "txt") && path.is_file()
        {
            files.push((leading_number(name), path));
        } else {
            others.push(path);
        }
    }
    others.sort_unstable();
    if let Some(first) = others.first() {
        say_once(format!(
            "`{}`: left out of it: {} entries that are no .txt file, such as `{}`",
            folder.display(),
            others.len(),
            first.display()
        ));
    }
    files.sort_unstable();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// The number that a name begins with; names without one come last.
fn leading_number(name: &str) -> u64 {
    let digits = name.len() - name.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    name[..digits].parse().unwrap_or(u64::MAX)
}

/// A whole file as text, its lines joined by `\n`, without the last line end.
fn read_text(file: &Path, max_bytes: usize) -> Result<String, DataError> {
    let mut reader = LineReader::open(file)?;
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

    fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(folder: &Path) -> Result<Vec<(String, u16)>, DataError> {
        let classes = class_folders(folder)?;
        FolderExamples::open(folder, &classes, 30)?
            .map(|example| match example? {
                Example {
                    input: Input::Text { first, .. },
                    label: Some(Label::Class(class)),
                    ..
                } => Ok((first, class)),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn classes_take_turns_in_the_order_of_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "neg/10_1.txt",
            "neg/9_2.txt",
            "pos/1_10.txt",
            "pos/2_7.txt",
            "pos/x.txt",
            "pos/03_8.txt",
        ] {
            write(folder.path(), name, name);
        }
        write(folder.path(), "pos/.hidden.txt", "no");
        write(folder.path(), "pos/list.csv", "no");
        let texts: Vec<String> =
            read(folder.path()).unwrap().into_iter().map(|(text, _)| text).collect();
        let expected = [
            "pos/1_10.txt",
            "neg/9_2.txt",
            "pos/2_7.txt",
            "pos/03_8.txt",
            "neg/10_1.txt",
            "pos/x.txt",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn lines_are_joined_and_marks_dropped() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a/1.txt", "\u{feff}one\r\n\r\ntwo\r\n");
        assert_eq!(read(folder.path()).unwrap(), [("one\n\ntwo".to_owned(), 0)]);
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let refused = |content: &[u8]| {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), "a/1.txt", content);
            read(folder.path()).unwrap_err().to_string()
        };
        let latin = refused(b"fine\ncaf\xe9\n");
        assert!(latin.contains("1.txt:2: ") && latin.contains("UTF-8"), "{latin}");
        let long = refused(&[b'x'; 40]);
        assert!(long.contains("1.txt:1: ") && long.contains("max_line_bytes = 30"), "{long}");
        let lines = refused(&b"x\n".repeat(20));
        assert!(lines.contains("max_line_bytes"), "{lines}");
        assert!(refused(b" \n").contains("no text"));
        let empty = tempfile::tempdir().unwrap();
        assert!(read(empty.path()).unwrap_err().to_string().contains("no folder"));
        fs::create_dir(empty.path().join("a")).unwrap();
        assert!(read(empty.path()).unwrap_err().to_string().contains("no .txt file in `a/`"));
    }
}
