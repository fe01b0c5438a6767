//! [`Vocabulary`]: what the data says of a model's vocabulary.

use nystromformer_data::TextTokenizer;

/// What the data says of a model's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vocabulary {
    /// Ids.
    pub size: usize,
    /// Id of the padding.
    pub pad: usize,
    /// Id of the first token of a sequence, if there is one.
    pub cls: Option<usize>,
    /// Id of the last token of a sequence, if there is one.
    pub sep: Option<usize>,
}

impl Vocabulary {
    /// A tokenizer's.
    pub fn of(tokenizer: &TextTokenizer) -> Self {
        let ids = tokenizer.special_ids();
        Self {
            size: tokenizer.vocab_size(),
            pad: ids.pad as usize,
            cls: Some(ids.cls as usize),
            sep: Some(ids.sep as usize),
        }
    }
}
