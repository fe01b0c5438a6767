//! The classes of a task: their names, and how a label names one.

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{Cell, Row, listed};

use crate::example::Label;

/// What stands in the label column of test sets whose labels are kept back.
pub(super) const NO_LABEL: &str = "-1";

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
        let mut sorted: Vec<&str> = names.iter().map(|name| name.trim()).collect();
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

    /// The class that a cell means; what is wrong if it means none.
    pub(super) fn class(&self, cell: &Cell) -> Result<Option<Label>, String> {
        let Some(text) = text(cell) else {
            return Ok(None);
        };
        // Blanks of the cell are taken off already; a name that `task.labels` gives may have some too.
        let named = |text: &str| self.0.iter().position(|name| name.trim() == text);
        // Where classes are called otherwise, a Boolean is the number that Python takes it for.
        let (text, class) = match (cell, named(&text)) {
            (Cell::Boolean(flag), None) => {
                let number = u8::from(*flag).to_string();
                let class = named(&number);
                (number, class)
            }
            (_, None) => {
                let number = whole(text);
                let class = named(&number);
                (number, class)
            }
            (_, class) => (text, class),
        };
        if let Some(class) = class {
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

impl ClassNames {
    /// Whether a cell, or a part of a list, means a class by its place: by a number, where no class is called so.
    pub(super) fn is_place(&self, cell: &Cell) -> bool {
        if let Cell::List(cells) = cell {
            return cells.iter().any(|cell| self.is_place(cell));
        }
        let Some(text) = text(cell) else { return false };
        let is_name = |text: &str| self.0.iter().any(|name| name.trim() == text);
        let number = match cell {
            Cell::Boolean(flag) => u8::from(*flag).to_string(),
            _ => whole(text.clone()),
        };
        !is_name(&text) && !is_name(&number) && matches!(self.class(cell), Ok(Some(_)))
    }
}

/// Says that blanks around a label are taken off, once a file.
pub(super) fn tell_blanks(row: &Row, wanted: usize) {
    if let Cell::Text(text) = row.cell(wanted)
        && text.trim() != text
    {
        let file = row.file().display();
        say_once(format!("`{file}`: the blanks around its labels are taken off"));
    }
}

/// A label as text, without the blanks around it; `None` for an empty cell, and for the NaN that Parquet has in the place of one.
pub(super) fn text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Null => None,
        Cell::Number(number) if number.is_nan() => None,
        Cell::Text(text) => Some(text.trim().to_owned()),
        Cell::Integer(number) => Some(number.to_string()),
        Cell::Boolean(flag) => Some(flag.to_string()),
        // 1.0 is written as 1: tables with missing labels keep whole numbers as these.
        Cell::Number(number) => Some(number.to_string()),
        // No class is called so: whoever reads labels is told that this is none.
        Cell::List(_) => Some("[…]".to_owned()),
    }
}

/// A whole number as it is written without point and noughts: a table with missing labels has `1.0` for `1`.
pub(super) fn whole(text: String) -> String {
    match text.split_once('.') {
        Some((number, noughts))
            if !noughts.is_empty()
                && noughts.bytes().all(|digit| digit == b'0')
                && number.parse::<i64>().is_ok_and(|value| value.to_string() == number) =>
        {
            number.to_owned()
        }
        _ => text,
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
        for cell in [Cell::Null, Cell::Number(f64::NAN), text(""), text("-1"), Cell::Integer(-1)] {
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
    fn a_place_is_a_number_where_no_class_is_called_so() {
        let (words, numbers) = (names(&["neg", "pos"]), names(&["1", "0"]));
        let list = Cell::List(vec![text("neg"), Cell::Integer(1)]);
        for cell in [text("1"), Cell::Integer(0), Cell::Number(1.0), Cell::Boolean(true), list] {
            assert!(words.is_place(&cell), "{cell:?}");
            assert!(!numbers.is_place(&cell), "{cell:?}");
        }
        for cell in [text("neg"), text(""), Cell::Null, Cell::Integer(2), text("-1")] {
            assert!(!words.is_place(&cell), "{cell:?}");
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
    fn blanks_around_a_label_are_no_part_of_it() {
        let names = names(&["bad", "good"]);
        assert_eq!(names.class(&text(" good")), Ok(Some(Label::Class(1))));
        assert_eq!(names.class(&text(" ")), Ok(None));
        assert_eq!(names.class(&text(" 1 ")), Ok(Some(Label::Class(1))));
        let own = self::names(&[" bad", " good"]);
        assert_eq!(own.class(&text(" good")), Ok(Some(Label::Class(1))));
        assert!(ClassNames::new(["a", " a"]).unwrap_err().to_string().contains("one name"));
    }

    #[test]
    fn booleans_are_the_classes_false_and_true_or_numbers_where_classes_have_names() {
        let class = |names: &[&str], flag| self::names(names).class(&Cell::Boolean(flag)).unwrap();
        for names in [["false", "true"], ["0", "1"], ["no", "yes"]] {
            assert_eq!(class(&names, false), Some(Label::Class(0)), "{names:?}");
            assert_eq!(class(&names, true), Some(Label::Class(1)), "{names:?}");
        }
        assert_eq!(names(&["0", "1"]).class(&text("1.0")), Ok(Some(Label::Class(1))));
        assert_eq!(names(&["0.0", "1.0"]).class(&text("1.0")), Ok(Some(Label::Class(1))));
    }

    #[test]
    fn class_names_are_distinct_and_not_none() {
        assert!(ClassNames::new(["a", "b", "a"]).unwrap_err().to_string().contains("one name"));
        assert!(ClassNames::new(Vec::<String>::new()).is_err());
    }
}
