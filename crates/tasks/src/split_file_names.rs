//! [`SplitFileNames`]: the keys of `[task]` that say which files are a split.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::split::Split;

/// The value of `task.train_file` and the like: a file of the folder `task.path`, or a list of files and folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a file name, or a list of them")]
pub enum FileNames {
    /// One.
    One(PathBuf),
    /// Several, read in this order; an empty list says that there is no such split.
    Several(Vec<PathBuf>),
}

impl FileNames {
    fn as_slice(&self) -> &[PathBuf] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// Keys of `[task]` of every task whose splits are files that may be called anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitFileNames {
    /// The files to train on, of the folder `task.path`: one or a list. Default: `train/`, or the file whose name says so.
    pub train_file: Option<FileNames>,
    /// The files to validate with; `[]` for none. Default: likewise, by `validation`, `dev`, `valid`, `val`, `devel`,
    /// `development`, `testa` or `eval`, the first of them, or else by `evaluation` alone.
    pub validation_file: Option<FileNames>,
    /// The files to test with; `[]` for none. Default: likewise, by `test`, `testb` or `testing`.
    pub test_file: Option<FileNames>,
}

impl SplitFileNames {
    /// The names that are given for a split; `None` if none are.
    pub(crate) fn of(&self, split: Split) -> Option<&[PathBuf]> {
        let names = match split {
            Split::Train => self.train_file.as_ref(),
            Split::Validation => self.validation_file.as_ref(),
            Split::Test => self.test_file.as_ref(),
            Split::ValidationMismatched | Split::TestMismatched => None,
        };
        names.map(FileNames::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_or_a_list() {
        let read = |text: &str| {
            toml::from_str::<toml::Table>(text).unwrap()["f"].clone().try_into::<FileNames>()
        };
        assert_eq!(read("f = \"a.json\"").unwrap().as_slice(), [PathBuf::from("a.json")]);
        assert_eq!(read("f = [\"a\", \"b\"]").unwrap().as_slice().len(), 2);
        assert!(read("f = 3").unwrap_err().to_string().contains("expected a file name"));
    }
}
