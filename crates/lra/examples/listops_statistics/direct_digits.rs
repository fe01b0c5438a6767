//! A predictor that reads the digits of the outermost list, and nothing that is nested in it.
//!
//! How right it is when it may take digits only near the ends of an expression tells what the outermost digits alone are worth,
//! and counting brackets over that many symbols to find them.

use std::collections::BTreeMap;

use nystromformer_lra::listops::{NUM_LABELS, Symbol, evaluate};
use nystromformer_tasks::Truncation;

use crate::statistics::most_frequent;

/// What the predictor reads of an expression: the first operator, how many digits stand in its own list, and what it makes
/// of them (`None` of no digits).
type Reading = (u16, usize, Option<u8>);

/// How often each value goes with what the predictor reads.
#[derive(Debug, Clone)]
pub(super) struct DirectDigits {
    /// Where digits are taken.
    window: Truncation,
    values: BTreeMap<Reading, [u64; NUM_LABELS]>,
}

impl DirectDigits {
    /// Digits of the symbols that `window` keeps.
    pub(super) fn within(window: Truncation) -> Self {
        Self { window, values: BTreeMap::new() }
    }

    /// Counts an expression by its ids and value. Without an operator there is nothing to read.
    pub(super) fn add(&mut self, ids: &[u16], value: u16) {
        if let Some(reading) = read(ids, self.window) {
            self.values.entry(reading).or_insert([0; NUM_LABELS])[usize::from(value)] += 1;
        }
    }

    /// How often it is right on `test` if it knows of each reading the most frequent value in `self`; what never occurred
    /// there is answered wrongly.
    pub(super) fn right(&self, test: &Self) -> u64 {
        let known = |(reading, counts): (&Reading, &[u64; NUM_LABELS])| {
            self.values.get(reading).map_or(0, |train| counts[most_frequent(train)])
        };
        test.values.iter().map(known).sum()
    }
}

fn read(ids: &[u16], window: Truncation) -> Option<Reading> {
    let places = window.places(ids.len());
    let (root, rest) = ids.split_first()?;
    let operator @ Symbol::Operator(_) = Symbol::of_id(*root)? else {
        return None;
    };
    let mut list = vec![operator];
    let mut depth = 1;
    for (place, id) in (1..).zip(rest) {
        match Symbol::of_id(*id)? {
            Symbol::Operator(_) => depth += 1,
            Symbol::End => depth -= 1,
            digit @ Symbol::Digit(_)
                if depth == 1 && places.iter().any(|range| range.contains(&place)) =>
            {
                list.push(digit);
            }
            Symbol::Digit(_) => {}
        }
    }
    let digits = list.len() - 1;
    list.push(Symbol::End);
    Some((*root, digits, evaluate(&list).ok()))
}

#[cfg(test)]
mod tests {
    use nystromformer_lra::listops::{Operator, symbols};

    use super::*;

    const ALL: Truncation = Truncation::head(usize::MAX);

    fn ids(text: &str) -> Vec<u16> {
        symbols(text).unwrap().iter().map(|token| token.id()).collect()
    }

    #[test]
    fn nested_digits_are_not_read() {
        let max = Symbol::Operator(Operator::Max).id();
        let nested = ids("[MAX 1 [MIN 9 8 ] 3 ]");
        assert_eq!(read(&nested, ALL), Some((max, 2, Some(3))));
        assert_eq!(read(&nested, Truncation::head(5)), Some((max, 1, Some(1))));
        assert_eq!(read(&nested, Truncation::head_tail(2)), Some((max, 0, None)));
        assert_eq!(read(&nested, Truncation::head_tail(4)), Some((max, 2, Some(3))));
        assert_eq!(read(&ids("[MAX [MIN 9 8 ] ]"), ALL), Some((max, 0, None)));
        assert_eq!(read(&ids("7"), ALL), None);
    }

    #[test]
    fn it_answers_what_was_most_frequent_after_the_same_reading() {
        let counted = |window, examples: &[(&str, u16)]| {
            let mut counts = DirectDigits::within(window);
            for (text, value) in examples {
                counts.add(&ids(text), *value);
            }
            counts
        };
        let train = [("[MAX 1 [MIN 9 8 ] 3 ]", 8), ("[MAX 4 3 ]", 4), ("[MIN 2 [MAX 0 1 ] ]", 1)];
        let test = [("[MAX 3 [MIN 8 8 ] 0 ]", 8), ("[MAX 2 4 ]", 4), ("[MIN 1 ]", 1)];
        let right = |window| {
            let window = Truncation::head(window);
            counted(window, &train).right(&counted(window, &test))
        };
        assert_eq!(right(usize::MAX), 2);
        assert_eq!(right(2), 0);
        assert_eq!(right(1), 2);
    }
}
