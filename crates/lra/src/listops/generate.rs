//! Random expressions by the rules of the Long Range Arena.
//!
//! A node is an operator with probability 0.25 and a digit otherwise, always a digit at depth 10. An operator takes 2 to
//! 10 arguments, and is any of the four; a digit is any of the ten. An expression is kept if it is new and has more than
//! 500 and fewer than 2000 tokens, counting operators, `]` and digits.
//!
//! Only one tree in twelve is kept, three quarters of the others being a single digit. A tree is given up as soon as it
//! must become too long, which changes nothing in what is kept. Each tree draws from a stream of its own, so the
//! expressions are a function of the seed.

use std::collections::HashSet;

use nystromformer_tasks::{DataError, random};

use super::evaluate::evaluate;
use super::symbol::{Operator, Symbol};

/// Trees in a row that may be given up before the limits are said to allow no more expressions.
const PATIENCE: u64 = 500_000;

/// The shape of random expressions. The default is the Long Range Arena's.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct GeneratorConfig {
    /// Depth at which every node is a digit; the root is at 1. Default 10.
    pub max_depth: u32,
    /// Most arguments of an operator; the fewest are 2. Default 10.
    pub max_arguments: u32,
    /// Chance that a node above `max_depth` is an operator. Default 0.25.
    pub operator_probability: f64,
    /// An expression has more tokens than this. Default 500.
    pub above_length: usize,
    /// An expression has fewer tokens than this. Default 2000.
    pub below_length: usize,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            max_depth: 10,
            max_arguments: 10,
            operator_probability: 0.25,
            above_length: 500,
            below_length: 2000,
        }
    }
}

impl GeneratorConfig {
    fn validate(&self) -> Result<(), DataError> {
        if self.max_depth < 2 {
            return Err(DataError::config("max_depth", self.max_depth, "must be at least 2"));
        }
        if self.max_arguments < 2 {
            return Err(DataError::config(
                "max_arguments",
                self.max_arguments,
                "must be at least 2",
            ));
        }
        if !(self.operator_probability > 0.0 && self.operator_probability <= 1.0) {
            return Err(DataError::config(
                "operator_probability",
                self.operator_probability,
                "must be above 0 and at most 1",
            ));
        }
        if self.below_length < self.above_length.saturating_add(2) {
            return Err(DataError::config(
                "below_length",
                self.below_length,
                format!("no length is above {} and below this", self.above_length),
            ));
        }
        Ok(())
    }

    /// Draws a tree; `None` if its length is out of bounds.
    fn draw(&self, seed: u64, number: u64) -> Option<Vec<Symbol>> {
        let random = &mut random::stream(seed, "listops expression", number);
        let mut tokens = Vec::new();
        // Arguments that each open list still lacks.
        let mut lacking: Vec<u32> = Vec::new();
        loop {
            let deepest = lacking.len() as u32 + 1 >= self.max_depth;
            if !deepest && random::unit(random) < self.operator_probability {
                let operator = Operator::ALL[random::below(random, 4) as usize];
                tokens.push(Symbol::Operator(operator));
                lacking.push(2 + random::below(random, self.max_arguments - 1));
            } else {
                tokens.push(Symbol::Digit(random::below(random, 10) as u8));
                while let Some(arguments) = lacking.last_mut() {
                    *arguments -= 1;
                    if *arguments > 0 {
                        break;
                    }
                    lacking.pop();
                    tokens.push(Symbol::End);
                }
            }
            if lacking.is_empty() {
                return (tokens.len() > self.above_length && tokens.len() < self.below_length)
                    .then_some(tokens);
            }
            // The arguments that are still to come (an inner list is one that its outer list lacks), and a `]` for
            // each list.
            let to_come = lacking.iter().map(|arguments| *arguments as usize).sum::<usize>() + 1;
            if tokens.len() + to_come >= self.below_length {
                return None;
            }
        }
    }
}

/// An expression and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// The expression, without parentheses.
    pub tokens: Vec<Symbol>,
    /// Its value, a digit.
    pub value: u8,
}

/// Distinct random expressions, without end.
#[derive(Debug)]
pub struct Expressions {
    config: GeneratorConfig,
    seed: u64,
    drawn: u64,
    /// Digests of what was given: a digest is a thirtieth of an expression, and two that are equal by chance are not
    /// to be expected before 2^128 of them.
    given: HashSet<[u8; 32]>,
}

/// Distinct random expressions, a function of the seed.
///
/// # Errors
///
/// [`DataError::Config`] for a config that no expression can meet.
pub fn expressions(config: GeneratorConfig, seed: u64) -> Result<Expressions, DataError> {
    config.validate()?;
    Ok(Expressions { config, seed, drawn: 0, given: HashSet::new() })
}

impl Expressions {
    /// Trees drawn so far, kept or not.
    pub fn drawn(&self) -> u64 {
        self.drawn
    }

    /// Expressions given so far.
    pub fn given(&self) -> u64 {
        self.given.len() as u64
    }
}

impl Iterator for Expressions {
    type Item = Result<Expression, DataError>;

    /// The next expression; an error if the limits seem to allow no other.
    fn next(&mut self) -> Option<Self::Item> {
        for _ in 0..PATIENCE {
            let drawn = self.config.draw(self.seed, self.drawn);
            self.drawn += 1;
            if let Some(tokens) = drawn
                && self.given.insert(digest(&tokens))
            {
                let value = evaluate(&tokens).expect("a drawn tree is a whole expression");
                return Some(Ok(Expression { tokens, value }));
            }
        }
        Some(Err(DataError::config(
            "below_length",
            self.config.below_length,
            format!(
                "{PATIENCE} trees in a row were of another length or drawn before, after {} expressions; widen the \
                 limits of lengths or ask for fewer",
                self.given.len()
            ),
        )))
    }
}

fn digest(tokens: &[Symbol]) -> [u8; 32] {
    let ids: Vec<u8> = tokens.iter().map(|token| token.id() as u8).collect();
    *blake3::hash(&ids).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> GeneratorConfig {
        GeneratorConfig {
            max_depth: 4,
            max_arguments: 3,
            operator_probability: 0.5,
            above_length: 3,
            below_length: 30,
        }
    }

    #[test]
    fn expressions_keep_to_the_rules() {
        let config = GeneratorConfig::default();
        for expression in expressions(config, 3).unwrap().take(40) {
            let tokens = expression.unwrap().tokens;
            assert!((501..2000).contains(&tokens.len()));
            let mut lists: Vec<u32> = Vec::new();
            for token in &tokens {
                if *token == Symbol::End {
                    assert!((2..=10).contains(&lists.pop().unwrap()));
                    continue;
                }
                lists.last_mut().into_iter().for_each(|arguments| *arguments += 1);
                if matches!(token, Symbol::Operator(_)) {
                    lists.push(0);
                    assert!(lists.len() < 10);
                }
            }
        }
    }

    #[test]
    fn expressions_are_a_function_of_the_seed_and_distinct() {
        let take = |seed| -> Vec<Expression> {
            expressions(small(), seed).unwrap().take(200).map(Result::unwrap).collect()
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        let distinct: HashSet<Vec<Symbol>> =
            take(1).into_iter().map(|expression| expression.tokens).collect();
        assert_eq!(distinct.len(), 200);
    }

    #[test]
    fn giving_up_early_loses_no_expression() {
        // Whatever fits under a low limit is drawn alike under a high one, where it is not given up.
        let low = GeneratorConfig { below_length: 12, ..small() };
        let high = GeneratorConfig { below_length: 10_000, ..small() };
        for number in 0..2_000 {
            let whole = high.draw(5, number);
            assert_eq!(low.draw(5, number), whole.filter(|tokens| tokens.len() < 12));
        }
    }

    #[test]
    fn asking_for_more_than_there_are_ends_in_an_error() {
        // `[MIN a b ]` and its like: 400 expressions.
        let config = GeneratorConfig { max_depth: 2, max_arguments: 2, ..small() };
        let mut all = expressions(config, 0).unwrap();
        assert_eq!(all.by_ref().take_while(Result::is_ok).count(), 400);
        let message = all.next().unwrap().unwrap_err().to_string();
        assert!(message.contains("after 400 expressions"), "{message}");
    }

    #[test]
    fn a_config_that_cannot_be_met_names_its_key() {
        for (config, key) in [
            (GeneratorConfig { max_depth: 1, ..small() }, "max_depth"),
            (GeneratorConfig { max_arguments: 1, ..small() }, "max_arguments"),
            (GeneratorConfig { operator_probability: f64::NAN, ..small() }, "operator_prob"),
            (GeneratorConfig { above_length: 29, ..small() }, "below_length"),
        ] {
            let message = expressions(config, 0).unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
    }
}
