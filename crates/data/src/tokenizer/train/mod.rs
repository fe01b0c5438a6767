//! Trains a tokenizer from a corpus.
//!
//! The trainers are those of the `tokenizers` crate. They walk hash maps with random seeds and give
//! ids in that order, so the same corpus could yield another vocabulary on each run. Here they get
//! their words sorted and their alphabet numbered in advance, and run on one thread; then the same
//! corpus gives the same `tokenizer.json`, byte for byte.

mod pipeline;
mod words;

use rayon::prelude::*;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Model, Tokenizer};

use super::{SpecialTokens, TextTokenizer};
use crate::config::{TokenizerConfig, TokenizerKind};
use crate::corpus::Corpus;
use crate::error::DataError;
use crate::progress::{ProgressListener, ProgressReport, Stage};
use crate::unknown::{UnknownTokens, cure};
use pipeline::{berts_own, pipeline};
use words::{WordCounts, alphabet_of, count_words, scale_down, words_for_training};

/// Part of the names of trained tokenizers that are kept; to be raised when the same corpus and options give
/// another tokenizer.
pub(crate) const TRAINING_VERSION: u32 = 2;

/// The special tokens of a trained tokenizer; a token's place is its id.
const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Trains the tokenizer described by `config` on all documents of `corpus`.
pub(crate) fn train(
    corpus: &Corpus,
    config: &TokenizerConfig,
    progress: &dyn ProgressListener,
) -> Result<TextTokenizer, DataError> {
    let failed = |error: &dyn std::fmt::Display| DataError::Tokenizer {
        origin: format!("cannot be trained on `{}`", corpus.name().display()),
        problem: error.to_string(),
    };
    let mut tokenizer = pipeline(config).map_err(|error| failed(&error))?;
    let bert = berts_own(config);
    let (counts, suits_bert) = count_words(corpus, &tokenizer, bert.as_ref(), progress)?;
    if suits_bert {
        // The form that is known everywhere. It takes marks of other scripts for accents, and here there are none.
        tokenizer.with_normalizer(bert).map_err(|error| failed(&error))?;
    } else if config.kind == TokenizerKind::WordPiece && config.strips_accents() {
        tracing::info!(
            "accents are taken off letters; marks that are no accents, such as the voicing of kana, stay: \
             `tokenizer.strip_accents` says which"
        );
    }
    let words = words_for_training(&counts, config);
    if words.is_empty() {
        let problem = if counts.is_empty() {
            "there are no words in it to train a tokenizer on; add text"
        } else {
            "there are no words in it that WordPiece can be trained on: they are too long, or of characters too \
             rare; set `tokenizer.kind = \"unigram\"` or `\"bpe\"`"
        };
        return Err(DataError::corpus(corpus.name(), problem));
    }
    let stage = Stage::TRAIN_TOKENIZER;
    progress.report(ProgressReport { stage, done: 0, total: 0 });
    let single_thread =
        rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(|error| failed(&error))?;
    single_thread
        .install(|| train_model(&mut tokenizer, words, config))
        .map_err(|error| failed(&error))?;
    let unknown = unknown_tokens(&tokenizer, &counts).map_err(|error| failed(&error))?;
    unknown.tell("the text that the tokenizer is trained on", &cure(config));
    finish(&mut tokenizer, config.kind).map_err(|error| failed(&error))?;
    let [pad, unk, cls, sep, mask] = SPECIAL_TOKENS.map(str::to_owned);
    TextTokenizer::new(tokenizer, SpecialTokens { pad, unk, cls, sep, mask })
        .map_err(|problem| failed(&problem))
}

/// How many tokens of the words are the unknown one.
fn unknown_tokens(tokenizer: &Tokenizer, counts: &WordCounts) -> Result<UnknownTokens, Failure> {
    let model = tokenizer.get_model();
    let of_word = |(word, times): &(String, u64)| {
        let mut found = UnknownTokens::default();
        found.count(model.tokenize(word)?.into_iter().map(|token| token.id), 1);
        Ok(UnknownTokens { unknown: found.unknown * times, tokens: found.tokens * times })
    };
    counts.par_iter().map(of_word).try_reduce(UnknownTokens::default, |mut all, of_word| {
        all.add(of_word);
        Ok(all)
    })
}

/// Fills the model of `tokenizer`.
fn train_model(
    tokenizer: &mut Tokenizer,
    words: WordCounts,
    config: &TokenizerConfig,
) -> Result<(), Failure> {
    match config.kind {
        TokenizerKind::WordPiece => {
            let alphabet = alphabet_of(&words);
            let continued = alphabet.iter().map(|letter| format!("##{letter}"));
            let letters = alphabet.iter().map(char::to_string).chain(continued).collect();
            let bpe = train_merges(words, letters, Some("##"), config)?;
            let mut model = WordPiece::from_bpe(&bpe);
            SPECIAL_TOKENS[1].clone_into(&mut model.unk_token);
            tokenizer.with_model(model);
        }
        TokenizerKind::Bpe => {
            let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
            alphabet.sort_unstable();
            let letters = alphabet.iter().map(char::to_string).collect();
            let bpe = train_merges(words, letters, None, config)?;
            tokenizer.with_model(bpe);
        }
        TokenizerKind::Unigram => {
            let words = scale_down(words);
            let alphabet = alphabet_of(&words).len();
            let trainer = UnigramTrainer::builder()
                .show_progress(false)
                .vocab_size(u32::try_from(config.vocab_size)?)
                .special_tokens(special_tokens(config.kind))
                .unk_token(Some(SPECIAL_TOKENS[1].to_owned()))
                .build()?;
            let sentences = words.into_iter().map(|(word, count)| (word, count as u32)).collect();
            let mut model = Unigram::default();
            trainer.do_train(sentences, &mut model)?;
            tokenizer.with_model(put_in_order(&model, alphabet)?);
        }
    }
    Ok(())
}

/// Byte-pair merges over `words`. `letters` get the first ids after the special tokens, in order:
/// the trainer would number the `##` letters in the order of its hash map.
fn train_merges(
    words: WordCounts,
    letters: Vec<String>,
    continuing_prefix: Option<&str>,
    config: &TokenizerConfig,
) -> Result<BPE, Failure> {
    let first = SPECIAL_TOKENS.iter().map(|token| (*token).to_owned()).chain(letters);
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(config.vocab_size)
        .min_frequency(config.min_frequency)
        .special_tokens(first.map(|token| AddedToken::from(token, true)).collect());
    if let Some(prefix) = continuing_prefix {
        trainer = trainer.continuing_subword_prefix(prefix.to_owned());
    }
    let words = scale_down(words).into_iter().map(|(word, count)| (word.into(), count)).collect();
    let mut model = BPE::default();
    trainer.build().do_train(&words, &mut model)?;
    Ok(model)
}

/// Undoes the random order in which the Unigram trainer handles single characters: those it pruned
/// come back with scores just above the least one, given out in the order of a hash set.
fn put_in_order(model: &Unigram, alphabet: usize) -> Result<Unigram, Failure> {
    /// The trainer's step from one such score to the next.
    const STEP: f64 = 0.0001;
    let all: Vec<(String, f64)> = model.iter().cloned().collect();
    let (special, pieces) = all.split_at(SPECIAL_TOKENS.len());
    let mut pieces = pieces.to_vec();
    let least = pieces.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
    let pruned = |(piece, score): &(String, f64)| {
        piece.chars().nth(1).is_none() && *score <= least + STEP * alphabet as f64
    };
    let (mut letters, mut rest): (Vec<_>, Vec<_>) = pieces.drain(..).partition(pruned);
    let mut scores: Vec<f64> = letters.iter().map(|(_, score)| *score).collect();
    scores.sort_by(|left, right| right.total_cmp(left));
    letters.sort_by(|(left, _), (right, _)| left.cmp(right));
    rest.extend(letters.into_iter().zip(scores).map(|((letter, _), score)| (letter, score)));
    rest.sort_by(|(left, left_score), (right, right_score)| {
        right_score.total_cmp(left_score).then_with(|| left.cmp(right))
    });
    Unigram::from([special.to_vec(), rest].concat(), Some(1), false)
}

/// The special tokens as the tokenizer should treat them. Where blanks are part of tokens, the mask
/// takes the blank before it, as RoBERTa's does; else `the [MASK]` would leave a blank over.
fn special_tokens(kind: TokenizerKind) -> Vec<AddedToken> {
    let takes_blank = kind != TokenizerKind::WordPiece;
    SPECIAL_TOKENS
        .iter()
        .map(|token| {
            AddedToken::from(*token, true).lstrip(takes_blank && *token == SPECIAL_TOKENS[4])
        })
        .collect()
}

/// Adds the special tokens and the template `[CLS] … [SEP]`.
fn finish(tokenizer: &mut Tokenizer, kind: TokenizerKind) -> Result<(), Failure> {
    tokenizer.add_special_tokens(special_tokens(kind))?;
    let [_, _, cls, sep, _] = SPECIAL_TOKENS;
    let template = TemplateProcessing::builder()
        .try_single(format!("{cls} $A {sep}"))?
        .try_pair(format!("{cls} $A {sep} $B:1 {sep}:1"))?
        .special_tokens(vec![(cls, 2), (sep, 3)])
        .build()?;
    tokenizer.with_post_processor(Some(template));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DataConfig;

    fn train_on(text: &str, config: &TokenizerConfig) -> Result<TextTokenizer, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.txt");
        std::fs::write(&path, text).unwrap();
        let data =
            DataConfig { corpus: path.to_str().unwrap().to_owned(), ..DataConfig::default() };
        train(&Corpus::open(&data).unwrap(), config, &|_| {})
    }

    #[test]
    fn frequent_words_become_one_token() {
        let config = TokenizerConfig { vocab_size: 100, ..TokenizerConfig::default() };
        let tokenizer = train_on(&"Low lower lowest. ".repeat(50), &config).unwrap();
        assert_eq!(tokenizer.encode("LOW lowest", false).unwrap().len(), 2);
        assert!(tokenizer.token_to_id("low").is_some());
    }

    #[test]
    fn rare_characters_become_unknown() {
        let config =
            TokenizerConfig { vocab_size: 100, max_alphabet: 3, ..TokenizerConfig::default() };
        let tokenizer = train_on(&"aab bba abc cab zaz ".repeat(20), &config).unwrap();
        assert!(tokenizer.token_to_id("z").is_none());
        assert_eq!(tokenizer.encode("zaz", false).unwrap(), [tokenizer.special_ids().unk]);
    }

    #[test]
    fn a_corpus_without_words_is_refused() {
        for kind in [TokenizerKind::WordPiece, TokenizerKind::Bpe, TokenizerKind::Unigram] {
            let config = TokenizerConfig { kind, ..TokenizerConfig::default() };
            let message = train_on("", &config).unwrap_err().to_string();
            assert!(message.contains("no words"), "{kind:?}: {message}");
        }
    }

    #[test]
    fn berts_own_normalizer_is_kept_where_it_takes_nothing_but_accents_off() {
        let normalizer = |text: &str| {
            let tokenizer = train_on(text, &TokenizerConfig::default()).unwrap();
            let json: serde_json::Value = serde_json::from_str(tokenizer.to_json()).unwrap();
            json["normalizer"]["type"].as_str().unwrap().to_owned()
        };
        assert_eq!(normalizer("Café, naïve Ёж 日本 ❤\u{fe0f}"), "BertNormalizer");
        assert_eq!(normalizer("Café が"), "Sequence");
        assert_eq!(normalizer("Café ที่"), "Sequence");
    }

    #[test]
    fn a_script_without_blanks_is_known() {
        // 60 sentences of 150 characters each, of 300 different ones; one that is rare in each.
        let common: Vec<char> = ('\u{4e00}'..).take(300).collect();
        let text: String = (0..60)
            .flat_map(|line| {
                let place = |index: usize| common[(index * (line + 7) + index * index) % 300];
                let rare = char::from_u32(0x6000 + line as u32).unwrap();
                let sentence: Vec<char> = (0..150).map(place).collect();
                sentence.into_iter().chain([rare, '\n'])
            })
            .collect();
        for kind in [TokenizerKind::Unigram, TokenizerKind::Bpe] {
            let config = TokenizerConfig { kind, max_alphabet: 301, ..TokenizerConfig::default() };
            let tokenizer = train_on(&text, &config).unwrap();
            let mut unknown = UnknownTokens::default();
            unknown.count(tokenizer.encode(&text, false).unwrap(), tokenizer.special_ids().unk);
            assert!(unknown.share() < 0.03, "{kind:?}: {unknown:?}");
        }
    }
}
