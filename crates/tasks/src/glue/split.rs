//! The parts of a task, and what their files are called.

use serde::{Deserialize, Serialize};

use super::GlueTask;

/// A part of a task's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GlueSplit {
    /// To train on.
    Train,
    /// To measure on; of MNLI, the genres that were trained on.
    Dev,
    /// Of MNLI alone: other genres than those trained on.
    DevMismatched,
    /// Without labels, to predict and submit; of MNLI, the genres that were trained on.
    Test,
    /// Of MNLI alone: other genres than those trained on.
    TestMismatched,
}

impl GlueSplit {
    /// Whether the public data has no labels.
    pub fn is_test(self) -> bool {
        matches!(self, Self::Test | Self::TestMismatched)
    }

    /// What files of the split may be called, without extension: officially, then on the Hugging Face hub.
    pub(super) fn stems(self, task: GlueTask) -> &'static [&'static str] {
        match (self, task) {
            (Self::Train, _) => &["train"],
            (Self::Dev, GlueTask::Mnli) => &["dev_matched", "validation_matched"],
            (Self::Dev, _) => &["dev", "validation"],
            (Self::DevMismatched, _) => &["dev_mismatched", "validation_mismatched"],
            (Self::Test, GlueTask::Mnli) => &["test_matched"],
            (Self::Test, GlueTask::Ax) => &["diagnostic", "AX", "test"],
            (Self::Test, _) => &["test"],
            (Self::TestMismatched, _) => &["test_mismatched"],
        }
    }
}
