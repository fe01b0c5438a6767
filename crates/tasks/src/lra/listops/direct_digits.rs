//! A predictor that reads the digits of the outermost list, and nothing that is nested in it.
//!
//! How right it is when it may read only the beginning of an expression tells what the outermost digits alone are worth, and
//! counting brackets over that many symbols to find them.

use std::collections::BTreeMap;

use super::NUM_LABELS;
use super::evaluate::evaluate;
use super::facts::most_frequent;
use super::token::Token;

/// What the predictor reads of an expression: the first operator, how many digits stand in its own list, and what it makes
/// of them (`None` of no digits).
type Reading = (u16, usize, Option<u8>);

/// How often each value goes with what the predictor reads.
#[derive(Debug, Clone)]
pub(super) struct DirectDigits {
    /// Symbols that are read.
    window: usize,
    values: BTreeMap<Reading, [u64; NUM_LABELS]>,
}

impl DirectDigits {
    /// Of the first `window` symbols.
    pub(super) fn within(window: usize) -> Self {
        Self { window, values: BTreeMap::new() }
    }

    /// Symbols that are read.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// Counts an expression by its ids and value. Without an operator there is nothing to read.
    pub(super) fn add(&mut self, ids: &[u16], value: u16) {
        if let Some(reading) = read(&ids[..ids.len().min(self.window)]) {
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

fn read(ids: &[u16]) -> Option<Reading> {
    let (root, rest) = ids.split_first()?;
    let operator @ Token::Operator(_) = Token::of_id(*root)? else {
        return None;
    };
    let mut list = vec![operator];
    let mut depth = 1;
    for token in rest.iter().filter_map(|id| Token::of_id(*id)) {
        match token {
            Token::Operator(_) => depth += 1,
            Token::End => depth -= 1,
            Token::Digit(_) if depth == 1 => list.push(token),
            Token::Digit(_) => {}
        }
    }
    let digits = list.len() - 1;
    list.push(Token::End);
    Some((*root, digits, evaluate(&list).ok()))
}

#[cfg(test)]
mod tests {
    use super::super::token::{Operator, tokens};
    use super::*;

    fn ids(text: &str) -> Vec<u16> {
        tokens(text).unwrap().iter().map(|token| token.id()).collect()
    }

    #[test]
    fn nested_digits_are_not_read() {
        let max = Token::Operator(Operator::Max).id();
        assert_eq!(read(&ids("[MAX 1 [MIN 9 8 ] 3 ]")), Some((max, 2, Some(3))));
        assert_eq!(read(&ids("[MAX 1 [MIN 9 8 ] 3 ]")[..5]), Some((max, 1, Some(1))));
        assert_eq!(read(&ids("[MAX [MIN 9 8 ] ]")), Some((max, 0, None)));
        assert_eq!(read(&ids("7")), None);
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
        let right = |window| counted(window, &train).right(&counted(window, &test));
        assert_eq!(right(usize::MAX), 2);
        assert_eq!(right(2), 0);
        assert_eq!(right(1), 2);
    }
}
