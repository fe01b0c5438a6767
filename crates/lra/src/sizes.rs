//! How large generated data sets are.

use nystromformer_tasks::Part;

/// How many examples each split has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct SplitSizes {
    /// Examples of [`Part::Train`].
    pub train: usize,
    /// Examples of [`Part::Validation`].
    pub validation: usize,
    /// Examples of [`Part::Test`].
    pub test: usize,
}

impl SplitSizes {
    /// The number of examples of a split.
    pub fn of(self, split: Part) -> usize {
        match split {
            Part::Train => self.train,
            Part::Validation => self.validation,
            Part::Test => self.test,
        }
    }

    /// The number of examples of all splits.
    pub fn total(self) -> usize {
        self.train + self.validation + self.test
    }
}
