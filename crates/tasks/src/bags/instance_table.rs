//! A table with a vector in each row, and the name of the bag that it belongs to. All of it is in memory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use nystromformer_data::DataError;
use nystromformer_files::table::{Cell, Row, Table};

use super::Bags;
use super::instance_columns::{Asked, FoundColumns, columns};
use super::label_table::{rule_of, split_of, text_of};
use crate::example::{Example, ExampleReader, Input, Label};
use crate::label_rule::UnreadLabels;
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

/// The bags of a split, or all without one, in the order in which they begin; `None` if there is none of the split.
/// `feature_names` are what the model calls its features; none if it does not know.
pub(super) fn examples(
    task: &Bags,
    file: &Path,
    wanted: Option<Split>,
    targets: &Targets,
    feature_names: &[String],
) -> Result<Option<ExampleReader>, DataError> {
    let rule = rule_of(wanted);
    let is_required = rule.requires();
    let mut unread = UnreadLabels::new(rule, "task.label");
    let table = Table::open(file, &task.tables.options())?;
    let found = columns(task, file, &table, Asked { is_required, wanted, feature_names })?;
    let FoundColumns { columns, places, feature_names } = found;
    let mut bags: Vec<OpenBag> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for row in table.select(&columns)? {
        let row = row?;
        let id = text_of(&row, 0)?;
        let label = match places.label {
            Some(place) => {
                if task.labels.is_empty() {
                    targets.tell_places(&row, place);
                }
                unread.settle(targets.read(&row, place))?
            }
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
        if bag.split != split || bag.label != label {
            let what = if bag.split == split { "label" } else { "split" };
            let problem = format!(
                "the bag `{}` has another {what} here than in line {}: all rows of a bag have the same",
                bag.id, bag.line
            );
            let error = row.problem(problem).with_cure("correct one of them");
            if bag.split != split {
                return Err(error.into());
            }
            // Where none is needed the bag has none then.
            bag.label = unread.settle(Err(error))?;
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
        let vectors = Vectors::new(feature_names.len(), bag.rows);
        let input = Input::Vectors(vectors.with_feature_names(Arc::clone(&feature_names)));
        Ok(Example { row: None, id: Some(bag.id), input, label: bag.label })
    }))))
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
