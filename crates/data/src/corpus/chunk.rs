//! Cuts documents of any length into chunks that can be tokenised one by one.
//!
//! A cut goes before a single blank or line end that stands between two other characters. BERT's
//! splitter, the byte-level pattern of RoBERTa and the `▁` of SentencePiece (for blanks) all start a
//! new word there, so the tokens of the chunks are those of the whole text. Only text without any
//! such place in 256 KiB is cut elsewhere.

use std::collections::VecDeque;

/// Chunks are about this long.
const CHUNK_BYTES: usize = 64 << 10;
/// A chunk without a good place to cut is cut anyway at this length.
const LONGEST_CHUNK_BYTES: usize = 4 * CHUNK_BYTES;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The text.
    pub(crate) text: String,
    /// Whether the document ends here.
    pub(crate) ends_document: bool,
    /// Whether the document may only be used for validation (sample corpus).
    pub(crate) held_out: bool,
    /// Bytes of the corpus that the chunk stands for, for progress.
    pub(crate) source_bytes: u64,
}

/// Collects text and hands it out in chunks.
#[derive(Debug, Default)]
pub(super) struct ChunkQueue {
    buffer: String,
    /// Whether a chunk of the current document was already handed out.
    within_document: bool,
    ready: VecDeque<Chunk>,
}

impl ChunkQueue {
    /// A queue that holds `chunks` only.
    pub(super) fn of(chunks: VecDeque<Chunk>) -> Self {
        Self { ready: chunks, ..Self::default() }
    }

    /// Adds text to the current document.
    pub(super) fn push(&mut self, text: &str) {
        self.buffer.push_str(text);
        while self.buffer.len() >= 2 * CHUNK_BYTES {
            let Some(cut) = cut_position(&self.buffer) else {
                break;
            };
            let rest = self.buffer.split_off(cut);
            let text = std::mem::replace(&mut self.buffer, rest);
            self.hand_out(text, false);
            self.within_document = true;
        }
    }

    /// Ends the current document, if anything was added to it.
    pub(super) fn end_document(&mut self) {
        if self.within_document || !self.buffer.is_empty() {
            let text = std::mem::take(&mut self.buffer);
            self.hand_out(text, true);
            self.within_document = false;
        }
    }

    /// The next finished chunk.
    pub(super) fn pop(&mut self) -> Option<Chunk> {
        self.ready.pop_front()
    }

    fn hand_out(&mut self, text: String, ends_document: bool) {
        let source_bytes = text.len() as u64;
        self.ready.push_back(Chunk { text, ends_document, held_out: false, source_bytes });
    }
}

/// Where to cut `text`, if it should be cut at all.
fn cut_position(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let good = |at: usize| {
        matches!(bytes[at], b' ' | b'\n')
            && !bytes[at - 1].is_ascii_whitespace()
            && !bytes[at + 1].is_ascii_whitespace()
    };
    let wanted = CHUNK_BYTES.min(bytes.len() - 1);
    let found = (1..wanted).rev().find(|at| good(*at));
    found.or_else(|| {
        (text.len() >= LONGEST_CHUNK_BYTES).then(|| text.floor_char_boundary(LONGEST_CHUNK_BYTES))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunks_of(pieces: &[&str]) -> Vec<Chunk> {
        let mut queue = ChunkQueue::default();
        for piece in pieces {
            queue.push(piece);
        }
        queue.end_document();
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn an_empty_document_is_no_chunk() {
        assert!(chunks_of(&[]).is_empty());
        assert!(chunks_of(&["", ""]).is_empty());
    }

    #[test]
    fn cuts_go_before_a_lone_blank() {
        let text = "one two  three\n\n".repeat(30_000);
        let chunks = chunks_of(&[&text]);
        assert!(chunks.len() > 3);
        for pair in chunks.windows(2) {
            assert!(pair[0].text.ends_with("one") && pair[1].text.starts_with(" two"));
        }
    }

    proptest! {
        #[test]
        fn chunks_join_to_the_text(words in prop::collection::vec("[a-zé ]{0,40}\n?", 0..400), repeat in 1usize..60) {
            let text = words.concat().repeat(repeat);
            let chunks = chunks_of(&[&text]);
            let joined: String = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
            prop_assert_eq!(joined, text);
            let ends = chunks.iter().filter(|chunk| chunk.ends_document).count();
            prop_assert_eq!(ends, usize::from(!chunks.is_empty()));
        }
    }
}
