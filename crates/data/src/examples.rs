//! The examples of a split, of whichever objective the config names.

use std::sync::Arc;

use crate::blocks::{BlockDataset, BlockShape};
use crate::cache::{Contents, TokenStore};
use crate::config::{DataConfig, Objective};
use crate::error::DataError;
use crate::passages::{PairShape, PassageDataset};
use crate::split::CorpusSplit;
use crate::tokenizer::TextTokenizer;

/// What a model is trained or measured on, before it is masked. A clone shares the cache.
#[derive(Debug, Clone)]
pub enum PretrainingExamples {
    /// Of the objective `mlm`.
    Blocks(BlockDataset),
    /// Of the objective `mlm_sop`.
    Passages(PassageDataset),
}

impl PretrainingExamples {
    /// The examples in the documents that `splits` gives to `split`.
    pub(crate) fn new(
        store: Arc<TokenStore>,
        shape: &ExampleShape,
        splits: &[CorpusSplit],
        split: CorpusSplit,
        seed: u64,
    ) -> Self {
        match shape {
            ExampleShape::Blocks(shape) => {
                Self::Blocks(BlockDataset::new(store, Arc::clone(shape), splits, split))
            }
            ExampleShape::Passages(shape) => {
                Self::Passages(PassageDataset::new(store, Arc::clone(shape), splits, split, seed))
            }
        }
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        match self {
            Self::Blocks(blocks) => blocks.len(),
            Self::Passages(passages) => passages.len(),
        }
    }

    /// Whether there are none; never so for what [`prepare`](crate::prepare) returns.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Documents in the split.
    pub fn num_documents(&self) -> usize {
        match self {
            Self::Blocks(blocks) => blocks.num_documents(),
            Self::Passages(passages) => passages.num_documents(),
        }
    }

    /// Tokens of text in the split, without special tokens.
    pub fn num_tokens(&self) -> u64 {
        match self {
            Self::Blocks(blocks) => blocks.num_tokens(),
            Self::Passages(passages) => passages.num_tokens(),
        }
    }

    /// Longest example in tokens.
    pub fn seq_len(&self) -> usize {
        match self {
            Self::Blocks(blocks) => blocks.seq_len(),
            Self::Passages(passages) => passages.seq_len(),
        }
    }

    /// The token ids of an example as they stand in the text; a block's template is among them.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn tokens(&self, index: usize) -> Vec<u32> {
        match self {
            Self::Blocks(blocks) => blocks.block(index).input_ids,
            Self::Passages(passages) => passages.segments(index).concat(),
        }
    }
}

/// How the tokens of a cache become examples.
#[derive(Debug, Clone)]
pub(crate) enum ExampleShape {
    Blocks(Arc<BlockShape>),
    Passages(Arc<PairShape>),
}

impl ExampleShape {
    /// The shape that the config asks for.
    pub(crate) fn new(config: &DataConfig, tokenizer: &TextTokenizer) -> Result<Self, DataError> {
        let &DataConfig { segment, seq_len, cross_documents, short_seq_prob, .. } = config;
        if config.objective == Objective::MlmSop {
            let (cls, sep) = (tokenizer.special_ids().cls, tokenizer.special_ids().sep);
            let shape = PairShape { segment, cls, sep, seq_len, short_seq_prob, cross_documents };
            return Ok(Self::Passages(Arc::new(shape)));
        }
        let prefix = tokenizer.prefix().to_vec();
        let suffix = tokenizer.suffix().to_vec();
        let shape = BlockShape { prefix, suffix, seq_len, cross_documents };
        if shape.text_len() == 0 {
            return Err(DataError::config(
                "data.seq_len",
                seq_len,
                "leaves no room for text between the tokenizer's special tokens",
            ));
        }
        Ok(Self::Blocks(Arc::new(shape)))
    }

    /// What a cache must hold for such examples.
    pub(crate) fn contents(&self) -> Contents {
        match self {
            Self::Blocks(_) => Contents::Documents,
            Self::Passages(shape) => Contents::Segments(shape.segment),
        }
    }
}
