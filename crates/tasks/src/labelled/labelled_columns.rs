//! [`LabelledColumns`]: which columns of a table make an example, and how its files are read.

use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{self, Column, Format, Table};
use serde::{Deserialize, Serialize};

use super::{LabelColumns, Location, Targets};
use crate::example::ExampleReader;
use crate::split::Split;
use crate::table_keys::TableKeys;
use crate::task::TaskContext;

/// Keys of `[task]` that say which columns of a table make an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnKeys {
    /// The column of the text, or of the first of a pair. Default: `"sentence"`.
    pub sentence1: Column,
    /// The column of the second text of a pair. Default: none.
    pub sentence2: Option<Column>,
    /// The column that predictions name a row by. Default: none, they name it by its row.
    pub id: Option<Column>,
    /// The column of the label, or a list of columns: one for each class, which says whether it applies (1 or 0, true or false),
    /// or with `regression` one for each number. Default: `"label"`.
    pub label: LabelColumns,
    /// What separates the labels in a text that names any number of them, e.g. `";"`, or `\t` for a tab. Default: none, a text names
    /// one.
    #[serde(deserialize_with = "table::typed_text")]
    pub label_separator: Option<String>,
    /// Whether any number of labels applies to a row. Default: it does if `label_separator` is set, `label` names several columns,
    /// or the first label of the training data is a list.
    pub multi_label: Option<bool>,
    /// Names of the classes in their order, or of the columns of `label`. Default: those found, sorted; or what the columns are
    /// called.
    pub labels: Vec<String>,
    /// Rows of a table whose text is null that are skipped, and counted, before one is an error. Default: 100.
    pub max_null_texts: u64,
}

impl Default for ColumnKeys {
    fn default() -> Self {
        Self {
            sentence1: "sentence".into(),
            sentence2: None,
            id: None,
            label: "label".into(),
            label_separator: None,
            multi_label: None,
            labels: Vec::new(),
            max_null_texts: 100,
        }
    }
}

/// Which columns of a table make an example, and how its files are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelledColumns {
    /// The columns.
    pub keys: ColumnKeys,
    /// How tables are written.
    pub tables: TableKeys,
}

impl LabelledColumns {
    /// A [`DataError::Config`] for every key of `[task]` that is out of range: a column that is told by name although there is
    /// no header, or by place although there is one.
    pub fn problems(&self) -> Vec<DataError> {
        let ColumnKeys { id, label, label_separator, multi_label, .. } = &self.keys;
        let id = id.iter().map(|column| ("task.id", column));
        let texts = self.keys.texts().chain(id);
        let labels = label.columns().iter().map(|column| ("task.label", column));
        let mut problems = self.tables.problems(texts.chain(labels));
        problems.extend(label.problem());
        if label_separator.as_deref() == Some("") {
            problems.push(DataError::config("task.label_separator", "", "must not be empty"));
        }
        if let (LabelColumns::Each(_), Some(separator)) = (label, label_separator) {
            problems.push(DataError::config(
                "task.label_separator",
                separator,
                "is for one column that names any number of labels, and `task.label` names several columns",
            ));
        }
        if *multi_label == Some(false) && self.keys.says_sets_by_form() {
            problems.push(DataError::config(
                "task.multi_label",
                false,
                "but `task.label_separator`, or several columns in `task.label`, say that any number of labels applies",
            ));
        }
        problems
    }

    /// The examples of a split of the data set at the context's path; `None` if there is no such split. Which of them need labels is told by
    /// [`TaskContext::label_rule`].
    ///
    /// # Errors
    ///
    /// As [`Location::find`] and [`Location::read`].
    pub fn examples(
        &self,
        split: Split,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        let path = context.path;
        // A single file is all training examples: none of them may validate or test as well.
        if split != Split::Train && path.is_file() {
            return Ok(None);
        }
        if split == Split::Train && path.is_dir() {
            Location::tell_unread(path);
        }
        let Some(found) = Location::find(path, split)? else { return Ok(None) };
        if split != Split::Train && found.is_other_table(split, self) {
            return Ok(None);
        }
        found.read(self, targets, context.label_rule(split)).map(Some)
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
        let table = Table::open(file, &self.tables.options())?;
        for (key, column) in self.keys.texts() {
            if !table.has(column) {
                say_once(format!(
                    "`{}` has no column {column} (`{key}` of the model's run), and is read by the usual names of columns",
                    file.display()
                ));
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl ColumnKeys {
    /// The columns of texts, each with its key.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static str, &Column)> {
        let second = self.sentence2.iter().map(|column| ("task.sentence2", column));
        std::iter::once(("task.sentence1", &self.sentence1)).chain(second)
    }

    /// Whether any number of labels applies to a row, if the keys say.
    pub(super) fn says_sets(&self) -> Option<bool> {
        self.multi_label.or_else(|| self.says_sets_by_form().then_some(true))
    }

    fn says_sets_by_form(&self) -> bool {
        self.label_separator.is_some() || matches!(self.label, LabelColumns::Each(_))
    }
}
