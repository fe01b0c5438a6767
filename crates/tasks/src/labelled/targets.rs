//! What a label may be: one of some classes, or a number.

use std::ops::RangeInclusive;

use nystromformer_data::DataError;

use crate::example::Label;
use crate::table::{Cell, Row, listed};

/// The classes of a task: their names, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassNames(Vec<String>);

impl ClassNames {
    /// Gives classes 0, 1, … these names.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`] (`data.label_names`) if there are none or more than 65,536, or two are the same.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, DataError> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let refused = |problem: &str| {
            let shown = listed(names.iter().map(String::as_str));
            Err(DataError::config("data.label_names", shown, problem))
        };
        if names.is_empty() {
            return refused("there must be at least one class");
        }
        if names.len() > usize::from(u16::MAX) + 1 {
            return refused("a task has at most 65536 classes");
        }
        let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return refused("two classes have one name; name each once");
        }
        Ok(Self(names))
    }

    /// The names, in the order of their numbers.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The class that a cell means.
    fn class(&self, cell: &Cell) -> Result<Option<Label>, String> {
        let text = match cell {
            Cell::Null => return Ok(None),
            Cell::Text(text) => text.clone(),
            Cell::Integer(number) => number.to_string(),
            Cell::Number(number) => number.to_string(),
        };
        if let Some(class) = self.0.iter().position(|name| *name == text) {
            return Ok(Some(Label::Class(class as u16)));
        }
        match text.parse::<usize>() {
            Ok(class) if class < self.0.len() => Ok(Some(Label::Class(class as u16))),
            _ if text.is_empty() || text == NO_LABEL => Ok(None),
            _ => Err(format!(
                "the label `{text}` is none of {}, nor the number of one, `0` to `{}`",
                listed(self.0.iter().map(String::as_str)),
                self.0.len() - 1
            )),
        }
    }
}

/// What stands in the label column of test sets whose labels are kept back.
const NO_LABEL: &str = "-1";

/// What the labels of a task are.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// Classes, given by name or by number from 0; a label that is both is a name. No label: null, an empty field, or −1
    /// as Hugging Face writes it.
    Classes(ClassNames),
    /// Numbers, for regression. No label: null or an empty field.
    Numbers {
        /// Where they lie. Outside of it, −1 is no label and anything else an error.
        range: RangeInclusive<f32>,
    },
}

impl Targets {
    /// Reads the label of a row, `None` if it has none.
    ///
    /// # Errors
    ///
    /// [`DataError::Line`] for anything that is not a label of the task.
    pub fn read(&self, row: &Row, wanted: usize) -> Result<Option<Label>, DataError> {
        let label = match self {
            Self::Classes(names) => names.class(row.cell(wanted)),
            Self::Numbers { range } => number(row.cell(wanted), range),
        };
        label.map_err(|problem| {
            row.problem(format!(
                "{problem} (column {}); correct the row or drop it",
                row.column(wanted)
            ))
        })
    }
}

fn number(cell: &Cell, range: &RangeInclusive<f32>) -> Result<Option<Label>, String> {
    let value = match cell {
        Cell::Null => return Ok(None),
        Cell::Text(text) if text.is_empty() => return Ok(None),
        Cell::Text(text) => {
            text.parse().map_err(|_| format!("the label `{text}` is not a number"))?
        }
        Cell::Integer(number) => *number as f64,
        Cell::Number(number) => *number,
    };
    let narrow = value as f32;
    if range.contains(&narrow) && narrow.is_finite() {
        return Ok(Some(Label::Value(narrow)));
    }
    if value == -1.0 {
        return Ok(None);
    }
    Err(format!("the label `{value}` is not in `{}` to `{}`", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> ClassNames {
        ClassNames::new(names.iter().copied()).unwrap()
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn a_class_is_given_by_name_or_number() {
        let names = names(&["negative", "positive"]);
        for cell in [text("positive"), text("1"), Cell::Integer(1), Cell::Number(1.0)] {
            assert_eq!(names.class(&cell), Ok(Some(Label::Class(1))), "{cell:?}");
        }
        for cell in [Cell::Null, text(""), text("-1"), Cell::Integer(-1)] {
            assert_eq!(names.class(&cell), Ok(None), "{cell:?}");
        }
        for cell in [text("2"), text("Positive"), text("1.5"), Cell::Integer(-2), Cell::Number(0.5)]
        {
            let problem = names.class(&cell).unwrap_err();
            assert!(problem.contains("`negative`, `positive`"), "{problem}");
        }
    }

    #[test]
    fn a_label_that_is_a_name_and_a_number_is_a_name() {
        let stars = names(&["1", "2", "0"]);
        assert_eq!(stars.class(&Cell::Integer(0)), Ok(Some(Label::Class(2))));
        assert_eq!(stars.class(&text("1")), Ok(Some(Label::Class(0))));
        let signs = names(&["1", "-1"]);
        assert_eq!(signs.class(&Cell::Integer(-1)), Ok(Some(Label::Class(1))));
    }

    #[test]
    fn numbers_keep_to_their_range() {
        let range = 0.0..=5.0;
        assert_eq!(number(&text("4.750"), &range), Ok(Some(Label::Value(4.75))));
        assert_eq!(number(&Cell::Integer(5), &range), Ok(Some(Label::Value(5.0))));
        assert_eq!(number(&Cell::Number(-1.0), &range), Ok(None));
        assert_eq!(number(&text(""), &range), Ok(None));
        for bad in ["5.1", "-0.5", "NaN", "inf", "five"] {
            assert!(number(&text(bad), &range).is_err(), "{bad}");
        }
        let any = f32::MIN..=f32::MAX;
        assert_eq!(number(&text("-1"), &any), Ok(Some(Label::Value(-1.0))));
        assert!(number(&text("inf"), &any).is_err());
    }

    #[test]
    fn class_names_are_distinct_and_not_none() {
        assert!(ClassNames::new(["a", "b", "a"]).unwrap_err().to_string().contains("one name"));
        assert!(ClassNames::new(Vec::<String>::new()).is_err());
    }
}
