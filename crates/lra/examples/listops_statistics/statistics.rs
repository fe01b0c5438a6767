//! What is known of a set of expressions without a model: labels, lengths, and what trivial predictors score.
//!
//! The values are far from uniform: `[MIN` and `[MAX` of many arguments are mostly 0 and 9. So the most frequent value
//! alone is right in more than a sixth of all cases, and the most frequent one given the first symbol in more than a
//! third. A model that scores no better has learnt no nesting. One that knows the digits of the outermost list, wherever they
//! stand, can be right in almost half.

use std::collections::BTreeMap;
use std::path::Path;

use nystromformer_lra::listops::{NUM_LABELS, Operator, Symbol, VOCAB_SIZE, evaluate, open};
use nystromformer_tasks::{DataError, Example, Input, Label, Truncation};

use crate::direct_digits::DirectDigits;

/// Where the digits of the outermost list are read: among the symbols that two convolutions of width 35 bring to the first one,
/// among a few hundred, at both ends, anywhere.
const WINDOWS: [Truncation; 5] = [
    Truncation::head(35),
    Truncation::head(256),
    Truncation::head_tail(70),
    Truncation::head_tail(256),
    Truncation::head(usize::MAX),
];

/// Counts over a set of expressions.
#[derive(Debug, Clone)]
pub(super) struct Statistics {
    /// How often each value stands under each first symbol, by its id.
    values: [[u64; NUM_LABELS]; VOCAB_SIZE],
    /// How many expressions have each length.
    lengths: BTreeMap<usize, u64>,
    direct_digits: [DirectDigits; WINDOWS.len()],
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            values: Default::default(),
            lengths: BTreeMap::new(),
            direct_digits: WINDOWS.map(DirectDigits::within),
        }
    }
}

impl Statistics {
    /// Counts an expression by its ids and value.
    fn add(&mut self, ids: &[u16], value: u16) {
        let root = ids.first().map_or(0, |id| usize::from(*id));
        self.values[root][usize::from(value)] += 1;
        *self.lengths.entry(ids.len()).or_default() += 1;
        for digits in &mut self.direct_digits {
            digits.add(ids, value);
        }
    }

    /// Counts expressions as they are generated or read.
    ///
    /// # Errors
    ///
    /// The reader's; [`DataError::Config`] for examples that are not of this task.
    pub(super) fn count(
        examples: impl IntoIterator<Item = Result<Example, DataError>>,
    ) -> Result<Self, DataError> {
        let mut statistics = Self::default();
        for example in examples {
            match example? {
                Example {
                    input: Input::Ids { first, .. },
                    label: Some(Label::Class(value)),
                    ..
                } if usize::from(value) < NUM_LABELS
                    && first.iter().all(|id| usize::from(*id) < VOCAB_SIZE) =>
                {
                    statistics.add(&first, value);
                }
                other => {
                    return Err(DataError::config(
                        "task",
                        format!("{:?}", other.label),
                        "not an example of ListOps",
                    ));
                }
            }
        }
        Ok(statistics)
    }

    /// The number of expressions.
    pub(super) fn examples(&self) -> u64 {
        self.lengths.values().sum()
    }

    /// How often each value stands.
    pub(super) fn labels(&self) -> [u64; NUM_LABELS] {
        std::array::from_fn(|value| self.values.iter().map(|counts| counts[value]).sum())
    }

    /// The set in numbers; `None` for an empty set.
    pub(super) fn summary(&self) -> Option<SetSummary> {
        let examples = self.examples();
        if examples == 0 {
            return None;
        }
        let share = |count: u64| count as f64 / examples as f64;
        let tokens: f64 =
            self.lengths.iter().map(|(length, count)| *length as f64 * *count as f64).sum();
        let root = |token: Symbol| share(self.values[usize::from(token.id())].iter().sum());
        Some(SetSummary {
            examples,
            label_shares: self.labels().map(share),
            root_shares: Operator::ALL
                .map(|operator| {
                    (Symbol::Operator(operator).to_string(), root(Symbol::Operator(operator)))
                })
                .into(),
            mean_length: tokens / examples as f64,
            median_length: usize::midpoint(
                self.ranked((examples - 1) / 2),
                self.ranked(examples / 2),
            ),
        })
    }

    /// The length at a place of the sorted lengths, from 0.
    fn ranked(&self, place: u64) -> usize {
        let mut up_to = 0;
        let found = self.lengths.iter().find(|(_, count)| {
            up_to += *count;
            up_to > place
        });
        *found.expect("the place lies in the set").0
    }
}

/// A set of expressions in numbers.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(super) struct SetSummary {
    /// How many.
    pub(super) examples: u64,
    /// Share of each value.
    pub(super) label_shares: [f64; NUM_LABELS],
    /// Share of each operator as the first symbol.
    pub(super) root_shares: BTreeMap<String, f64>,
    /// Mean number of tokens.
    pub(super) mean_length: f64,
    /// Median number of tokens; of an even number of expressions the mean of the middle two, rounded down.
    pub(super) median_length: usize,
}

/// Accuracy on `test` of always predicting the most frequent value of `train`; not a number if `test` is empty.
pub(super) fn constant_accuracy(train: &Statistics, test: &Statistics) -> f64 {
    test.labels()[most_frequent(&train.labels())] as f64 / test.examples() as f64
}

/// Accuracy on `test` of predicting, for each first symbol, the most frequent value under it in `train`; not a number if
/// `test` is empty.
pub(super) fn root_operator_accuracy(train: &Statistics, test: &Statistics) -> f64 {
    let right: u64 =
        train.values.iter().zip(&test.values).map(|(train, test)| test[most_frequent(train)]).sum();
    right as f64 / test.examples() as f64
}

/// Accuracy on `test` of predicting the value that was most frequent in `train` after the same first symbol with the same
/// result of the digits in its own list, as far as they stand among the symbols that are kept: `(kept, accuracy)`, the last for all
/// of them. Not a number if `test` is empty.
pub(super) fn direct_digits_accuracies(
    train: &Statistics,
    test: &Statistics,
) -> [(Truncation, f64); WINDOWS.len()] {
    std::array::from_fn(|index| {
        let (train, tested) = (&train.direct_digits[index], &test.direct_digits[index]);
        (WINDOWS[index], train.right(tested) as f64 / test.examples() as f64)
    })
}

/// The most frequent value; the smallest of several.
pub(super) fn most_frequent(counts: &[u64; NUM_LABELS]) -> usize {
    (0..NUM_LABELS).rev().max_by_key(|value| counts[*value]).expect("there are ten values")
}

/// The evaluator beside the values of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(super) struct Check {
    /// Expressions of the file.
    pub(super) examples: u64,
    /// Those to which the evaluator gives the file's value.
    pub(super) right: u64,
}

/// Evaluates every expression of a file, in either layout that [`open`] reads.
///
/// # Errors
///
/// [`DataError::Dataset`] for an example that is no expression, and those of [`open`].
pub(super) fn check(path: &Path) -> Result<Check, DataError> {
    let mut check = Check { examples: 0, right: 0 };
    for (number, example) in (1..).zip(open(path)?) {
        let Example { input: Input::Ids { first, .. }, label, .. } = example? else { continue };
        let tokens: Vec<Symbol> = first.into_iter().filter_map(Symbol::of_id).collect();
        let value = evaluate(&tokens)
            .map_err(|error| DataError::dataset(path, format!("expression `{number}`: {error}")))?;
        check.examples += 1;
        check.right += u64::from(label == Some(Label::Class(value.into())));
    }
    Ok(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(examples: &[(&str, u16)]) -> Statistics {
        let mut statistics = Statistics::default();
        for (text, value) in examples {
            let ids: Vec<u16> = nystromformer_lra::listops::symbols(text)
                .unwrap()
                .iter()
                .map(|token| token.id())
                .collect();
            statistics.add(&ids, *value);
        }
        statistics
    }

    #[test]
    fn predictors_are_fitted_on_the_one_set_and_scored_on_the_other() {
        let train =
            statistics(&[("[MIN 0 1 ]", 0), ("[MIN 0 2 ]", 0), ("[MAX 9 ]", 9), ("[SM 4 ]", 0)]);
        let test =
            statistics(&[("[MIN 0 5 ]", 0), ("[MAX 9 3 ]", 9), ("[MAX 3 ]", 3), ("[SM 9 ]", 9)]);
        assert_eq!(constant_accuracy(&train, &test), 0.25);
        assert_eq!(root_operator_accuracy(&train, &test), 0.5);
        assert_eq!(root_operator_accuracy(&train, &train), 1.0);
    }

    #[test]
    fn a_set_in_numbers() {
        let summary =
            statistics(&[("[MIN 0 1 ]", 0), ("[MAX 1 ]", 1), ("7", 7), ("[MIN 5 5 5 ]", 5)])
                .summary();
        let summary = summary.unwrap();
        assert_eq!(summary.examples, 4);
        assert_eq!(summary.label_shares, [0.25, 0.25, 0.0, 0.0, 0.0, 0.25, 0.0, 0.25, 0.0, 0.0]);
        assert_eq!(summary.root_shares["[MIN"], 0.5);
        assert_eq!((summary.mean_length, summary.median_length), (3.25, 3));
        assert_eq!(Statistics::default().summary(), None);
    }

    #[test]
    fn the_check_counts_what_is_right_and_names_what_is_no_expression() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("expressions.tsv");
        std::fs::write(&path, "1\t[MIN 1 2 ]\n1\t[MAX 1 2 ]\n").unwrap();
        assert_eq!(check(&path).unwrap(), Check { examples: 2, right: 1 });
        std::fs::write(&path, "1\t[MIN 1 2 ]\n1\t[MAX 1 2\n").unwrap();
        let message = check(&path).unwrap_err().to_string();
        assert!(message.contains("expression `2`: 1 lists are not ended"), "{message}");
    }
}
