//! Folders of text files, a folder for each class: `pos/0_9.txt`, `neg/0_2.txt`.

use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::table::listed;
use nystromformer_files::{TextEncoding, say_once};

use super::ClassNames;
use super::text_files::{Endings, endings_of, holds_text, read_text, text_files};
use crate::example::{Example, Input, Label};

/// The texts of a folder with a folder for each class. After an error nothing follows.
///
/// The order is the same on every machine: within a class by the number that a file's name begins with, then by name; the
/// classes mixed evenly, so that two of one size take turns, the first class first. Nothing but the names is in memory.
pub struct FolderExamples {
    files: std::vec::IntoIter<(u16, PathBuf)>,
    folder: PathBuf,
    max_text_bytes: usize,
    encoding: TextEncoding,
    encoding_key: Option<&'static str>,
}

impl FolderExamples {
    /// Finds the `.txt` files of each class in `folder`; if no class has one, all files but those whose ending names another kind
    /// of file. Hidden ones are passed over, others too, and said. Texts longer than `max_text_bytes` will be refused.
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
        let folders: Vec<PathBuf> = classes.names().iter().map(|name| folder.join(name)).collect();
        let there: Vec<PathBuf> =
            folders.iter().filter(|folder| folder.is_dir()).cloned().collect();
        let endings = endings_of(&there)?;
        let mut placed = Vec::new();
        for (class, folder) in (0..).zip(&folders) {
            let files = text_files(folder, endings)?;
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
            let problem =
                format!("no .txt file, nor another text, in {} of it", expected.join(" or "));
            return Err(DataError::dataset(folder, problem));
        }
        if endings == Endings::Any {
            say_once(format!(
                "`{}`: no file in it is called .txt: its {} files are read as texts, such as `{}`",
                folder.display(),
                placed.len(),
                placed[0].2.display()
            ));
        }
        // A stable sort: at equal progress the first class comes first.
        placed.sort_by(|left, right| left.0.total_cmp(&right.0));
        let files: Vec<(u16, PathBuf)> =
            placed.into_iter().map(|(_, class, file)| (class, file)).collect();
        Ok(Self {
            files: files.into_iter(),
            folder: folder.to_owned(),
            max_text_bytes,
            encoding: TextEncoding::Utf8,
            encoding_key: None,
        })
    }

    /// Reads the texts in this encoding, which the `key` of a config sets. Default: UTF-8, and no key.
    #[must_use]
    pub fn with_encoding(self, encoding: TextEncoding, key: &'static str) -> Self {
        Self { encoding, encoding_key: Some(key), ..self }
    }
}

impl Iterator for FolderExamples {
    type Item = Result<Example, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (class, file) = self.files.next()?;
        let text = read_text(&file, self.max_text_bytes, self.encoding, self.encoding_key);
        if text.is_err() {
            self.files = Vec::new().into_iter();
        }
        let name = file.strip_prefix(&self.folder).unwrap_or(&file);
        Some(text.map(|first| Example {
            row: None,
            id: Some(name.to_string_lossy().into_owned()),
            input: Input::Text { first, second: None },
            label: Some(Label::Class(class)),
        }))
    }
}

/// The names of the folders in `folder` in sorted order, hidden ones passed over: the classes, where nobody names them. Those
/// without a text are left out if others have some, and so are those whose names are not UTF-8; both are said.
///
/// # Errors
///
/// [`DataError::Dataset`] if there are none, [`DataError::Io`].
pub fn class_folders(folder: &Path) -> Result<ClassNames, DataError> {
    let (mut names, mut empty, mut unnamed) = (Vec::new(), Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(DataError::io("list", folder))? {
        let entry = entry.map_err(DataError::io("list", folder))?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') || !path.is_dir() {
            continue;
        }
        match entry.file_name().into_string() {
            Err(name) => unnamed.push(name.to_string_lossy().into_owned()),
            Ok(name) if holds_text(&path)? => names.push(name),
            Ok(name) => empty.push(name),
        }
    }
    let left_out = |names: &mut Vec<String>, why: &str| {
        names.sort_unstable();
        let shown = listed(names.iter().map(String::as_str));
        let count = names.len();
        say_once(format!(
            "`{}`: {count} folders in it are no classes: {why}: {shown}",
            folder.display()
        ));
    };
    if !unnamed.is_empty() {
        left_out(&mut unnamed, "their names are not UTF-8");
    }
    if names.is_empty() {
        names = empty;
    } else if !empty.is_empty() {
        left_out(&mut empty, "no text is in them");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn open(folder: &Path) -> Result<FolderExamples, DataError> {
        FolderExamples::open(folder, &class_folders(folder)?, 30)
    }

    fn read(folder: &Path) -> Result<Vec<(String, u16)>, DataError> {
        open(folder)?
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
        let first = open(folder.path()).unwrap().next().unwrap().unwrap();
        assert_eq!(first.id.as_deref(), Some("pos/1_10.txt"));
    }

    #[test]
    fn files_without_an_ending_are_texts_and_folders_without_texts_no_classes() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["sci.med/59288", "sci.med/58069", "alt.atheism/53366", "figures/a.png"] {
            write(folder.path(), name, name);
        }
        assert_eq!(class_folders(folder.path()).unwrap().names(), ["alt.atheism", "sci.med"]);
        let classes: Vec<u16> =
            read(folder.path()).unwrap().into_iter().map(|(_, class)| class).collect();
        assert_eq!(classes, [1, 0, 1]);
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
        assert!(
            read(empty.path())
                .unwrap_err()
                .to_string()
                .contains("no .txt file, nor another text, in `a/`")
        );
    }

    #[test]
    fn other_encodings_are_read_if_the_key_says_so() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a/1.txt", b"fine\ncaf\xe9\n");
        let read = |encoding| {
            let examples = open(folder.path()).unwrap().with_encoding(encoding, "task.encoding");
            let read: Result<Vec<Example>, DataError> = examples.collect();
            read.map(|mut examples| examples.remove(0).input).map_err(|error| error.to_string())
        };
        let expected = Input::Text { first: "fine\ncafé".to_owned(), second: None };
        assert_eq!(read(TextEncoding::Latin1), Ok(expected));
        let message = read(TextEncoding::Utf8).unwrap_err();
        assert!(
            message.contains("1.txt:2: byte `0xe9`")
                && message.contains("set `task.encoding = \"latin-1\"`"),
            "{message}"
        );
    }
}
