//! Sentence order prediction: passages cut from documents, and passages turned into pairs.
//!
//! A *passage* is a run of neighbouring segments of a document (see `corpus::segments`), just long
//! enough for a row. It is split in two between segments, and in half of the cases the two parts are
//! swapped; a model has to tell (Lan et al. 2020, "ALBERT", §3.1). The rules are those of the builder
//! that the authors of Nyströmformer trained with:
//!
//! 1. A row of `seq_len` tokens has room for `seq_len - 3`, besides `[CLS]` and two `[SEP]`. That is
//!    the wanted length of a passage, or, with `short_seq_prob`, a number drawn from 2 up to it.
//! 2. A passage takes segments until it has the wanted length or the document ends.
//! 3. It is split after its first segment, or its second …, or the one before its last, each equally
//!    likely.
//! 4. A passage of one segment gets its second part from the same document: segments from a random one
//!    on, until both parts have the wanted length or the document ends.
//! 5. The parts are swapped in half of the cases.
//! 6. While the two are longer than a row has room for, the longer loses a token (the second if they
//!    are equal), at its front or its back.
//!
//! Two of them are odd and kept, for the numbers of a run depend on them. The label of a passage of one
//! segment is 1, "swapped", whether it was or not; so more than half of all labels are 1, and a document
//! of one segment, whose second part can only be the first once more, teaches nothing about order. And a
//! short passage is only short if its last segment ends near the wanted length: rule 6 cuts what a row
//! has no room for, not what was not wanted.
//!
//! What differs is when dice are thrown. The original throws all of them whenever it loads a file, and
//! then keeps one in ten of the rows. Here passages are cut once in a run, by its seed, so that an epoch
//! has a known number of examples and visits all of them; how a passage is split, swapped and masked is
//! drawn anew at each visit. And the original joins documents above 512 tokens, where
//! `data.cross_documents` decides here.

use std::ops::Range;

use rand_chacha::rand_core::Rng;

use crate::random::{below, unit};

/// Tokens of a row that are not text: `[CLS]`, and `[SEP]` after each part.
pub(crate) const SPECIAL_TOKENS: usize = 3;

/// How documents are cut into passages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PassageRule {
    /// Tokens of text that a row has room for; at least 2.
    pub(crate) max_tokens: u32,
    /// Chance that the wanted length is drawn.
    pub(crate) short_seq_prob: f64,
}

/// A run of neighbouring segments of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passage {
    /// Number of the first.
    pub(crate) first: u64,
    /// How many.
    pub(crate) segments: u32,
    /// The length that was wanted, in tokens.
    pub(crate) wanted: u32,
}

impl PassageRule {
    /// Cuts a document whose segments are numbered from `first` on and have these lengths (rules 1
    /// and 2).
    pub(crate) fn cut(
        self,
        first: u64,
        lengths: impl IntoIterator<Item = u64>,
        random: &mut impl Rng,
    ) -> Vec<Passage> {
        let mut passages = Vec::new();
        let mut open: Option<(Passage, u64)> = None;
        for (number, length) in (first..).zip(lengths) {
            let (mut passage, tokens) = open.take().unwrap_or_else(|| {
                (Passage { first: number, segments: 0, wanted: self.wanted_length(random) }, 0)
            });
            passage.segments += 1;
            let tokens = tokens + length;
            if tokens >= u64::from(passage.wanted) {
                passages.push(passage);
            } else {
                open = Some((passage, tokens));
            }
        }
        passages.extend(open.map(|(passage, _)| passage));
        passages
    }

    fn wanted_length(self, random: &mut impl Rng) -> u32 {
        if unit(random) < self.short_seq_prob {
            2 + below(random, self.max_tokens - 1)
        } else {
            self.max_tokens
        }
    }
}

/// The segments of a document, by number.
pub(crate) trait Segments {
    /// The numbers of its segments.
    fn bounds(&self) -> Range<u64>;

    /// Appends the tokens of a segment.
    fn read(&self, segment: u64, tokens: &mut Vec<u32>);
}

/// A passage as a model sees it, but for special tokens and masks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentencePair {
    /// The part that comes first in the row; never empty.
    pub(crate) first: Vec<u32>,
    /// The other; never empty.
    pub(crate) second: Vec<u32>,
    /// The label: whether the parts are to count as swapped.
    pub(crate) swapped: bool,
}

/// Makes a pair of at most `max_tokens` tokens from a passage of `document` (rules 3 to 6).
pub(crate) fn pair(
    document: &impl Segments,
    passage: Passage,
    max_tokens: u32,
    random: &mut impl Rng,
) -> SentencePair {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let alone = passage.segments == 1;
    if alone {
        document.read(passage.first, &mut first);
        let wanted = passage.wanted as usize;
        let Range { start, end } = document.bounds();
        let count = u32::try_from(end - start).unwrap_or(u32::MAX);
        for segment in start + u64::from(below(random, count))..end {
            document.read(segment, &mut second);
            if first.len() + second.len() >= wanted {
                break;
            }
        }
    } else {
        let end = passage.first + u64::from(passage.segments);
        let middle = passage.first + 1 + u64::from(below(random, passage.segments - 1));
        (passage.first..middle).for_each(|segment| document.read(segment, &mut first));
        (middle..end).for_each(|segment| document.read(segment, &mut second));
    }
    let swap = coin(random);
    if swap {
        std::mem::swap(&mut first, &mut second);
    }
    truncate([&mut first, &mut second], max_tokens as usize, random);
    SentencePair { first, second, swapped: alone || swap }
}

/// Takes tokens from the longer part, one by one, until both together have `max_tokens` (rule 6).
fn truncate([first, second]: [&mut Vec<u32>; 2], max_tokens: usize, random: &mut impl Rng) {
    let mut kept = [0..first.len(), 0..second.len()];
    while kept[0].len() + kept[1].len() > max_tokens {
        let longer = usize::from(kept[0].len() <= kept[1].len());
        if coin(random) {
            kept[longer].start += 1;
        } else {
            kept[longer].end -= 1;
        }
    }
    for (part, kept) in [first, second].into_iter().zip(kept) {
        part.truncate(kept.end);
        part.drain(..kept.start);
    }
}

fn coin(random: &mut impl Rng) -> bool {
    unit(random) < 0.5
}

#[cfg(test)]
mod tests;
