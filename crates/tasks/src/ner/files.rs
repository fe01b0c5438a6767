//! Which files hold a split: those that are named, or those that are called so.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{Format, extension_of_content, find_files, listed, names_in};
use serde::{Deserialize, Serialize};

use crate::split::Split;

/// One file or several, in a config a string or a list of strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FileNames {
    /// One.
    One(PathBuf),
    /// Several, read in this order; an empty list says that there is no such split.
    Several(Vec<PathBuf>),
}

impl FileNames {
    fn as_slice(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Several(paths) => paths,
        }
    }
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileForm {
    /// A word a line.
    Columns,
    /// A sentence a row, of JSON or Parquet.
    Rows,
}

/// Extensions of files with a word a line. A file that has none is one too, and one whose extension is a split's name.
const COLUMNS: [&str; 22] = [
    "conll",
    "conll02",
    "conll03",
    "conll2002",
    "conll2003",
    "conllu",
    "conllup",
    "iob",
    "iob1",
    "iob2",
    "bio",
    "bio2",
    "bioes",
    "iobes",
    "bmes",
    "txt",
    "text",
    "tsv",
    "tab",
    "col",
    "ner",
    "annotated",
];

impl FileForm {
    /// By its extension. A file that somebody names is one of columns if it is no table of rows.
    pub(super) fn of(path: &Path) -> Self {
        match Format::of(path) {
            Some(Format::Json | Format::Parquet) => Self::Rows,
            _ => Self::Columns,
        }
    }

    /// Whether a file's name says that it has a word a line: not so text, and tables with a header.
    pub(super) fn says_columns(path: &Path) -> bool {
        let extension = extension_of_content(path);
        let is_usual = |extension: &str| !["txt", "text", "tsv", "tab"].contains(&extension);
        extension.is_some_and(|extension| is_usual(&extension))
            && Self::of(path) == Self::Columns
            && Self::is_readable(path)
    }

    /// Whether a file of a folder is one that can be read, as far as its name tells.
    fn is_readable(path: &Path) -> bool {
        match extension_of_content(path) {
            None => true,
            Some(extension) => {
                Self::of(path) == Self::Rows
                    || COLUMNS.contains(&extension.as_str())
                    || Split::USUAL
                        .iter()
                        .any(|split| names_of(*split).contains(&extension.as_str()))
            }
        }
    }
}

/// What a split is called in the names of files.
fn names_of(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train", "training"],
        Split::Validation => {
            &["validation", "valid", "val", "dev", "devel", "development", "testa"]
        }
        Split::Test => &["test", "testb", "testing"],
        Split::ValidationMismatched | Split::TestMismatched => &[],
    }
}

/// The key that names a split's files.
fn key_of(split: Split) -> &'static str {
    match split {
        Split::Train => "task.train",
        Split::Validation | Split::ValidationMismatched => "task.validation",
        Split::Test | Split::TestMismatched => "task.test",
    }
}

/// The splits that a file's name speaks of, word by word: `eng.testa` of the validation split, `wnut17train.conll` of the
/// training split.
fn splits_in(name: &str) -> Vec<Split> {
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> =
        lower.split(|character: char| !character.is_ascii_alphabetic()).collect();
    let speaks = |split: &Split| names_of(*split).iter().any(|name| words.contains(name));
    Split::USUAL.into_iter().filter(speaks).collect()
}

/// The files of a split of the data set at `path`, in the order in which they are read; `None` if there is no such split.
/// `named` is what the config says.
///
/// # Errors
///
/// [`DataError::Dataset`] if there is nothing at `path`, a named file is not there, or several files may be the split's;
/// [`DataError::Io`].
pub(super) fn find(
    path: &Path,
    split: Split,
    named: Option<&FileNames>,
) -> Result<Option<Vec<PathBuf>>, DataError> {
    if let Some(named) = named {
        return self::named(path, split, named.as_slice());
    }
    if path.is_file() {
        // A single file is all training examples: none of them may validate or test as well.
        return Ok((split == Split::Train).then(|| vec![path.to_owned()]));
    }
    if !path.is_dir() {
        return Err(DataError::dataset(
            path,
            "there is no such file or folder; name a folder with `train.txt`, `eng.train`, `train.jsonl`, `train.parquet` or the like",
        ));
    }
    for name in names_of(split) {
        let folder = path.join(name);
        if folder.is_dir() {
            return files_in(&folder).map(Some);
        }
    }
    called_so(path, split)
}

fn named(path: &Path, split: Split, named: &[PathBuf]) -> Result<Option<Vec<PathBuf>>, DataError> {
    let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
    let mut files = Vec::new();
    for name in named {
        let file = folder.join(name);
        if file.is_dir() {
            files.extend(files_in(&file)?);
        } else if file.is_file() {
            files.push(file);
        } else {
            let key = key_of(split);
            return Err(DataError::dataset(
                &file,
                format!("there is no such file or folder, which `{key}` names"),
            ));
        }
    }
    Ok((!files.is_empty()).then_some(files))
}

/// All files of a folder that can be read, sorted by name.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_file = |name: &String| folder.join(name).is_file() && !name.starts_with('.');
    let names: Vec<String> = names_in(folder)?.into_iter().filter(is_file).collect();
    let (read, unread): (Vec<_>, Vec<_>) =
        names.iter().map(String::as_str).partition(|name| FileForm::is_readable(Path::new(name)));
    if read.is_empty() {
        return Err(DataError::dataset(
            folder,
            "no file in it is one of columns, of JSON lines or of Parquet",
        ));
    }
    if !unread.is_empty() {
        let folder = folder.display();
        say_once(format!("`{folder}`: not read for their extensions: {}", listed(unread)));
    }
    Ok(read.into_iter().map(|name| folder.join(name)).collect())
}

/// The file of a folder that is called as the split is, or its numbered parts.
fn called_so(folder: &Path, split: Split) -> Result<Option<Vec<PathBuf>>, DataError> {
    let is_file = |name: &String| folder.join(name).is_file() && !name.starts_with('.');
    let names: Vec<String> = names_in(folder)?
        .into_iter()
        .filter(is_file)
        .filter(|name| splits_in(name) == [split] && FileForm::is_readable(Path::new(name)))
        .collect();
    let parts = find_files(folder, names_of(split))?;
    let are_all = |parts: &[PathBuf]| {
        let is_part = |name: &String| parts.iter().any(|part| part.ends_with(name));
        parts.len() > 1 && names.iter().all(is_part)
    };
    if are_all(&parts) {
        return Ok(Some(parts));
    }
    let key = key_of(split);
    let exact =
        |name: &&String| names_of(split).iter().any(|stem| name.split('.').next() == Some(stem));
    let taken = match names.as_slice() {
        [] => return Ok(None),
        [one] => one,
        several => {
            let mut plain = several.iter().filter(exact);
            let (Some(first), None) = (plain.next(), plain.next()) else {
                return Err(DataError::dataset(
                    folder,
                    format!(
                        "several files may be the {} split: {}; name one in `{key}`, or a list of them",
                        split.name(),
                        listed(several.iter().map(String::as_str))
                    ),
                ));
            };
            first
        }
    };
    let others: Vec<&str> = names.iter().map(String::as_str).filter(|name| name != taken).collect();
    let path = folder.display();
    if !others.is_empty() {
        say_once(format!(
            "`{path}`: the {} split is `{taken}`, and not {} (`{key}`)",
            split.name(),
            listed(others)
        ));
    } else if !exact(&taken) {
        say_once(format!("`{path}`: the {} split is `{taken}` (`{key}`)", split.name()));
    }
    Ok(Some(vec![folder.join(taken)]))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn found(
        names: &[&str],
        split: Split,
        named: Option<&FileNames>,
    ) -> Result<Option<Vec<String>>, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let relative =
            |path: PathBuf| path.strip_prefix(folder.path()).unwrap().display().to_string();
        let files = find(folder.path(), split, named).map_err(|error| error.to_string())?;
        Ok(files.map(|files| files.into_iter().map(relative).collect()))
    }

    fn all(names: &[&str]) -> Vec<Option<String>> {
        let one = |split| found(names, split, None).unwrap().map(|files| files.join(" "));
        Split::USUAL.into_iter().map(one).collect()
    }

    fn some(names: [&str; 3]) -> Vec<Option<String>> {
        names.into_iter().map(|name| (!name.is_empty()).then(|| name.to_owned())).collect()
    }

    #[test]
    fn files_are_found_as_people_name_them() {
        assert_eq!(
            all(&["eng.testa", "eng.train", "README.md"]),
            some(["eng.train", "eng.testa", ""])
        );
        assert_eq!(
            all(&["wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"]),
            some(["wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"])
        );
        assert_eq!(
            all(&["train.tsv", "devel.tsv", "test.tsv", "train_dev.tsv"]),
            some(["train.tsv", "devel.tsv", "test.tsv"])
        );
        assert_eq!(
            all(&["train.txt", "valid.txt", "test.txt.gz"]),
            some(["train.txt", "valid.txt", "test.txt.gz"])
        );
        assert_eq!(all(&["en-train.jsonl", "train.pdf"]), some(["en-train.jsonl", "", ""]));
        assert_eq!(
            all(&["train/b.tsv", "train/a.tsv", "train/x.pdf", "train/.y"]),
            some(["train/a.tsv train/b.tsv", "", ""])
        );
        let parts = ["train-00001-of-00002.parquet", "train-00000-of-00002.parquet"];
        assert_eq!(
            all(&parts)[0].as_deref(),
            Some("train-00000-of-00002.parquet train-00001-of-00002.parquet")
        );
    }

    #[test]
    fn what_may_be_meant_twice_is_refused_with_the_key() {
        let names = ["eng.train", "deu.train"];
        let message = found(&names, Split::Train, None).unwrap_err();
        assert!(
            message.contains("`deu.train`, `eng.train`") && message.contains("`task.train`"),
            "{message}"
        );
        assert_eq!(
            found(&["train.txt", "eng.train"], Split::Train, None).unwrap().unwrap(),
            ["train.txt"]
        );
        let one = FileNames::One("eng.train".into());
        assert_eq!(found(&names, Split::Train, Some(&one)).unwrap().unwrap(), ["eng.train"]);
        let both = FileNames::Several(vec!["eng.train".into(), "deu.train".into()]);
        assert_eq!(
            found(&names, Split::Train, Some(&both)).unwrap().unwrap(),
            ["eng.train", "deu.train"]
        );
        let none = FileNames::Several(Vec::new());
        assert_eq!(found(&["eng.testa"], Split::Validation, Some(&none)).unwrap(), None);
        let missing = found(&names, Split::Test, Some(&FileNames::One("x".into()))).unwrap_err();
        assert!(missing.contains("`task.test`"), "{missing}");
    }

    #[test]
    fn names_say_whether_a_word_is_a_line() {
        for name in ["a.conll", "b.IOB", "eng.testb", "a.bio.gz"] {
            assert!(FileForm::says_columns(Path::new(name)), "{name}");
        }
        for name in ["a.txt", "a.tsv", "a.jsonl", "a.parquet", "a", "a.pdf"] {
            assert!(!FileForm::says_columns(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn a_single_file_is_trained_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.tsv");
        fs::write(&path, "").unwrap();
        assert_eq!(find(&path, Split::Train, None).unwrap(), Some(vec![path.clone()]));
        assert_eq!(find(&path, Split::Test, None).unwrap(), None);
        assert!(find(&folder.path().join("no"), Split::Train, None).is_err());
    }
}
