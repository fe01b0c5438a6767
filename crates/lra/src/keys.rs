//! Keys of `[task]` that several tasks of the Arena have.

use nystromformer_tasks::OwnVocabulary;
use serde::{Deserialize, Serialize};

/// `task.prepend_cls`: begin each sequence with a token that stands for all of it, for `model.pooling = "first"` to read. Its
/// id is the first beyond the vocabulary; a sequence keeps one token less. Default: false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrependCls(pub bool);

impl PrependCls {
    /// A vocabulary with that token, if it is wanted.
    pub(crate) fn added_to(self, vocabulary: OwnVocabulary) -> OwnVocabulary {
        vocabulary.with_cls(self.0)
    }
}

/// `task.mask_black_pixels`: take black pixels (id 0) for padding, as the authors' code does. Default: false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MaskBlackPixels(pub bool);

impl MaskBlackPixels {
    /// The id that is masked, if that is wanted.
    pub(crate) fn masked_id(self) -> Option<u16> {
        self.0.then_some(0)
    }
}
