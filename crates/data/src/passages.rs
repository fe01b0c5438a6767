//! Training examples for sentence order prediction: passages of the documents of a split.

use std::ops::Range;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::cache::TokenStore;
use crate::config::SegmentUnit;
use crate::random::{Purpose, generator};
use crate::sentence_order::{Passage, PassageRule, SPECIAL_TOKENS, Segments, SentencePair, pair};
use crate::split::CorpusSplit;

/// How documents become rows of pairs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PairShape {
    pub(crate) segment: SegmentUnit,
    pub(crate) cls: u32,
    pub(crate) sep: u32,
    pub(crate) seq_len: usize,
    pub(crate) short_seq_prob: f64,
    /// Whether neighbouring documents of a split count as one.
    pub(crate) cross_documents: bool,
}

impl PairShape {
    fn rule(&self) -> PassageRule {
        let max_tokens = self.seq_len.saturating_sub(SPECIAL_TOKENS);
        let max_tokens = u32::try_from(max_tokens).unwrap_or(u32::MAX);
        PassageRule { max_tokens, short_seq_prob: self.short_seq_prob }
    }
}

/// The passages of one split; reads them from the memory-mapped cache.
///
/// Takes 16 bytes of memory for each passage, whatever its length. A clone shares the cache.
#[derive(Debug, Clone)]
pub struct PassageDataset {
    store: Arc<TokenStore>,
    shape: Arc<PairShape>,
    /// The segments of each document or, crossing them, of neighbouring documents.
    runs: Arc<[Range<u64>]>,
    passages: Arc<[Passage]>,
    documents: usize,
    tokens: u64,
}

/// A row before masking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PairRow {
    /// `[CLS] A [SEP] B [SEP]`.
    pub(crate) input_ids: Vec<u32>,
    /// Where B begins: token types are 0 before and 1 from there on.
    pub(crate) second_start: usize,
    /// Whether A and B count as swapped.
    pub(crate) swapped: bool,
}

impl PassageDataset {
    /// The passages of the documents that `splits` gives to `split`, cut by `seed`.
    pub(crate) fn new(
        store: Arc<TokenStore>,
        shape: Arc<PairShape>,
        splits: &[CorpusSplit],
        split: CorpusSplit,
        seed: u64,
    ) -> Self {
        let mut runs: Vec<Range<u64>> = Vec::new();
        let (mut documents, mut tokens) = (0, 0);
        let (mut first_segment, mut end_token) = (0, 0);
        for (document, document_split) in store.documents().iter().zip(splits) {
            end_token += document.tokens;
            let end_segment = store.segments_until(end_token);
            if *document_split == split {
                documents += 1;
                tokens += document.tokens;
                match runs.last_mut() {
                    Some(run) if shape.cross_documents && run.end == first_segment => {
                        run.end = end_segment;
                    }
                    _ => runs.push(first_segment..end_segment),
                }
            }
            first_segment = end_segment;
        }
        let rule = shape.rule();
        let passages: Vec<Passage> = runs
            .par_iter()
            .flat_map_iter(|run| {
                let lengths = run.clone().map(|segment| {
                    let tokens = store.segment(segment);
                    tokens.end - tokens.start
                });
                let mut random = generator(seed, Purpose::Passages, 0, run.start);
                rule.cut(run.start, lengths, &mut random)
            })
            .collect();
        Self { store, shape, runs: runs.into(), passages: passages.into(), documents, tokens }
    }

    /// Number of passages.
    pub fn len(&self) -> usize {
        self.passages.len()
    }

    /// Whether the split has no passages; never so for what [`prepare`](crate::prepare) returns.
    pub fn is_empty(&self) -> bool {
        self.passages.is_empty()
    }

    /// Documents in the split.
    pub fn num_documents(&self) -> usize {
        self.documents
    }

    /// Tokens of text in the split.
    pub fn num_tokens(&self) -> u64 {
        self.tokens
    }

    /// Longest row in tokens.
    pub fn seq_len(&self) -> usize {
        self.shape.seq_len
    }

    /// The token ids of a passage as they stand in the text, segment by segment. Together they may be
    /// longer than a row.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn segments(&self, index: usize) -> Vec<Vec<u32>> {
        let Passage { first, segments, .. } = self.passages[index];
        let run = self.run(first);
        let tokens = |segment| {
            let mut tokens = Vec::new();
            run.read(segment, &mut tokens);
            tokens
        };
        (first..first + u64::from(segments)).map(tokens).collect()
    }

    /// A passage split, perhaps swapped, and set in its row.
    pub(crate) fn row(&self, index: usize, random: &mut ChaCha8Rng) -> PairRow {
        let passage = self.passages[index];
        let shape = &*self.shape;
        let run = self.run(passage.first);
        let pair = pair(&run, passage, shape.rule().max_tokens, random);
        let SentencePair { first, second, swapped } = pair;
        let second_start = first.len() + 2;
        let mut input_ids = Vec::with_capacity(first.len() + second.len() + SPECIAL_TOKENS);
        input_ids.push(shape.cls);
        input_ids.extend(first);
        input_ids.push(shape.sep);
        input_ids.extend(second);
        input_ids.push(shape.sep);
        PairRow { input_ids, second_start, swapped }
    }

    /// The run that a segment belongs to.
    fn run(&self, segment: u64) -> SegmentRun<'_> {
        let run = self.runs.partition_point(|run| run.start <= segment) - 1;
        SegmentRun { store: &self.store, segments: self.runs[run].clone() }
    }
}

/// A document in the store, or several that count as one.
struct SegmentRun<'a> {
    store: &'a TokenStore,
    segments: Range<u64>,
}

impl Segments for SegmentRun<'_> {
    fn bounds(&self) -> Range<u64> {
        self.segments.clone()
    }

    fn read(&self, segment: u64, tokens: &mut Vec<u32>) {
        let Range { start, end } = self.store.segment(segment);
        self.store.read(start, end - start, tokens);
    }
}
