//! A row of a table as the object that a request is made of.

use std::path::Path;

use nystromformer_files::{
    FileError, say_once,
    table::{Cell, Row, listed as listed_names},
};
use serde_json::{Map, Number, Value};

use crate::columns::FieldColumns;

/// Says what is read from which columns (of a table) or keys (of objects), and which are not read. Where the names are the
/// request's own and there are no others, nothing is to be said.
pub(super) fn said(path: &Path, fields: &[FieldColumns], unread: &[&str]) {
    let is_own = |field: &FieldColumns| field.columns == [field.field];
    if fields.iter().all(is_own) && unread.is_empty() {
        return;
    }
    let columns = fields.iter().map(|field| {
        let columns = field.columns.join("`, `");
        if is_own(field) {
            format!("`{columns}` is read")
        } else {
            format!("`{columns}` is read as `{}`", field.field)
        }
    });
    let mut parts: Vec<String> = columns.collect();
    if !unread.is_empty() {
        parts.push(format!("not read: {}", listed_names(unread.iter().copied())));
    }
    let other = if fields.iter().any(|field| field.field == "text") {
        "; `--text-column` and `--text-pair-column` name other columns"
    } else {
        ""
    };
    say_once(format!("`{}`: {}{other}", path.display(), parts.join(", ")));
}

/// Says which keys of an object are not read: one may be misspelt.
pub(super) fn tell_unread(path: &Path, line: u64, keys: &[&str]) {
    if !keys.is_empty() {
        let keys = listed_names(keys.iter().copied());
        say_once(format!("`{}`: keys that are not read (line {line}): {keys}", path.display()));
    }
}

/// Says that the first line, which is read as a text, looks like something else.
pub(super) fn tell_no_text(path: &Path, line: &str) {
    let path = path.display();
    if serde_json::from_str::<Map<String, Value>>(line).is_ok() {
        say_once(format!(
            "`{path}`: the first line is a JSON object and is read as a text, braces and all; `--jsonl` reads the text in it"
        ));
    } else if line.contains('\t') {
        say_once(format!(
            "`{path}`: the first line holds tabs and is read as one text; to read its columns, call the file `.tsv`"
        ));
    }
}

/// A row as the object that a request is made of.
pub(super) fn object(row: &Row, fields: &[FieldColumns]) -> Result<Map<String, Value>, FileError> {
    let mut object = Map::new();
    let mut at = 0;
    for FieldColumns { field, columns, is_list } in fields {
        let cells = at..at + columns.len();
        at = cells.end;
        let value = if *is_list {
            // An empty place keeps its number: `take_list_places` takes it out, where the request is made.
            let cells = cells.map(|at| row.cell(at));
            Value::Array(
                cells.map(|cell| if is_empty(cell) { Value::Null } else { value(cell) }).collect(),
            )
        } else {
            let cell = row.cell(cells.start);
            if *cell == Cell::Null && !matches!(*field, "id" | "text" | "text_pair") {
                return Err(row
                    .problem(format!("{} is null", row.column(cells.start)))
                    .with_cure("give it a text, or drop the row: each row gets an answer"));
            }
            listed(field, value(cell))
        };
        object.insert((*field).to_owned(), value);
    }
    Ok(object)
}

/// Takes the empty places out of an object's choices. Where others come behind one, gives the places of those that are left:
/// questions of one table may differ in how many choices they have, so the empty ones at the end count for nothing.
pub(super) fn take_list_places(object: &mut Value) -> Option<Vec<usize>> {
    let choices = object.get_mut("choices")?.as_array_mut()?;
    let is_there = |(place, choice): (usize, &Value)| (!choice.is_null()).then_some(place);
    let places: Vec<usize> = choices.iter().enumerate().filter_map(is_there).collect();
    choices.retain(|choice| !choice.is_null());
    let has_gaps = places.last().is_some_and(|last| *last >= places.len());
    has_gaps.then_some(places)
}

fn is_empty(cell: &Cell) -> bool {
    match cell {
        Cell::Null => true,
        // As a run reads the same file.
        Cell::Text(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// A list that a file without lists holds as text, `["…", …]`, as a list.
fn listed(field: &str, value: Value) -> Value {
    match &value {
        Value::String(text) if matches!(field, "choices" | "tokens") => {
            serde_json::from_str::<Vec<String>>(text).map_or(value, Value::from)
        }
        _ => value,
    }
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Text(text) => Value::String(text.clone()),
        Cell::Boolean(flag) => Value::Bool(*flag),
        Cell::Integer(number) => Value::from(*number),
        Cell::Number(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        Cell::List(cells) => Value::Array(cells.iter().map(value).collect()),
    }
}
