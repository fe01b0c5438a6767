//! Trains a tokenizer from a corpus.
//!
//! The trainers are those of the `tokenizers` crate. They walk hash maps with random seeds and give
//! ids in that order, so the same corpus could yield another vocabulary on each run. Here they get
//! their words sorted and their alphabet numbered in advance, and run on one thread; then the same
//! corpus gives the same `tokenizer.json`, byte for byte.

use std::collections::HashMap;

use rayon::prelude::*;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{BertNormalizer, Lowercase, NFC, NFKC, Replace, Sequence, Strip};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer, Tokenizer,
};

use super::{SpecialTokens, TextTokenizer};
use crate::config::{TokenizerConfig, TokenizerKind};
use crate::corpus::{Chunk, Corpus, for_each_batch};
use crate::error::DataError;
use crate::progress::{Progress, ProgressReport, Stage};

/// The special tokens of a trained tokenizer; a token's place is its id.
const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// Longer words are left out of training: they are not words, and Unigram is slow on them.
const LONGEST_WORD: usize = 100;
/// The count of words is thinned out beyond this many different ones, to bound memory.
const MOST_DIFFERENT_WORDS: usize = 8_000_000;
/// The trainers add up counts in 32 bits.
const LARGEST_TOTAL: u64 = 1 << 30;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Words with the number of times each occurs, sorted by word.
type WordCounts = Vec<(String, u64)>;

/// Trains the tokenizer described by `config` on all documents of `corpus`.
pub(crate) fn train(
    corpus: &Corpus,
    config: &TokenizerConfig,
    progress: &dyn Progress,
) -> Result<TextTokenizer, DataError> {
    let failed = |error: &dyn std::fmt::Display| DataError::Tokenizer {
        origin: format!("cannot be trained on `{}`", corpus.name().display()),
        problem: error.to_string(),
    };
    let mut tokenizer = pipeline(config).map_err(|error| failed(&error))?;
    let counts = count_words(corpus, &tokenizer, progress)?;
    if counts.is_empty() {
        return Err(DataError::corpus(
            corpus.name(),
            "there are no words in it to train a tokenizer on; add text",
        ));
    }
    let stage = Stage::TrainTokenizer;
    progress.report(ProgressReport { stage, done: 0, total: 0 });
    let single_thread =
        rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(|error| failed(&error))?;
    single_thread
        .install(|| train_model(&mut tokenizer, counts, config))
        .map_err(|error| failed(&error))?;
    finish(&mut tokenizer, config.kind).map_err(|error| failed(&error))?;
    let [pad, unk, cls, sep, mask] = SPECIAL_TOKENS.map(str::to_owned);
    TextTokenizer::new(tokenizer, SpecialTokens { pad, unk, cls, sep, mask })
        .map_err(|problem| failed(&problem))
}

/// Normaliser, splitter and decoder of each kind, around an empty model.
fn pipeline(config: &TokenizerConfig) -> Result<Tokenizer, Failure> {
    let lowercase = config.lowercase.then_some(NormalizerWrapper::Lowercase(Lowercase));
    Ok(match config.kind {
        TokenizerKind::WordPiece => {
            let mut tokenizer = Tokenizer::new(WordPiece::default());
            tokenizer
                .with_normalizer(Some(BertNormalizer::new(true, true, None, config.lowercase)))?
                .with_pre_tokenizer(Some(BertPreTokenizer))
                .with_decoder(Some(WordPieceDecoder::new("##".to_owned(), true)));
            tokenizer
        }
        TokenizerKind::Bpe => {
            let steps = [Some(NormalizerWrapper::NFC(NFC)), lowercase];
            let byte_level = ByteLevel::new(false, true, true);
            let mut tokenizer = Tokenizer::new(BPE::default());
            tokenizer
                .with_normalizer(Some(Sequence::new(steps.into_iter().flatten().collect())))?
                .with_pre_tokenizer(Some(byte_level))
                .with_decoder(Some(byte_level));
            tokenizer
        }
        TokenizerKind::Unigram => {
            let blanks = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ")?;
            let steps = [
                Some(NormalizerWrapper::NFKC(NFKC)),
                Some(NormalizerWrapper::Replace(blanks)),
                Some(NormalizerWrapper::StripNormalizer(Strip::new(true, true))),
                lowercase,
            ];
            let metaspace = Metaspace::new('▁', PrependScheme::Always, true);
            let mut tokenizer = Tokenizer::new(Unigram::default());
            tokenizer
                .with_normalizer(Some(Sequence::new(steps.into_iter().flatten().collect())))?
                .with_pre_tokenizer(Some(metaspace.clone()))
                .with_decoder(Some(metaspace));
            tokenizer
        }
    })
}

/// Counts the words of the corpus as the tokenizer's splitter sees them.
fn count_words(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    progress: &dyn Progress,
) -> Result<WordCounts, DataError> {
    let total = corpus.bytes();
    let mut done = 0;
    let mut counts: HashMap<String, u64> = HashMap::new();
    let report = |done: u64| {
        progress.report(ProgressReport { stage: Stage::CountWords, done: done.min(total), total });
    };
    for_each_batch(&mut corpus.chunks(), |batch: Vec<Chunk>| {
        let partial: Vec<HashMap<String, u64>> = batch
            .par_chunks(batch.len().div_ceil(4 * rayon::current_num_threads()).max(1))
            .map(|chunks| count_in_chunks(chunks, tokenizer))
            .collect::<Result<_, _>>()
            .map_err(|error| DataError::Tokenizer {
                origin: "cannot split text into words".to_owned(),
                problem: error.to_string(),
            })?;
        for (word, count) in partial.into_iter().flatten() {
            *counts.entry(word).or_default() += count;
        }
        let mut rare = 1;
        while counts.len() > MOST_DIFFERENT_WORDS {
            counts.retain(|_, count| *count > rare);
            rare *= 2;
        }
        done += batch.iter().map(|chunk| chunk.source_bytes).sum::<u64>();
        report(done);
        Ok(true)
    })?;
    report(total);
    let mut counts: WordCounts =
        counts.into_iter().filter(|(word, _)| word.chars().count() <= LONGEST_WORD).collect();
    counts.sort_unstable();
    Ok(counts)
}

fn count_in_chunks(
    chunks: &[Chunk],
    tokenizer: &Tokenizer,
) -> Result<HashMap<String, u64>, Failure> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for chunk in chunks {
        let mut text = NormalizedString::from(chunk.text.as_str());
        if let Some(normalizer) = tokenizer.get_normalizer() {
            normalizer.normalize(&mut text)?;
        }
        let mut words = PreTokenizedString::from(text);
        if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut words)?;
        }
        for (word, ..) in words.get_splits(OffsetReferential::Original, OffsetType::None) {
            if let Some(count) = counts.get_mut(word) {
                *count += 1;
            } else {
                counts.insert(word.to_owned(), 1);
            }
        }
    }
    Ok(counts)
}

/// Fills the model of `tokenizer`.
fn train_model(
    tokenizer: &mut Tokenizer,
    counts: WordCounts,
    config: &TokenizerConfig,
) -> Result<(), Failure> {
    match config.kind {
        TokenizerKind::WordPiece => {
            let counts = keep_frequent_alphabet(counts, config);
            let alphabet = alphabet_of(&counts);
            let continued = alphabet.iter().map(|letter| format!("##{letter}"));
            let letters = alphabet.iter().map(char::to_string).chain(continued).collect();
            let bpe = train_merges(counts, letters, Some("##"), config)?;
            let mut model = WordPiece::from_bpe(&bpe);
            SPECIAL_TOKENS[1].clone_into(&mut model.unk_token);
            tokenizer.with_model(model);
        }
        TokenizerKind::Bpe => {
            let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
            alphabet.sort_unstable();
            let letters = alphabet.iter().map(char::to_string).collect();
            let bpe = train_merges(counts, letters, None, config)?;
            tokenizer.with_model(bpe);
        }
        TokenizerKind::Unigram => {
            let counts = scale_down(keep_frequent_alphabet(counts, config));
            let alphabet = alphabet_of(&counts).len();
            let trainer = UnigramTrainer::builder()
                .show_progress(false)
                .vocab_size(u32::try_from(config.vocab_size)?)
                .special_tokens(special_tokens(config.kind))
                .unk_token(Some(SPECIAL_TOKENS[1].to_owned()))
                .build()?;
            let sentences = counts.into_iter().map(|(word, count)| (word, count as u32)).collect();
            let mut model = Unigram::default();
            trainer.do_train(sentences, &mut model)?;
            tokenizer.with_model(put_in_order(&model, alphabet)?);
        }
    }
    Ok(())
}

/// Byte-pair merges over `counts`. `letters` get the first ids after the special tokens, in order:
/// the trainer would number the `##` letters in the order of its hash map.
fn train_merges(
    counts: WordCounts,
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
    let words = scale_down(counts).into_iter().map(|(word, count)| (word.into(), count)).collect();
    let mut model = BPE::default();
    trainer.build().do_train(&words, &mut model)?;
    Ok(model)
}

/// Drops the words that hold a character beyond the `max_alphabet` most frequent ones.
fn keep_frequent_alphabet(counts: WordCounts, config: &TokenizerConfig) -> WordCounts {
    let mut frequency: HashMap<char, u64> = HashMap::new();
    for (word, count) in &counts {
        for character in word.chars() {
            *frequency.entry(character).or_default() += count;
        }
    }
    let most = config.max_alphabet.min(config.vocab_size / 4);
    if frequency.len() <= most {
        return counts;
    }
    let mut ranked: Vec<(char, u64)> = frequency.into_iter().collect();
    ranked.sort_unstable_by_key(|(character, count)| (std::cmp::Reverse(*count), *character));
    let mut kept: Vec<char> = ranked[..most].iter().map(|(character, _)| *character).collect();
    kept.sort_unstable();
    counts
        .into_iter()
        .filter(|(word, _)| word.chars().all(|character| kept.binary_search(&character).is_ok()))
        .collect()
}

/// The characters of the words, sorted.
fn alphabet_of(counts: &WordCounts) -> Vec<char> {
    let mut alphabet: Vec<char> = counts.iter().flat_map(|(word, _)| word.chars()).collect();
    alphabet.sort_unstable();
    alphabet.dedup();
    alphabet
}

/// Divides the counts so that no sum over characters leaves 32 bits, keeping each at least 1.
fn scale_down(mut counts: WordCounts) -> WordCounts {
    let total: u64 = counts.iter().map(|(word, count)| word.len() as u64 * count).sum();
    let divisor = total.div_ceil(LARGEST_TOTAL);
    if divisor > 1 {
        for (_, count) in &mut counts {
            *count = count.div_ceil(divisor);
        }
    }
    counts
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
    fn huge_counts_are_scaled_into_32_bits() {
        let counts = vec![("ab".to_owned(), 1 << 40), ("c".to_owned(), 1)];
        let scaled = scale_down(counts);
        assert!(scaled[0].1 <= 1 << 29 && scaled[0].1 > 1 << 28, "{scaled:?}");
        assert_eq!(scaled[1].1, 1);
    }
}
