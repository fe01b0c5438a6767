//! What is kept of a sequence that is too long.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Which end of a sequence is kept, or both (Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Its beginning.
    #[default]
    Head,
    /// Its end.
    Tail,
    /// Half of either, the beginning one token more if the length is odd, and nothing between them.
    HeadTail,
}

/// How long a sequence may be, and what is kept of a longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truncation {
    /// Tokens that are kept at most.
    pub max_length: usize,
    /// Which.
    pub keep: Keep,
}

impl Truncation {
    /// Keeps the beginning.
    pub const fn head(max_length: usize) -> Self {
        Self { max_length, keep: Keep::Head }
    }

    /// Keeps the end.
    pub const fn tail(max_length: usize) -> Self {
        Self { max_length, keep: Keep::Tail }
    }

    /// Keeps both ends.
    pub const fn head_tail(max_length: usize) -> Self {
        Self { max_length, keep: Keep::HeadTail }
    }

    /// The tokens of `sequence` that are kept, in their order: all of them if it is not too long.
    ///
    /// What is cut twice, to one length and then to a smaller one, is what the smaller one alone leaves.
    pub fn kept<T>(self, sequence: &[T]) -> impl Iterator<Item = &T> {
        self.places(sequence.len()).into_iter().flat_map(|places| &sequence[places])
    }

    /// The places that are kept in a sequence of `length` tokens: of its beginning, and of its end.
    pub fn places(self, length: usize) -> [Range<usize>; 2] {
        let kept = self.max_length.min(length);
        let head = match self.keep {
            Keep::Head => kept,
            Keep::Tail => 0,
            Keep::HeadTail => kept.div_ceil(2),
        };
        [0..head, length - (kept - head)..length]
    }

    /// With `tokens` fewer.
    #[must_use]
    pub fn less(self, tokens: usize) -> Self {
        Self { max_length: self.max_length.saturating_sub(tokens), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Keep; 3] = [Keep::Head, Keep::Tail, Keep::HeadTail];

    fn kept(sequence: &[u16], max_length: usize, keep: Keep) -> Vec<u16> {
        Truncation { max_length, keep }.kept(sequence).copied().collect()
    }

    #[test]
    fn one_end_or_both_are_kept() {
        let sequence = [1, 2, 3, 4, 5, 6, 7];
        assert_eq!(kept(&sequence, 3, Keep::Head), [1, 2, 3]);
        assert_eq!(kept(&sequence, 3, Keep::Tail), [5, 6, 7]);
        assert_eq!(kept(&sequence, 3, Keep::HeadTail), [1, 2, 7]);
        assert_eq!(kept(&sequence, 4, Keep::HeadTail), [1, 2, 6, 7]);
        assert_eq!(kept(&sequence, 1, Keep::HeadTail), [1]);
    }

    #[test]
    fn cutting_twice_is_cutting_once() {
        let sequence: Vec<u16> = (0..9).collect();
        for truncation in ALL {
            for long in 0..11 {
                let once = kept(&sequence, long, truncation);
                assert_eq!(once.len(), long.min(9), "nothing of a short sequence is lost");
                for short in 0..=long {
                    let twice = kept(&once, short, truncation);
                    assert_eq!(twice, kept(&sequence, short, truncation), "{truncation:?} {long}");
                }
            }
        }
    }
}
