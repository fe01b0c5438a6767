//! A text that is longer than a row, read in overlapping windows whose scores are pooled.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::tokenizer::Encoding;

/// How a text that is longer than a row is read, so that none of it is cut off: each window is a row, and the text's scores are
/// pooled from those of its windows (Pappagari et al. 2019, "Hierarchical Transformers for Long Document Classification", whose
/// baseline is the windows' average).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Tokens that a window shares with the one before; the last window, which ends with the text, may share more.
    pub stride: usize,
    /// Most windows of a text; what comes after them is not read.
    pub max_windows: usize,
    /// How scores of a text come from those of its windows.
    pub pooling: WindowPooling,
}

/// How the scores of a text come from those of its windows: of each class by itself, from its logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowPooling {
    /// Their mean.
    #[default]
    Mean,
    /// The greatest.
    Max,
}

impl WindowPooling {
    /// The scores of a text from those of its windows, in their order. Those of a single window are returned as they are.
    pub fn pool<'a>(self, windows: impl IntoIterator<Item = &'a [f32]>) -> Vec<f32> {
        let mut windows = windows.into_iter();
        let Some(first) = windows.next() else { return Vec::new() };
        let mut pooled: Vec<f64> = first.iter().copied().map(f64::from).collect();
        let mut count = 1.0;
        for window in windows {
            count += 1.0;
            for (pooled, score) in pooled.iter_mut().zip(window) {
                let score = f64::from(*score);
                match self {
                    Self::Mean => *pooled += score,
                    // What is not a number is no number in the end either.
                    Self::Max if score > *pooled || score.is_nan() => *pooled = score,
                    Self::Max => {}
                }
            }
        }
        let divisor = if self == Self::Mean { count } else { 1.0 };
        pooled.into_iter().map(|score| (score / divisor) as f32).collect()
    }
}

impl Windows {
    /// The rows of a text, from its encoding without a cut: one if it has at most `max_length` tokens, special ones included;
    /// else its windows, each with the special tokens around it. Tokens behind the last of `max_windows` windows are counted as
    /// [cut](Encoding::num_truncated_tokens) in that window's row.
    pub fn rows(self, encoding: Encoding, max_length: usize) -> Vec<Encoding> {
        let own = encoding.num_own_tokens();
        let special = encoding.input_ids.len() - own;
        let ranges = self.ranges(own, max_length.saturating_sub(special));
        if ranges.len() == 1 && ranges[0] == (0..own) {
            return vec![encoding];
        }
        let mut rows: Vec<Encoding> = ranges.iter().map(|range| encoding.window(range)).collect();
        if let (Some(row), Some(range)) = (rows.last_mut(), ranges.last()) {
            row.num_truncated_tokens = own - range.end;
        }
        rows
    }

    /// Which of a text's `length` tokens each window shows, at most `room` of them. A stride that leaves a window nothing new
    /// counts as one that leaves it a token.
    fn ranges(self, length: usize, room: usize) -> Vec<Range<usize>> {
        if room == 0 {
            return std::iter::once(0..0).collect();
        }
        let step = room.saturating_sub(self.stride).max(1);
        let last_start = length.saturating_sub(room);
        let count = 1 + last_start.div_ceil(step);
        (0..count.min(self.max_windows.max(1)))
            .map(|window| {
                let start = (window * step).min(last_start);
                start..(start + room).min(length)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `[CLS]`, `length` tokens numbered from 0, `[SEP]`.
    fn encoding(length: usize) -> Encoding {
        let own = 0..length as u32;
        let sequence_ids = (0..length).map(|_| Some(0));
        Encoding {
            input_ids: [1000].into_iter().chain(own.clone()).chain([1001]).collect(),
            token_type_ids: vec![0; length + 2],
            offsets: vec![(0, 0); length + 2],
            word_ids: [None].into_iter().chain(own.map(Some)).chain([None]).collect(),
            sequence_ids: [None].into_iter().chain(sequence_ids).chain([None]).collect(),
            num_truncated_tokens: 0,
        }
    }

    fn windows(stride: usize, max_windows: usize) -> Windows {
        Windows { stride, max_windows, pooling: WindowPooling::Mean }
    }

    #[test]
    fn rows_by_hand() {
        let ids = |length, stride, max_windows| -> Vec<Vec<u32>> {
            let rows = windows(stride, max_windows).rows(encoding(length), 5);
            rows.into_iter().map(|row| row.input_ids).collect()
        };
        assert_eq!(ids(0, 1, 9), [[1000, 1001]]);
        assert_eq!(ids(3, 1, 9), [[1000, 0, 1, 2, 1001]]);
        // The last window reaches back: it is as long as the others.
        let last = vec![1000, 1, 2, 3, 1001];
        assert_eq!(ids(4, 1, 9), [vec![1000, 0, 1, 2, 1001], last]);
        let two = [vec![1000, 0, 1, 2, 1001], vec![1000, 2, 3, 4, 1001]];
        assert_eq!(ids(5, 1, 9), two);
        assert_eq!(ids(6, 0, 9), [vec![1000, 0, 1, 2, 1001], vec![1000, 3, 4, 5, 1001]]);
        assert_eq!(ids(40, 1, 2), two);
        let rows = windows(1, 2).rows(encoding(40), 5);
        assert_eq!([0, 1].map(|row: usize| rows[row].num_truncated_tokens), [0, 35]);
        // No room for tokens of the text.
        assert_eq!(windows(1, 9).rows(encoding(7), 2)[0].num_truncated_tokens, 7);
    }

    #[test]
    fn scores_are_pooled_class_by_class() {
        let scores = [[1.0, -4.0].as_slice(), &[2.5, -1.0], &[-0.5, 2.0]];
        assert_eq!(WindowPooling::Mean.pool(scores), [1.0, -1.0]);
        assert_eq!(WindowPooling::Max.pool(scores), [2.5, 2.0]);
        for pooling in [WindowPooling::Mean, WindowPooling::Max] {
            assert_eq!(pooling.pool([[0.1, 1e30].as_slice()]), [0.1, 1e30]);
            assert!(pooling.pool([]).is_empty());
        }
    }

    proptest! {
        #[test]
        fn windows_cover_all_tokens_and_overlap_by_the_stride(
            length in 0usize..80, room in 1usize..12, overlap in 0usize..14
        ) {
            let ranges = windows(overlap, usize::MAX).ranges(length, room);
            prop_assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, length));
            prop_assert!(ranges.iter().all(|range| range.len() == room.min(length)));
            let stride = overlap.min(room - 1);
            for (number, pair) in ranges.windows(2).enumerate() {
                let shared = pair[0].end - pair[1].start;
                prop_assert!(shared == stride || number + 2 == ranges.len() && shared > stride);
                prop_assert!(pair[1].end > pair[0].end);
            }
            for max_windows in 1..ranges.len() {
                let first = windows(overlap, max_windows).ranges(length, room);
                prop_assert_eq!(&*first, &ranges[..max_windows]);
            }
        }
    }
}
