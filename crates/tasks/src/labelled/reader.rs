//! From the rows of tables to examples.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;

use super::targets::IF_A_CLASS;
use super::{Targets, label_sets};
use crate::example::{Example, Input, Label};
use crate::files_in_turn::{FilesInTurn, ReadFiles};
use crate::label_rule::{LabelRule, UnreadLabels};
use crate::row_counter::RowCounter;
use nystromformer_files::table::{BY_ROWS, Cell, Column, Format, Row, Rows, Table, TableOptions};
use nystromformer_files::{FileError, say_once};

/// Which columns of a table make an example.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The sentence, or the first of a pair: the first of these columns that there is.
    pub first: Vec<Column>,
    /// The second of a pair, likewise; empty if the task has single sentences.
    pub second: Vec<Column>,
    /// What predictions name the row by, if that is in a column; without the column in a file to be predicted, by its row.
    pub id: Option<Column>,
    /// The label.
    pub label: LabelIn,
    /// What separates the labels in a text that names any number of them, if anything does.
    pub label_separator: Option<String>,
    /// What the labels are.
    pub targets: Targets,
    /// What is asked of labels. Where they are not required the column may be missing.
    pub label_rule: LabelRule,
    /// Whether the names of the classes are given, and not found in the data: a file's own names for its numbers count for nothing
    /// then if one of them is no class.
    pub names_given: bool,
    /// Rows whose text is null that are skipped, and counted, before one is an error. Of what is to be predicted none is skipped: a
    /// text that is null is an empty one.
    pub null_texts_allowed: u64,
    /// Whether the columns and the limit are keys of `[task]`, for messages to name.
    pub has_keys: bool,
}

/// Where the label of a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelIn {
    /// In the first of these columns that there is.
    FirstOf(Vec<Column>),
    /// In all of these: a column for each class, or for each number.
    Each(Vec<Column>),
}

impl LabelIn {
    fn columns(&self) -> &[Column] {
        match self {
            Self::FirstOf(columns) | Self::Each(columns) => columns,
        }
    }
}

/// The examples of some files, one file after the other; nothing but a row is in memory. After an error nothing follows.
pub struct TableExamples(FilesInTurn<TableReader>);

struct TableReader {
    schema: Schema,
    options: TableOptions,
    /// Of all files so far, but for rows that are too short.
    rows: RowCounter,
    /// Rows that are too short, of the files that are done.
    passed_over: u64,
    null_texts: u64,
}

/// How many rows, in words.
fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

/// The table that is being read.
struct OpenTable {
    rows: Rows,
    /// What stands for the numbers in the label column, where the file says so.
    class_names: Option<Vec<String>>,
    /// Whether there is a column of ids.
    has_ids: bool,
    null_texts: u64,
    /// Whether rows whose text is null are kept.
    keeps_null_texts: bool,
    /// Rows whose first text is empty, which are kept.
    empty_texts: u64,
    /// Whether a label that is the place of a class would be news.
    places_untold: bool,
    unread: UnreadLabels,
}

impl TableExamples {
    /// Reads examples from these files, in this order. They are opened one by one, when their turn comes.
    pub fn new(files: Vec<PathBuf>, schema: Schema, options: TableOptions) -> Self {
        let reader = TableReader {
            schema,
            options,
            rows: RowCounter::default(),
            passed_over: 0,
            null_texts: 0,
        };
        Self(FilesInTurn::new(files, reader))
    }

    /// Rows passed over so far because they were too short (see [`TableOptions::short_rows_allowed`]).
    pub fn passed_over(&self) -> u64 {
        let (reader, current) = self.0.state();
        reader.passed_over + current.map_or(0, |table| table.rows.passed_over())
    }
}

impl ReadFiles for TableReader {
    type Open = OpenTable;
    type Item = Example;

    fn open(&mut self, file: &Path) -> Result<OpenTable, DataError> {
        let table = Table::open(file, &self.options)?;
        let schema = &self.schema;
        let key = |key| schema.has_keys.then_some(key);
        let mut wanted = vec![choose(&table, &schema.first, key("task.sentence1"))?];
        if !schema.second.is_empty() {
            wanted.push(choose(&table, &schema.second, key("task.sentence2"))?);
        }
        let is_readable = schema.label_rule == LabelRule::IfReadable;
        let mut has_ids = false;
        if let Some(id) = &schema.id {
            if is_readable && !table.has(id) {
                say_once(format!(
                    "`{}` has no column {id} (`task.id`): its rows are named by their place, from 0",
                    file.display()
                ));
            } else {
                wanted.push(choose(&table, std::slice::from_ref(id), key("task.id"))?);
                has_ids = true;
            }
        }
        let mut class_names = None;
        let is_there = schema.label.columns().iter().any(|column| table.has(column));
        match &schema.label {
            _ if schema.label_rule == LabelRule::Unread => {}
            _ if !(schema.label_rule.requires() || is_there) => {}
            LabelIn::Each(columns)
                if is_readable && columns.iter().any(|column| !table.has(column)) =>
            {
                let missing: Vec<String> = columns
                    .iter()
                    .filter(|column| !table.has(column))
                    .map(Column::to_string)
                    .collect();
                say_once(format!(
                    "`{}`: labels are not read, which predictions do not need: there is no column {} (`task.label`)",
                    file.display(),
                    missing.join(", ")
                ));
            }
            LabelIn::FirstOf(columns) => {
                let label = choose(&table, columns, key("task.label"))?;
                class_names = table
                    .class_names(&label)
                    .filter(|names| !schema.names_given || schema.targets.has_classes(names));
                wanted.push(label);
            }
            LabelIn::Each(columns) => {
                for column in columns {
                    wanted.push(choose(&table, std::slice::from_ref(column), key("task.label"))?);
                }
            }
        }
        let class_names = class_names.map(<[String]>::to_vec);
        Ok(OpenTable {
            rows: table.select(&wanted)?,
            class_names,
            has_ids,
            null_texts: 0,
            keeps_null_texts: is_readable,
            empty_texts: 0,
            places_untold: schema.has_keys
                && !schema.names_given
                && matches!(schema.label, LabelIn::FirstOf(_)),
            unread: UnreadLabels::new(schema.label_rule, "task.label"),
        })
    }

    fn read(&mut self, table: &mut OpenTable) -> Result<Option<Example>, DataError> {
        while let Some(mut row) = table.rows.next().transpose()? {
            let too_short = self.passed_over + table.rows.passed_over();
            let place = self.rows.next_row() + usize::try_from(too_short).unwrap_or(usize::MAX);
            let texts = 1 + usize::from(!self.schema.second.is_empty());
            let null = (0..texts).find(|text| *row.cell(*text) == Cell::Null);
            if null.is_some() && table.keeps_null_texts {
                table.null_texts += 1;
            } else if let Some(text) = null.filter(|_| self.schema.null_texts_allowed > 0) {
                self.null_texts += 1;
                table.null_texts += 1;
                if self.null_texts > self.schema.null_texts_allowed {
                    return Err(too_many_nulls(&row, text, self.schema.null_texts_allowed).into());
                }
                continue;
            }
            let label = texts + usize::from(table.has_ids);
            if let Some(names) = &table.class_names
                && row.width() > label
            {
                row.name_class(label, names);
            }
            if table.places_untold && row.width() > label {
                table.places_untold = !self.schema.targets.tell_places(&row, label);
            }
            if matches!(row.cell(0), Cell::Text(text) if text.trim().is_empty()) {
                table.empty_texts += 1;
            }
            let example = self.schema.example(row, table.has_ids, &mut table.unread)?;
            return Ok(Some(Example { row: self.rows.of_example(place), ..example }));
        }
        self.passed_over += table.rows.passed_over();
        Ok(None)
    }
}

fn too_many_nulls(row: &Row, text: usize, allowed: u64) -> FileError {
    let column = row.column(text);
    row.problem(format!(
        "{column} is null, and so a text is in more rows than `task.max_null_texts = {allowed}`"
    ))
    .with_cure("drop such rows, or raise it")
}

impl Drop for OpenTable {
    fn drop(&mut self) {
        let short = self.rows.passed_over();
        if short > 0 {
            say_once(format!(
                "`{}`: {short} rows skipped, which have too few columns",
                self.rows.file().display()
            ));
        }
        if self.null_texts > 0 {
            let done = if self.keeps_null_texts {
                "with a text that is null, which is read as an empty one: predictions are for all rows"
            } else {
                "skipped because a text is null (`task.max_null_texts` limits how many)"
            };
            say_once(format!("`{}`: {} {done}", self.rows.file().display(), rows(self.null_texts)));
        }
        if self.empty_texts > 0 {
            say_once(format!(
                "`{}`: {} with an empty text, kept as examples without words; drop them if they are none",
                self.rows.file().display(),
                rows(self.empty_texts)
            ));
        }
    }
}

/// The first of `columns` that there is. If they are one's own, an error names the `key` to set.
pub(super) fn choose(
    table: &Table,
    columns: &[Column],
    key: Option<&str>,
) -> Result<Column, FileError> {
    /// What a text is often called.
    const TEXTS: [&str; 5] = ["text", "sentence", "sentence1", "review", "content"];
    table.find(columns).cloned().map_err(|error| {
        let Some((key, names)) = key.zip(table.columns()) else { return error };
        let texts: Vec<Column> = TEXTS.map(Column::from).to_vec();
        let usual = || (key == "task.sentence1").then(|| table.closest(&texts)).flatten();
        error.with_cure(match table.closest(columns).or_else(usual) {
            Some(name) => format!("set `{key} = \"{name}\"`"),
            None if table.format() == Some(Format::Json) => {
                format!("set `{key}` to the one that is meant; if these are columns, {BY_ROWS}")
            }
            None if table.format() == Some(Format::Parquet) => {
                format!("set `{key}` to the one that is meant")
            }
            None if names.len() == 1 => format!("set `{key}`, or `task.separator` if the fields are separated by another character"),
            None => format!("set `{key}` to the one that is meant, or `task.header = false` if the file has no header"),
        })
    })
}

impl Schema {
    fn example(
        &self,
        mut row: Row,
        has_id: bool,
        unread: &mut UnreadLabels,
    ) -> Result<Example, DataError> {
        let mut text = |place: usize| match row.cell(place) {
            Cell::Null if self.label_rule == LabelRule::IfReadable => Ok(String::new()),
            _ => row.take_text(place),
        };
        let first = text(0)?;
        let pair = !self.second.is_empty();
        let second = if pair { Some(text(1)?) } else { None };
        let mut place = 1 + usize::from(pair);
        let id = if has_id {
            place += 1;
            spelt(row.cell(place - 1))
        } else {
            None
        };
        let label =
            if row.width() > place { unread.settle(self.label_of(&row, place))? } else { None };
        if label.is_none() && self.label_rule.requires() {
            let column = row.column(place);
            let marked = match row.cell(place) {
                Cell::Null => "",
                Cell::Number(number) if number.is_nan() => "",
                Cell::Text(text) if text.is_empty() => "",
                _ => {
                    ": `-1` means that, unless `task.labels` of the task `labelled` names it as a class"
                }
            };
            let problem = format!("{column} holds no label{marked}; give it one, or drop the row");
            return Err(row.problem(problem).into());
        }
        Ok(Example { row: None, id, input: Input::Text { first, second }, label })
    }

    /// The label in the columns from `place` on, `None` if there is none.
    fn label_of(&self, row: &Row, place: usize) -> Result<Option<Label>, DataError> {
        let separator = self.label_separator.as_deref();
        let label = match (&self.targets, &self.label) {
            (Targets::Labels(_), LabelIn::Each(_)) => label_sets::of_flags(row, place),
            (Targets::Labels(names), LabelIn::FirstOf(_)) => {
                label_sets::of_cell(row, place, names, separator)
                    .map_err(|problem| format!("{problem} (column {})", row.column(place)))
            }
            (Targets::Columns(_), LabelIn::Each(_)) => label_sets::of_numbers(row, place),
            _ => return self.targets.read(row, place),
        };
        label.map_err(|problem| {
            let unread = || row.problem(format!("{problem}; correct the row or drop it"));
            let otherwise = matches!(self.label, LabelIn::FirstOf(_)).then_some(IF_A_CLASS);
            row.refuse_written_list(place, otherwise).err().unwrap_or_else(unread).into()
        })
    }
}

/// What a cell says in words; `None` if it says nothing.
fn spelt(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Null | Cell::List(_) => None,
        Cell::Text(text) => Some(text.clone()),
        Cell::Integer(number) => Some(number.to_string()),
        Cell::Number(number) => Some(number.to_string()),
        Cell::Boolean(flag) => Some(flag.to_string()),
    }
}

impl Iterator for TableExamples {
    type Item = Result<Example, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
