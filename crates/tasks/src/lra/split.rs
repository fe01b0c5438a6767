//! The parts of a data set.

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// Examples to learn from.
    Train,
    /// Examples to choose a checkpoint by.
    Validation,
    /// Examples to measure on, once.
    Test,
}

impl Split {
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

/// How many examples each split has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct SplitSizes {
    /// Examples of [`Split::Train`].
    pub train: usize,
    /// Examples of [`Split::Validation`].
    pub validation: usize,
    /// Examples of [`Split::Test`].
    pub test: usize,
}

impl SplitSizes {
    /// The number of examples of a split.
    pub fn of(self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Validation => self.validation,
            Split::Test => self.test,
        }
    }

    /// The number of examples of all splits.
    pub fn total(self) -> usize {
        self.train + self.validation + self.test
    }
}
