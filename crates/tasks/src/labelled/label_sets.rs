//! Labels of any number: a list, a text with separators, a column for each class, several numbers.

use std::ops::RangeInclusive;

use nystromformer_files::say_once;
use nystromformer_files::table::{Cell, Row};

use super::ClassNames;
use super::class_names::NO_LABEL;
use super::targets::number;
use crate::example::Label;

/// The labels in a cell, each as a cell of its own: of a list, of a text with separators, or one alone. `None` if the cell says
/// nothing: null, or −1 where no class is called so.
///
/// An empty list is an empty set, and so is an empty text where there is a separator: of a file that has no null, that is how a row
/// without a label is written.
pub(super) fn parts(cell: &Cell, separator: Option<&str>) -> Option<Vec<Cell>> {
    match (cell, separator) {
        (Cell::Null, _) => None,
        (Cell::List(parts), _) => Some(parts.clone()),
        (Cell::Text(text), Some(separator)) => {
            let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
            Some(parts.map(|part| Cell::Text(part.to_owned())).collect())
        }
        (Cell::Text(text), None) if text.trim().is_empty() => None,
        (one, _) => Some(vec![one.clone()]),
    }
}

/// The classes that a cell names, ascending; `None` if it says nothing.
pub(super) fn of_cell(
    row: &Row,
    wanted: usize,
    names: &ClassNames,
    separator: Option<&str>,
) -> Result<Option<Label>, String> {
    let Some(parts) = parts(row.cell(wanted), separator) else { return Ok(None) };
    if let [one] = parts.as_slice()
        && !matches!(row.cell(wanted), Cell::List(_))
        && names.class(one)?.is_none()
    {
        return Ok(None);
    }
    let mut classes = Vec::with_capacity(parts.len());
    for part in &parts {
        match names.class(part)? {
            Some(Label::Class(class)) => classes.push(class),
            _ => return Err("one of its labels is empty, or null".to_owned()),
        }
    }
    classes.sort_unstable();
    classes.dedup();
    if classes.len() < parts.len() {
        let file = row.file().display();
        say_once(format!("`{file}`: a label that stands twice in a row counts once"));
    }
    if parts.is_empty() && matches!(row.cell(wanted), Cell::Text(_)) {
        let file = row.file().display();
        say_once(format!(
            "`{file}`: rows whose {} is empty are rows to which no class applies",
            row.column(wanted)
        ));
    }
    Ok(Some(Label::Classes(classes)))
}

/// The classes that the columns from `first` on say to apply, one column for each class; `None` if none of them says anything.
pub(super) fn of_flags(row: &Row, first: usize) -> Result<Option<Label>, String> {
    let flags = all_or_none(row, first, flag)?;
    Ok(flags.map(|flags| {
        let classes = (0..).zip(flags).filter(|(_, applies)| *applies);
        Label::Classes(classes.map(|(class, _)| class).collect())
    }))
}

/// The numbers in the columns from `first` on; `None` if none of them holds one.
pub(super) fn of_numbers(row: &Row, first: usize) -> Result<Option<Label>, String> {
    const ANY: RangeInclusive<f32> = f32::MIN..=f32::MAX;
    let value = |cell: &Cell| {
        Ok(match number(cell, &ANY)? {
            Some(Label::Value(value)) => Some(value),
            _ => None,
        })
    };
    Ok(all_or_none(row, first, value)?.map(Label::Values))
}

/// What each column from `first` on says, if all say something; `None` if none does.
fn all_or_none<T>(
    row: &Row,
    first: usize,
    read: impl Fn(&Cell) -> Result<Option<T>, String>,
) -> Result<Option<Vec<T>>, String> {
    let mut found = Vec::with_capacity(row.width() - first);
    let mut missing = None;
    for place in first..row.width() {
        let read = read(row.cell(place))
            .map_err(|problem| format!("{problem} (column {})", row.column(place)))?;
        match read {
            Some(value) => found.push(value),
            None => missing = Some(place),
        }
    }
    match missing {
        None => Ok(Some(found)),
        Some(_) if found.is_empty() => Ok(None),
        Some(place) => {
            Err(format!("{} holds no label, and other columns of the row do", row.column(place)))
        }
    }
}

/// Whether a class applies: 1 or 0, true or false, yes or no. `None` for null, an empty field, or −1.
fn flag(cell: &Cell) -> Result<Option<bool>, String> {
    let text = match cell {
        Cell::Null => return Ok(None),
        Cell::Boolean(flag) => return Ok(Some(*flag)),
        Cell::Text(text) => text.trim().to_ascii_lowercase(),
        Cell::Integer(number) => number.to_string(),
        Cell::Number(number) => number.to_string(),
        Cell::List(_) => "[…]".to_owned(),
    };
    match text.as_str() {
        "" | NO_LABEL => Ok(None),
        "1" | "1.0" | "true" | "yes" => Ok(Some(true)),
        "0" | "0.0" | "false" | "no" => Ok(Some(false)),
        _ => Err(format!(
            "`{text}` does not say whether the class applies: expected `1` or `0`, `true` or `false`; to predict numbers \
             set `task.regression = true`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nystromformer_files::table::{Column, Table, TableOptions};

    use super::*;

    fn rows(name: &str, content: &str, columns: &[Column]) -> Vec<Row> {
        let folder = tempfile::tempdir().unwrap();
        let path: &Path = &folder.path().join(name);
        std::fs::write(path, content).unwrap();
        let table = Table::open(path, &TableOptions::default()).unwrap();
        table.select(columns).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn names() -> ClassNames {
        ClassNames::new(["fear", "joy", "rage"]).unwrap()
    }

    type Read = Result<Option<Label>, String>;

    fn classes(classes: &[u16]) -> Label {
        Label::Classes(classes.to_vec())
    }

    #[test]
    fn a_list_names_any_number_and_an_empty_one_is_not_null() {
        let content = "{\"l\": [\"rage\", \"fear\"]}\n{\"l\": []}\n{\"l\": null}\n{\"l\": [1, 1]}\n{\"l\": \"joy\"}\n\
                       {\"l\": [\"hope\"]}\n{\"l\": [null]}\n{\"l\": -1}\n";
        let read: Vec<Read> = rows("a.jsonl", content, &["l".into()])
            .iter()
            .map(|row| of_cell(row, 0, &names(), None))
            .collect();
        assert_eq!(read[0], Ok(Some(classes(&[0, 2]))));
        assert_eq!(read[1], Ok(Some(classes(&[]))));
        assert_eq!(read[2], Ok(None));
        assert_eq!(read[3], Ok(Some(classes(&[1]))));
        assert_eq!(read[4], Ok(Some(classes(&[1]))));
        assert!(read[5].as_ref().unwrap_err().contains("`hope` is none of `fear`"), "{read:?}");
        assert!(read[6].as_ref().unwrap_err().contains("empty, or null"), "{read:?}");
        assert_eq!(read[7], Ok(None));
    }

    #[test]
    fn a_text_is_split_by_its_separator() {
        let content = "l,t\n\"rage; fear;\",a\n,b\n0;2,c\njoy,d\n-1,e\n";
        let read: Vec<Read> = rows("a.csv", content, &["l".into()])
            .iter()
            .map(|row| of_cell(row, 0, &names(), Some(";")))
            .collect();
        let expected = [
            Ok(Some(classes(&[0, 2]))),
            Ok(Some(classes(&[]))),
            Ok(Some(classes(&[0, 2]))),
            Ok(Some(classes(&[1]))),
            Ok(None),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_column_for_each_class_says_whether_it_applies() {
        let columns = ["a".into(), "b".into(), "c".into()];
        let content = "a,b,c\n1,0,1\nTrue,no,0.0\n0,0,0\n,,\n-1,-1,-1\n1,,0\n0.4,0,0\n";
        let read: Vec<Read> =
            rows("a.csv", content, &columns).iter().map(|row| of_flags(row, 0)).collect();
        assert_eq!(
            read[..3],
            [Ok(Some(classes(&[0, 2]))), Ok(Some(classes(&[0]))), Ok(Some(classes(&[])))]
        );
        assert_eq!(read[3..5], [Ok(None), Ok(None)]);
        assert!(read[5].as_ref().unwrap_err().contains("`b` holds no label"), "{read:?}");
        let number = read[6].as_ref().unwrap_err();
        assert!(number.contains("`0.4`") && number.contains("task.regression"), "{number}");
    }

    #[test]
    fn several_numbers_stand_in_as_many_columns() {
        let content =
            "{\"a\": 1, \"b\": -1.5}\n{\"a\": null}\n{\"a\": 2}\n{\"a\": \"x\", \"b\": 1}\n";
        let read: Vec<Read> = rows("a.jsonl", content, &["a".into(), "b".into()])
            .iter()
            .map(|row| of_numbers(row, 0))
            .collect();
        assert_eq!(read[0], Ok(Some(Label::Values(vec![1.0, -1.5]))));
        assert_eq!(read[1], Ok(None));
        assert!(read[2].as_ref().unwrap_err().contains("`b` holds no label"), "{read:?}");
        assert!(
            read[3].as_ref().unwrap_err().contains("`x` is not a number (column `a`)"),
            "{read:?}"
        );
    }
}
