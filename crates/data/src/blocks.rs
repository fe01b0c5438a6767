//! Training examples: blocks of at most `seq_len` tokens, cut from the documents of a split.

use std::sync::Arc;

use burn_dataset::{Dataset, DatasetError};

use crate::cache::TokenStore;
use crate::split::CorpusSplit;

/// An example before masking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Token ids with the template around them: `[CLS] … [SEP]`; at most `seq_len`, fewer only at
    /// the end of the split or, if documents are not crossed, of a document.
    pub input_ids: Vec<u32>,
}

/// What stands around the text of a block, and how long the block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockShape {
    pub(crate) prefix: Vec<u32>,
    pub(crate) suffix: Vec<u32>,
    pub(crate) seq_len: usize,
    pub(crate) cross_documents: bool,
}

impl BlockShape {
    /// Tokens of text in a full block.
    pub(crate) fn text_len(&self) -> usize {
        self.seq_len.saturating_sub(self.prefix.len() + self.suffix.len())
    }
}

/// A run of tokens of the store, cut into blocks of its own.
///
/// Crossing documents, neighbouring documents of the same split join to one stream, and so do all
/// the streams of the split: `first` is then the position in the split's stream. Otherwise each
/// document is a run, and `first` is the number of its first block.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: u64,
    start: u64,
    tokens: u64,
}

/// The blocks of one split; reads them from the memory-mapped cache.
///
/// A clone shares the cache.
#[derive(Debug, Clone)]
pub struct BlockDataset {
    store: Arc<TokenStore>,
    shape: Arc<BlockShape>,
    runs: Arc<[Run]>,
    documents: usize,
    tokens: u64,
    blocks: usize,
}

impl BlockDataset {
    /// The blocks of the documents that `splits` gives to `split`.
    pub(crate) fn new(
        store: Arc<TokenStore>,
        shape: Arc<BlockShape>,
        splits: &[CorpusSplit],
        split: CorpusSplit,
    ) -> Self {
        let text_len = shape.text_len() as u64;
        let mut runs: Vec<Run> = Vec::new();
        let (mut start, mut first, mut documents, mut tokens) = (0, 0, 0, 0);
        for (document, document_split) in store.documents().iter().zip(splits) {
            if *document_split == split {
                documents += 1;
                tokens += document.tokens - 1;
                if shape.cross_documents {
                    match runs.last_mut() {
                        Some(run) if run.start + run.tokens == start => {
                            run.tokens += document.tokens;
                        }
                        _ => runs.push(Run { first, start, tokens: document.tokens }),
                    }
                    first += document.tokens;
                } else {
                    // The separator that closes the document is the block's own.
                    let tokens = document.tokens - 1;
                    runs.push(Run { first, start, tokens });
                    first += tokens.div_ceil(text_len);
                }
            }
            start += document.tokens;
        }
        let blocks = if shape.cross_documents {
            // The last separator of the stream separates nothing.
            if let Some(run) = runs.last_mut() {
                run.tokens -= 1;
                first -= 1;
            }
            first.div_ceil(text_len)
        } else {
            first
        };
        Self { store, shape, runs: runs.into(), documents, tokens, blocks: blocks as usize }
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.blocks
    }

    /// Whether the split has no blocks; never so for what [`prepare`](crate::prepare) returns.
    pub fn is_empty(&self) -> bool {
        self.blocks == 0
    }

    /// Documents in the split.
    pub fn num_documents(&self) -> usize {
        self.documents
    }

    /// Tokens of text in the split, without special tokens.
    pub fn num_tokens(&self) -> u64 {
        self.tokens
    }

    /// Longest block in tokens.
    pub fn seq_len(&self) -> usize {
        self.shape.seq_len
    }

    /// The block with this number.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn block(&self, index: usize) -> Block {
        assert!(index < self.blocks, "block {index} of {}", self.blocks);
        let shape = &*self.shape;
        let mut input_ids = Vec::with_capacity(shape.seq_len);
        input_ids.extend_from_slice(&shape.prefix);
        if shape.cross_documents {
            self.read_stream(index as u64, &mut input_ids);
        } else {
            self.read_document(index as u64, &mut input_ids);
        }
        input_ids.extend_from_slice(&shape.suffix);
        Block { input_ids }
    }

    /// The run that holds position or block `first`.
    fn run_of(&self, first: u64) -> usize {
        self.runs.partition_point(|run| run.first <= first) - 1
    }

    fn read_stream(&self, index: u64, tokens: &mut Vec<u32>) {
        let mut position = index * self.shape.text_len() as u64;
        let mut wanted = self.shape.text_len() as u64;
        for run in &self.runs[self.run_of(position)..] {
            let skipped = position - run.first;
            let count = wanted.min(run.tokens - skipped);
            self.store.read(run.start + skipped, count, tokens);
            position += count;
            wanted -= count;
            if wanted == 0 {
                break;
            }
        }
    }

    fn read_document(&self, index: u64, tokens: &mut Vec<u32>) {
        let run = self.runs[self.run_of(index)];
        let text_len = self.shape.text_len() as u64;
        let skipped = (index - run.first) * text_len;
        self.store.read(run.start + skipped, text_len.min(run.tokens - skipped), tokens);
    }
}

impl Dataset<Block> for BlockDataset {
    fn get(&self, index: usize) -> Result<Block, DatasetError> {
        Ok(self.block(index))
    }

    fn len(&self) -> usize {
        self.blocks
    }
}
