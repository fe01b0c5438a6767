//! From the rows of tables to examples.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use nystromformer_data::DataError;

use super::Targets;
use crate::example::{Example, Input};
use nystromformer_files::table::{Cell, Column, Row, Rows, Table, TableOptions};

/// Which columns of a table make an example.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The sentence, or the first of a pair: the first of these columns that there is.
    pub first: Vec<Column>,
    /// The second of a pair, likewise; empty if the task has single sentences.
    pub second: Vec<Column>,
    /// The label, likewise.
    pub label: Vec<Column>,
    /// What the labels are.
    pub targets: Targets,
    /// Whether each row must have a label, as for training. Otherwise the column may be missing.
    pub labels_required: bool,
}

/// The examples of some files, one file after the other; nothing but a row is in memory. After an error nothing follows.
pub struct TableExamples {
    files: VecDeque<PathBuf>,
    schema: Schema,
    options: TableOptions,
    current: Option<Rows>,
    passed_over: u64,
}

impl TableExamples {
    /// Reads examples from these files, in this order. They are opened one by one, when their turn comes.
    pub fn new(files: Vec<PathBuf>, schema: Schema, options: TableOptions) -> Self {
        Self { files: files.into(), schema, options, current: None, passed_over: 0 }
    }

    /// Rows passed over so far because they were too short (see [`TableOptions::short_rows_allowed`]).
    pub fn passed_over(&self) -> u64 {
        self.passed_over + self.current.as_ref().map_or(0, Rows::passed_over)
    }

    fn open(&self, file: &Path) -> Result<Rows, DataError> {
        let table = Table::open(file, &self.options)?;
        let schema = &self.schema;
        let mut wanted = vec![choose(&table, &schema.first)?];
        if !schema.second.is_empty() {
            wanted.push(choose(&table, &schema.second)?);
        }
        if schema.labels_required || schema.label.iter().any(|column| table.has(column)) {
            wanted.push(choose(&table, &schema.label)?);
        }
        Ok(table.select(&wanted)?)
    }

    fn advance(&mut self) -> Result<Option<Example>, DataError> {
        loop {
            if let Some(rows) = &mut self.current {
                if let Some(row) = rows.next().transpose()? {
                    return self.schema.example(row).map(Some);
                }
                self.passed_over += rows.passed_over();
                self.current = None;
            }
            let Some(file) = self.files.pop_front() else {
                return Ok(None);
            };
            self.current = Some(self.open(&file)?);
        }
    }
}

/// The first of `columns` that there is.
fn choose(table: &Table, columns: &[Column]) -> Result<Column, DataError> {
    let chosen = columns.iter().find(|column| table.has(column));
    Ok(chosen.cloned().ok_or_else(|| table.missing(columns))?)
}

impl Schema {
    fn example(&self, mut row: Row) -> Result<Example, DataError> {
        let first = row.take_text(0)?;
        let pair = !self.second.is_empty();
        let second = if pair { Some(row.take_text(1)?) } else { None };
        let place = 1 + usize::from(pair);
        let label = if row.width() > place { self.targets.read(&row, place)? } else { None };
        if label.is_none() && self.labels_required {
            let column = row.column(place);
            let marked = match row.cell(place) {
                Cell::Null => "",
                Cell::Text(text) if text.is_empty() => "",
                _ => {
                    ": `-1` means that, unless `task.labels` of the task `labelled` names it as a class"
                }
            };
            let problem = format!("{column} holds no label{marked}; give it one, or drop the row");
            return Err(row.problem(problem).into());
        }
        Ok(Example { input: Input::Text { first, second }, label })
    }
}

impl Iterator for TableExamples {
    type Item = Result<Example, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if matches!(item, Some(Err(_))) {
            self.files.clear();
            self.current = None;
        }
        item
    }
}
