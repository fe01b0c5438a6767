//! The parts of a data set.

use serde::{Deserialize, Serialize};

/// A part of a data set.
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
    /// The name in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::ValidationMismatched => "validation_mismatched",
            Self::Test => "test",
            Self::TestMismatched => "test_mismatched",
        }
    }
}
