//! Texts cut into segments: the sentences that passages are made of.
//!
//! The original reads documents that others have cut into sentences. Here the text itself says where:
//! a segment ends
//!
//! - at the end of a line;
//! - after `.`, `!`, `?` or `…`, any number of them, with the quotes and brackets that close there, if
//!   a blank follows;
//! - after `。`, `！` or `？`, likewise, whatever follows.
//!
//! A single full stop after a single letter ends nothing: `J. Smith`, `U.S. law`, `e.g. this`. Other
//! abbreviations do end a segment; all that a wrong end does is to allow a cut there. What is blank
//! is no segment.

use super::Chunk;
use crate::error::DataError;

/// A segment that has not ended after this much text is cut where its chunk is.
const LONGEST_SEGMENT_BYTES: usize = 64 << 10;

/// The segments of `text`, without the blanks around them.
pub(crate) fn segments(text: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    let pieces = ends(text).chain([text.len()]).map(move |end| {
        let piece = &text[start..end];
        start = end;
        piece.trim()
    });
    pieces.filter(|piece| !piece.is_empty())
}

/// Where segments end in `text`, ascending and above 0; ends that more text could undo are left out.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    let mut rest = text.char_indices().peekable();
    let mut before = [None, None];
    std::iter::from_fn(move || {
        while let Some((at, character)) = rest.next() {
            let mut initial = character == '.' && is_initial(before);
            before = [before[1], Some(character)];
            if character == '\n' {
                return Some(at + 1);
            }
            if !is_stop(character) {
                continue;
            }
            let mut wide = is_wide_stop(character);
            while let Some((_, next)) =
                rest.next_if(|(_, next)| is_stop(*next) || is_closing(*next))
            {
                before = [before[1], Some(next)];
                initial &= !is_stop(next);
                wide |= is_wide_stop(next);
            }
            if let Some((end, next)) = rest.peek()
                && (wide || next.is_whitespace())
                && !initial
            {
                return Some(*end);
            }
        }
        None
    })
}

/// Whether the two characters before a full stop are a letter that stands alone.
fn is_initial([first, second]: [Option<char>; 2]) -> bool {
    second.is_some_and(char::is_alphabetic) && !first.is_some_and(char::is_alphanumeric)
}

fn is_stop(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | '…') || is_wide_stop(character)
}

fn is_wide_stop(character: char) -> bool {
    matches!(character, '。' | '！' | '？')
}

fn is_closing(character: char) -> bool {
    matches!(character, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '}' | '」' | '』' | '）')
}

/// Cuts a stream of chunks anew, so that none ends within a segment.
///
/// What follows the last end in a chunk goes to the next chunk of its document. The segments are then
/// those of the documents wherever the chunks were cut, but for segments of over 64 KiB.
pub(crate) struct WholeSegments<C> {
    chunks: C,
    /// The open segment of the current document.
    carried: String,
    /// Bytes of the corpus that `carried` stands for, if no chunk has counted them yet.
    carried_bytes: u64,
    longest_segment_bytes: usize,
}

impl<C> WholeSegments<C> {
    pub(crate) fn of(chunks: C) -> Self {
        Self {
            chunks,
            carried: String::new(),
            carried_bytes: 0,
            longest_segment_bytes: LONGEST_SEGMENT_BYTES,
        }
    }
}

impl<C: Iterator<Item = Result<Chunk, DataError>>> Iterator for WholeSegments<C> {
    type Item = Result<Chunk, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut chunk = match self.chunks.next()? {
                Ok(chunk) => chunk,
                Err(error) => return Some(Err(error)),
            };
            chunk.text.insert_str(0, &self.carried);
            chunk.source_bytes += std::mem::take(&mut self.carried_bytes);
            self.carried.clear();
            if chunk.ends_document {
                return Some(Ok(chunk));
            }
            if let Some(end) = ends(&chunk.text).last() {
                self.carried = chunk.text.split_off(end);
                return Some(Ok(chunk));
            }
            if chunk.text.len() >= self.longest_segment_bytes {
                return Some(Ok(chunk));
            }
            self.carried = chunk.text;
            self.carried_bytes = chunk.source_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<&str> {
        segments(text).collect()
    }

    #[test]
    fn sentences_and_lines_are_segments() {
        assert_eq!(
            cut("one two. three?  four!\nfive\n\n six"),
            ["one two.", "three?", "four!", "five", "six"]
        );
        assert_eq!(cut("Really?! \"Yes…\" (No.) End."), ["Really?!", "\"Yes…\"", "(No.)", "End."]);
        assert_eq!(cut("これは。「はい。」そう！"), ["これは。", "「はい。」", "そう！"]);
        assert!(cut(" \n \r\n").is_empty());
    }

    #[test]
    fn what_is_no_end_of_a_sentence_ends_nothing() {
        for text in
            ["J. Smith", "U.S. law", "e.g. this", "version 0.22.1 of it", "a.b", "(J.) Smith"]
        {
            assert_eq!(cut(text), [text]);
        }
        assert_eq!(cut("It was c. And then?"), ["It was c. And then?"]);
        assert_eq!(cut("It was I... And then?"), ["It was I...", "And then?"]);
    }

    fn chunk(text: &str, ends_document: bool) -> Chunk {
        Chunk {
            text: text.to_owned(),
            ends_document,
            held_out: false,
            source_bytes: text.len() as u64,
        }
    }

    fn whole(chunks: Vec<Chunk>, longest_segment_bytes: usize) -> Vec<Chunk> {
        let chunks = WholeSegments {
            longest_segment_bytes,
            ..WholeSegments::of(chunks.into_iter().map(Ok))
        };
        chunks.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_segment_without_end_is_cut_at_its_limit() {
        let endless = vec![chunk("ab cd", false), chunk(" ef", false), chunk(" gh", true)];
        let texts: Vec<String> = whole(endless, 8).into_iter().map(|chunk| chunk.text).collect();
        assert_eq!(texts, ["ab cd ef", " gh"]);
    }

    proptest! {
        #[test]
        fn segments_do_not_depend_on_where_chunks_were_cut(
            documents in prop::collection::vec(
                prop::collection::vec("[ab.。?\" \nÉ]{1,12}", 1..12),
                1..4,
            ),
        ) {
            let chunks: Vec<Chunk> = documents
                .iter()
                .flat_map(|pieces| {
                    let last = pieces.len() - 1;
                    pieces.iter().enumerate().map(move |(number, piece)| chunk(piece, number == last))
                })
                .collect();
            let bytes: u64 = chunks.iter().map(|chunk| chunk.source_bytes).sum();
            let cut_anew = whole(chunks, usize::MAX);
            prop_assert_eq!(cut_anew.iter().map(|chunk| chunk.source_bytes).sum::<u64>(), bytes);
            let mut found = vec![Vec::new()];
            for chunk in &cut_anew {
                found.last_mut().unwrap().extend(cut(&chunk.text));
                if chunk.ends_document {
                    found.push(Vec::new());
                }
            }
            prop_assert_eq!(found.pop(), Some(Vec::new()));
            let whole: Vec<String> = documents.iter().map(|pieces| pieces.concat()).collect();
            let expected: Vec<Vec<&str>> = whole.iter().map(|text| cut(text)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
