//! A table with a vector in each row, and the name of the bag that it belongs to. All of it is in memory.

use std::collections::HashMap;
use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_files::table::{Cell, Column, Row, Table};

use super::Bags;
use super::label_table::{split_of, text_of};
use crate::example::{Example, ExampleReader, Input, Label};
use crate::labelled::Targets;
use crate::split::Split;
use crate::vectors::{VectorRows, Vectors};

/// A bag while its rows are read.
struct OpenBag {
    id: String,
    label: Option<Label>,
    split: Split,
    /// The line of its first row.
    line: u64,
    rows: VectorRows,
}

/// Which cells of a row are what, by their places among the columns asked for.
struct Places {
    label: Option<usize>,
    split: Option<usize>,
    /// Row and column.
    coordinates: Option<usize>,
    /// The first feature; all behind it are features too.
    features: usize,
}

/// The bags of a split, or all without one, in the order in which they begin; `None` if there is none of the split.
pub(super) fn examples(
    task: &Bags,
    file: &Path,
    wanted: Option<Split>,
    targets: &Targets,
) -> Result<Option<ExampleReader>, DataError> {
    let is_required = wanted.is_some_and(|split| !split.is_test());
    let table = Table::open(file, &task.options())?;
    let (columns, places) = columns(task, &table, is_required, wanted.is_some())?;
    let num_features = columns.len() - places.features;
    let mut bags: Vec<OpenBag> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for row in table.select(&columns)? {
        let row = row?;
        let id = text_of(&row, 0)?;
        let label = match places.label {
            Some(place) => targets.read(&row, place)?,
            None => None,
        };
        let split = match places.split {
            Some(place) => split_of(&row, place)?,
            None => Split::Train,
        };
        let bag = *known.entry(id).or_insert_with_key(|id| {
            let rows = VectorRows {
                features: Vec::new(),
                coordinates: places.coordinates.map(|_| Vec::new()),
            };
            bags.push(OpenBag {
                id: id.clone(),
                label: label.clone(),
                split,
                line: row.line(),
                rows,
            });
            bags.len() - 1
        });
        let bag = &mut bags[bag];
        if (&bag.label, bag.split) != (&label, split) {
            let what = if bag.split == split { "label" } else { "split" };
            let problem = format!(
                "the bag `{}` has another {what} here than in line {}: all rows of a bag have the same",
                bag.id, bag.line
            );
            return Err(row.problem(problem).with_cure("correct one of them").into());
        }
        if label.is_none() && is_required && wanted == Some(split) {
            let problem =
                format!("the bag `{}` has no label; give it one, or drop the row", bag.id);
            return Err(row.problem(problem).into());
        }
        if wanted.is_some_and(|wanted| wanted != split) {
            continue;
        }
        for place in places.features..columns.len() {
            bag.rows.features.push(number(&row, place)?);
        }
        if let (Some(first), Some(coordinates)) = (places.coordinates, &mut bag.rows.coordinates) {
            coordinates.extend([number(&row, first)?, number(&row, first + 1)?]);
        }
    }
    let bags: Vec<OpenBag> =
        bags.into_iter().filter(|bag| wanted.is_none_or(|wanted| wanted == bag.split)).collect();
    if bags.is_empty() && wanted.is_some_and(|split| split != Split::Train) {
        return Ok(None);
    }
    Ok(Some(Box::new(bags.into_iter().map(move |bag| {
        let input = Input::Vectors(Vectors::new(num_features, bag.rows));
        Ok(Example { id: Some(bag.id), input, label: bag.label })
    }))))
}

/// The columns to read: the bag's name, label and split, coordinates, and whatever is left as features.
fn columns(
    task: &Bags,
    table: &Table,
    needs_label: bool,
    has_splits: bool,
) -> Result<(Vec<Column>, Places), DataError> {
    let mut columns = vec![task.id_column(table)?];
    let add = |columns: &mut Vec<Column>, column: Option<Column>| {
        columns.extend(column.clone());
        column.map(|_| columns.len() - 1)
    };
    let label = task.label_column(table, needs_label)?;
    let label = add(&mut columns, label);
    // Splits that nobody asks for are no features either.
    let split_column = task.split_column(table)?;
    let split = add(&mut columns, split_column).filter(|_| has_splits);
    let coordinates = match &task.coordinates[..] {
        [] => None,
        [row, column] => {
            columns.extend([row.clone(), column.clone()]);
            Some(columns.len() - 2)
        }
        _ => {
            return Err(DataError::config(
                "task.coordinates",
                "one name",
                "in a table of vectors give two columns: row and column",
            ));
        }
    };
    for column in &task.remove_columns {
        if !table.has(column) {
            let error = table.missing(std::slice::from_ref(column));
            return Err(error.with_cure("correct `task.remove_columns`").into());
        }
    }
    let all: Vec<Column> = match table.columns() {
        Some(names) => names.iter().map(|name| Column::from(name.as_str())).collect(),
        None => (0..table.width().unwrap_or_default()).map(Column::from).collect(),
    };
    let features = columns.len();
    let is_feature = |column: &Column| {
        !columns[..features].contains(column) && !task.remove_columns.contains(column)
    };
    let of_features: Vec<Column> = all.into_iter().filter(is_feature).collect();
    if of_features.is_empty() {
        return Err(DataError::config(
            "task.path",
            "a table",
            "it has no column of features besides the bag's name, label and split",
        ));
    }
    columns.extend(of_features);
    Ok((columns, Places { label, split, coordinates, features }))
}

/// A feature.
fn number(row: &Row, place: usize) -> Result<f32, DataError> {
    let value = match row.cell(place) {
        Cell::Text(text) => text.trim().parse::<f64>().ok(),
        Cell::Integer(number) => Some(*number as f64),
        Cell::Number(number) => Some(*number),
        Cell::Boolean(flag) => Some(f64::from(u8::from(*flag))),
        Cell::List(_) | Cell::Null => None,
    };
    if let Some(value) = value.map(|value| value as f32).filter(|value| value.is_finite()) {
        return Ok(value);
    }
    let found = match row.cell(place) {
        Cell::Text(text) => format!("`{}`", text.chars().take(40).collect::<String>()),
        Cell::Number(number) => format!("`{number}`"),
        Cell::List(_) => "a list".to_owned(),
        _ => "nothing".to_owned(),
    };
    let column = row.column(place);
    let problem = format!("{column} holds {found}, and is read as a feature: a finite number");
    Err(row
        .problem(problem)
        .with_cure("name columns that are none in `task.remove_columns`")
        .into())
}
