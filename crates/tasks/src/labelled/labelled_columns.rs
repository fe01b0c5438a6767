//! [`LabelledColumns`]: which columns of a table make an example, and how its files are read.

use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_files::table::{Column, Format, Quotes, Table, TableOptions};
use nystromformer_files::{TextEncoding, say_once};

use super::{LabelColumns, Location, Targets};
use crate::example::ExampleReader;
use crate::label_rule::LabelRule;
use crate::split::Split;

/// Which columns of a table make an example, and how its files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledColumns {
    /// The text, or the first of a pair. Default: `sentence`.
    pub first: Column,
    /// The second of a pair. Default: none.
    pub second: Option<Column>,
    /// What predictions name the row by. Default: none.
    pub id: Option<Column>,
    /// The label, or a column for each class or number. Default: `label`.
    pub label: LabelColumns,
    /// What separates the labels in a text that names any number of them. Default: none, a text names one.
    pub label_separator: Option<String>,
    /// Whether any number of labels applies to a row. Default: told by the other keys, or the first label: a list has any number.
    pub multi_label: Option<bool>,
    /// Whether the names of the classes are given, and not found in the data. Default: false.
    pub names_given: bool,
    /// Whether the first line of a TSV or CSV file names the columns; without it they are given by place, from 0.
    /// Default: true.
    pub header: bool,
    /// What separates the fields of a TSV or CSV file. Default: a tab or a comma, unless the first rows show another.
    pub separator: Option<char>,
    /// What a quote at the beginning of a field of a TSV or CSV file is. Default: told by a look at the file.
    pub quotes: Option<Quotes>,
    /// How the bytes of TSV, CSV and files of text stand for characters. Default: UTF-8.
    pub encoding: TextEncoding,
    /// Rows of a table whose text is null that are skipped, and counted, before one is an error. Default: 100.
    pub max_null_texts: u64,
    /// Longest line, text or file of text that is accepted, in bytes; it bounds memory. Default: 1 MiB.
    pub max_line_bytes: usize,
}

impl Default for LabelledColumns {
    fn default() -> Self {
        let options = TableOptions::default();
        Self {
            first: "sentence".into(),
            second: None,
            id: None,
            label: "label".into(),
            label_separator: None,
            multi_label: None,
            names_given: false,
            header: options.header,
            separator: options.separator,
            quotes: options.quotes,
            encoding: options.encoding,
            max_null_texts: 100,
            max_line_bytes: options.max_line_bytes,
        }
    }
}

impl LabelledColumns {
    /// A [`DataError::Config`] for every key of `[task]` that is out of range: a column that is told by name although there is
    /// no header, or by place although there is one.
    pub fn problems(&self) -> Vec<DataError> {
        let advice = if self.header {
            "with `task.header = true` a column is given by its name, in quotes"
        } else {
            "with `task.header = false` a column is given by its place, e.g. 0"
        };
        let texts = [
            ("task.sentence1", Some(&self.first)),
            ("task.sentence2", self.second.as_ref()),
            ("task.id", self.id.as_ref()),
        ];
        let labels = self.label.columns().iter().map(|column| ("task.label", Some(column)));
        let columns = texts.into_iter().chain(labels);
        let mut problems: Vec<DataError> = columns
            .filter_map(|(key, column)| Some((key, column?)))
            .filter(|(_, column)| self.header != matches!(column, Column::Name(_)))
            .map(|(key, column)| match column {
                Column::Name(name) => DataError::config(key, name, advice),
                Column::Index(index) => DataError::config(key, index, advice),
            })
            .collect();
        problems.extend(self.label.problem());
        if self.label_separator.as_deref() == Some("") {
            problems.push(DataError::config("task.label_separator", "", "must not be empty"));
        }
        if matches!(self.label, LabelColumns::Each(_)) && self.label_separator.is_some() {
            let separator = self.label_separator.as_deref().unwrap_or_default();
            problems.push(DataError::config(
                "task.label_separator",
                separator,
                "is for one column that names any number of labels, and `task.label` names several columns",
            ));
        }
        if self.multi_label == Some(false) && self.says_sets_by_form() {
            problems.push(DataError::config(
                "task.multi_label",
                false,
                "but `task.label_separator`, or several columns in `task.label`, say that any number of labels applies",
            ));
        }
        if self.max_line_bytes == 0 {
            problems.push(DataError::config("task.max_line_bytes", 0, "must be at least 1"));
        }
        problems
    }

    /// The examples of a split of the data set at `path`; `None` if there is no such split. Those of a test set need no labels.
    ///
    /// # Errors
    ///
    /// As [`Location::find`] and [`Location::read`].
    pub fn examples(
        &self,
        split: Split,
        targets: &Targets,
        path: &Path,
    ) -> Result<Option<ExampleReader>, DataError> {
        // A single file is all training examples: none of them may validate or test as well.
        if split != Split::Train && path.is_file() {
            return Ok(None);
        }
        let Some(found) = Location::find(path, split)? else { return Ok(None) };
        found.read(self, targets, LabelRule::of_split(split)).map(Some)
    }

    /// Whether `file` is a table with the columns of the texts; a note says if it is one without.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the file cannot be read.
    pub fn are_in(&self, file: &Path) -> Result<bool, DataError> {
        if Format::of(file).is_none() {
            return Ok(false);
        }
        let table = Table::open(file, &self.options())?;
        let columns =
            [("task.sentence1", Some(&self.first)), ("task.sentence2", self.second.as_ref())];
        for (key, column) in columns {
            if let Some(column) = column.filter(|column| !table.has(column)) {
                say_once(format!(
                    "`{}` has no column {column} (`{key}` of the model's run), and is read by the usual names of columns",
                    file.display()
                ));
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether any number of labels applies to a row, if the keys say.
    pub(super) fn says_sets(&self) -> Option<bool> {
        self.multi_label.or_else(|| self.says_sets_by_form().then_some(true))
    }

    fn says_sets_by_form(&self) -> bool {
        self.label_separator.is_some() || matches!(self.label, LabelColumns::Each(_))
    }

    pub(super) fn options(&self) -> TableOptions {
        TableOptions {
            header: self.header,
            separator: self.separator,
            quotes: self.quotes,
            encoding: self.encoding,
            key_prefix: Some("task."),
            max_line_bytes: self.max_line_bytes,
            ..TableOptions::default()
        }
    }
}
