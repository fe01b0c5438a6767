//! Texts cut into segments: the sentences, or the lines, that passages are made of.
//!
//! The original reads documents that others have cut. Here the text itself says where. Under
//! [`SegmentUnit::Line`] each line is a segment. Under [`SegmentUnit::Sentence`] a segment ends
//!
//! - after `.`, `!`, `?` or `…`, any number of them, with the quotes and brackets that close there, if
//!   a blank or line end follows;
//! - after `。`, `！` or `？`, likewise, whatever follows;
//! - at an empty line;
//! - at any line end once it has 1,000 bytes: where lines end without a stop, a few of them make a
//!   segment. Other line ends are blanks, for prose is often broken at a fixed width.
//!
//! A single full stop after a single letter ends nothing: `J. Smith`, `U.S. law`, `e.g. this`. Other
//! abbreviations do end a segment; all that a wrong end does is to allow a cut there. What is blank
//! is no segment.

use super::Chunk;
use crate::config::SegmentUnit;
use crate::error::DataError;

/// A sentence that has this many bytes ends at the next line end.
const LONG_SENTENCE_BYTES: usize = 1_000;
/// A segment that has not ended after this much text is cut where its chunk is.
const LONGEST_SEGMENT_BYTES: usize = 64 << 10;

/// Where segments end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentRule {
    unit: SegmentUnit,
    long_sentence_bytes: usize,
}

impl SegmentRule {
    pub(crate) fn of(unit: SegmentUnit) -> Self {
        Self { unit, long_sentence_bytes: LONG_SENTENCE_BYTES }
    }

    /// The segments of `text`, without the blanks around them.
    pub(crate) fn segments(self, text: &str) -> impl Iterator<Item = &str> {
        let mut start = 0;
        let pieces = self.ends(text).chain([text.len()]).map(move |end| {
            let piece = &text[start..end];
            start = end;
            piece.trim()
        });
        pieces.filter(|piece| !piece.is_empty())
    }

    /// Where segments end in `text`, ascending and above 0. Ends that more text could undo are left
    /// out; the others do not depend on what came before the last of them.
    fn ends(self, text: &str) -> impl Iterator<Item = usize> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let end = match self.unit {
                SegmentUnit::Line => text[start..].find('\n').map(|at| start + at + 1),
                SegmentUnit::Sentence => self.sentence_end(text, start),
            };
            start = end?;
            end
        })
    }

    /// Where the sentence that begins at `start` ends.
    fn sentence_end(self, text: &str, start: usize) -> Option<usize> {
        let mut rest = text[start..].char_indices().map(|(at, next)| (start + at, next)).peekable();
        let mut before = [None, None];
        while let Some((at, character)) = rest.next() {
            let mut initial = character == '.' && is_initial(before);
            before = [before[1], Some(character)];
            if character == '\n' {
                let mut empty_line = false;
                while let Some((_, blank)) = rest.next_if(|(_, next)| next.is_whitespace()) {
                    before = [before[1], Some(blank)];
                    empty_line |= blank == '\n';
                }
                let (end, _) = rest.peek()?;
                if empty_line || at - start >= self.long_sentence_bytes {
                    return Some(*end);
                }
            } else if is_stop(character) {
                let mut wide = is_wide_stop(character);
                while let Some((_, next)) =
                    rest.next_if(|(_, next)| is_stop(*next) || is_closing(*next))
                {
                    before = [before[1], Some(next)];
                    initial &= !is_stop(next);
                    wide |= is_wide_stop(next);
                }
                let (end, next) = rest.peek()?;
                if (wide || next.is_whitespace()) && !initial {
                    return Some(*end);
                }
            }
        }
        None
    }
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
    rule: SegmentRule,
    /// The open segment of the current document.
    carried: String,
    /// Bytes of the corpus that `carried` stands for, if no chunk has counted them yet.
    carried_bytes: u64,
    longest_segment_bytes: usize,
}

impl<C> WholeSegments<C> {
    pub(crate) fn of(chunks: C, rule: SegmentRule) -> Self {
        Self {
            chunks,
            rule,
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
            if let Some(end) = self.rule.ends(&chunk.text).last() {
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

    fn cut(unit: SegmentUnit, text: &str) -> Vec<&str> {
        SegmentRule::of(unit).segments(text).collect()
    }

    fn sentences(text: &str) -> Vec<&str> {
        cut(SegmentUnit::Sentence, text)
    }

    #[test]
    fn sentences_end_with_their_stops() {
        assert_eq!(
            sentences("one two. three?  four!\nfive"),
            ["one two.", "three?", "four!", "five"]
        );
        assert_eq!(
            sentences("Really?! \"Yes…\" (No.) End."),
            ["Really?!", "\"Yes…\"", "(No.)", "End."]
        );
        assert_eq!(sentences("これは。「はい。」そう！"), ["これは。", "「はい。」", "そう！"]);
        assert!(sentences(" \n \r\n").is_empty());
    }

    #[test]
    fn what_is_no_end_of_a_sentence_ends_nothing() {
        for text in
            ["J. Smith", "U.S. law", "e.g. this", "version 0.22.1 of it", "a.b", "(J.) Smith"]
        {
            assert_eq!(sentences(text), [text]);
        }
        assert_eq!(sentences("It was c. And then?"), ["It was c. And then?"]);
        assert_eq!(sentences("It was I... And then?"), ["It was I...", "And then?"]);
    }

    #[test]
    fn broken_lines_go_on_unless_they_are_long_or_empty() {
        assert_eq!(
            sentences("of one\ncompany. Of\n\nfifty\n \nmen"),
            ["of one\ncompany.", "Of", "fifty", "men"]
        );
        let line = "no stop here ".repeat(10);
        let lines = [line.trim(); 20].join("\n");
        let found = sentences(&lines);
        assert_eq!(found.join("\n"), lines);
        assert_eq!(found.len(), 3);
        assert!(found[..2].iter().all(|segment| (1_000..1_130).contains(&segment.len())));
    }

    #[test]
    fn every_line_is_a_segment_if_lines_are_the_unit() {
        assert_eq!(
            cut(SegmentUnit::Line, "one. two\n\n three \r\nfour"),
            ["one. two", "three", "four"]
        );
    }

    fn chunk(text: &str, ends_document: bool) -> Chunk {
        Chunk {
            text: text.to_owned(),
            ends_document,
            held_out: false,
            source_bytes: text.len() as u64,
        }
    }

    fn whole(chunks: Vec<Chunk>, rule: SegmentRule, longest_segment_bytes: usize) -> Vec<Chunk> {
        let chunks = WholeSegments {
            longest_segment_bytes,
            ..WholeSegments::of(chunks.into_iter().map(Ok), rule)
        };
        chunks.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_segment_without_end_is_cut_at_its_limit() {
        let endless = vec![chunk("ab cd", false), chunk(" ef", false), chunk(" gh", true)];
        let cut = whole(endless, SegmentRule::of(SegmentUnit::Sentence), 8);
        let texts: Vec<String> = cut.into_iter().map(|chunk| chunk.text).collect();
        assert_eq!(texts, ["ab cd ef", " gh"]);
    }

    proptest! {
        #[test]
        fn segments_do_not_depend_on_where_chunks_were_cut(
            documents in prop::collection::vec(
                prop::collection::vec("[ab.。?\" \nÉ]{1,12}", 1..12),
                1..4,
            ),
            by_line: bool,
            long_sentence_bytes in 1usize..40,
        ) {
            let unit = if by_line { SegmentUnit::Line } else { SegmentUnit::Sentence };
            let rule = SegmentRule { unit, long_sentence_bytes };
            let chunks: Vec<Chunk> = documents
                .iter()
                .flat_map(|pieces| {
                    let last = pieces.len() - 1;
                    pieces.iter().enumerate().map(move |(number, piece)| chunk(piece, number == last))
                })
                .collect();
            let bytes: u64 = chunks.iter().map(|chunk| chunk.source_bytes).sum();
            let cut_anew = whole(chunks, rule, usize::MAX);
            prop_assert_eq!(cut_anew.iter().map(|chunk| chunk.source_bytes).sum::<u64>(), bytes);
            let mut found = vec![Vec::new()];
            for chunk in &cut_anew {
                found.last_mut().unwrap().extend(rule.segments(&chunk.text));
                if chunk.ends_document {
                    found.push(Vec::new());
                }
            }
            prop_assert_eq!(found.pop(), Some(Vec::new()));
            let whole: Vec<String> = documents.iter().map(|pieces| pieces.concat()).collect();
            let expected: Vec<Vec<&str>> =
                whole.iter().map(|text| rule.segments(text).collect()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
