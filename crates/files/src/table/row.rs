//! A row: its cells, and where it stands.

use std::path::Path;
use std::sync::Arc;

use crate::error::{FileError, Result};

use super::written_list::is_written_list;
use super::{Column, Format};

/// What helps where a file does not hold objects row by row.
pub const BY_ROWS: &str = "write it row by row, an object each: `{\"text\": \"…\", \"label\": 1}`; pandas does with \
                                  `to_json(…, orient=\"records\", lines=True)`";

/// Characters of a cell that a message shows at most.
const SHOWN: usize = 60;

/// What stands in a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Text; every field of a TSV or CSV file is.
    Text(String),
    /// A whole number of JSON or Parquet.
    Integer(i64),
    /// `true` or `false` of JSON or Parquet.
    Boolean(bool),
    /// Any other number of JSON or Parquet.
    Number(f64),
    /// A list of JSON or Parquet, of any of these.
    List(Vec<Cell>),
    /// Nothing: `null`, or a key that an object lacks.
    Null,
}

impl Cell {
    fn name_class(&mut self, names: &[String]) {
        match self {
            Self::Integer(class) => {
                if let Some(name) = usize::try_from(*class).ok().and_then(|class| names.get(class))
                {
                    *self = Self::Text(name.clone());
                }
            }
            Self::List(cells) => cells.iter_mut().for_each(|cell| cell.name_class(names)),
            _ => {}
        }
    }
}

/// The wanted cells of a row, in the order in which they were asked for.
#[derive(Debug, Clone)]
pub struct Row {
    file: Arc<Path>,
    line: u64,
    columns: Arc<[Column]>,
    cells: Vec<Cell>,
}

impl Row {
    pub(super) fn new(
        file: Arc<Path>,
        line: u64,
        columns: Arc<[Column]>,
        cells: Vec<Cell>,
    ) -> Self {
        Self { file, line, columns, cells }
    }

    /// The file that the row is from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line that the row begins at (in Parquet: the row), from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The number of cells: of the columns asked for.
    pub fn width(&self) -> usize {
        self.cells.len()
    }

    /// A cell, by its place among the columns asked for.
    ///
    /// # Panics
    ///
    /// If fewer columns were asked for.
    pub fn cell(&self, wanted: usize) -> &Cell {
        &self.cells[wanted]
    }

    /// The column that a cell is from, as errors name it.
    ///
    /// # Panics
    ///
    /// If fewer columns were asked for.
    pub fn column(&self, wanted: usize) -> &Column {
        &self.columns[wanted]
    }

    /// Takes the text out of a cell; the cell is [`Cell::Null`] from then on.
    ///
    /// # Errors
    ///
    /// [`FileError::Content`] if the cell holds a number, a list or nothing.
    ///
    /// # Panics
    ///
    /// If fewer columns were asked for.
    pub fn take_text(&mut self, wanted: usize) -> Result<String> {
        match std::mem::replace(&mut self.cells[wanted], Cell::Null) {
            Cell::Text(text) => Ok(text),
            Cell::Null => Err(self.problem(format!(
                "{} is missing or null; give it a text, or drop the row",
                self.columns[wanted]
            ))),
            Cell::Integer(_) | Cell::Number(_) | Cell::Boolean(_) => Err(self.problem(format!(
                "{} is a number or Boolean; it must be a string, in quotes",
                self.columns[wanted]
            ))),
            Cell::List(_) => Err(self
                .problem(format!("{} is a list, and must be a string", self.columns[wanted]))
                .with_cure(format!("join its parts, or name another column; {BY_ROWS}"))),
        }
    }

    /// Puts the name of a class in the place of its number, where the cell holds one of these, or a list of them.
    ///
    /// # Panics
    ///
    /// If fewer columns were asked for.
    pub fn name_class(&mut self, wanted: usize, names: &[String]) {
        self.cells[wanted].name_class(names);
    }

    /// Refuses a list where one value is wanted.
    ///
    /// # Errors
    ///
    /// [`FileError::Content`] if the cell holds a list.
    ///
    /// # Panics
    ///
    /// If fewer columns were asked for.
    pub fn refuse_list(&self, wanted: usize) -> Result<()> {
        match &self.cells[wanted] {
            Cell::List(_) => Err(self
                .problem(format!("{} is a list, and must be one value", self.columns[wanted]))
                .with_cure(format!("name another column; {BY_ROWS}"))),
            _ => Ok(()),
        }
    }

    /// Refuses a list or an object that is written as text, as `to_csv` does: `"['a', 'b']"`. JSON and Parquet have lists, and a text
    /// of theirs is one. `otherwise` is what to do if the text is meant as it is.
    ///
    /// # Errors
    ///
    /// [`FileError::Content`] if the cell of a CSV or TSV file holds such a text.
    ///
    /// # Panics
    ///
    /// If fewer columns were asked for.
    pub fn refuse_written_list(&self, wanted: usize, otherwise: Option<&str>) -> Result<()> {
        let Cell::Text(text) = &self.cells[wanted] else { return Ok(()) };
        if !is_written_list(text)
            || !matches!(Format::of(&self.file), Some(Format::Csv | Format::Tsv))
        {
            return Ok(());
        }
        let mut shown: String = text.trim().chars().take(SHOWN).collect();
        if shown.len() < text.trim().len() {
            shown.push('…');
        }
        let problem = format!("{} holds a list written as text, `{shown}`", self.columns[wanted]);
        let otherwise = otherwise.map_or_else(String::new, |otherwise| format!("; {otherwise}"));
        Err(self.problem(problem).with_cure(format!(
            "write the data as JSON Lines or Parquet, which hold lists: in the place of `to_csv`, `to_parquet` or \
             `to_json(…, orient=\"records\", lines=True)` of pandas or datasets{otherwise}"
        )))
    }

    /// An error about this row.
    pub fn problem(&self, problem: impl Into<String>) -> FileError {
        FileError::line(&self.file, self.line, problem)
    }
}
