//! Which columns of a table of vectors are what.
//!
//! Features are told by their names, whatever their order: those of the model. Before there is one, they are all columns that are
//! nothing else.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use nystromformer_data::DataError;
use nystromformer_files::table::{Column, Table, listed};
use nystromformer_files::{FileError, say_once};

use super::Bags;
use crate::split::Split;

/// Which cells of a row are what, by their places among the columns asked for.
pub(super) struct Places {
    pub(super) label: Option<usize>,
    pub(super) split: Option<usize>,
    /// Row and column.
    pub(super) coordinates: Option<usize>,
    /// The first feature; all behind it are features too.
    pub(super) features: usize,
}

/// What a table is read for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Whether each bag must have a label.
    pub(super) is_required: bool,
    /// The split; all without one.
    pub(super) wanted: Option<Split>,
    /// What the model calls its features; none if it does not know.
    pub(super) feature_names: &'a [String],
}

/// The columns to read.
pub(super) struct FoundColumns {
    pub(super) columns: Vec<Column>,
    pub(super) places: Places,
    /// What the features are called.
    pub(super) feature_names: Arc<[String]>,
}

/// The bag's name, label and split, coordinates, and the features.
pub(super) fn columns(
    task: &Bags,
    file: &Path,
    table: &Table,
    asked: Asked<'_>,
) -> Result<FoundColumns, DataError> {
    let mut columns = vec![task.id_column(table)?];
    let add = |columns: &mut Vec<Column>, column: Option<Column>| {
        columns.extend(column.clone());
        column.map(|_| columns.len() - 1)
    };
    let label = task.label_column(table, asked.is_required)?;
    let label = add(&mut columns, label);
    // Splits that nobody asks for are no features either.
    let split_column = task.split_column(table)?;
    let split = add(&mut columns, split_column).filter(|_| asked.wanted.is_some());
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
    let features = features(task, file, table, &columns, asked)?;
    let places = Places { label, split, coordinates, features: columns.len() };
    let feature_names = features.iter().map(name_of).collect();
    columns.extend(features);
    Ok(FoundColumns { columns, places, feature_names })
}

/// The columns of features: those of the model in its order, or all besides `others`.
fn features(
    task: &Bags,
    file: &Path,
    table: &Table,
    others: &[Column],
    asked: Asked<'_>,
) -> Result<Vec<Column>, DataError> {
    // A table at hand may lack what is none of its features.
    let may_lack = !asked.feature_names.is_empty();
    if let Some(column) = task.remove_columns.iter().find(|column| !table.has(column))
        && !may_lack
    {
        let error = table.missing(std::slice::from_ref(column));
        return Err(error.with_cure("correct `task.remove_columns`").into());
    }
    let all: Vec<Column> = match table.columns() {
        Some(names) => names.iter().map(|name| Column::from(name.as_str())).collect(),
        None => (0..table.width().unwrap_or_default()).map(Column::from).collect(),
    };
    let is_feature =
        |column: &Column| !others.contains(column) && !task.remove_columns.contains(column);
    let found: Vec<Column> = all.into_iter().filter(is_feature).collect();
    if found.is_empty() {
        let problem = "it has no column of features besides the bag's name, label and split";
        return Err(DataError::dataset(file, problem));
    }
    let names: Vec<String> = found.iter().map(name_of).collect();
    if asked.feature_names.is_empty() {
        if asked.wanted.is_none() {
            say_once(format!(
                "`{}`: the model does not know what its features are called; the columns {} are taken for them in this order",
                file.display(),
                listed(names.iter().map(String::as_str))
            ));
        }
        return Ok(found);
    }
    require_same(file, &names, asked.feature_names)?;
    // By the model's order, whatever that of the table is.
    let mut columns: HashMap<String, Column> = names.into_iter().zip(found).collect();
    Ok(asked.feature_names.iter().filter_map(|name| columns.remove(name)).collect())
}

/// What a feature is called: as its column, or without a header by the column's place, from 0.
fn name_of(column: &Column) -> String {
    match column {
        Column::Name(name) => name.clone(),
        Column::Index(index) => index.to_string(),
    }
}

/// The column of a feature that is called so.
pub(super) fn feature_column(name: &str, table: &Table) -> Column {
    match (table.columns(), name.parse::<usize>()) {
        (None, Ok(place)) => Column::Index(place),
        _ => Column::from(name),
    }
}

/// Refuses a table whose features are others than those of the model.
fn require_same(file: &Path, found: &[String], wanted: &[String]) -> Result<(), DataError> {
    let without = |names: &[String], others: &[String]| {
        let others: HashSet<&String> = others.iter().collect();
        listed(names.iter().filter(|name| !others.contains(name)).map(String::as_str))
    };
    let (missing, unknown) = (without(wanted, found), without(found, wanted));
    let problem = match (missing.as_str(), unknown.as_str()) {
        ("", "") => return Ok(()),
        (missing, "") => format!("it lacks features of the model: {missing}"),
        ("", unknown) => format!("it has columns that are no features of the model: {unknown}"),
        (missing, unknown) => format!(
            "it lacks features of the model: {missing}; and has columns that are none: {unknown}"
        ),
    };
    let cure = if unknown.is_empty() {
        "add them, or correct their names (`feature_names` in the model's `config.json`)"
    } else {
        "correct their names, or name columns that are no features in `task.remove_columns`"
    };
    Err(FileError::line(file, 1, problem).with_cure(cure).into())
}
