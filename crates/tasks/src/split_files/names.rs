//! What the name of a file says of its split.

use crate::split::Split;

/// A name of the validation split that scripts, predictions and scores have as often: nothing but a file or folder of this very name
/// is meant by it, and only where no other name tells the split.
pub(super) const LAST: &str = "evaluation";

/// What the names of a split's files hold, as a word among others.
pub(super) fn words_of(split: Split) -> Vec<&'static str> {
    split.file_stems().iter().copied().filter(|word| *word != LAST).collect()
}

/// Whether an extension is the name of a split: `eng.train`.
pub(crate) fn is_split_name(extension: &str) -> bool {
    Split::USUAL.into_iter().any(|split| words_of(split).contains(&extension))
}

/// The splits that a name speaks of, word by word: `eng.testa` of the validation split, `wnut17train.conll` of the training
/// split.
pub(super) fn splits_in(name: &str) -> Vec<Split> {
    Split::USUAL.into_iter().filter(|split| rank_of(name, *split).is_some()).collect()
}

/// The place of the first name of a split that stands in a file's name: the lower, the sooner such a file is meant.
pub(super) fn rank_of(name: &str, split: Split) -> Option<usize> {
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> =
        lower.split(|character: char| !character.is_ascii_alphabetic()).collect();
    words_of(split).into_iter().position(|word| words.contains(&word))
}

/// Whether a name before its first full stop is one of these.
pub(super) fn is_called(name: &str, stems: &[&str]) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    stems.iter().any(|known| stem.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_name_tell_its_split() {
        for (name, splits) in [
            ("eng.testa", &[Split::Validation][..]),
            ("wnut17train.conll", &[Split::Train]),
            ("train_dev.tsv", &[Split::Train, Split::Validation]),
            // What is called an evaluation may be anything.
            ("evaluation-test.conll", &[Split::Test]),
            ("evaluation_train.json", &[Split::Train]),
            ("evaluation_results.json", &[]),
            ("latest.jsonl", &[]),
        ] {
            assert_eq!(splits_in(name), splits, "{name}");
        }
        assert!(rank_of("dev-v1.json", Split::Validation) < rank_of("my.eval", Split::Validation));
    }
}
