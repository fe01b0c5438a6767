//! A sentence or document of words. Each word has a target, which its first token predicts, or all of its tokens do.
//!
//! A text that is longer than a row is read in overlapping windows of whole words. A word in several windows is trained and
//! measured in one of them: the one where the shorter of its left and right contexts is longest.

use std::ops::Range;

use nystromformer_data::{DataError, Encoding};
use nystromformer_tasks::{Label, Prediction, WordTag};

use super::{Anchors, EncodedExample, EncodedRow, EncodedUnit, Form, Target, UnitOutput};

/// Marks an output that decides no word, such as that of a word's second token.
const NO_WORD: u32 = u32::MAX;

/// A row for all of it, or one for each window.
pub(super) fn encode(
    form: &Form<'_>,
    words: &[String],
    label: Option<&Label>,
) -> Result<EncodedExample, DataError> {
    let tags = match label {
        Some(Label::Tags(tags)) => Some(tags.classes.as_slice()),
        _ => None,
    };
    let encoding = form.tokenizer()?.encode_words(words, None)?;
    let tokens = WordTokens::of(&encoding, words.len());
    let special = encoding.input_ids.len() - tokens.total();
    let room = form.truncation.max_length.saturating_sub(special);
    if room == 0 || room <= form.words.stride && tokens.total() > room {
        return Err(DataError::config(
            "task.stride",
            form.words.stride,
            format!(
                "windows of `data.seq_len` = `{}` tokens, `{special}` of them special ones, cannot share as many; lower it, or \
                 raise `data.seq_len`",
                form.truncation.max_length
            ),
        ));
    }
    let windows = tokens.windows(room, form.words.stride);
    let owners = tokens.owners(&windows);
    let mut units = Vec::with_capacity(windows.len());
    let mut is_cut = false;
    for (number, window) in windows.iter().enumerate() {
        let own = window.clone().filter(|word| owners[*word] == Some(number));
        if windows.len() > 1 && own.clone().next().is_none() {
            continue;
        }
        let kept = tokens.kept(window, room);
        is_cut |= kept.len() < tokens.span(window).len();
        let row = WordWindow { encoding: &encoding, kept };
        units.push(row.unit(form, &tokens, own, tags));
    }
    Ok(EncodedExample { units, is_cut })
}

/// The tokens of each word.
struct WordTokens {
    /// Where the tokens of each word begin among all tokens of words; the last entry is how many these are.
    starts: Vec<usize>,
}

impl WordTokens {
    fn of(encoding: &Encoding, words: usize) -> Self {
        let mut counts = vec![0; words];
        for word in encoding.word_ids.iter().flatten() {
            counts[*word as usize] += 1;
        }
        let mut starts = vec![0];
        for count in counts {
            starts.push(starts[starts.len() - 1] + count);
        }
        Self { starts }
    }

    fn words(&self) -> usize {
        self.starts.len() - 1
    }

    fn total(&self) -> usize {
        self.starts[self.words()]
    }

    /// The tokens of some words that follow each other.
    fn span(&self, words: &Range<usize>) -> Range<usize> {
        self.starts[words.start]..self.starts[words.end]
    }

    /// The same, but no more than `room` of them: a word may be longer than a row.
    fn kept(&self, words: &Range<usize>, room: usize) -> Range<usize> {
        let Range { start, end } = self.span(words);
        start..end.min(start + room)
    }

    /// Windows of whole words, each of at most `room` tokens unless it holds a single longer word. A window shares at least
    /// `stride` tokens with the one before, unless it then had no room for the next word. The last window begins as early as its
    /// room allows.
    fn windows(&self, room: usize, stride: usize) -> Vec<Range<usize>> {
        let mut windows = Vec::new();
        let mut start = 0;
        loop {
            let fits = |end: &usize| self.starts[*end] - self.starts[start] <= room;
            let end = (start + 1..=self.words()).take_while(fits).last();
            let end = end.unwrap_or((start + 1).min(self.words()));
            if end == self.words() {
                let reaches = |start: &usize| self.starts[end] - self.starts[*start] <= room;
                start = (0..start).rev().take_while(reaches).last().unwrap_or(start);
                windows.push(start..end);
                return windows;
            }
            windows.push(start..end);
            let shares = |next: &usize| self.starts[end] - self.starts[*next] >= stride;
            let next = (start + 1..=end).rev().find(shares).unwrap_or(start + 1);
            // It must have room for the next word.
            let goes_on = |next: &usize| self.starts[end + 1] - self.starts[*next] <= room;
            start = (next..end).find(goes_on).unwrap_or(end);
        }
    }

    /// The window that each word is trained and measured in; none for a word without tokens.
    fn owners(&self, windows: &[Range<usize>]) -> Vec<Option<usize>> {
        let mut owners = vec![None; self.words()];
        let mut margins = vec![0; self.words()];
        for (number, window) in windows.iter().enumerate() {
            let span = self.span(window);
            for word in window.clone() {
                let [first, end] = [self.starts[word], self.starts[word + 1]];
                let margin = (first - span.start).min(span.end - end);
                if first < end && (owners[word].is_none() || margin > margins[word]) {
                    owners[word] = Some(number);
                    margins[word] = margin;
                }
            }
        }
        owners
    }
}

/// The tokens of a window.
struct WordWindow<'a> {
    encoding: &'a Encoding,
    /// Which of the tokens that belong to words.
    kept: Range<usize>,
}

impl WordWindow<'_> {
    fn unit(
        &self,
        form: &Form<'_>,
        tokens: &WordTokens,
        own: impl Iterator<Item = usize>,
        tags: Option<&[Option<u16>]>,
    ) -> EncodedUnit {
        let mut ids = Vec::new();
        // The column of each token that belongs to a word.
        let mut columns = Vec::with_capacity(self.kept.len());
        let mut token = 0;
        for (id, word) in self.encoding.input_ids.iter().zip(&self.encoding.word_ids) {
            let is_kept = word.is_none() || self.kept.contains(&token);
            if is_kept && word.is_some() {
                columns.push(ids.len() as u32);
            }
            token += usize::from(word.is_some());
            if is_kept {
                ids.push(*id);
            }
        }
        let (mut labelled, mut of_labelled) = (Vec::new(), Vec::new());
        let (mut others, mut of_others) = (Vec::new(), Vec::new());
        for word in own {
            let first = tokens.starts[word] - self.kept.start;
            // A placeholder where no word has a label.
            match tags.map_or(Some(0), |tags| tags[word]) {
                None => {
                    others.push(columns[first]);
                    of_others.push(word as u32);
                }
                Some(tag) => {
                    labelled.push((columns[first], tag));
                    of_labelled.push(word as u32);
                    let Some(continuations) = &form.words.continuations else { continue };
                    let end = tokens.starts[word + 1].min(self.kept.end) - self.kept.start;
                    for column in &columns[first + 1..end] {
                        labelled.push((*column, continuations[usize::from(tag)]));
                        of_labelled.push(NO_WORD);
                    }
                }
            }
        }
        if labelled.is_empty() && others.is_empty() {
            // Each row of a batch needs at least one output.
            others.push(0);
            of_others.push(NO_WORD);
        }
        EncodedUnit {
            rows: vec![EncodedRow { of_first_text: ids.len(), ids }],
            target: Target::Tokens { labelled: labelled.into(), others: others.into() },
            anchors: Anchors::Words {
                count: tokens.words(),
                of_outputs: of_labelled.into_iter().chain(of_others).collect(),
            },
        }
    }
}

/// The class of each word.
pub(super) fn decode(units: &[UnitOutput<'_>]) -> Prediction {
    let mut tags: Vec<Option<WordTag>> = Vec::new();
    for UnitOutput { anchors, scores } in units {
        let Anchors::Words { count, of_outputs } = anchors else { continue };
        tags.resize(*count, None);
        if scores.is_empty() {
            continue;
        }
        let classes = scores.len() / of_outputs.len();
        for (word, scores) in of_outputs.iter().zip(scores.chunks(classes)) {
            if *word != NO_WORD
                && let Prediction::Class { class, scores } = Prediction::one_class(scores)
            {
                let score = scores[usize::from(class)];
                tags[*word as usize] = Some(WordTag { class, score });
            }
        }
    }
    Prediction::Tags(tags)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(counts: &[usize]) -> WordTokens {
        let mut starts = vec![0];
        for count in counts {
            starts.push(starts[starts.len() - 1] + count);
        }
        WordTokens { starts }
    }

    #[test]
    fn windows_by_hand() {
        let windows = |counts: &[usize], room, stride| -> Vec<(usize, usize)> {
            let windows = tokens(counts).windows(room, stride);
            windows.into_iter().map(|window| (window.start, window.end)).collect()
        };
        let counts = [1, 2, 1, 1, 3, 1];
        assert_eq!(windows(&counts, 9, 2), [(0, 6)]);
        // The last reaches back as far as it may.
        assert_eq!(windows(&counts, 5, 2), [(0, 4), (2, 5), (3, 6)]);
        // A word that is longer than a window has one for itself.
        assert_eq!(windows(&[1, 7, 1], 4, 1), [(0, 1), (1, 2), (2, 3)]);
        assert_eq!(windows(&[7], 4, 1), [(0, 1)]);
        assert_eq!(windows(&[], 4, 1), [(0, 0)]);
    }

    #[test]
    fn a_word_is_measured_where_it_has_most_on_both_sides() {
        let counts = tokens(&[1, 2, 1, 1, 3, 1]);
        let owners = counts.owners(&counts.windows(5, 2));
        assert_eq!(owners, [0, 0, 0, 1, 2, 2].map(Some));
        let whole = 0..3;
        assert_eq!(tokens(&[0, 2, 0]).owners(std::slice::from_ref(&whole)), [None, Some(0), None]);
    }

    proptest! {
        #[test]
        fn every_word_is_in_a_window_and_measured_in_one(
            counts in prop::collection::vec(0usize..5, 0..60), room in 1usize..12, stride in 0usize..12
        ) {
            let tokens = tokens(&counts);
            let stride = stride.min(room - 1);
            let windows = tokens.windows(room, stride);
            prop_assert_eq!((windows[0].start, windows[windows.len() - 1].end), (0, counts.len()));
            for pair in windows.windows(2) {
                prop_assert!(pair[1].start > pair[0].start || pair[1].end > pair[0].end);
                prop_assert!(pair[1].start <= pair[0].end && pair[1].end > pair[0].end);
                let shared = tokens.span(&(pair[1].start..pair[0].end)).len();
                let could = pair[0].len() > 1 && counts.iter().all(|count| *count <= 1);
                prop_assert!(shared >= stride || !could, "{} {:?}", shared, pair);
            }
            for window in &windows {
                prop_assert!(tokens.span(window).len() <= room || window.len() == 1);
            }
            let owners = tokens.owners(&windows);
            for (word, owner) in owners.iter().enumerate() {
                prop_assert_eq!(owner.is_some(), counts[word] > 0);
                if let Some(owner) = owner {
                    let margin = |window: &Range<usize>| {
                        let span = tokens.span(window);
                        (tokens.starts[word] - span.start).min(span.end - tokens.starts[word + 1])
                    };
                    let best = windows.iter().filter(|window| window.contains(&word)).map(margin).max();
                    prop_assert_eq!(Some(margin(&windows[*owner])), best);
                }
            }
        }
    }

    #[test]
    fn a_word_is_answered_by_its_first_token() {
        let anchors = [
            Anchors::Words { count: 4, of_outputs: [0, NO_WORD, 3].into() },
            Anchors::Words { count: 4, of_outputs: [2].into() },
        ];
        let scores: [&[f32]; 2] = [&[0.0, 1.0, 5.0, 0.0, 2.0, 0.0], &[0.0, 3.0]];
        let units = [0, 1].map(|unit| UnitOutput { anchors: &anchors[unit], scores: scores[unit] });
        let Prediction::Tags(tags) = decode(&units) else { panic!("tags") };
        let classes: Vec<Option<u16>> = tags.iter().map(|tag| tag.map(|tag| tag.class)).collect();
        assert_eq!(classes, [Some(1), None, Some(1), Some(0)]);
        assert!((tags[3].unwrap().score - 0.880_797).abs() < 1e-6);
    }
}
