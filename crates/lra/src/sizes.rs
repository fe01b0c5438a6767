//! How large generated data sets are.

use nystromformer_tasks::Split;

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
            Split::ValidationMismatched | Split::TestMismatched => 0,
        }
    }

    /// The number of examples of all splits.
    pub fn total(self) -> usize {
        self.train + self.validation + self.test
    }
}
