//! [`Retrieval`]: the task as configs know it.

use std::path::PathBuf;

use nystromformer_tasks::{
    Augmentation, DataError, ExampleReader, OwnVocabulary, Split, Targets, Task, TaskContext,
    TaskOptions,
};
use serde::{Deserialize, Serialize};

use super::{file_name, open};
use crate::bytes;
use crate::keys::{ByteDropout, PrependCls};

/// `retrieval`: does one paper cite another, byte by byte?
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retrieval {
    /// Begin each sequence with a token that stands for all of it.
    pub prepend_cls: PrependCls,
    /// Share of the bytes of a training document that are dropped.
    pub byte_dropout: ByteDropout,
}

impl Task for Retrieval {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/lra/retrieval/data")
    }

    fn problems(&self, options: &TaskOptions) -> Vec<DataError> {
        self.byte_dropout.problems(options)
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation { dropout: self.byte_dropout.0, ..Augmentation::default() }
    }

    /// Both documents are encoded one by one.
    fn model_class(&self) -> &'static str {
        "NystromformerDualEncoder"
    }

    fn targets(&self, _: &TaskContext<'_>) -> Result<Targets, DataError> {
        Targets::classes(["unrelated", "related"])
    }

    fn vocabulary(&self) -> Option<OwnVocabulary> {
        Some(self.prepend_cls.added_to(bytes::VOCABULARY))
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
