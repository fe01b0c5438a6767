//! Which files of a folder hold the questions of a split.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{Format, find_files, listed, names_in};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::split::Split;

/// File names of `[task]`: one, or a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileNames(pub Vec<PathBuf>);

impl Serialize for FileNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FileNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a file name, or a list of them")]
        enum Names {
            One(PathBuf),
            Several(Vec<PathBuf>),
        }
        Ok(Self(match Names::deserialize(deserializer)? {
            Names::One(name) => vec![name],
            Names::Several(names) => names,
        }))
    }
}

/// The words by which file names tell a split, and the key that names its files.
fn words_of(split: Split) -> Option<(&'static [&'static str], &'static str)> {
    match split {
        Split::Train => Some((&["train"], "task.train_file")),
        Split::Validation => {
            Some((&["validation", "dev", "valid", "val", "eval"], "task.validation_file"))
        }
        Split::Test => Some((&["test"], "task.test_file")),
        Split::ValidationMismatched | Split::TestMismatched => None,
    }
}

/// The files of a split: those that are `named`, in the folder `path`; or `path` itself, if it is a file, to train on; or the
/// table of the split's name in the folder (`train.json`, `train-00000-of-00002.parquet`), or the one file whose name has such a
/// word in it (`dev-v1.1.json`); but none of those that are named for `of_others`, the other splits. Empty if there is none.
///
/// # Errors
///
/// [`DataError::Config`] for named files that are missing or in no known format; [`DataError::Dataset`] if there is nothing at
/// `path`, or if several files may be meant; [`DataError::Io`].
pub(super) fn split_files(
    path: &Path,
    split: Split,
    named: &FileNames,
    of_others: &[&FileNames],
) -> Result<Vec<PathBuf>, DataError> {
    let Some((words, key)) = words_of(split) else { return Ok(Vec::new()) };
    if !named.0.is_empty() {
        let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
        return named.0.iter().map(|name| named_file(&folder.join(name), key)).collect();
    }
    if path.is_file() {
        if Format::of(path).is_none() {
            let problem = format!("unknown extension; {}", Format::cure(path));
            return Err(DataError::dataset(path, problem));
        }
        return Ok(if split == Split::Train { vec![path.to_owned()] } else { Vec::new() });
    }
    if !path.is_dir() {
        let problem = "there is no such file or folder; name a file of questions (.json, .jsonl, .parquet, .csv), or a folder \
                       with `train.json`, `dev-v1.1.json` or the like in it";
        return Err(DataError::dataset(path, problem));
    }
    let is_free = |file: &PathBuf| {
        let mut taken = of_others.iter().flat_map(|names| &names.0);
        !taken.any(|name| path.join(name) == *file)
    };
    let mut found = find_files(path, words)?;
    found.retain(is_free);
    let others: Vec<String> = files_with_a_word(path, words)?
        .into_iter()
        .filter(|name| {
            let file = path.join(name);
            is_free(&file) && !found.contains(&file)
        })
        .collect();
    let names = listed(others.iter().map(String::as_str));
    match (found.is_empty(), others.as_slice()) {
        (_, []) => Ok(found),
        (false, _) => {
            say_once(format!(
                "`{}`: {names} {} not read, because {} is there (`{key}` names others)",
                path.display(),
                if others.len() == 1 { "is" } else { "are" },
                listed(found.iter().filter_map(|file| file.file_name()?.to_str()))
            ));
            Ok(found)
        }
        (true, [one]) => {
            say_once(format!(
                "`{}`: {names} is read as the {} split (`{key}` names another)",
                path.display(),
                split.name()
            ));
            Ok(vec![path.join(one)])
        }
        (true, _) => Err(DataError::dataset(
            path,
            format!(
                "several files may be the {} split: {names}; name those that are meant with `{key}`",
                split.name()
            ),
        )),
    }
}

fn named_file(file: &Path, key: &'static str) -> Result<PathBuf, DataError> {
    let refused = |problem: String| Err(DataError::config(key, file.display(), problem));
    if !file.is_file() {
        return refused(
            "there is no such file; names are those of files in `task.path`".to_owned(),
        );
    }
    if Format::of(file).is_none() {
        return refused(format!("unknown extension; {}", Format::cure(file)));
    }
    Ok(file.to_owned())
}

/// The tables in a folder whose name has one of these words in it, sorted.
fn files_with_a_word(folder: &Path, words: &[&str]) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for name in names_in(folder)? {
        let lower = name.to_lowercase();
        let mut parts = lower.split(|character: char| !character.is_alphanumeric());
        let has_word = parts.any(|part| words.contains(&part));
        if has_word && Format::of(Path::new(&name)).is_some() && folder.join(&name).is_file() {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn found(names: &[&str], split: Split, named: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let named = FileNames(named.iter().map(PathBuf::from).collect());
        let files =
            split_files(folder.path(), split, &named, &[]).map_err(|error| error.to_string())?;
        let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
        Ok(files.iter().map(name).collect())
    }

    #[test]
    fn files_are_found_as_people_name_them() {
        let squad = ["train-v1.1.json", "dev-v1.1.json", "readme.md"];
        assert_eq!(found(&squad, Split::Train, &[]).unwrap(), ["train-v1.1.json"]);
        assert_eq!(found(&squad, Split::Validation, &[]).unwrap(), ["dev-v1.1.json"]);
        assert!(found(&squad, Split::Test, &[]).unwrap().is_empty());
        let own = ["my_train.jsonl", "train.parquet", "xquad.validation.en.json"];
        assert_eq!(found(&own, Split::Train, &[]).unwrap(), ["train.parquet"]);
        assert_eq!(found(&own, Split::Validation, &[]).unwrap(), [own[2]]);
        let named = found(&own, Split::Train, &[own[0], own[1]]).unwrap();
        assert_eq!(named, [own[0], own[1]]);
    }

    #[test]
    fn a_file_that_is_named_for_a_split_is_of_no_other() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["dev.json", "dev-v2.0.json"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let test = FileNames(vec!["dev.json".into()]);
        let found = |of_others: &[&FileNames]| {
            split_files(folder.path(), Split::Validation, &FileNames::default(), of_others).unwrap()
        };
        assert_eq!(found(&[]), [folder.path().join("dev.json")]);
        assert_eq!(found(&[&test]), [folder.path().join("dev-v2.0.json")]);
        let both = FileNames(vec!["dev-v2.0.json".into()]);
        assert!(found(&[&test, &both]).is_empty());
    }

    #[test]
    fn what_is_not_clear_is_asked_for() {
        let both = ["train-v1.1.json", "train-v2.0.json"];
        let message = found(&both, Split::Train, &[]).unwrap_err();
        assert!(message.contains("`train-v1.1.json`, `train-v2.0.json`"), "{message}");
        assert!(message.contains("`task.train_file`"), "{message}");
        let message = found(&both, Split::Test, &["none.json"]).unwrap_err();
        assert!(message.contains("`task.test_file` is") && message.contains("no such file"));
        let message = found(&["a.txt"], Split::Test, &["a.txt"]).unwrap_err();
        assert!(message.contains("unknown extension"), "{message}");
    }

    #[test]
    fn a_single_file_is_for_training() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("questions.json");
        fs::write(&file, "").unwrap();
        let files = |split| split_files(&file, split, &FileNames::default(), &[]).unwrap();
        assert_eq!(files(Split::Train), [file.clone()]);
        assert!(files(Split::Validation).is_empty());
        let beside = FileNames(vec!["questions.json".into()]);
        assert_eq!(split_files(&file, Split::Test, &beside, &[]).unwrap(), [file.clone()]);
    }

    #[test]
    fn names_are_one_or_a_list() {
        let read = |text: &str| {
            toml::from_str::<toml::Table>(text).unwrap()["f"].clone().try_into::<FileNames>()
        };
        assert_eq!(read("f = \"a.json\"").unwrap().0, [PathBuf::from("a.json")]);
        assert_eq!(read("f = [\"a\", \"b\"]").unwrap().0.len(), 2);
        assert!(read("f = 3").unwrap_err().to_string().contains("expected a file name"));
    }
}
