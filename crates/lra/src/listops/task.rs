//! [`Listops`]: the task as configs know it.

use std::path::PathBuf;

use nystromformer_tasks::{
    DataError, ExampleReader, OwnVocabulary, Split, Targets, Task, TaskContext,
};
use serde::{Deserialize, Serialize};

use super::{NUM_LABELS, VOCAB_SIZE, file_name, open};
use crate::keys::PrependCls;

/// `listops`: the value of a nested expression.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listops {
    /// Begin each sequence with a token that stands for all of it.
    pub prepend_cls: PrependCls,
}

impl Task for Listops {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/lra/listops/data")
    }

    fn targets(&self, _: &TaskContext<'_>) -> Result<Targets, DataError> {
        Targets::classes((0..NUM_LABELS).map(|digit| digit.to_string()))
    }

    fn vocabulary(&self) -> Option<OwnVocabulary> {
        Some(self.prepend_cls.added_to(OwnVocabulary::new(VOCAB_SIZE, 0)))
    }

    /// As Amos, Berant and Gupta (2023) hide them.
    fn masked_share(&self) -> Option<f64> {
        Some(0.1)
    }

    fn examples(
        &self,
        split: Split,
        _: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        let Some(name) = file_name(split) else { return Ok(None) };
        open(&context.path.join(name)).map(Some)
    }
}
