//! Which files are a split: those that the config names, or those that are called after it.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{Format, find_files, listed};

use crate::split::Split;

/// The files of splits that the config names, by their paths in the folder of the data set. If it names one, no other is
/// looked for.
#[derive(Debug, Clone, Default)]
pub(super) struct SplitFiles {
    pub(super) train: Option<PathBuf>,
    pub(super) validation: Option<PathBuf>,
    pub(super) test: Option<PathBuf>,
}

/// What the files of a split are called: exactly so, or with one of these among the words of their names.
fn words_of(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train"],
        Split::Validation => &["validation", "dev", "valid", "val"],
        Split::Test => &["test"],
        Split::ValidationMismatched | Split::TestMismatched => &[],
    }
}

impl SplitFiles {
    /// The files of a split of the data set at `path`, in the order in which they are read; none if there is no such split. A
    /// single file is all training examples.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if there is nothing at `path`, a file that is named is not there, or several could be meant.
    pub(super) fn find(&self, path: &Path, split: Split) -> Result<Vec<PathBuf>, DataError> {
        let named = [&self.train, &self.validation, &self.test];
        if named.iter().any(|file| file.is_some()) {
            let (key, file) = match split {
                Split::Train => ("task.train_file", &self.train),
                Split::Validation => ("task.validation_file", &self.validation),
                Split::Test => ("task.test_file", &self.test),
                Split::ValidationMismatched | Split::TestMismatched => return Ok(Vec::new()),
            };
            let Some(file) = file else { return Ok(Vec::new()) };
            let file = path.join(file);
            if !file.is_file() {
                return Err(DataError::dataset(
                    &file,
                    format!("there is no such file; correct `{key}`"),
                ));
            }
            return Ok(vec![file]);
        }
        if path.is_file() {
            return Ok(if split == Split::Train { vec![path.to_owned()] } else { Vec::new() });
        }
        if !path.is_dir() {
            let problem = "there is no such file or folder; name a .jsonl, .json, .csv, .tsv or .parquet file, or a folder with \
                           `train.jsonl` or the like in it";
            return Err(DataError::dataset(path, problem));
        }
        let files = find_files(path, words_of(split))?;
        if !files.is_empty() {
            return Ok(files);
        }
        called_after(path, split)
    }

    /// The training files, which must be there.
    ///
    /// # Errors
    ///
    /// As [`Self::find`]; [`DataError::Dataset`] if there are none.
    pub(super) fn training(&self, path: &Path) -> Result<Vec<PathBuf>, DataError> {
        let files = self.find(path, Split::Train)?;
        if !files.is_empty() {
            return Ok(files);
        }
        let other = Split::USUAL
            .into_iter()
            .find_map(|split| self.find(path, split).ok()?.into_iter().next())
            .and_then(|file| Some(file.file_name()?.to_str()?.to_owned()));
        let cure = match other {
            Some(name) => format!("to train on another file name it, e.g. `task.train_file = \"{name}\"`"),
            None => "expected `train.jsonl`, `.json`, `.csv`, `.tsv` or `.parquet`, or set `task.train_file`".to_owned(),
        };
        Err(DataError::dataset(path, format!("no training examples in it: {cure}")))
    }
}

/// The one table of a folder with a word for the split in its name: `dev_rand_split.jsonl`, `ARC-Easy-Train.jsonl`.
fn called_after(folder: &Path, split: Split) -> Result<Vec<PathBuf>, DataError> {
    let entries = std::fs::read_dir(folder).map_err(DataError::io("list", folder))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(DataError::io("list", folder))?.path();
        let name =
            path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_lowercase();
        let stem = name.split('.').next().unwrap_or_default();
        let mut words = stem.split(|character: char| !character.is_alphanumeric());
        if Format::of(&path).is_some()
            && path.is_file()
            && words.any(|word| words_of(split).contains(&word))
        {
            found.push(path);
        }
    }
    found.sort();
    let names = || listed(found.iter().filter_map(|file| file.file_name()?.to_str()));
    match found.as_slice() {
        [] => Ok(found),
        [file] => {
            say_once(format!(
                "`{}` is the {} split (`task.{}_file` names another)",
                file.display(),
                split.name(),
                split.name()
            ));
            Ok(found)
        }
        _ => Err(DataError::dataset(
            folder,
            format!(
                "the {} split may be any of {}: name one with `task.{}_file`, and the files of the other splits likewise",
                split.name(),
                names(),
                split.name()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    fn found(files: &SplitFiles, path: &Path) -> Vec<String> {
        let splits = Split::USUAL.map(|split| files.find(path, split).unwrap());
        let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
        splits.iter().map(|files| files.iter().map(name).collect::<Vec<_>>().join("+")).collect()
    }

    #[test]
    fn splits_are_found_as_people_name_them() {
        let files = SplitFiles::default();
        for (names, expected) in [
            (&["train.csv", "val.csv", "test.csv"][..], ["train.csv", "val.csv", "test.csv"]),
            (&["dev.jsonl", "test.jsonl"], ["", "dev.jsonl", "test.jsonl"]),
            (
                &[
                    "train_rand_split.jsonl",
                    "dev_rand_split.jsonl",
                    "test_rand_split_no_answers.jsonl",
                ],
                [
                    "train_rand_split.jsonl",
                    "dev_rand_split.jsonl",
                    "test_rand_split_no_answers.jsonl",
                ],
            ),
            (
                &["ARC-Easy-Train.jsonl", "ARC-Easy-Dev.jsonl", "notes.txt"],
                ["ARC-Easy-Train.jsonl", "ARC-Easy-Dev.jsonl", ""],
            ),
            (
                &["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "latest.jsonl"],
                ["train-00000-of-00002.parquet+train-00001-of-00002.parquet", "", ""],
            ),
        ] {
            assert_eq!(found(&files, folder(names).path()), expected);
        }
    }

    #[test]
    fn named_files_are_the_only_ones() {
        let folder = folder(&["dev.jsonl", "test.jsonl", "train.jsonl"]);
        let files = SplitFiles {
            train: Some("dev.jsonl".into()),
            test: Some("test.jsonl".into()),
            ..SplitFiles::default()
        };
        assert_eq!(found(&files, folder.path()), ["dev.jsonl", "", "test.jsonl"]);
        let wrong = SplitFiles { test: Some("tset.jsonl".into()), ..SplitFiles::default() };
        let message = wrong.find(folder.path(), Split::Test).unwrap_err().to_string();
        assert!(
            message.contains("tset.jsonl") && message.contains("`task.test_file`"),
            "{message}"
        );
        assert_eq!(
            found(&SplitFiles::default(), &folder.path().join("dev.jsonl")),
            ["dev.jsonl", "", ""]
        );
    }

    #[test]
    fn what_is_not_clear_is_asked() {
        let files = SplitFiles::default();
        let several = folder(&["train_s.jsonl", "train_xl.jsonl"]);
        let message = files.find(several.path(), Split::Train).unwrap_err().to_string();
        assert!(message.contains("`train_s.jsonl`, `train_xl.jsonl`"), "{message}");
        assert!(message.contains("`task.train_file`"), "{message}");
        let none = folder(&["dev.jsonl"]);
        let message = files.training(none.path()).unwrap_err().to_string();
        assert!(message.contains("task.train_file = \"dev.jsonl\""), "{message}");
        assert!(files.training(&none.path().join("nowhere")).is_err());
    }
}
