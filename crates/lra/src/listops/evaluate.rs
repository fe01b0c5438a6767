//! The value of an expression.
//!
//! It works on the tokens alone, with a stack of open lists, so neither the parentheses of a file nor the depth of an
//! expression matter, and nothing is shared with the generator but the symbols.

use super::symbol::{Operator, Symbol};

/// Why tokens are not an expression. Tokens are counted from 1, parentheses not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// There is no token.
    #[error("the expression is empty")]
    Empty,
    /// A `]` too many.
    #[error("the `]` at token {position} ends a list that was not begun")]
    EndWithoutList {
        /// Where it stands.
        position: usize,
    },
    /// A list that holds nothing.
    #[error("the list that ends at token {position} holds no digit and no list")]
    EmptyList {
        /// Where its `]` stands.
        position: usize,
    },
    /// A `]` is missing.
    #[error("{lists} lists are not ended by a `]`; is the expression cut off?")]
    ListWithoutEnd {
        /// How many.
        lists: usize,
    },
    /// More than one expression.
    #[error("token {position} comes after the end of the expression")]
    AfterEnd {
        /// Where the second expression begins.
        position: usize,
    },
}

/// An open list: its operator and how often it holds each digit, which is all that any operator asks.
struct List {
    operator: Operator,
    counts: [usize; 10],
}

/// The value of an expression, a digit.
///
/// # Errors
///
/// [`ExpressionError`] if the tokens are not one whole expression.
pub fn evaluate(tokens: &[Symbol]) -> Result<u8, ExpressionError> {
    let mut open: Vec<List> = Vec::new();
    let mut result = None;
    for (position, token) in (1..).zip(tokens) {
        if result.is_some() && !(open.is_empty() && *token == Symbol::End) {
            return Err(ExpressionError::AfterEnd { position });
        }
        let value = match *token {
            Symbol::Operator(operator) => {
                open.push(List { operator, counts: [0; 10] });
                continue;
            }
            Symbol::Digit(digit) => digit,
            Symbol::End => open
                .pop()
                .ok_or(ExpressionError::EndWithoutList { position })?
                .value()
                .ok_or(ExpressionError::EmptyList { position })?,
        };
        match open.last_mut() {
            Some(list) => list.counts[usize::from(value)] += 1,
            None => result = Some(value),
        }
    }
    if open.is_empty() {
        result.ok_or(ExpressionError::Empty)
    } else {
        Err(ExpressionError::ListWithoutEnd { lists: open.len() })
    }
}

impl List {
    /// The value of the list, if it holds anything.
    fn value(&self) -> Option<u8> {
        let length: usize = self.counts.iter().sum();
        if length == 0 {
            return None;
        }
        let value = match self.operator {
            Operator::Min => self.ranked(0),
            Operator::Max => self.ranked(length - 1),
            Operator::Median => {
                usize::midpoint(self.ranked((length - 1) / 2), self.ranked(length / 2))
            }
            Operator::SumModulo => {
                self.counts
                    .iter()
                    .enumerate()
                    .map(|(digit, count)| digit * (count % 10))
                    .sum::<usize>()
                    % 10
            }
        };
        Some(value as u8)
    }

    /// The digit at a place of the sorted list, from 0.
    fn ranked(&self, place: usize) -> usize {
        let mut up_to = 0;
        self.counts
            .iter()
            .position(|count| {
                up_to += count;
                up_to > place
            })
            .expect("the place lies in the list")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::symbol::symbols;
    use super::*;

    fn value(text: &str) -> Result<u8, ExpressionError> {
        evaluate(&symbols(text).unwrap())
    }

    #[test]
    fn each_operator_by_hand() {
        for (text, expected) in [
            ("4", 4),
            ("[MIN 3 1 2 ]", 1),
            ("[MAX 3 1 2 ]", 3),
            ("[MED 9 1 2 ]", 2),
            ("[MED 9 1 2 5 ]", 3),
            ("[MED 9 0 ]", 4),
            ("[SM 9 8 7 ]", 4),
            ("[SM 5 ]", 5),
            ("[MAX 4 3 [MIN 2 3 ] 1 0 [MED 1 5 8 9 2 ] ]", 5),
            ("( ( ( [SM 9 ) ( ( ( [MAX 7 ) 8 ) ] ) ) ] )", 7),
        ] {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_told_apart() {
        use ExpressionError::{AfterEnd, Empty, EmptyList, EndWithoutList, ListWithoutEnd};
        for (text, expected) in [
            ("", Empty),
            ("( )", Empty),
            ("]", EndWithoutList { position: 1 }),
            ("[MIN 1 ] ]", EndWithoutList { position: 4 }),
            ("[MIN 1 [MAX ] ]", EmptyList { position: 4 }),
            ("[MIN 1 [MAX 2 3 ]", ListWithoutEnd { lists: 1 }),
            ("[MIN", ListWithoutEnd { lists: 1 }),
            ("1 2", AfterEnd { position: 2 }),
            ("[MIN 1 ] [MAX 2 ]", AfterEnd { position: 4 }),
        ] {
            assert_eq!(value(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack_of_the_thread() {
        let depth = 1_000_000;
        let mut nested = vec![Symbol::Operator(Operator::SumModulo); depth];
        nested.push(Symbol::Digit(3));
        nested.extend(vec![Symbol::End; depth]);
        assert_eq!(evaluate(&nested), Ok(3));
    }

    proptest! {
        #[test]
        fn flat_lists_agree_with_a_sorted_list(mut digits in prop::collection::vec(0u8..10, 1..40)) {
            let list = |operator| {
                let arguments = digits.iter().copied().map(Symbol::Digit);
                let list: Vec<Symbol> = std::iter::once(Symbol::Operator(operator))
                    .chain(arguments)
                    .chain([Symbol::End])
                    .collect();
                evaluate(&list).unwrap()
            };
            let values = Operator::ALL.map(list);
            let sum: u32 = digits.iter().copied().map(u32::from).sum();
            digits.sort_unstable();
            let middle = digits.len() / 2;
            let median = if digits.len() % 2 == 1 {
                digits[middle]
            } else {
                u8::midpoint(digits[middle - 1], digits[middle])
            };
            let expected = [digits[0], digits[digits.len() - 1], median, (sum % 10) as u8];
            prop_assert_eq!(values, expected);
        }
    }
}
