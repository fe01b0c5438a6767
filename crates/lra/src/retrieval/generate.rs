//! Pairs of made-up documents: both are of one topic, or of two.
//!
//! A topic has some content words of its own out of a common stock, in which topics overlap. A document takes about a third
//! of its words from its topic and the others from words that all documents use; so no single word tells whether two
//! documents belong together, and many of them do. Every document is new; topics are the same in all splits.

use std::path::Path;

use nystromformer_tasks::{DataError, Split, random};
use rand_chacha::rand_core::Rng;

use super::FILES;
use crate::SplitSizes;
use crate::writing::{new_files, write_lines};

/// How many topics there are.
const TOPICS: u32 = 24;
/// Content words of a topic, and of the stock that they are drawn from.
const TOPIC_WORDS: usize = 40;
const CONTENT_WORDS: usize = 400;
/// Words that all documents use.
const COMMON_WORDS: usize = 120;
/// Chance that a word of a document is one of its topic.
const TOPIC_WORD_PROBABILITY: f64 = 0.35;
/// Fewest and most bytes of a document, up to the length of a last word.
const DOCUMENT_BYTES: [u32; 2] = [1_000, 6_000];

/// Generates the three files `new_aan_pairs.{train,eval,test}.tsv` in `folder`, which is made if it is not there. Every
/// second pair is of one topic. A pair is a function of the seed, its split and its place, so a smaller file is the beginning
/// of a larger one.
///
/// A file is there whole or not at all, and none is replaced.
///
/// # Errors
///
/// [`DataError::Dataset`] if one of the files is there already, [`DataError::Io`].
pub fn generate_files(folder: &Path, sizes: SplitSizes, seed: u64) -> Result<(), DataError> {
    let paths = new_files(folder, FILES.map(|(_, name)| name))?;
    let language = Language::new(seed);
    for ((split, _), path) in FILES.into_iter().zip(paths) {
        let pairs =
            (0..sizes.of(split) as u64).map(|number| Ok(language.pair(seed, split, number)));
        write_lines(&path, pairs)?;
    }
    Ok(())
}

/// The words of all documents.
struct Language {
    common: Vec<String>,
    /// Words of each topic.
    topics: Vec<Vec<String>>,
}

impl Language {
    fn new(seed: u64) -> Self {
        let random = &mut random::stream(seed, "retrieval words", 0);
        let mut words: Vec<String> = Vec::new();
        while words.len() < COMMON_WORDS + CONTENT_WORDS {
            let syllables =
                if words.len() < COMMON_WORDS { 1 } else { 2 } + random::below(random, 2);
            let word: String = (0..syllables).map(|_| syllable(random)).collect();
            if !words.contains(&word) {
                words.push(word);
            }
        }
        let mut content = words.split_off(COMMON_WORDS);
        let topics = (0..TOPICS)
            .map(|_| {
                random::shuffle(&mut content, random);
                content[..TOPIC_WORDS].to_vec()
            })
            .collect();
        Self { common: words, topics }
    }

    /// The line of a pair.
    fn pair(&self, seed: u64, split: Split, number: u64) -> String {
        let random = &mut random::stream(seed, &format!("retrieval pair {}", split.name()), number);
        let together = number.is_multiple_of(2);
        let first = random::below(random, TOPICS);
        let second =
            if together { first } else { (first + 1 + random::below(random, TOPICS - 1)) % TOPICS };
        let [left, right] = [first, second].map(|topic| self.document(topic, random));
        let name = |part: char| format!("{}-{number}{part}", split.name());
        format!("{}\t{}\t{}\t{left}\t{right}", f32::from(u8::from(together)), name('a'), name('b'))
    }

    /// A document: sentences of 5 to 20 words.
    fn document(&self, topic: u32, random: &mut impl Rng) -> String {
        let [least, most] = DOCUMENT_BYTES;
        let length = (least + random::below(random, most - least)) as usize;
        let topic = &self.topics[topic as usize];
        let mut text = String::with_capacity(length + 16);
        let mut words_left = 0;
        while text.len() < length {
            if words_left == 0 {
                text.push_str(if text.is_empty() { "" } else { ". " });
                words_left = 5 + random::below(random, 16);
            } else {
                text.push(' ');
            }
            words_left -= 1;
            let words =
                if random::unit(random) < TOPIC_WORD_PROBABILITY { topic } else { &self.common };
            text.push_str(&words[random::below(random, words.len() as u32) as usize]);
        }
        text.push('.');
        text
    }
}

/// A consonant, a vowel, and in half of the cases another consonant.
fn syllable(random: &mut impl Rng) -> String {
    const CONSONANTS: &[u8] = b"bdfghklmnprstvwz";
    const VOWELS: &[u8] = b"aeiou";
    let mut letter =
        |letters: &[u8]| char::from(letters[random::below(random, letters.len() as u32) as usize]);
    let (onset, vowel, coda) = (letter(CONSONANTS), letter(VOWELS), letter(CONSONANTS));
    let mut syllable = String::from_iter([onset, vowel]);
    if random::below(random, 2) == 0 {
        syllable.push(coda);
    }
    syllable
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use super::super::open;
    use super::*;
    use nystromformer_tasks::{Input, Label};

    const SIZES: SplitSizes = SplitSizes { train: 40, validation: 10, test: 10 };

    fn generated(seed: u64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        generate_files(folder.path(), SIZES, seed).unwrap();
        folder
    }

    #[test]
    fn pairs_are_read_back_balanced_and_all_documents_differ() {
        let folder = generated(3);
        let mut documents = HashSet::new();
        for split in Split::USUAL {
            let path = folder.path().join(super::super::file_name(split).unwrap());
            let examples: Vec<_> = open(&path).unwrap().collect::<Result<_, _>>().unwrap();
            assert_eq!(examples.len(), SIZES.of(split));
            let mut together = 0;
            for example in examples {
                together += usize::from(example.label == Some(Label::Class(1)));
                let Input::Ids { first, second: Some(second) } = example.input else {
                    panic!("a pair of ids");
                };
                for document in [first, second] {
                    assert!((1_000..6_100).contains(&document.len()));
                    assert!(documents.insert(document));
                }
            }
            assert_eq!(together, SIZES.of(split) / 2);
        }
    }

    #[test]
    fn pairs_are_a_function_of_the_seed_and_nothing_is_replaced() {
        let read = |folder: &Path| {
            fs::read(folder.join(super::super::file_name(Split::Test).unwrap())).unwrap()
        };
        let folder = generated(3);
        assert_eq!(read(folder.path()), read(generated(3).path()));
        assert_ne!(read(folder.path()), read(generated(4).path()));
        let error = generate_files(folder.path(), SIZES, 3).unwrap_err().to_string();
        assert!(error.contains("already"), "{error}");
    }

    /// The task can be learnt: documents of one topic share more of their words.
    #[test]
    fn documents_of_one_topic_share_more_words() {
        let language = Language::new(3);
        let shared = |number| -> usize {
            let line = language.pair(3, Split::Train, number);
            let words = |column: usize| -> HashSet<String> {
                let text = line.split('\t').nth(column).unwrap();
                text.split([' ', '.']).map(str::to_owned).collect()
            };
            words(3).intersection(&words(4)).count()
        };
        let right = (0..100).filter(|pair| shared(2 * pair) > shared(2 * pair + 1)).count();
        assert!(right > 85, "{right}");
    }
}
