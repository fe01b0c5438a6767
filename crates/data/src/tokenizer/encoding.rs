//! Texts, pairs of texts and words as the rows of a model, cut to a length as Hugging Face does.

use std::ops::Range;

use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::utils::truncation::{
    TruncationDirection, TruncationParams, TruncationStrategy, truncate_encodings,
};
use tokenizers::{
    Encoding as LibraryEncoding, Model, OffsetType, PostProcessor, PreTokenizedString,
    PreTokenizer, Tokenizer,
};

use super::TextTokenizer;
use crate::error::DataError;
use crate::truncation::{Keep, Truncation};

/// A text or pair of texts as tokens. All lists have one entry per token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoding {
    /// The tokens' ids, special tokens included.
    pub input_ids: Vec<u32>,
    /// Which segment embedding each token takes: 1 for the second text of BERT's family, else 0.
    pub token_type_ids: Vec<u32>,
    /// First character of each token and the one after its last, counted from 0 in the text that
    /// the token is from (in the word, for [`TextTokenizer::encode_words`]); `(0, 0)` for a special
    /// token that was added.
    pub offsets: Vec<(usize, usize)>,
    /// The word of its text that each token belongs to; `None` for a special token that was added.
    pub word_ids: Vec<Option<u32>>,
    /// 0 for tokens of the first text, 1 for the second, `None` for a special token that was added.
    pub sequence_ids: Vec<Option<usize>>,
    /// Tokens that were cut off; 0 if all of the text is here.
    pub num_truncated_tokens: usize,
}

impl Encoding {
    /// Tokens of the text itself, special ones that were added not counted.
    pub fn num_own_tokens(&self) -> usize {
        self.sequence_ids.iter().flatten().count()
    }

    /// A window over the encoding of one text: its special tokens, and those of its own tokens that are in `range`, counted from
    /// 0 without special ones.
    #[must_use]
    pub fn window(&self, range: &Range<usize>) -> Self {
        let mut window = Self::default();
        let mut own = 0;
        for (index, sequence) in self.sequence_ids.iter().enumerate() {
            let is_kept = sequence.is_none() || range.contains(&own);
            own += usize::from(sequence.is_some());
            if is_kept {
                window.input_ids.push(self.input_ids[index]);
                window.token_type_ids.push(self.token_type_ids[index]);
                window.offsets.push(self.offsets[index]);
                window.word_ids.push(self.word_ids[index]);
                window.sequence_ids.push(*sequence);
            }
        }
        window
    }
}

impl From<&LibraryEncoding> for Encoding {
    fn from(encoding: &LibraryEncoding) -> Self {
        Self {
            input_ids: encoding.get_ids().to_vec(),
            token_type_ids: encoding.get_type_ids().to_vec(),
            offsets: encoding.get_offsets().to_vec(),
            word_ids: encoding.get_word_ids().to_vec(),
            sequence_ids: encoding.get_sequence_ids(),
            num_truncated_tokens: 0,
        }
    }
}

impl TextTokenizer {
    /// A text, or a text and its `pair`, with special tokens, no longer than `truncation` allows;
    /// [`Encoding::num_truncated_tokens`] says how much was cut.
    ///
    /// What is too long is cut from the longer of two texts until both are equally long, then from
    /// both (`truncation=True` of transformers, which is `longest_first`); of each the end is kept that
    /// `truncation` says, or both. An empty `pair` is a pair too, as in the batches of transformers.
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] if the text cannot be spelt, or if the special tokens alone are too
    /// many.
    pub fn encode_text(
        &self,
        text: &str,
        pair: Option<&str>,
        truncation: Option<Truncation>,
    ) -> Result<Encoding, DataError> {
        let text = self.tokens_of(text, 0, OffsetType::Char)?;
        let pair = pair.map(|pair| self.tokens_of(pair, 1, OffsetType::Char)).transpose()?;
        finish(self.post_processor(), text, pair, truncation)
    }

    /// A question with each of the overlapping windows over `context`, in their order: rows of at
    /// most `max_length` tokens, special tokens included, where each window repeats the last
    /// `stride` tokens of the window before. A context that fits gives one row.
    ///
    /// This is what transformers makes with `truncation="only_second"`,
    /// `return_overflowing_tokens=True` and `stride`. Its question-answering pipeline takes
    /// `max_length = min(model_max_length, 384)` and `stride = min(max_length / 2, 128)` if not told
    /// otherwise. Where the ends of texts are kept ([`Self::keep`]) windows are counted from the end.
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] if a text cannot be spelt, or if the context does not fit and the
    /// question leaves no more than `stride` tokens for it.
    pub fn encode_windows(
        &self,
        question: &str,
        context: &str,
        max_length: usize,
        stride: usize,
    ) -> Result<Vec<Encoding>, DataError> {
        self.encode_windows_up_to(question, context, max_length, stride, usize::MAX)
    }

    /// The same, if there are `most` windows at most; they are counted before they are made.
    ///
    /// # Errors
    ///
    /// As [`Self::encode_windows`], and [`DataError::Windows`] if there are more.
    pub fn encode_windows_up_to(
        &self,
        question: &str,
        context: &str,
        max_length: usize,
        stride: usize,
        most: usize,
    ) -> Result<Vec<Encoding>, DataError> {
        let question = self.tokens_of(question, 0, OffsetType::Char)?;
        let context = self.tokens_of(context, 1, OffsetType::Char)?;
        let added = self.post_processor().added_tokens(true);
        let length = added + question.len();
        if length + context.len() > max_length && max_length.saturating_sub(length) <= stride {
            return Err(cannot_encode(format!(
                "a question of {} tokens (and {added} special ones) leaves no room for windows over \
                 the context that overlap by `{stride}` in a `max_length` of `{max_length}`; \
                 shorten the question, take fewer tokens of overlap or a greater length",
                question.len(),
            )));
        }
        let room = max_length.saturating_sub(length);
        let windows = match context.len().saturating_sub(room) {
            0 => 1,
            // Each window after the first goes on by what it does not repeat.
            beyond => 1 + beyond.div_ceil(room - stride),
        };
        if windows > most {
            return Err(DataError::Windows { windows, most });
        }
        let direction = match self.keep() {
            Keep::Tail => TruncationDirection::Left,
            Keep::Head | Keep::HeadTail => TruncationDirection::Right,
        };
        let strategy = TruncationStrategy::OnlySecond;
        let max_length = max_length.saturating_sub(added);
        let params = TruncationParams { direction, max_length, strategy, stride };
        let (question, context) =
            truncate_encodings(question, Some(context), &params).map_err(cannot_encode)?;
        let processed = self.post_processor().process(question, context, true);
        let encoding = processed.map_err(cannot_encode)?;
        let further = encoding.get_overflowing();
        Ok(std::iter::once(&encoding).chain(further).map(Encoding::from).collect())
    }

    /// A text that has been split into words already, with special tokens, no longer than `truncation`
    /// allows: [`Encoding::word_ids`] are the places in `words`, and offsets count within the word
    /// (`is_split_into_words=True` of transformers).
    ///
    /// Byte-level tokenizers read every word as if a blank stood before it, the first one too
    /// (`add_prefix_space=True`, without which transformers refuses words for RoBERTa).
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] if a word cannot be spelt, or if the special tokens alone are too many.
    pub fn encode_words(
        &self,
        words: &[impl AsRef<str>],
        truncation: Option<Truncation>,
    ) -> Result<Encoding, DataError> {
        let Words { pre_tokenizer, post_processor } = &self.words;
        let word = |(index, word): (usize, &str)| {
            let index = Some(index as u32);
            self.pieces_of(word, pre_tokenizer.as_ref(), index, 0, OffsetType::Char)
        };
        let text: LibraryEncoding = words
            .iter()
            .map(AsRef::as_ref)
            .enumerate()
            .map(word)
            .collect::<Result<_, _>>()
            .map_err(cannot_encode)?;
        finish(post_processor, text, None, truncation)
    }

    /// The tokens of a text, without special tokens.
    pub(super) fn tokens_of(
        &self,
        text: &str,
        type_id: u32,
        offsets: OffsetType,
    ) -> Result<LibraryEncoding, DataError> {
        self.pieces_of(text, self.inner.get_pre_tokenizer(), None, type_id, offsets)
            .map_err(cannot_encode)
    }

    /// What [`Tokenizer::encode`] does before it comes to special tokens. That cannot be had alone
    /// there: without special tokens it would still trim offsets, and trimming twice is once too many.
    fn pieces_of(
        &self,
        text: &str,
        pre_tokenizer: Option<&PreTokenizerWrapper>,
        word: Option<u32>,
        type_id: u32,
        offsets: OffsetType,
    ) -> tokenizers::Result<LibraryEncoding> {
        let added = self.inner.get_added_vocabulary();
        let mut pieces: PreTokenizedString =
            added.extract_and_normalize(self.inner.get_normalizer(), text);
        if let Some(pre_tokenizer) = pre_tokenizer {
            pre_tokenizer.pre_tokenize(&mut pieces)?;
        }
        self.inner.get_model().tokenize_in_pretokenized(&mut pieces, None)?;
        pieces.into_encoding(word, type_id, offsets)
    }
}

/// Cuts what is too long and adds the special tokens.
fn finish(
    post_processor: &PostProcessorWrapper,
    mut text: LibraryEncoding,
    mut pair: Option<LibraryEncoding>,
    truncation: Option<Truncation>,
) -> Result<Encoding, DataError> {
    let mut num_truncated_tokens = 0;
    if let Some(truncation) = truncation {
        let added = post_processor.added_tokens(pair.is_some());
        if added > truncation.max_length {
            return Err(cannot_encode(format!(
                "the {added} special tokens alone are more than a `max_length` of `{}`",
                truncation.max_length
            )));
        }
        let room = truncation.less(added);
        let whole = [text.len(), pair.as_ref().map_or(0, LibraryEncoding::len)];
        let [of_text, of_pair] = longest_first(whole[0], whole[1], room.max_length);
        num_truncated_tokens = whole[0] + whole[1] - of_text - of_pair;
        text = cut(text, Truncation { max_length: of_text, ..room });
        pair = pair.map(|pair| cut(pair, Truncation { max_length: of_pair, ..room }));
    }
    let encoding = post_processor.process(text, pair, true).map_err(cannot_encode)?;
    Ok(Encoding { num_truncated_tokens, ..Encoding::from(&encoding) })
}

/// How many tokens of two texts stay, so that they are `room` together: the longer is cut until both are
/// equally long, then both are, and the longer keeps one more if `room` is odd.
fn longest_first(first: usize, second: usize, room: usize) -> [usize; 2] {
    if first + second <= room {
        return [first, second];
    }
    let shorter = first.min(second).min(room / 2);
    let lengths = [shorter, room - shorter];
    if first > second { [lengths[1], lengths[0]] } else { lengths }
}

/// An encoding without special tokens, cut.
fn cut(encoding: LibraryEncoding, truncation: Truncation) -> LibraryEncoding {
    if encoding.len() <= truncation.max_length {
        return encoding;
    }
    let [head, tail] = truncation.places(encoding.len());
    let part = |length: usize, direction| {
        let mut part = encoding.clone();
        part.truncate(length, 0, direction);
        // The library keeps what was cut off beside it.
        part.take_overflowing();
        part
    };
    let head = part(head.len(), TruncationDirection::Right);
    let tail = part(tail.len(), TruncationDirection::Left);
    LibraryEncoding::merge([head, tail], false)
}

/// How words are encoded that come one by one: as usual, but that byte-level tokenizers put a blank
/// before each.
#[derive(Debug, Clone)]
pub(super) struct Words {
    pre_tokenizer: Option<PreTokenizerWrapper>,
    post_processor: PostProcessorWrapper,
}

impl Words {
    pub(super) fn new(tokenizer: &Tokenizer, post_processor: &PostProcessorWrapper) -> Self {
        let mut pre_tokenizer = tokenizer.get_pre_tokenizer().cloned();
        let mut post_processor = post_processor.clone();
        if let Some(pre_tokenizer) = &mut pre_tokenizer {
            prefix_words(pre_tokenizer);
        }
        expect_prefixes(&mut post_processor);
        Self { pre_tokenizer, post_processor }
    }
}

fn prefix_words(pre_tokenizer: &mut PreTokenizerWrapper) {
    match pre_tokenizer {
        PreTokenizerWrapper::ByteLevel(bytes) => bytes.add_prefix_space = true,
        PreTokenizerWrapper::Sequence(sequence) => {
            sequence.as_mut().iter_mut().for_each(prefix_words);
        }
        _ => {}
    }
}

/// Lets the offsets of a prefixed word begin at its first character, not after it.
fn expect_prefixes(post_processor: &mut PostProcessorWrapper) {
    match post_processor {
        PostProcessorWrapper::ByteLevel(bytes) => bytes.add_prefix_space = true,
        PostProcessorWrapper::Roberta(roberta) => roberta.add_prefix_space = true,
        PostProcessorWrapper::Sequence(sequence) => {
            sequence.as_mut().iter_mut().for_each(expect_prefixes);
        }
        _ => {}
    }
}

/// An error about a text, for `map_err`.
pub(super) fn cannot_encode(problem: impl std::fmt::Display) -> DataError {
    DataError::Tokenizer { origin: "cannot encode text".to_owned(), problem: problem.to_string() }
}
