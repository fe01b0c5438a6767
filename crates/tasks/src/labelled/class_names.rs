//! The classes of a task: their names, and how a label names one.

use std::collections::BTreeSet;

use nystromformer_data::DataError;

use crate::example::Label;
use nystromformer_files::FileError;
use nystromformer_files::table::{Cell, Row, listed};

/// Different labels up to which a column is taken for one of classes, where nobody names them.
const MOST_COLLECTED: usize = 1_000;

/// What stands in the label column of test sets whose labels are kept back.
const NO_LABEL: &str = "-1";

/// The classes of a task: their names, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassNames(Vec<String>);

impl ClassNames {
    /// Gives classes 0, 1, … these names.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`] (`task.labels`) if there are none or more than 65,536, or two are the same.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, DataError> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let refused = |problem: &str| {
            let shown = listed(names.iter().map(String::as_str));
            Err(DataError::config("task.labels", shown, problem))
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

    /// Collects the labels that occur in a column, in sorted order: whole numbers by value, anything else as text. Empty
    /// cells and −1 are no label.
    ///
    /// # Errors
    ///
    /// The first error of `rows`, and [`DataError::Line`] at the 1,001st label.
    pub(super) fn collect(
        rows: impl IntoIterator<Item = Result<Row, FileError>>,
    ) -> Result<BTreeSet<String>, DataError> {
        let mut names = BTreeSet::new();
        for row in rows {
            let row = row?;
            row.refuse_list(0)?;
            let Some(text) = text(row.cell(0)).filter(|text| !is_no_label(text)) else {
                continue;
            };
            names.insert(text);
            if names.len() > MOST_COLLECTED {
                return Err(row.problem(format!(
                    "{} has more than `{MOST_COLLECTED}` different labels; name the classes, or train for regression",
                    row.column(0)
                ))
                .into());
            }
        }
        Ok(names)
    }

    /// Names in the order in which Hugging Face's scripts number them: by value if all are whole numbers, else as text.
    ///
    /// # Errors
    ///
    /// As [`ClassNames::new`].
    pub(super) fn sorted(names: BTreeSet<String>) -> Result<Self, DataError> {
        let mut names: Vec<String> = names.into_iter().collect();
        if names.iter().all(|name| name.parse::<i64>().is_ok()) {
            names.sort_by_key(|name| name.parse::<i64>().ok());
        }
        Self::new(names)
    }

    /// The class that a cell means; what is wrong if it means none.
    pub(super) fn class(&self, cell: &Cell) -> Result<Option<Label>, String> {
        let Some(text) = text(cell) else {
            return Ok(None);
        };
        if let Some(class) = self.0.iter().position(|name| *name == text) {
            return Ok(Some(Label::Class(class as u16)));
        }
        // Among names that are numbers themselves, a number that is no name is no class either.
        let numbered = self.0.iter().all(|name| name.parse::<i64>().is_err());
        match text.parse::<u16>() {
            Ok(class)
                if numbered && usize::from(class) < self.0.len() && class.to_string() == text =>
            {
                Ok(Some(Label::Class(class)))
            }
            _ if is_no_label(&text) => Ok(None),
            _ => {
                let numbers = if numbered {
                    format!(", nor a number from `0` to `{}`", self.0.len() - 1)
                } else {
                    String::new()
                };
                let names = listed(self.0.iter().map(String::as_str));
                Err(format!("the label `{text}` is none of {names}{numbers}"))
            }
        }
    }
}

/// A label as text; `None` for an empty cell.
fn text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Null => None,
        Cell::Text(text) => Some(text.clone()),
        Cell::Integer(number) => Some(number.to_string()),
        // 1.0 is written as 1: tables with missing labels keep whole numbers as these.
        Cell::Number(number) => Some(number.to_string()),
        // No class is called so: whoever reads labels is told that this is none.
        Cell::List(_) => Some("[…]".to_owned()),
    }
}

fn is_no_label(text: &str) -> bool {
    text.is_empty() || text == NO_LABEL
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
        for cell in [
            text("2"),
            text("+1"),
            text("Positive"),
            text("1.5"),
            Cell::Integer(-2),
            Cell::Number(0.5),
        ] {
            let problem = names.class(&cell).unwrap_err();
            assert!(problem.contains("`negative`, `positive`"), "{problem}");
        }
    }

    #[test]
    fn a_label_that_is_a_name_and_a_number_is_a_name() {
        let stars = names(&["1", "2", "0"]);
        assert_eq!(stars.class(&Cell::Integer(0)), Ok(Some(Label::Class(2))));
        assert_eq!(stars.class(&text("1")), Ok(Some(Label::Class(0))));
        assert!(stars.class(&Cell::Integer(3)).is_err());
        let gaps = names(&["0", "2"]);
        assert!(gaps.class(&Cell::Integer(1)).is_err());
        let signs = names(&["1", "-1"]);
        assert_eq!(signs.class(&Cell::Integer(-1)), Ok(Some(Label::Class(1))));
    }

    #[test]
    fn whole_numbers_are_sorted_by_value() {
        let sorted = |names: &[&str]| {
            ClassNames::sorted(names.iter().map(|name| (*name).to_owned()).collect()).unwrap().0
        };
        assert_eq!(sorted(&["10", "9", "0"]), ["0", "9", "10"]);
        assert_eq!(sorted(&["b", "10", "9"]), ["10", "9", "b"]);
    }

    #[test]
    fn class_names_are_distinct_and_not_none() {
        assert!(ClassNames::new(["a", "b", "a"]).unwrap_err().to_string().contains("one name"));
        assert!(ClassNames::new(Vec::<String>::new()).is_err());
    }
}
