//! The 15 symbols of ListOps, as text and as ids.
//!
//! Files also hold parentheses, which spell the expression as a binary tree. They say nothing that `]` does not, and
//! the Long Range Arena drops them before a model sees them; so do we.

use std::fmt::{self, Display};

/// What a list of digits is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `[MIN`: the smallest.
    Min,
    /// `[MAX`: the largest.
    Max,
    /// `[MED`: the median; of an even number, the mean of the middle two, rounded down.
    Median,
    /// `[SM`: the sum, modulo 10.
    SumModulo,
}

impl Operator {
    /// All of them, in the order of their ids.
    pub const ALL: [Self; 4] = [Self::Min, Self::Max, Self::Median, Self::SumModulo];

    fn text(self) -> &'static str {
        match self {
            Self::Min => "[MIN",
            Self::Max => "[MAX",
            Self::Median => "[MED",
            Self::SumModulo => "[SM",
        }
    }
}

/// A symbol of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Symbol {
    /// `[MIN` …: begins a list.
    Operator(Operator),
    /// `]`: ends the list begun last.
    End,
    /// A digit, 0 to 9.
    Digit(u8),
}

impl Symbol {
    /// The id that a model reads, from 1; 0 is padding. The Arena's own ids change from run to run, so there are none
    /// to agree with.
    pub fn id(self) -> u16 {
        match self {
            Self::Operator(operator) => 1 + operator as u16,
            Self::End => 5,
            Self::Digit(digit) => 6 + u16::from(digit),
        }
    }

    /// The symbol of an [id](Self::id); `None` for the padding and for what is no id.
    pub fn of_id(id: u16) -> Option<Self> {
        match id {
            1..=4 => Some(Self::Operator(Operator::ALL[usize::from(id) - 1])),
            5 => Some(Self::End),
            6..=15 => Some(Self::Digit((id - 6) as u8)),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            b"]" => Some(Self::End),
            [digit @ b'0'..=b'9'] => Some(Self::Digit(digit - b'0')),
            _ => Operator::ALL
                .into_iter()
                .find(|operator| operator.text() == text)
                .map(Self::Operator),
        }
    }
}

impl Display for Symbol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(operator) => formatter.write_str(operator.text()),
            Self::End => formatter.write_str("]"),
            Self::Digit(digit) => write!(formatter, "{digit}"),
        }
    }
}

/// A word of an expression that is none of the symbols.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no symbol of ListOps; they are `[MIN`, `[MAX`, `[MED`, `[SM`, `]`, `0` to `9` and parentheses, with \
     blanks between them"
)]
pub struct UnknownSymbol(String);

/// The symbols of a text, without its parentheses.
///
/// # Errors
///
/// [`UnknownSymbol`], cut to its first characters.
pub fn symbols(text: &str) -> Result<Vec<Symbol>, UnknownSymbol> {
    text.split_ascii_whitespace()
        .filter(|word| !matches!(*word, "(" | ")"))
        .map(|word| {
            Symbol::parse(word).ok_or_else(|| UnknownSymbol(word.chars().take(20).collect()))
        })
        .collect()
}

/// The text of a well-formed expression as the Long Range Arena writes it: a list is a binary tree that grows to the
/// left, `( ( ( [SM 1 ) 2 ) ] )`.
pub fn with_parentheses(tokens: &[Symbol]) -> String {
    let mut lists: Vec<usize> = Vec::new();
    let mut arguments = vec![0usize; tokens.len()];
    for (place, token) in tokens.iter().enumerate() {
        if *token == Symbol::End {
            lists.pop();
        } else if let Some(list) = lists.last() {
            arguments[*list] += 1;
        }
        if matches!(token, Symbol::Operator(_)) {
            lists.push(place);
        }
    }
    let mut text = String::with_capacity(tokens.len() * 7);
    let mut depth = 0usize;
    for (token, arguments) in tokens.iter().zip(arguments) {
        match token {
            Symbol::Operator(operator) => {
                // One pair of parentheses for each argument, and one for `]`.
                (0..=arguments).for_each(|_| text.push_str("( "));
                text.push_str(operator.text());
                depth += 1;
            }
            Symbol::End => {
                text.push_str("] )");
                depth = depth.saturating_sub(1);
            }
            Symbol::Digit(digit) => text.push(char::from(b'0' + digit)),
        }
        text.push(' ');
        if depth > 0 && !matches!(token, Symbol::Operator(_)) {
            text.push_str(") ");
        }
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_has_an_id_of_its_own_and_is_read_back() {
        let all = "[MIN [MAX [MED [SM ] 0 1 2 3 4 5 6 7 8 9";
        let parsed = symbols(all).unwrap();
        let ids: Vec<u16> = parsed.iter().map(|token| token.id()).collect();
        assert_eq!(ids, (1..16).collect::<Vec<u16>>());
        assert!(ids.iter().zip(&parsed).all(|(id, token)| Symbol::of_id(*id) == Some(*token)));
        assert_eq!([0, 16].map(Symbol::of_id), [None, None]);
        let written: Vec<String> = parsed.iter().map(Symbol::to_string).collect();
        assert_eq!(written.join(" "), all);
    }

    #[test]
    fn parentheses_are_dropped_and_written_as_the_arena_writes_them() {
        for text in [
            "( ( ( ( ( [SM 6 ) 5 ) 9 ) 0 ) ] )",
            "( ( ( ( [MAX ( ( ( [MED 0 ) 1 ) ] ) ) 9 ) ( ( ( [MIN 4 ) 2 ) ] ) ) ] )",
            "( ( [MAX ( ( [MED ( ( [SM 3 ) ] ) ) ] ) ) ] )",
            "7",
        ] {
            assert_eq!(with_parentheses(&symbols(text).unwrap()), text);
        }
    }

    #[test]
    fn a_word_that_is_no_symbol_is_named() {
        for word in ["[AVG", "10", "[MIN(", "\"]", "X", "٣"] {
            let message = symbols(&format!("( [MIN 1 {word} ] )")).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{word}` is no symbol")), "{message}");
        }
    }
}
