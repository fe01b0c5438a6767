//! What the files of a split are called.

use super::GlueTask;
use crate::split::Split;

/// What files of the split may be called, without extension: officially, then on the Hugging Face hub.
pub(super) fn stems(task: GlueTask, split: Split) -> &'static [&'static str] {
    match (split, task) {
        (Split::Train, _) => &["train"],
        (Split::Validation, GlueTask::Mnli) => &["dev_matched", "validation_matched"],
        (Split::Validation, _) => &["dev", "validation"],
        (Split::ValidationMismatched, _) => &["dev_mismatched", "validation_mismatched"],
        (Split::Test, GlueTask::Mnli) => &["test_matched"],
        (Split::Test, GlueTask::Ax) => &["diagnostic", "AX", "test"],
        (Split::Test, _) => &["test"],
        (Split::TestMismatched, _) => &["test_mismatched"],
    }
}
