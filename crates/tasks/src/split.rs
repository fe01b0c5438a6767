//! The parts of a data set.
//!
//! [`Part`] is what most data sets have; GLUE's MNLI has two parts more, so a [`Split`] may be one of these.

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

impl Split {
    /// The same as one of three parts; `None` for the two that MNLI alone has.
    pub fn part(self) -> Option<Part> {
        match self {
            Self::Train => Some(Part::Train),
            Self::Validation => Some(Part::Validation),
            Self::Test => Some(Part::Test),
            Self::ValidationMismatched | Self::TestMismatched => None,
        }
    }

    /// Whether it is one to measure on once, or to predict and submit.
    pub fn is_test(self) -> bool {
        matches!(self, Self::Test | Self::TestMismatched)
    }
}

/// One of the three usual parts of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Examples to learn from.
    Train,
    /// Examples to choose a checkpoint by.
    Validation,
    /// Examples to measure on, once.
    Test,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}
