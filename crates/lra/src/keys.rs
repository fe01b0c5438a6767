//! Keys of `[task]` that several tasks of the Arena have.

use nystromformer_tasks::{DataError, OwnVocabulary, TaskObjective, TaskOptions};
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

/// `task.byte_dropout`: share of the bytes of a training example that are replaced, at each visit anew, by an id that stands for none;
/// in [0, 1). It is the first beyond the vocabulary, as the mask of `objective = "masked_inputs"`. Default: 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteDropout(pub f64);

impl ByteDropout {
    /// What is wrong with it.
    pub(crate) fn problems(self, options: &TaskOptions) -> Vec<DataError> {
        let problem = if !(0.0..1.0).contains(&self.0) {
            "must be at least 0 and below 1"
        } else if self.0 > 0.0 && options.objective == TaskObjective::MaskedInputs {
            "bytes that are dropped cannot be predicted: leave it out with `task.objective = \"masked_inputs\"`, which hides some itself"
        } else {
            return Vec::new();
        };
        vec![DataError::config("task.byte_dropout", self.0, problem)]
    }
}

/// `task.horizontal_flip`: mirror every other training picture from left to right, at each visit anew; its label stays. Default:
/// false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HorizontalFlip(pub bool);

impl HorizontalFlip {
    /// The width of what is mirrored, if that is wanted.
    pub(crate) fn of_width(self, width: usize) -> Option<usize> {
        self.0.then_some(width)
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
