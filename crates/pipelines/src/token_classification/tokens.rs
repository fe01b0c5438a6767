//! The tokens of a text with their spelling, their place and their scores.

use std::borrow::Cow;

use nystromformer_data::{Characters, Encoding, TextTokenizer};

use crate::{request::Sentence, scores::softmax};

/// A token that is no special one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    /// Its place in its row.
    pub(super) index: usize,
    /// As the vocabulary spells it; if that does not know it, as the text does.
    pub(super) word: String,
    /// The probability of each class.
    pub(super) scores: Vec<f64>,
    /// Its first character in the text.
    pub(super) start: usize,
    /// The character after its last.
    pub(super) end: usize,
    /// Whether it goes on with the word of the token before it.
    pub(super) is_subword: bool,
}

/// What tokens were made from.
pub(super) struct SourceText<'a> {
    /// The text.
    pub(super) characters: Characters<'a>,
    /// For words that came one by one, the character each begins at; offsets count from there.
    pub(super) word_starts: Option<Vec<usize>>,
}

/// The text that offsets count in: words that came one by one are joined by blanks.
pub(super) fn text(sentence: &Sentence) -> Cow<'_, str> {
    match sentence {
        Sentence::Text(text) => Cow::Borrowed(text),
        Sentence::Words(words) => Cow::Owned(words.join(" ")),
    }
}

/// The character of [`text`] at which each word begins.
pub(super) fn word_starts(sentence: &Sentence) -> Option<Vec<usize>> {
    let Sentence::Words(words) = sentence else {
        return None;
    };
    let after = |next: &mut usize, word: &String| {
        let start = *next;
        *next += word.chars().count() + 1;
        Some(start)
    };
    Some(words.iter().scan(0, after).collect())
}

/// The tokens of a row, special ones left out.
pub(super) fn tokens(
    tokenizer: &TextTokenizer,
    source: &SourceText,
    encoding: &Encoding,
    logits: &[f32],
    num_labels: usize,
) -> Vec<Token> {
    let marks_continuations = tokenizer.marks_continuations();
    let own = (0..encoding.input_ids.len()).filter(|&index| encoding.sequence_ids[index].is_some());
    own.map(|index| {
        let id = encoding.input_ids[index];
        let (mut start, mut end) = encoding.offsets[index];
        if let (Some(starts), Some(word)) = (&source.word_starts, encoding.word_ids[index]) {
            start += starts[word as usize];
            end += starts[word as usize];
        }
        let written = source.characters.slice(start, end);
        let spelt = tokenizer.id_to_token(id).unwrap_or_default();
        let is_unknown = id == tokenizer.special_ids().unk;
        let is_subword = if marks_continuations {
            // The mark makes its spelling longer than what is written.
            spelt.chars().count() != written.chars().count()
        } else {
            // transformers' guess for all other tokenizers: no blank before it or at its start.
            start > 0 && !source.characters.slice(start - 1, start + 1).contains(' ')
        };
        Token {
            index,
            word: if is_unknown { written.to_owned() } else { spelt },
            scores: softmax(&logits[index * num_labels..(index + 1) * num_labels]),
            start,
            end,
            is_subword: is_subword && !is_unknown,
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_where_they_do_in_the_joined_text() {
        let words = Sentence::Words(["é", "", "ab", "c"].map(str::to_owned).to_vec());
        assert_eq!(text(&words), "é  ab c");
        assert_eq!(word_starts(&words), Some(vec![0, 2, 3, 6]));
        assert_eq!(word_starts(&Sentence::Text("a b".to_owned())), None);
    }
}
