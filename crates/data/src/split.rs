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
