//! The parts of a data set.

use serde::{Deserialize, Serialize};

/// A part of a data set. Most have [three](Self::USUAL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Examples to learn from.
    Train,
    /// Examples to choose a checkpoint by.
    Validation,
    /// MNLI alone: more of these, of genres that were not trained on.
    ValidationMismatched,
    /// Examples to measure on, once; of GLUE without labels, to predict and submit.
    Test,
    /// MNLI alone: more of these, of genres that were not trained on.
    TestMismatched,
}

impl Split {
    /// What most data sets have.
    pub const USUAL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Those that are never trained on.
    pub const EVALUATED: [Self; 4] =
        [Self::Validation, Self::ValidationMismatched, Self::Test, Self::TestMismatched];

    /// The name in logs and file names: `validation_mismatched`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::ValidationMismatched => "validation_mismatched",
            Self::Test => "test",
            Self::TestMismatched => "test_mismatched",
        }
    }

    /// What its files and folders may be called; the first that is there is taken. Its [own](Self::own_stems) names come first.
    pub fn file_stems(self) -> &'static [&'static str] {
        match self {
            Self::Train => &["train", "training"],
            Self::Validation => &[
                "validation",
                "dev",
                "valid",
                "val",
                "devel",
                "development",
                "testa",
                "eval",
                "evaluation",
            ],
            Self::Test => &["test", "testing", "testb"],
            Self::ValidationMismatched | Self::TestMismatched => &[],
        }
    }

    /// Those of its names that name hardly anything but a split.
    pub fn own_stems(self) -> &'static [&'static str] {
        &self.file_stems()[..self.own_stem_count()]
    }

    /// Those of its names that classes, code, results and scores have too (`testing`, `eval`). Where it matters they count less: if
    /// nothing has a name of the split's own, and what they name is of the form that the training split has.
    pub fn shared_stems(self) -> &'static [&'static str] {
        &self.file_stems()[self.own_stem_count()..]
    }

    fn own_stem_count(self) -> usize {
        match self {
            Self::Train | Self::Test => 1,
            Self::Validation => 4,
            Self::ValidationMismatched | Self::TestMismatched => 0,
        }
    }

    /// Whether it is one to measure on once, or to predict and submit.
    pub fn is_test(self) -> bool {
        matches!(self, Self::Test | Self::TestMismatched)
    }
}
