//! The tokenizer of a run: Hugging Face's `tokenizers`, with the facts that masked-language modelling needs.
//!
//! | module | does |
//! |---|---|
//! | `load` | finds a tokenizer's files; reads them, and the settings beside them, as transformers does |
//! | `json_file` | reads a `tokenizer.json` |
//! | `sentencepiece` | reads a `spiece.model` |
//! | `train` | makes a tokenizer from a corpus |
//! | `lengths` | how long the rows of a model may be, by the files beside its tokenizer |
//! | `template` | the special tokens around a text and between two |
//! | `special_tokens` | which they are |
//! | `encoding`, `decoding` | texts, pairs and words as rows for a model; ids as text |
//! | `masking` | which ids are special, and which go on with a word |

mod decoding;
mod encoding;
mod json_file;
mod lengths;
mod load;
mod masking;
mod sentencepiece;
mod special_tokens;
mod template;
mod train;

pub use encoding::Encoding;
use lengths::LengthRule;
pub use special_tokens::SpecialTokens;
pub(crate) use train::{TRAINING_VERSION, train};

use std::path::Path;
use std::sync::OnceLock;

use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{Model, ModelWrapper, OffsetType, PostProcessor, Tokenizer};

use crate::error::DataError;
use encoding::{Words, cannot_encode};

/// A tokenizer together with its special tokens, block template and word boundaries.
#[derive(Debug, Clone)]
pub struct TextTokenizer {
    inner: Tokenizer,
    words: Words,
    tokens: SpecialTokens<String>,
    ids: SpecialTokens<u32>,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    vocab_size: usize,
    json: OnceLock<String>,
    /// Whether blanks before marks are taken out of decoded text (`clean_up_tokenization_spaces`).
    cleans_up: bool,
    lengths: LengthRule,
    /// See [`Self::lacks_types`].
    lacks_types: bool,
}

/// Ids of a vocabulary at most: an id that is out of place would otherwise take the memory of all below it. The largest
/// vocabularies in use have some 260,000.
const MOST_IDS: usize = 1 << 24;

impl TextTokenizer {
    /// Wraps `inner`; truncation and padding stored in it are dropped, for blocks are cut here.
    fn new(mut inner: Tokenizer, tokens: SpecialTokens<String>) -> Result<Self, String> {
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| error.to_string())?;
        let ids = tokens.try_map(|role, token| {
            inner.token_to_id(token).ok_or_else(|| special_tokens::missing(role, token))
        })?;
        let processor = template::complete(inner.get_post_processor().cloned(), &tokens, &ids)?;
        let words = Words::new(&inner, &processor);
        inner.with_post_processor(Some(processor));
        spell_unknown(&inner)?;
        // An id table with gaps needs an embedding row for the gaps too.
        let vocab_size = inner.get_vocab(true).into_values().max().unwrap_or(0) as usize + 1;
        if vocab_size > MOST_IDS {
            return Err(format!(
                "its largest id is `{}`, and ids from `{MOST_IDS}` are not read, since there would be an embedding for each \
                 id below them; number its entries without gaps",
                vocab_size - 1
            ));
        }
        let (prefix, suffix) = template::around_a_text(&inner, ids.mask, vocab_size)?;
        let (json, cleans_up, lengths) = (OnceLock::new(), false, LengthRule::default());
        let lacks_types = false;
        Ok(Self {
            inner,
            words,
            tokens,
            ids,
            prefix,
            suffix,
            vocab_size,
            json,
            cleans_up,
            lengths,
            lacks_types,
        })
    }

    /// Loads a tokenizer from a file or folder; see [`TokenizerConfig::path`] for the forms.
    ///
    /// `lowercase` is used for a `vocab.txt` or `spiece.model` with no `do_lower_case` in a
    /// `tokenizer_config.json` beside it; the other settings there are those of transformers.
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] or [`DataError::Io`] if the files are missing or malformed, or if
    /// the tokenizer has no pad, unknown, opening, closing or mask token.
    ///
    /// [`TokenizerConfig::path`]: crate::TokenizerConfig::path
    pub fn load(path: &Path, lowercase: bool) -> Result<Self, DataError> {
        load::load(path, lowercase)
    }

    /// The first id that a model of `rows` embeddings has none for, and its entry; `None` if it has one for
    /// all.
    pub fn first_id_beyond(&self, rows: usize) -> Option<(u32, String)> {
        if self.vocab_size <= rows {
            return None;
        }
        let entries = self.inner.get_vocab(true).into_iter().map(|(token, id)| (id, token));
        entries.filter(|(id, _)| *id as usize >= rows).min()
    }

    /// Whether a folder holds a tokenizer in one of the forms that [`Self::load`] reads.
    pub fn is_in(folder: &Path) -> bool {
        load::is_in(folder)
    }

    /// Whether the files of a tokenizer say themselves that text is lowercased, in which case [`Self::load`] does not read `lowercase`;
    /// `None` if they leave it open.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn own_lowercase(path: &Path) -> Result<Option<bool>, DataError> {
        load::own_lowercase(path)
    }

    /// Size of the vocabulary: one more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Ids of the special tokens.
    pub fn special_ids(&self) -> &SpecialTokens<u32> {
        &self.ids
    }

    /// Texts of the special tokens.
    pub fn special_tokens(&self) -> &SpecialTokens<String> {
        &self.tokens
    }

    /// The text of the mask token: `[MASK]`, or `<mask>`.
    pub fn mask_token(&self) -> &str {
        &self.tokens.mask
    }

    /// The ids that open a block, by the tokenizer's own template: `[CLS]`.
    pub fn prefix(&self) -> &[u32] {
        &self.prefix
    }

    /// The ids that close a block: `[SEP]`.
    pub fn suffix(&self) -> &[u32] {
        &self.suffix
    }

    /// The ids of `text`, with the block template around them if `add_special_tokens`.
    ///
    /// Special tokens written out in the text, such as `[MASK]`, are read as such.
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] if the model cannot spell the text and has no unknown token.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, DataError> {
        let tokens = self.tokens_of(text, 0, OffsetType::None)?;
        if !add_special_tokens {
            return Ok(tokens.get_ids().to_vec());
        }
        let row = self.post_processor().process(tokens, None, true).map_err(cannot_encode)?;
        Ok(row.get_ids().to_vec())
    }

    /// Whether tokens that go on with a word are spelt with a prefix, as WordPiece's `##ing` is.
    pub fn marks_continuations(&self) -> bool {
        match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => !model.continuing_subword_prefix.is_empty(),
            ModelWrapper::BPE(model) => {
                model.continuing_subword_prefix.as_ref().is_some_and(|prefix| !prefix.is_empty())
            }
            _ => false,
        }
    }

    /// The vocabulary entry with this id.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a vocabulary entry.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Hash of the whole tokenizer, in hexadecimal: equal for tokenizers that encode alike.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("nystromformer-data 2026 tokenizer");
        hasher.update(self.to_json().as_bytes());
        hasher.update(format!("{:?}", self.tokens).as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// The first id whose entry differs from `other`'s, with both entries; `None` if the vocabularies are one.
    pub fn vocabulary_difference(
        &self,
        other: &Self,
    ) -> Option<(u32, Option<String>, Option<String>)> {
        let ids = 0..self.vocab_size().max(other.vocab_size()) as u32;
        ids.map(|id| (id, self.id_to_token(id), other.id_to_token(id)))
            .find(|(_, mine, others)| mine != others)
    }

    /// The content of `tokenizer.json`, whichever files the tokenizer was loaded from.
    pub fn to_json(&self) -> &str {
        // Written on demand: a short prediction has no use for it, and it takes its time.
        self.json.get_or_init(|| {
            self.inner.to_string(false).expect("each part of a tokenizer has a form in JSON")
        })
    }

    /// Puts the special tokens in; [`Self::new`] has seen to it that there is one.
    fn post_processor(&self) -> &PostProcessorWrapper {
        self.inner.get_post_processor().expect("a tokenizer is completed when it is made")
    }
}

/// Refuses a model that cannot spell what it does not know: it would stop at some later text.
fn spell_unknown(tokenizer: &Tokenizer) -> Result<(), String> {
    const NO_CHARACTER: &str = "\u{10ffff}";
    tokenizer
        .get_model()
        .tokenize(NO_CHARACTER)
        .map(drop)
        .map_err(|error| {
            format!(
                "its model cannot spell an unknown character: {error}; name the token of its vocabulary that stands for those in \
                 `special_tokens_map.json` (`unk_token`), or add that token to the vocabulary, at its end"
            )
        })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::{DataConfig, TokenizerConfig, TokenizerKind};
    use crate::corpus::Corpus;

    /// A small tokenizer trained on the sample corpus.
    pub(crate) fn sample_tokenizer(kind: TokenizerKind, vocab_size: usize) -> TextTokenizer {
        let corpus = Corpus::open(&DataConfig::default()).unwrap();
        let config = TokenizerConfig { kind, vocab_size, ..TokenizerConfig::default() };
        train(&corpus, &config, &|_| {}).unwrap()
    }

    #[test]
    fn every_kind_has_the_same_special_ids_and_template() {
        for kind in [TokenizerKind::WordPiece, TokenizerKind::Bpe, TokenizerKind::Unigram] {
            let tokenizer = sample_tokenizer(kind, 700);
            let ids = tokenizer.special_ids();
            assert_eq!([ids.pad, ids.unk, ids.cls, ids.sep, ids.mask], [0, 1, 2, 3, 4], "{kind:?}");
            assert_eq!((tokenizer.prefix(), tokenizer.suffix()), (&[2][..], &[3][..]));
            assert!(tokenizer.vocab_size() <= 700, "{kind:?}: {}", tokenizer.vocab_size());
            assert!(tokenizer.vocab_size() > 600, "{kind:?}: {}", tokenizer.vocab_size());
        }
    }

    #[test]
    fn text_survives_encoding_and_decoding() {
        let text = "the government of france sits in paris.";
        for kind in [TokenizerKind::WordPiece, TokenizerKind::Bpe, TokenizerKind::Unigram] {
            let tokenizer = sample_tokenizer(kind, 700);
            let ids = tokenizer.encode(text, true).unwrap();
            let decoded = tokenizer.decode(&ids, true).unwrap();
            assert_eq!(decoded.trim(), text, "{kind:?}");
        }
    }

    #[test]
    fn the_mask_is_one_token_within_a_text() {
        for kind in [TokenizerKind::WordPiece, TokenizerKind::Bpe, TokenizerKind::Unigram] {
            let tokenizer = sample_tokenizer(kind, 700);
            let with_word = tokenizer.encode("it is the of france.", true).unwrap();
            let with_mask = tokenizer.encode("it is the [MASK] of france.", true).unwrap();
            let mask = tokenizer.special_ids().mask;
            let without: Vec<u32> = with_mask.iter().copied().filter(|id| *id != mask).collect();
            assert_eq!(without.len() + 1, with_mask.len());
            assert_eq!(without, with_word, "{kind:?}");
        }
    }

    #[test]
    fn continuations_are_told_for_every_kind() {
        for kind in [TokenizerKind::WordPiece, TokenizerKind::Bpe, TokenizerKind::Unigram] {
            let tokenizer = sample_tokenizer(kind, 500);
            let ids = tokenizer.encode("is of ouagadougou of", false).unwrap();
            let table = tokenizer.continuation_table();
            let continues: Vec<bool> = ids.iter().map(|id| table[*id as usize]).collect();
            assert!(ids.len() > 4, "the long word must be split for this test: {ids:?}");
            // Byte-level BPE has no blank before the first word of a text, so it looks continued.
            let words = if kind == TokenizerKind::Bpe { 3 } else { 4 };
            let starts = continues.iter().filter(|continued| !**continued).count();
            assert_eq!(starts, words, "{kind:?}: {continues:?}");
        }
    }

    #[test]
    fn training_twice_gives_the_same_bytes() {
        for kind in [TokenizerKind::WordPiece, TokenizerKind::Bpe, TokenizerKind::Unigram] {
            let first = sample_tokenizer(kind, 1500);
            for _ in 0..3 {
                assert!(first.to_json() == sample_tokenizer(kind, 1500).to_json(), "{kind:?}");
            }
        }
    }
}
