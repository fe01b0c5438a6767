//! The built-in sample corpus: English about countries, animals and numbers, made by a grammar.
//!
//! It exists so that the quickstart needs no download and still shows something worth seeing. The
//! text is the same on every machine and for every run seed. Its facts are true; its sentences are
//! plain lower-case English of many patterns, several to a short document.
//!
//! # What is held out
//!
//! For a tenth of the countries, France among them ([`held_out_countries`]), no training document
//! holds the word *capital*: what Paris is to France must be worked out from the other countries
//! and from what else is said about Paris. The held-out sentences go to the validation split, and
//! [`probes`] asks for each of them. The frame of the question, `… is the [MASK] of …`, is shared
//! with languages, currencies, continents, metropolises, sounds, homes and opposites, and training
//! says of France that French is its language and the euro its currency, never what its capital is.
//!
//! | module | holds |
//! |---|---|
//! | `countries` | the table of countries |
//! | `facts` | animals, colours, opposites, numbers, trades … |
//! | `grammar` | the sentence templates |
//!
//! ```
//! let probe = nystromformer_data::sample::probes().into_iter().find(|probe| probe.country == "france");
//! assert_eq!(probe.unwrap().text, "paris is the [MASK] of france.");
//! ```

mod countries;
mod facts;
mod grammar;

pub use countries::{Country, countries};

use rand_chacha::ChaCha8Rng;

use crate::random::{Purpose, below, generator, shuffle};

/// Documents about each country.
const DOCUMENTS_PER_COUNTRY: u64 = 44;
/// Documents about everything else.
const EVERYDAY_DOCUMENTS: u64 = 3_600;
/// Validation documents about the capital of each held-out country.
const HELD_OUT_DOCUMENTS_PER_COUNTRY: u64 = 4;
/// One country in this many is held out.
const HELD_OUT_ONE_IN: usize = 10;
/// Fixes the corpus; another number is another corpus.
const CORPUS_SEED: u64 = 1;

/// A document of the sample corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleDocument {
    /// One to six sentences.
    pub text: String,
    /// Whether the document may only be used for validation.
    pub held_out: bool,
}

/// A question about a held-out country whose answer no training document spells out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The sentence with `[MASK]` in the place of the answer.
    pub text: String,
    /// The word under the mask.
    pub answer: String,
    /// The country asked about.
    pub country: String,
    /// Its capital.
    pub capital: String,
}

/// The held-out countries: France and those of the lowest hashes, a tenth in all.
///
/// Only countries that training can tell the capital of take part: the government must sit there
/// (the corpus says so in other words), and the name must not be part of another country's name.
pub fn held_out_countries() -> Vec<Country> {
    let all: Vec<Country> = countries().collect();
    let mut candidates: Vec<Country> = all
        .iter()
        .filter(|country| country.government_in_capital)
        .filter(|country| {
            !all.iter()
                .any(|other| other.name != country.name && contains_words(other.name, country.name))
        })
        .copied()
        .collect();
    candidates.sort_by_key(|country| {
        (country.name != "france", *blake3::hash(country.name.as_bytes()).as_bytes())
    });
    candidates.truncate(all.len().div_ceil(HELD_OUT_ONE_IN));
    candidates
}

/// One question for each held-out country: `{capital} is the [MASK] of {country}.`
pub fn probes() -> Vec<Probe> {
    held_out_countries()
        .into_iter()
        .map(|Country { name, capital, .. }| Probe {
            text: format!("{capital} is the [MASK] of {name}."),
            answer: "capital".to_owned(),
            country: name.to_owned(),
            capital: capital.to_owned(),
        })
        .collect()
}

/// The whole corpus, in the one order it always has.
pub fn documents() -> Vec<SampleDocument> {
    let held_out = held_out_countries();
    let mut documents = Vec::new();
    for (index, country) in countries().enumerate() {
        let mut random = generator(CORPUS_SEED, Purpose::Sample, 0, index as u64);
        let is_held_out = held_out.contains(&country);
        for _ in 0..DOCUMENTS_PER_COUNTRY {
            let text = country_document(&country, !is_held_out, &mut random);
            documents.push(SampleDocument { text, held_out: false });
        }
        if is_held_out {
            for _ in 0..HELD_OUT_DOCUMENTS_PER_COUNTRY {
                let text = grammar::capital_fact(&country).wording(&mut random).to_owned();
                documents.push(SampleDocument { text, held_out: true });
            }
        }
    }
    for index in 0..EVERYDAY_DOCUMENTS {
        let mut random = generator(CORPUS_SEED, Purpose::Sample, 1, index);
        let count = 1 + below(&mut random, 6) as usize;
        let text = grammar::everyday_sentences(count, &mut random).join(" ");
        documents.push(SampleDocument { text, held_out: false });
    }
    shuffle(&mut documents, &mut generator(CORPUS_SEED, Purpose::Sample, 2, 0));
    documents
}

/// One to six different facts about a country, each in one of its wordings, in any order.
fn country_document(country: &Country, with_capital: bool, random: &mut ChaCha8Rng) -> String {
    let mut facts = grammar::country_facts(country);
    if with_capital {
        facts.push(grammar::capital_fact(country));
    }
    shuffle(&mut facts, random);
    let count = 1 + below(random, facts.len().min(6) as u32) as usize;
    let sentences: Vec<&str> = facts[..count].iter().map(|fact| fact.wording(random)).collect();
    sentences.join(" ")
}

/// Whether `phrase` occurs in `text` as whole words.
fn contains_words(text: &str, phrase: &str) -> bool {
    let words: Vec<&str> = words(text).collect();
    let phrase: Vec<&str> = self::words(phrase).collect();
    words.windows(phrase.len()).any(|window| window == phrase)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn a_tenth_of_the_countries_is_held_out_and_france_is_one() {
        let held_out = held_out_countries();
        assert_eq!(held_out.len(), countries().count().div_ceil(10));
        assert_eq!(held_out[0].name, "france");
    }

    #[test]
    fn no_training_document_tells_a_held_out_capital() {
        let held_out = held_out_countries();
        let mut tested = 0;
        for document in documents().iter().filter(|document| !document.held_out) {
            if contains_words(&document.text, "capital") {
                for country in &held_out {
                    assert!(!contains_words(&document.text, country.name), "{}", document.text);
                    assert!(!contains_words(&document.text, country.capital), "{}", document.text);
                }
                tested += 1;
            }
        }
        assert!(tested > 1_000, "the check must have something to check: {tested}");
    }

    #[test]
    fn held_out_documents_are_what_the_probes_ask() {
        let documents = documents();
        let held_out: HashSet<&str> = documents
            .iter()
            .filter(|document| document.held_out)
            .map(|document| document.text.as_str())
            .collect();
        let asked = probes()
            .iter()
            .filter(|probe| held_out.contains(probe.text.replace("[MASK]", &probe.answer).as_str()))
            .count();
        assert!(asked * 10 >= probes().len() * 8, "{asked}");
        assert!(held_out.iter().all(|text| contains_words(text, "capital")));
    }

    #[test]
    fn training_names_each_held_out_capital_often_enough() {
        let documents = documents();
        for country in held_out_countries() {
            let count = |phrase: &str| {
                documents
                    .iter()
                    .filter(|document| !document.held_out && contains_words(&document.text, phrase))
                    .count()
            };
            assert!(count(country.capital) > 15, "{country:?}");
            assert!(count(&format!("government of {}", country.name)) > 3, "{country:?}");
        }
    }

    #[test]
    fn the_frame_has_many_answers() {
        let mut answers: HashMap<String, usize> = HashMap::new();
        for document in documents() {
            let words: Vec<&str> = words(&document.text).collect();
            for window in words.windows(4) {
                if window[0] == "is" && window[1] == "the" && window[3] == "of" {
                    *answers.entry(window[2].to_owned()).or_default() += 1;
                }
            }
        }
        let total: usize = answers.values().sum();
        assert!(answers.len() >= 10, "{answers:?}");
        assert!(answers["capital"] * 2 < total, "{answers:?}");
    }

    #[test]
    fn the_corpus_is_small_and_always_the_same() {
        let documents = documents();
        let bytes: usize = documents.iter().map(|document| document.text.len()).sum();
        assert!((1_000_000..2_500_000).contains(&bytes), "{bytes}");
        assert_eq!(documents, super::documents());
        let vocabulary: HashSet<&str> =
            documents.iter().flat_map(|document| words(&document.text)).collect();
        assert!(vocabulary.len() < 4_000, "{}", vocabulary.len());
    }
}
