//! [`Pathfinder`]: the task as configs know it.

use std::path::PathBuf;

use nystromformer_tasks::{
    DataError, ExampleReader, OwnVocabulary, Split, Targets, Task, TaskContext,
};
use serde::{Deserialize, Serialize};

use super::{ContourLength, open, subset_folder};
use crate::keys::{MaskBlackPixels, PrependCls};
use crate::picture;

/// `pathfinder`: are two points joined by a dashed line?
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pathfinder {
    /// Dashes of the long curves, `"6"`, `"9"` or `"14"`. Default: `"14"`, the hard ones that the Arena measures.
    pub contour: ContourLength,
    /// Take black pixels for padding.
    pub mask_black_pixels: MaskBlackPixels,
    /// Begin each sequence with a token that stands for all of it.
    pub prepend_cls: PrependCls,
}

impl Task for Pathfinder {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/lra/pathfinder/data")
    }

    fn masked_id(&self) -> Option<u16> {
        self.mask_black_pixels.masked_id()
    }

    fn targets(&self, _: &TaskContext<'_>) -> Result<Targets, DataError> {
        Targets::classes(["apart", "joined"])
    }

    /// As Amos, Berant and Gupta (2023) hide them.
    fn masked_share(&self) -> Option<f64> {
        Some(0.5)
    }

    fn vocabulary(&self) -> Option<OwnVocabulary> {
        Some(self.prepend_cls.added_to(picture::VOCABULARY))
    }

    fn examples(
        &self,
        split: Split,
        _: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        let side = context.seq_len.isqrt();
        let pictures = subset_folder(context.path, side, self.contour);
        open(&pictures, side, split, context.split_seed)
    }
}
