//! The words of a corpus, and what of them a tokenizer is trained on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rayon::prelude::*;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    Tokenizer,
};

use super::Failure;
use crate::config::{TokenizerConfig, TokenizerKind};
use crate::corpus::{Chunk, Corpus, for_each_batch};
use crate::error::DataError;
use crate::progress::{ProgressListener, ProgressReport, Stage};
use crate::unknown::alphabet_key;

/// Longer words are no words: in a script without blanks they are sentences. A trainer gets them in pieces of
/// this length, which bounds its time; WordPiece takes them for unknown and is trained without them.
const LONGEST_WORD: usize = 100;
/// The count of words is thinned out beyond this many different ones, to bound memory.
const MOST_DIFFERENT_WORDS: usize = 8_000_000;
/// The trainers add up counts in 32 bits.
const LARGEST_TOTAL: u64 = 1 << 30;

/// Words with the number of times each occurs, sorted by word.
pub(super) type WordCounts = Vec<(String, u64)>;

/// Counts the words of the corpus as the tokenizer's splitter sees them, and says whether the `other` normalizer
/// makes the same of all of its text.
pub(super) fn count_words(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    other: Option<&BertNormalizer>,
    progress: &dyn ProgressListener,
) -> Result<(WordCounts, bool), DataError> {
    let total = corpus.bytes();
    let mut done = 0;
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut thinned = 0;
    let is_same = AtomicBool::new(other.is_some());
    let report = |done: u64| {
        progress.report(ProgressReport { stage: Stage::COUNT_WORDS, done: done.min(total), total });
    };
    for_each_batch(&mut corpus.chunks(), |batch: Vec<Chunk>| {
        let partial: Vec<HashMap<String, u64>> = batch
            .par_chunks(batch.len().div_ceil(4 * rayon::current_num_threads()).max(1))
            .map(|chunks| count_in_chunks(chunks, tokenizer, other, &is_same))
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
            thinned = thinned.max(rare);
            rare *= 2;
        }
        done += batch.iter().map(|chunk| chunk.source_bytes).sum::<u64>();
        report(done);
        Ok(true)
    })?;
    report(total);
    if thinned > 0 {
        tracing::warn!(
            "the corpus has more than {MOST_DIFFERENT_WORDS} different words: those that had occurred {thinned} \
             times at most by then are left out of the tokenizer's training, to bound memory"
        );
    }
    Ok((sorted(counts), is_same.into_inner()))
}

fn count_in_chunks(
    chunks: &[Chunk],
    tokenizer: &Tokenizer,
    other: Option<&BertNormalizer>,
    is_same: &AtomicBool,
) -> Result<HashMap<String, u64>, Failure> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for chunk in chunks {
        let mut text = NormalizedString::from(chunk.text.as_str());
        if let Some(normalizer) = tokenizer.get_normalizer() {
            normalizer.normalize(&mut text)?;
        }
        // Where there are no accents there is no difference.
        if let Some(other) = other.filter(|_| !chunk.text.is_ascii() && is_same.load(Relaxed)) {
            let mut theirs = NormalizedString::from(chunk.text.as_str());
            other.normalize(&mut theirs)?;
            if theirs.get() != text.get() {
                is_same.store(false, Relaxed);
            }
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

/// The words that a tokenizer of this kind is trained on; what is left out of them is told.
pub(super) fn words_for_training(counts: &WordCounts, config: &TokenizerConfig) -> WordCounts {
    match config.kind {
        TokenizerKind::WordPiece => {
            let (short, long): (Vec<_>, Vec<_>) =
                counts.iter().cloned().partition(|(word, _)| !is_long(word));
            if !long.is_empty() {
                let count: u64 = long.iter().map(|(_, count)| count).sum();
                tracing::info!(
                    "{count} words of more than {LONGEST_WORD} characters are left out of training: WordPiece \
                     takes such for unknown; for a script without blanks set `tokenizer.kind = \"unigram\"`"
                );
            }
            match frequent_characters(&short, config) {
                None => short,
                Some(kept) => {
                    short.into_iter().filter(|(word, _)| word.chars().all(&kept)).collect()
                }
            }
        }
        TokenizerKind::Bpe => in_pieces(counts.iter().map(|(word, count)| (word.as_str(), *count))),
        TokenizerKind::Unigram => match frequent_characters(counts, config) {
            None => in_pieces(counts.iter().map(|(word, count)| (word.as_str(), *count))),
            Some(kept) => in_pieces(counts.iter().flat_map(|(word, count)| {
                word.split(|character| !kept(character)).map(|part| (part, *count))
            })),
        },
    }
}

/// Which characters are among the most frequent that the config allows; `None` if all are.
fn frequent_characters(
    counts: &WordCounts,
    config: &TokenizerConfig,
) -> Option<impl Fn(char) -> bool + use<>> {
    let mut frequency: HashMap<char, u64> = HashMap::new();
    for (word, count) in counts {
        for character in word.chars() {
            *frequency.entry(character).or_default() += count;
        }
    }
    let most = config.most_characters();
    let different = frequency.len();
    if different <= most {
        return None;
    }
    let mut ranked: Vec<(char, u64)> = frequency.into_iter().collect();
    ranked.sort_unstable_by_key(|(character, count)| (std::cmp::Reverse(*count), *character));
    let total: u64 = ranked.iter().map(|(_, count)| count).sum();
    let left_out: u64 = ranked[most..].iter().map(|(_, count)| count).sum();
    tracing::info!(
        "of {different} different characters the vocabulary gets the {most} most frequent ones; the others, \
         {:.2} % of the text, are unknown to it; {} sets how many it gets",
        100.0 * left_out as f64 / total as f64,
        alphabet_key(config)
    );
    let mut kept: Vec<char> = ranked[..most].iter().map(|(character, _)| *character).collect();
    kept.sort_unstable();
    Some(move |character| kept.binary_search(&character).is_ok())
}

/// Words, those that are too long in pieces, counted together where they are the same.
fn in_pieces<'a>(words: impl Iterator<Item = (&'a str, u64)>) -> WordCounts {
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut add = |word: &str, count| *counts.entry(word.to_owned()).or_default() += count;
    for (word, count) in words.filter(|(word, _)| !word.is_empty()) {
        if !is_long(word) {
            add(word, count);
            continue;
        }
        let starts = word.char_indices().map(|(start, _)| start).step_by(LONGEST_WORD);
        let ends = starts.clone().skip(1).chain([word.len()]);
        starts.zip(ends).for_each(|(start, end)| add(&word[start..end], count));
    }
    sorted(counts)
}

fn is_long(word: &str) -> bool {
    word.len() > LONGEST_WORD && word.chars().nth(LONGEST_WORD).is_some()
}

fn sorted(counts: HashMap<String, u64>) -> WordCounts {
    let mut counts: WordCounts = counts.into_iter().collect();
    counts.sort_unstable();
    counts
}

/// The characters of the words, sorted.
pub(super) fn alphabet_of(counts: &WordCounts) -> Vec<char> {
    let mut alphabet: Vec<char> = counts.iter().flat_map(|(word, _)| word.chars()).collect();
    alphabet.sort_unstable();
    alphabet.dedup();
    alphabet
}

/// Divides the counts so that no sum over characters leaves 32 bits, keeping each at least 1.
pub(super) fn scale_down(mut counts: WordCounts) -> WordCounts {
    let total: u64 = counts.iter().map(|(word, count)| word.len() as u64 * count).sum();
    let divisor = total.div_ceil(LARGEST_TOTAL);
    if divisor > 1 {
        for (_, count) in &mut counts {
            *count = count.div_ceil(divisor);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(words: &[(&str, u64)]) -> WordCounts {
        words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
    }

    #[test]
    fn huge_counts_are_scaled_into_32_bits() {
        let counts = vec![("ab".to_owned(), 1 << 40), ("c".to_owned(), 1)];
        let scaled = scale_down(counts);
        assert!(scaled[0].1 <= 1 << 29 && scaled[0].1 > 1 << 28, "{scaled:?}");
        assert_eq!(scaled[1].1, 1);
    }

    #[test]
    fn of_a_sentence_without_blanks_all_but_the_rare_characters_is_trained_on() {
        let config = TokenizerConfig { max_alphabet: 2, ..TokenizerConfig::default() };
        let given = counts(&[("日本", 5), ("日本é日", 1), ("本", 4)]);
        let of = |kind| words_for_training(&given, &TokenizerConfig { kind, ..config.clone() });
        assert_eq!(of(TokenizerKind::Unigram), counts(&[("日", 1), ("日本", 6), ("本", 4)]));
        assert_eq!(of(TokenizerKind::WordPiece), counts(&[("日本", 5), ("本", 4)]));
        assert_eq!(of(TokenizerKind::Bpe), given);
    }

    #[test]
    fn long_words_come_in_pieces() {
        let word = "日本".repeat(75);
        let given = counts(&[("a", 2), (&word, 3)]);
        let of = |kind| {
            words_for_training(&given, &TokenizerConfig { kind, ..TokenizerConfig::default() })
        };
        let (whole, rest) = ("日本".repeat(50), "日本".repeat(25));
        let expected = counts(&[("a", 2), (&rest, 3), (&whole, 3)]);
        assert_eq!(of(TokenizerKind::Unigram), expected);
        assert_eq!(of(TokenizerKind::Bpe), expected);
        assert_eq!(of(TokenizerKind::WordPiece), counts(&[("a", 2)]));
    }
}
