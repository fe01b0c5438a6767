//! Which files of a data set are a split: those that the config names, or those that are called so.

mod called_after;
mod names;
mod unread;

pub(crate) use names::is_split_name;

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{listed, names_in};

use crate::split::Split;
use crate::split_file_names::SplitFileNames;

/// How the files of the splits are found.
#[derive(Debug, Clone, Copy)]
pub struct SplitFiles<'a> {
    /// Those that the config names.
    pub names: &'a SplitFileNames,
    /// Whether the task reads such a file, as far as its name tells.
    pub is_readable: fn(&Path) -> bool,
    /// What the data set is to be, for errors: "a folder with `train.jsonl` or the like in it".
    pub expected: &'a str,
}

/// The key that names a split's files.
fn key_of(split: Split) -> String {
    format!("task.{}_file", split.name())
}

impl SplitFiles<'_> {
    /// The files of a split of the data set at `path`, in the order in which they are read; `None` if there is no such split:
    /// those that are named; else `path` itself, if it is a file, to train on; else what is called after the split: the files of a
    /// folder of its name, or the file of its name, or its numbered parts. Of several names the [first](Split::file_stems) is
    /// meant. A file that is named for a split is of no other. What was chosen, and what nothing reads, is said.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if there is nothing at `path`, a named file is not there, or several files may be the split's;
    /// [`DataError::Io`].
    pub fn find(&self, path: &Path, split: Split) -> Result<Option<Vec<PathBuf>>, DataError> {
        let found = self.search(path, split)?;
        if split == Split::Train && found.is_some() && path.is_dir() {
            self.tell_unread(path)?;
        }
        Ok(found)
    }

    fn search(&self, path: &Path, split: Split) -> Result<Option<Vec<PathBuf>>, DataError> {
        if split.file_stems().is_empty() {
            return Ok(None);
        }
        if let Some(names) = self.names.of(split) {
            return self.files_named(path, split, names);
        }
        if path.is_file() {
            // None of a single file may validate or test as well.
            return Ok((split == Split::Train).then(|| vec![path.to_owned()]));
        }
        if !path.is_dir() {
            let problem = format!("there is no such file or folder; name {}", self.expected);
            return Err(DataError::dataset(path, problem));
        }
        self.called_after(path, split)
    }

    /// The training files, which must be there.
    ///
    /// # Errors
    ///
    /// As [`Self::find`]; [`DataError::Dataset`] if there are none.
    pub fn training(&self, path: &Path) -> Result<Vec<PathBuf>, DataError> {
        if let Some(files) = self.find(path, Split::Train)? {
            return Ok(files);
        }
        let other = Split::USUAL
            .into_iter()
            .find_map(|split| self.find(path, split).ok()??.into_iter().next())
            .and_then(|file| Some(file.file_name()?.to_str()?.to_owned()));
        let cure = match other {
            Some(name) => {
                format!("to train on another file name it, e.g. `task.train_file = \"{name}\"`")
            }
            None => format!("expected {}, or set `task.train_file`", self.expected),
        };
        Err(DataError::dataset(path, format!("no training examples in it: {cure}")))
    }

    fn files_named(
        &self,
        path: &Path,
        split: Split,
        names: &[PathBuf],
    ) -> Result<Option<Vec<PathBuf>>, DataError> {
        let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
        let mut files = Vec::new();
        for name in names {
            let file = folder.join(name);
            if file.is_dir() {
                files.extend(self.files_in(&file)?);
            } else if file.is_file() {
                files.push(file);
            } else {
                let problem =
                    format!("there is no such file or folder, which `{}` names", key_of(split));
                return Err(DataError::dataset(&file, problem));
            }
        }
        Ok((!files.is_empty()).then_some(files))
    }

    /// Whether a file or folder of the data set at `path` is named for another split.
    fn is_of_another(&self, file: &Path, path: &Path, split: Split) -> bool {
        let others = Split::USUAL.into_iter().filter(|other| *other != split);
        let mut named = others.filter_map(|other| self.names.of(other)).flatten();
        named.any(|name| path.join(name) == *file)
    }

    /// All files of a folder that the task reads, sorted by name.
    fn files_in(&self, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
        let names = files_of(folder)?;
        let (read, unread): (Vec<_>, Vec<_>) =
            names.iter().map(String::as_str).partition(|name| (self.is_readable)(Path::new(name)));
        if read.is_empty() {
            let problem = "no file in it is one that the task reads, by its extension";
            return Err(DataError::dataset(folder, problem));
        }
        if !unread.is_empty() {
            let folder = folder.display();
            say_once(format!("`{folder}`: not read for their extensions: {}", listed(unread)));
        }
        Ok(read.into_iter().map(|name| folder.join(name)).collect())
    }
}

/// The names of a folder's files that are not hidden, sorted.
fn files_of(folder: &Path) -> Result<Vec<String>, DataError> {
    let is_file = |name: &String| folder.join(name).is_file() && !name.starts_with('.');
    Ok(names_in(folder)?.into_iter().filter(is_file).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nystromformer_files::table::Format;

    use super::*;
    use crate::split_file_names::FileNames;

    const NO_NAMES: SplitFileNames =
        SplitFileNames { train_file: None, validation_file: None, test_file: None };

    const NONE: SplitFiles<'_> = named(&NO_NAMES);

    const fn named(names: &SplitFileNames) -> SplitFiles<'_> {
        SplitFiles { names, is_readable, expected: "a folder" }
    }

    fn test_file(name: &str) -> SplitFileNames {
        SplitFileNames { test_file: Some(FileNames::One(name.into())), ..NO_NAMES }
    }

    fn is_readable(path: &Path) -> bool {
        let extension = path.extension().and_then(|extension| extension.to_str());
        Format::of(path).is_some()
            || extension.is_none_or(|extension| {
                ["conll", "txt", "gz", "annotated"].contains(&extension) || is_split_name(extension)
            })
    }

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn found(files: &SplitFiles<'_>, names: &[&str], split: Split) -> Result<String, String> {
        let folder = folder(names);
        let found = files.find(folder.path(), split).map_err(|error| error.to_string())?;
        let relative =
            |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().display().to_string();
        Ok(found.unwrap_or_default().iter().map(relative).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn files_are_found_as_people_name_them() {
        for (names, expected) in [
            (&["eng.testa", "eng.train", "README.md"][..], ["eng.train", "eng.testa", ""]),
            (
                &["wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"],
                ["wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"],
            ),
            (
                &["train.tsv", "devel.tsv", "test.tsv", "train_dev.tsv"],
                ["train.tsv", "devel.tsv", "test.tsv"],
            ),
            (&["train.csv", "val.csv", "test.txt.gz"], ["train.csv", "val.csv", "test.txt.gz"]),
            (
                &["train-v1.1.json", "dev-v1.1.json", "a.md"],
                ["train-v1.1.json", "dev-v1.1.json", ""],
            ),
            (
                &["my_train.jsonl", "train.parquet", "xquad.validation.en.json"],
                ["train.parquet", "xquad.validation.en.json", ""],
            ),
            (
                &[
                    "ARC-Easy-Train.jsonl",
                    "dev_rand_split.jsonl",
                    "test_rand_split_no_answers.jsonl",
                ],
                [
                    "ARC-Easy-Train.jsonl",
                    "dev_rand_split.jsonl",
                    "test_rand_split_no_answers.jsonl",
                ],
            ),
            (
                &["train/b.tsv", "train/a.tsv", "train/x.pdf", "train/.y"],
                ["train/a.tsv train/b.tsv", "", ""],
            ),
            (
                &["train-00001-of-00002.parquet", "train-00000-of-00002.parquet", "latest.jsonl"],
                ["train-00000-of-00002.parquet train-00001-of-00002.parquet", "", ""],
            ),
            (&["train.txt", "eng.train", "train.pdf"], ["train.txt", "", ""]),
        ] {
            let found = Split::USUAL.map(|split| found(&NONE, names, split).unwrap());
            assert_eq!(found, expected);
        }
    }

    /// Repositories of shared tasks keep scripts, predictions and scores in what is called after an evaluation.
    #[test]
    fn what_is_called_an_evaluation_takes_no_split_from_other_names() {
        for (names, expected) in [
            (
                &["train.json", "dev.json", "evaluation/evaluate.py"][..],
                ["train.json", "dev.json", ""],
            ),
            (
                &["train.json", "dev.json", "evaluation/predictions.json"],
                ["train.json", "dev.json", ""],
            ),
            (
                &["train-v1.1.json", "dev-v1.1.json", "evaluation/predictions.json"],
                ["train-v1.1.json", "dev-v1.1.json", ""],
            ),
            // Nothing else validates, but the training split is no folder.
            (&["train.json", "evaluation/predictions.json"], ["train.json", "", ""]),
            (&["train/a.json", "evaluation/b.json"], ["train/a.json", "evaluation/b.json", ""]),
            (&["train/a.json", "dev.json", "evaluation/b.json"], ["train/a.json", "dev.json", ""]),
            // As a word among others it says nothing.
            (
                &["train.conll", "evaluation-test.conll"],
                ["train.conll", "", "evaluation-test.conll"],
            ),
            (
                &["train.json", "dev-v2.0.json", "evaluation_results.json"],
                ["train.json", "dev-v2.0.json", ""],
            ),
            (&["train.json", "evaluation_results.json"], ["train.json", "", ""]),
            (
                &["train.json", "dev-v2.0.json", "evaluation.json"],
                ["train.json", "dev-v2.0.json", ""],
            ),
            (&["train.json", "Evaluation.json"], ["train.json", "Evaluation.json", ""]),
            (&["train.conll", "evaluation.conll"], ["train.conll", "evaluation.conll", ""]),
        ] {
            let found = Split::USUAL.map(|split| found(&NONE, names, split).unwrap());
            assert_eq!(found, expected, "{names:?}");
        }
    }

    #[test]
    fn the_first_name_is_meant_and_of_one_name_the_folder() {
        for (names, expected) in [
            (&["train.json", "validation.json", "eval/a.json"][..], "validation.json"),
            (&["train.json", "dev-v2.0.json", "eval/a.json"], "dev-v2.0.json"),
            (&["train.json", "dev.json", "dev/a.json"], "dev/a.json"),
            (&["train.json", "my_eval.json", "dev/a.json"], "dev/a.json"),
            // Two files may be it, and the folder is.
            (&["train.json", "a.dev.json", "b.dev.json", "dev/a.json"], "dev/a.json"),
            // Only what can be read is a split.
            (&["train.json", "dev.json", "dev/score.pdf"], "dev.json"),
            (&["train.json", "dev/score.pdf", "val/a.json"], "val/a.json"),
        ] {
            assert_eq!(found(&NONE, names, Split::Validation).unwrap(), expected, "{names:?}");
        }
        let message =
            found(&NONE, &["train.json", "dev/score.pdf"], Split::Validation).unwrap_err();
        assert!(message.contains("dev`: no file in it is one that the task reads"), "{message}");
    }

    #[test]
    fn named_files_are_of_no_other_split() {
        let names = ["dev.json", "dev-v2.0.json", "test.json"];
        let dev = test_file("dev.json");
        assert_eq!(found(&named(&dev), &names, Split::Test).unwrap(), "dev.json");
        assert_eq!(found(&named(&dev), &names, Split::Validation).unwrap(), "dev-v2.0.json");
        let both = FileNames::Several(vec!["test.json".into(), "dev-v2.0.json".into()]);
        let both = SplitFileNames { train_file: Some(both), ..dev };
        assert_eq!(found(&named(&both), &names, Split::Train).unwrap(), "test.json dev-v2.0.json");
        assert_eq!(found(&named(&both), &names, Split::Validation).unwrap(), "");
        let none = Some(FileNames::Several(Vec::new()));
        let none = SplitFileNames { validation_file: none, ..NO_NAMES };
        assert_eq!(found(&named(&none), &["eng.testa"], Split::Validation).unwrap(), "");
        let missing = test_file("none.json");
        let message = found(&named(&missing), &names, Split::Test).unwrap_err();
        assert!(message.contains("none.json") && message.contains("`task.test_file`"), "{message}");
    }

    #[test]
    fn what_is_not_clear_is_asked_for() {
        let message = found(&NONE, &["eng.train", "deu.train"], Split::Train).unwrap_err();
        assert!(message.contains("`deu.train`, `eng.train`"), "{message}");
        assert!(message.contains("`task.train_file`"), "{message}");
        let none = folder(&["dev.jsonl"]);
        let message = NONE.training(none.path()).unwrap_err().to_string();
        assert!(message.contains("task.train_file = \"dev.jsonl\""), "{message}");
        assert!(NONE.training(&none.path().join("nowhere")).is_err());
    }

    #[test]
    fn a_single_file_is_for_training() {
        let folder = folder(&["all.tsv"]);
        let file = folder.path().join("all.tsv");
        assert_eq!(NONE.find(&file, Split::Train).unwrap(), Some(vec![file.clone()]));
        assert_eq!(NONE.find(&file, Split::Test).unwrap(), None);
        let beside = test_file("all.tsv");
        assert_eq!(named(&beside).find(&file, Split::Test).unwrap(), Some(vec![file]));
    }
}
