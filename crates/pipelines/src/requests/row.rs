//! A row of a table as the object that a request is made of.

use std::path::Path;

use nystromformer_files::{
    FileError, say_once,
    table::{Cell, Row},
};
use serde_json::{Map, Number, Value};

use crate::columns::FieldColumns;

/// Says which columns are read, where their names are not the request's own, or where a table has others too.
pub(super) fn said(path: &Path, fields: &[FieldColumns], own_names_are_plain: bool) {
    let is_own = |field: &FieldColumns| field.columns == [field.field];
    if own_names_are_plain && fields.iter().all(is_own) {
        return;
    }
    let columns = fields
        .iter()
        .map(|field| format!("`{}` from `{}`", field.field, field.columns.join("`, `")));
    let columns: Vec<String> = columns.collect();
    let other = if fields.iter().any(|field| field.field == "text") {
        "; `--text-column` and `--text-pair-column` name others"
    } else {
        ""
    };
    say_once(format!("`{}`: read are {}{other}", path.display(), columns.join(", ")));
}

/// A row as the object that a request is made of.
pub(super) fn object(row: &Row, fields: &[FieldColumns]) -> Result<Value, FileError> {
    let mut object = Map::new();
    let mut at = 0;
    for FieldColumns { field, columns, is_list } in fields {
        let cells = at..at + columns.len();
        at = cells.end;
        let value = if *is_list {
            // Questions of one table may differ in how many choices they have.
            let cells = cells.map(|at| row.cell(at)).filter(|cell| !is_empty(cell));
            Value::Array(cells.map(value).collect())
        } else {
            let cell = row.cell(cells.start);
            if *cell == Cell::Null && !matches!(*field, "id" | "text_pair") {
                return Err(row
                    .problem(format!("{} is null", row.column(cells.start)))
                    .with_cure("give it a text, or drop the row: each row gets an answer"));
            }
            listed(field, value(cell))
        };
        object.insert((*field).to_owned(), value);
    }
    Ok(Value::Object(object))
}

fn is_empty(cell: &Cell) -> bool {
    match cell {
        Cell::Null => true,
        Cell::Text(text) => text.is_empty(),
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
