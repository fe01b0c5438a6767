//! [`Image`]: the task as configs know it.

use std::path::PathBuf;

use nystromformer_tasks::{
    Augmentation, DataError, ExampleReader, OwnVocabulary, Split, Targets, Task, TaskContext,
};
use serde::{Deserialize, Serialize};

use super::{SIDE, class_names, open};
use crate::keys::{HorizontalFlip, MaskBlackPixels, PrependCls};
use crate::picture;

/// `image`: CIFAR-10 in grey, pixel by pixel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Image {
    /// Take black pixels for padding.
    pub mask_black_pixels: MaskBlackPixels,
    /// Begin each sequence with a token that stands for all of it.
    pub prepend_cls: PrependCls,
    /// Mirror every other training picture.
    pub horizontal_flip: HorizontalFlip,
}

impl Task for Image {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/lra/image/data")
    }

    fn masked_id(&self) -> Option<u16> {
        self.mask_black_pixels.masked_id()
    }

    fn targets(&self, context: &TaskContext<'_>) -> Result<Targets, DataError> {
        Targets::classes(class_names(context.path)?)
    }

    /// As Amos, Berant and Gupta (2023) hide them.
    fn masked_share(&self) -> Option<f64> {
        Some(0.5)
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation {
            flipped_width: self.horizontal_flip.of_width(SIDE),
            ..Augmentation::default()
        }
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
        open(context.path, split, context.split_seed)
    }
}
