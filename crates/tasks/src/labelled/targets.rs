//! What a label may be: one of some classes, a number, or several of them.

use std::ops::RangeInclusive;

use nystromformer_data::DataError;

use super::ClassNames;
use super::class_names::tell_blanks;
use crate::example::Label;
use crate::qa::AnswerSearch;
use nystromformer_files::say_once;
use nystromformer_files::table::{Cell, Row};

/// What the labels of a task are.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// Classes, given by name or, where no name is itself a whole number, by number from 0. No label: null, an empty
    /// field, or −1 as Hugging Face writes it.
    Classes(ClassNames),
    /// Numbers, for regression. No label: null or an empty field.
    Numbers {
        /// Where they lie. Outside of it, −1 is no label and anything else an error.
        range: RangeInclusive<f32>,
    },
    /// Any number of classes an example.
    Labels(ClassNames),
    /// Several numbers an example, each of a name.
    Columns(Vec<String>),
    /// A class for each word.
    Tags(ClassNames),
    /// One of the choices that an example has.
    Choices,
    /// A part of a context, and how it is looked for.
    Answers(AnswerSearch),
}

/// What to do with a text that looks like a list and is none.
pub(super) const IF_A_CLASS: &str =
    "if it is the name of a class, list the classes in `task.labels`";

/// The name of the one output of a regression.
const VALUE: &str = "value";

impl Targets {
    /// Classes of these names.
    ///
    /// # Errors
    ///
    /// As [`ClassNames::new`].
    pub fn classes(names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, DataError> {
        Ok(Self::Classes(ClassNames::new(names)?))
    }

    /// Any numbers.
    pub fn numbers() -> Self {
        Self::Numbers { range: f32::MIN..=f32::MAX }
    }

    /// Whether numbers are to be predicted, and no classes.
    pub fn is_regression(&self) -> bool {
        matches!(self, Self::Numbers { .. } | Self::Columns(_))
    }

    /// The classes that an example, or a word of it, may have; `None` where there are none to name.
    pub fn class_names(&self) -> Option<&ClassNames> {
        match self {
            Self::Classes(names) | Self::Labels(names) | Self::Tags(names) => Some(names),
            Self::Numbers { .. } | Self::Columns(_) | Self::Choices | Self::Answers(_) => None,
        }
    }

    /// Names of the model's outputs: the classes, or the numbers; none of choices and answers, which have no names.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Classes(names) | Self::Labels(names) | Self::Tags(names) => {
                names.names().to_vec()
            }
            Self::Numbers { .. } => vec![VALUE.to_owned()],
            Self::Columns(names) => names.clone(),
            Self::Choices | Self::Answers(_) => Vec::new(),
        }
    }

    /// A label in words: the name of its class, the number, or the place of a choice. `None` if it is of another kind, no such
    /// class, or has several parts.
    pub fn spell(&self, label: &Label) -> Option<String> {
        match (self, label) {
            (Self::Classes(names), Label::Class(class)) => {
                names.names().get(usize::from(*class)).cloned()
            }
            (Self::Numbers { .. }, Label::Value(value)) => Some(value.to_string()),
            (Self::Choices, Label::Class(choice)) => Some(choice.to_string()),
            _ => None,
        }
    }

    /// Whether there are classes of all these names.
    pub(super) fn has_classes(&self, names: &[String]) -> bool {
        let classes = self.class_names();
        classes.is_some_and(|classes| names.iter().all(|name| classes.names().contains(name)))
    }

    /// Says it, if the label of a row means a class by its place, where nobody has stated an order of the classes; whether it did.
    pub(crate) fn tell_places(&self, row: &Row, wanted: usize) -> bool {
        let (Self::Classes(names) | Self::Labels(names)) = self else { return false };
        let is_place = names.is_place(row.cell(wanted));
        if is_place {
            const SHOWN: usize = 12;
            let places = names.names().iter().enumerate().take(SHOWN);
            let mut places: Vec<String> =
                places.map(|(place, name)| format!("`{place}` is `{name}`")).collect();
            if names.names().len() > SHOWN {
                places.push("…".to_owned());
            }
            say_once(format!(
                "`{}`: {} holds numbers, which are read as the places of classes: {} (`task.labels` states another order)",
                row.file().display(),
                row.column(wanted),
                places.join(", ")
            ));
        }
        is_place
    }

    /// Reads the label of a row, `None` if it has none.
    ///
    /// # Errors
    ///
    /// [`DataError::Line`] for anything that is not a label of the task.
    pub fn read(&self, row: &Row, wanted: usize) -> Result<Option<Label>, DataError> {
        tell_blanks(row, wanted);
        let label = match self {
            Self::Classes(names) => names.class(row.cell(wanted)),
            Self::Numbers { range } => number(row.cell(wanted), range),
            Self::Labels(_)
            | Self::Columns(_)
            | Self::Tags(_)
            | Self::Choices
            | Self::Answers(_) => {
                return Err(row.problem("its label is not in one column".to_owned()).into());
            }
        };
        label.map_err(|problem| {
            let otherwise = matches!(self, Self::Classes(_)).then_some(IF_A_CLASS);
            let unread = || {
                row.problem(format!(
                    "{problem} (column {}); correct the row or drop it",
                    row.column(wanted)
                ))
            };
            row.refuse_written_list(wanted, otherwise).err().unwrap_or_else(unread).into()
        })
    }
}

pub(super) fn number(cell: &Cell, range: &RangeInclusive<f32>) -> Result<Option<Label>, String> {
    let value = match cell {
        Cell::Null => return Ok(None),
        Cell::Text(text) if text.trim().is_empty() => return Ok(None),
        Cell::Text(text) => {
            text.trim().parse().map_err(|_| format!("the label `{text}` is not a number"))?
        }
        Cell::List(_) => return Err("the label is a list, and no number".to_owned()),
        Cell::Boolean(flag) => f64::from(u8::from(*flag)),
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

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn numbers_keep_to_their_range() {
        let range = 0.0..=5.0;
        assert_eq!(number(&text("4.750"), &range), Ok(Some(Label::Value(4.75))));
        assert_eq!(number(&Cell::Integer(5), &range), Ok(Some(Label::Value(5.0))));
        assert_eq!(number(&Cell::Number(-1.0), &range), Ok(None));
        assert_eq!(number(&text(""), &range), Ok(None));
        assert_eq!(number(&text(" "), &range), Ok(None));
        assert_eq!(number(&text(" 4.5 "), &range), Ok(Some(Label::Value(4.5))));
        for bad in ["5.1", "-0.5", "NaN", "inf", "five"] {
            assert!(number(&text(bad), &range).is_err(), "{bad}");
        }
        let any = f32::MIN..=f32::MAX;
        assert_eq!(number(&text("-1"), &any), Ok(Some(Label::Value(-1.0))));
        assert!(number(&text("inf"), &any).is_err());
    }
}
