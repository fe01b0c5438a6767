//! [`Labelled`]: a data set of one's own as a task.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::table::{Column, Quotes};
use serde::{Deserialize, Serialize};

use super::{LabelledColumns, Location, Targets};
use crate::example::ExampleReader;
use crate::metrics::Metric;
use crate::options::TaskOptions;
use crate::split::Split;
use crate::task::{Task, TaskContext};

/// `labelled`: a data set of one's own, tables or folders of texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Labelled {
    /// The column of the text, or of the first of a pair. Default: `"sentence"`.
    pub sentence1: Column,
    /// The column of the second text of a pair. Default: none.
    pub sentence2: Option<Column>,
    /// The column of the label. Default: `"label"`.
    pub label: Column,
    /// Whether the first line of a TSV or CSV file names the columns. Without it they are told by their place, from 0:
    /// `sentence1 = 0`. Default: true.
    pub header: bool,
    /// What separates the fields of a TSV or CSV file: one character, e.g. `";"`. Default: a tab or a comma, unless the first rows
    /// show another, which is then said.
    pub separator: Option<char>,
    /// What a quote at the beginning of a field of a TSV or CSV file is: `"double"`, it holds the field together, or `"none"`, a
    /// character like any other. Default: told by a look at the file, and said.
    pub quotes: Option<Quotes>,
    /// Names of the classes in their order. Default: those found, sorted.
    pub labels: Vec<String>,
    /// Whether labels are numbers to be predicted, and no classes. Default: false.
    pub regression: bool,
    /// Rows of a table whose text is null that are skipped, and counted, before one is an error. Default: 100.
    pub max_null_texts: u64,
    /// Longest line, or file of text, that is accepted, in bytes; it bounds memory. Default: 16 MiB.
    pub max_line_bytes: usize,
}

impl Default for Labelled {
    fn default() -> Self {
        Self {
            sentence1: "sentence".into(),
            sentence2: None,
            label: "label".into(),
            header: true,
            separator: None,
            quotes: None,
            labels: Vec::new(),
            regression: false,
            max_null_texts: 100,
            max_line_bytes: 16 << 20,
        }
    }
}

impl Labelled {
    fn columns(&self) -> LabelledColumns {
        LabelledColumns {
            first: self.sentence1.clone(),
            second: self.sentence2.clone(),
            label: self.label.clone(),
            header: self.header,
            separator: self.separator,
            quotes: self.quotes,
            max_null_texts: self.max_null_texts,
            max_line_bytes: self.max_line_bytes,
        }
    }
}

impl Task for Labelled {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/labelled/data")
    }

    fn problems(&self, _: &TaskOptions) -> Vec<DataError> {
        self.columns().problems()
    }

    fn targets(&self, context: &TaskContext<'_>) -> Result<Targets, DataError> {
        if self.regression {
            return Ok(Targets::numbers());
        }
        if !self.labels.is_empty() {
            return Targets::classes(self.labels.iter().cloned());
        }
        let train = training_files(context.path)?;
        Ok(Targets::Classes(train.class_names(&self.columns())?))
    }

    fn examples(
        &self,
        split: Split,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        self.columns().examples(split, targets, context.path)
    }

    fn names_classes(&self) -> bool {
        !self.regression
    }

    /// A table with the columns of the texts.
    fn reads_file(&self, file: &Path) -> Result<bool, DataError> {
        self.columns().are_in(file)
    }

    fn file_examples(
        &self,
        file: &Path,
        targets: &Targets,
        _: &TaskContext<'_>,
    ) -> Result<ExampleReader, DataError> {
        Location::Tables(vec![file.to_owned()]).read(&self.columns(), targets, false)
    }

    fn metrics(&self, targets: &Targets) -> Vec<Metric> {
        match targets {
            targets if targets.is_regression() => vec![Metric::Pearson, Metric::Spearman],
            _ => vec![Metric::Accuracy, Metric::F1Macro],
        }
    }
}

/// Where the training examples of a data set of one's own are.
fn training_files(path: &Path) -> Result<Location, DataError> {
    Location::find(path, Split::Train)?.ok_or_else(|| {
        DataError::dataset(
            path,
            "no training examples in it: expected `train.csv`, `.tsv`, `.json`, `.jsonl` or `.parquet`, or `train/CLASS/NAME.txt`",
        )
    })
}
