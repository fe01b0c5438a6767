//! Which documents train and which validate.

use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

use crate::cache::Document;
use crate::random::{Purpose, generator};

/// The two parts of a corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorpusSplit {
    /// Documents to learn from.
    Train,
    /// Documents to measure on.
    Validation,
}

/// The split of each document, or `None` if there are fewer than two to split.
///
/// Each document gets a random number by its place in the corpus; those with the lowest are held
/// out: `fraction` of all, rounded, but at least one and at most all but one. Documents that the
/// sample corpus marks as held out are so in any case and do not count.
pub(crate) fn split_documents(
    documents: &[Document],
    fraction: f64,
    seed: u64,
) -> Option<Vec<CorpusSplit>> {
    let mut ranked: Vec<(u64, usize)> = documents
        .iter()
        .enumerate()
        .filter(|(_, document)| !document.held_out)
        .map(|(index, _)| (generator(seed, Purpose::Split, 0, index as u64).next_u64(), index))
        .collect();
    if ranked.len() < 2 {
        return None;
    }
    let wanted = (ranked.len() as f64 * fraction).round() as usize;
    let count = wanted.clamp(1, ranked.len() - 1);
    ranked.select_nth_unstable(count);
    let mut splits: Vec<CorpusSplit> = documents
        .iter()
        .map(
            |document| if document.held_out { CorpusSplit::Validation } else { CorpusSplit::Train },
        )
        .collect();
    for (_, index) in &ranked[..count] {
        splits[*index] = CorpusSplit::Validation;
    }
    Some(splits)
}

/// The share of the tokens that is held out, of documents whose split is drawn.
pub(crate) fn held_out_share(documents: &[Document], splits: &[CorpusSplit]) -> f64 {
    let drawn = documents.iter().zip(splits).filter(|(document, _)| !document.held_out);
    let (mut all, mut held_out) = (0, 0);
    for (document, split) in drawn {
        all += document.tokens;
        if *split == CorpusSplit::Validation {
            held_out += document.tokens;
        }
    }
    if all == 0 { 0.0 } else { held_out as f64 / all as f64 }
}

/// What is to be said where more is held out than `data.validation_fraction` asks for: documents are whole, and one is held out at
/// least. Where it is much more, `cure` says what helps.
pub(crate) fn more_than_asked(fraction: f64, share: f64, cure: &str) -> Option<String> {
    let percent = 100.0 * share;
    let is_much = share > 2.0 * fraction && share > 0.1;
    if fraction == 0.0 {
        let cure = if is_much { format!("; {cure}") } else { String::new() };
        return Some(format!(
            "`data.validation_fraction` = `0`: one document is held out all the same, `{percent:.1}` % of the text, for a run is \
             measured on it{cure}"
        ));
    }
    is_much.then(|| {
        format!(
            "`{percent:.1}` % of the text is held out for validation, where `data.validation_fraction` = `{fraction}` asks for \
             `{:.1}` %: documents are whole, and few or of different length; {cure}",
            100.0 * fraction
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn documents(count: usize) -> Vec<Document> {
        vec![Document { tokens: 5, held_out: false, continues: false }; count]
    }

    #[test]
    fn one_document_cannot_be_split() {
        assert_eq!(split_documents(&documents(1), 0.5, 0), None);
        assert_eq!(split_documents(&[], 0.5, 0), None);
    }

    #[test]
    fn marked_documents_are_always_held_out() {
        let mut documents = documents(20);
        documents[7].held_out = true;
        let splits = split_documents(&documents, 0.1, 3).unwrap();
        assert_eq!(splits[7], CorpusSplit::Validation);
        assert_eq!(splits.iter().filter(|split| **split == CorpusSplit::Validation).count(), 3);
    }

    #[test]
    fn a_corpus_of_few_documents_that_holds_out_far_more_than_asked_is_told() {
        let documents = [(78, false), (61, false), (1000, true)];
        let documents =
            documents.map(|(tokens, held_out)| Document { tokens, held_out, continues: false });
        let splits = split_documents(&documents, 0.01, 1).unwrap();
        let share = held_out_share(&documents, &splits);
        assert!([78.0 / 139.0, 61.0 / 139.0].contains(&share), "{share}");
        let told = more_than_asked(0.01, 78.0 / 139.0, "cut them").unwrap();
        for part in ["`56.1` %", "`data.validation_fraction` = `0.01`", "`1.0` %", "; cut them"] {
            assert!(told.contains(part), "{told}");
        }
        // With 0 it is said always, and something is to be cured where that is much.
        for (share, is_much) in [(0.001, false), (0.1, false), (0.2, true)] {
            let told = more_than_asked(0.0, share, "cut them").unwrap();
            let percent = format!("held out all the same, `{:.1}` %", 100.0 * share);
            assert!(told.contains(&percent), "{told}");
            assert_eq!(told.contains("; cut them"), is_much, "{told}");
        }
        for (fraction, share) in [(0.01, 0.01), (0.01, 0.09), (0.1, 0.19), (0.5, 0.6)] {
            assert_eq!(more_than_asked(fraction, share, ""), None);
        }
    }

    proptest! {
        #[test]
        fn both_sides_have_documents(count in 2usize..200, fraction in 0.0..0.999, seed: u64) {
            let splits = split_documents(&documents(count), fraction, seed).unwrap();
            let held_out = splits.iter().filter(|split| **split == CorpusSplit::Validation).count();
            prop_assert!(held_out >= 1 && held_out < count);
            prop_assert!((held_out as f64 - count as f64 * fraction).abs() <= 1.0);
            prop_assert_eq!(splits, split_documents(&documents(count), fraction, seed).unwrap());
        }
    }
}
